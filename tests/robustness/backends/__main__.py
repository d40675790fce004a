"""Try what training promises through a backend, on a tiny model, and print a line per check.

    python -m tests.robustness.backends --backend peft                              # anywhere
    python -m tests.robustness.backends --backend unsloth --eager --side-by-side    # on a GPU

Bad rows, settings, stopping and resuming, start adapters, merging and preference training, all by
the commands themselves. A group of checks shares a process, since unsloth is slow to import and
then stays; what was trained is read through peft in a process without unsloth. ``--eager`` leaves
out unsloth's torch.compile, which alone takes minutes; its kernels and patches stay. ``--seconds``
leaves out the checks that have not begun by then. The tests are in
tests/robustness/backends/test_backends.py.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.robustness.backends.bench import ROOT, Bench, CheckError
from tests.robustness.backends.checks import GROUPS

_DRAW = (
    "import pathlib, sys; from tests.robustness.backends import data; "
    "data.write_all(pathlib.Path(sys.argv[1]))"
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Of one check; ``good`` is None where there was no time for it."""

    name: str
    good: bool | None
    said: str
    seconds: float

    def __str__(self) -> str:
        word = {True: "ok  ", False: "FAIL", None: "left"}[self.good]
        return f"{word} {self.name}: {self.said} ({self.seconds:.1f} s)"


def run(bench: Bench, group: str, *, until: float) -> Iterator[Outcome]:
    """The checks of a group that begin before a time; the folder must hold data and bases."""
    for check in GROUPS[group]:
        name, started = check.__name__.replace("_", " "), time.time()
        if started > until:
            yield Outcome(name=name, good=None, said="no time was left", seconds=0)
            continue
        try:
            good, said = True, check(bench)
        except CheckError as error:
            good, said = False, str(error)
        except Exception:
            good, said = False, traceback.format_exc()
        yield Outcome(name=name, good=good, said=said, seconds=time.time() - started)


def draw(folder: Path, backend: str) -> None:
    """Write data and base models; in another process where unsloth must be imported first."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "base-nf4").is_dir():
        return
    if backend == "unsloth":
        subprocess.run([sys.executable, "-c", _DRAW, str(folder)], cwd=ROOT, check=True)
        return
    from tests.robustness.backends import data

    data.write_all(folder)


def start(folder: Path, group: str, given: Sequence[str]) -> subprocess.Popen[str]:
    """A group in a process of its own, in a folder of its own: unsloth writes to where it is."""
    place = folder / f"process-{group}"
    place.mkdir(exist_ok=True)
    path = os.pathsep.join([str(ROOT), *(entry for entry in sys.path[1:] if entry)])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.robustness.backends", *given, "--group", group],
        cwd=place,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    )


def parser(prog: str | None = None) -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog=prog, description=(__doc__ or "").split("\n")[0])
    whole.add_argument("--backend", choices=("unsloth", "peft"), required=True)
    whole.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda for unsloth")
    whole.add_argument("--work", type=Path, metavar="DIR", help="default: a temporary folder")
    whole.add_argument("--seconds", type=float, default=float("inf"), metavar="S")
    whole.add_argument("--until", type=float, help=argparse.SUPPRESS)
    whole.add_argument("--group", choices=GROUPS, help="one group of checks (default: all)")
    whole.add_argument("--side-by-side", action="store_true", help="a process for each group")
    whole.add_argument("--eager", action="store_true", help="unsloth without torch.compile")
    return whole


def main() -> int:
    arguments = parser().parse_args()
    if arguments.eager:
        os.environ["UNSLOTH_COMPILE_DISABLE"] = "1"
    until = arguments.until or time.time() + arguments.seconds
    device = arguments.device or ("cuda" if arguments.backend == "unsloth" else "cpu")
    with tempfile.TemporaryDirectory() as place:
        folder = (arguments.work or Path(place)).resolve()
        draw(folder, arguments.backend)
        if arguments.side_by_side:
            given = ["--backend", arguments.backend, "--device", device, "--work", str(folder)]
            given += ["--until", str(until)]
            children = [start(folder, group, given) for group in GROUPS]
            return max(child.wait() for child in children)
        bench = Bench(folder=folder, backend=arguments.backend, device=device)
        outcomes = []
        for group in [arguments.group] if arguments.group else GROUPS:
            for outcome in run(bench, group, until=until):
                print(outcome, flush=True)
                outcomes.append(outcome)
    good = sum(outcome.good is True for outcome in outcomes)
    print(f"{good} of {len(outcomes)} checks hold")
    return 0 if good == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
