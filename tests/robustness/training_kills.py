"""Kill a training run of two processes again and again: resumed, it ends as if left alone.

    python -m tests.robustness.training_kills --kills 20

A tiny model is trained by two processes on a CPU, once undisturbed, then with kills at random
moments: SIGKILL to both, SIGKILL to one, SIGTERM to both or to one. After each the same command
continues with --resume. In the end the adapter, the weights and the optimizer's state of the
checkpoint and the losses in the log must equal those of the undisturbed run, and at no moment may
the adapter be worse than the one before. The short form is tests/robustness/test_training_kills.py.
"""

import argparse
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from finetune.adapter.trainer import CHECKPOINT, LOG, RUN
from finetune.export.adapter_files import WEIGHTS
from finetune.training.checkpoint import Checkpoint
from finetune.training.log import read_log
from generator.mllama.adapter_record import AdapterRecord

PROCESSES = 2
LONGEST = 300.0
"""Seconds until a run counts as hung."""

WAYS: Sequence[tuple[signal.Signals, tuple[int, ...]]] = (
    (signal.SIGKILL, (0, 1)),
    (signal.SIGTERM, (0, 1)),
    (signal.SIGKILL, (1,)),
    (signal.SIGTERM, (1,)),
    (signal.SIGKILL, (0,)),
)
"""What is sent, and to which processes."""


@dataclass
class TrainingKills:
    """What happened."""

    kills: int = 0
    resumed: int = 0
    """Runs that had a checkpoint when they were killed."""
    wrong: list[str] = field(default_factory=list)


def run(
    base: Path, pack: Path, folder: Path, *, settings: Sequence[str], kills: int
) -> TrainingKills:
    """Kill runs on ``pack`` so many times; each run is killed up to five times."""
    draw, outcome = random.Random(1), TrainingKills()
    started = time.monotonic()
    alone = folder / "alone"
    if _wait(_start(base, pack, alone, settings, folder)) != [0, 0]:
        raise SystemExit(f"the run does not end by itself: see {folder / 'output.txt'}")
    usual = time.monotonic() - started
    number = 0
    while outcome.kills < kills:
        number += 1
        out = folder / f"killed-{number}"
        for _ in range(min(5, kills - outcome.kills)):
            way = WAYS[outcome.kills % len(WAYS)]
            if not _killed(base, pack, out, settings, folder, way, draw.uniform(0, usual), outcome):
                break
        if _wait(_start(base, pack, out, settings, folder)) != [0, 0]:
            outcome.wrong.append(f"run {number} did not end after it was resumed")
            continue
        outcome.wrong += [f"run {number}: {what}" for what in differences(out, alone)]
    return outcome


def differences(out: Path, alone: Path) -> list[str]:
    """What two finished runs do not have in common."""
    found = []
    if (out / WEIGHTS).read_bytes() != (alone / WEIGHTS).read_bytes():
        found.append("another adapter")
    ends = [Checkpoint.load(one / RUN / CHECKPOINT) for one in (out, alone)]
    states = [(end.weights, end.optimizer["state"]) for end in ends if end is not None]
    if len(states) < 2 or not _equal(*states):
        found.append("another checkpoint")
    losses = [
        [(line["step"], line["loss"], line.get("val_loss")) for line in read_log(one / RUN / LOG)]
        for one in (out, alone)
    ]
    if losses[0] != losses[1]:
        found.append("another log")
    return found


def _equal(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return all(_equal(*pair) for pair in zip(one, other, strict=True))
    return one == other


def _killed(
    base: Path,
    pack: Path,
    out: Path,
    settings: Sequence[str],
    folder: Path,
    way: tuple[signal.Signals, tuple[int, ...]],
    after: float,
    outcome: TrainingKills,
) -> bool:
    """Whether the run could be killed before it ended by itself."""
    kept = _val_loss(out)
    children = _start(base, pack, out, settings, folder)
    time.sleep(after)
    if all(_ended(child) for child in children):
        return False
    outcome.kills += 1
    outcome.resumed += (out / RUN / CHECKPOINT).is_file()
    number, ranks = way
    for rank in ranks:
        os.kill(children[rank], number)
    if number == signal.SIGKILL:  # a launcher ends the others
        for child in children:
            os.kill(child, signal.SIGKILL)
    _wait(children)
    now = _val_loss(out)
    if kept is not None and (now is None or now > kept):
        outcome.wrong.append(f"kill {outcome.kills}: an adapter of {kept} replaced by one of {now}")
    return True


def _val_loss(out: Path) -> float | None:
    record = AdapterRecord.read(out)
    return None if record is None else record.val_loss


def _start(base: Path, pack: Path, out: Path, settings: Sequence[str], folder: Path) -> list[int]:
    """Processes as a launcher would start them, forked from this one, which has imported all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    sys.stdout.flush()
    more = ["--resume"] if out.is_dir() and any(out.iterdir()) else []
    children = []
    for rank in range(PROCESSES):
        child = os.fork()
        if child == 0:
            output = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_PORT": port}
            os.environ |= {"WORLD_SIZE": str(PROCESSES), "MASTER_ADDR": "127.0.0.1"}
            os._exit(_train(base, pack, out, [*more, "--set", *settings]))
        children.append(child)
    return children


def _train(base: Path, pack: Path, out: Path, more: Sequence[str]) -> int:
    from accelerate import PartialState

    from finetune.__main__ import main

    torch.set_num_threads(1)
    PartialState._reset_state()
    given = ["train", "--base", str(base), "--examples", str(pack), "--out", str(out)]
    try:
        return main([*given, "--device", "cpu", *more])
    except SystemExit as error:
        return int(error.code or 0)
    except BaseException as error:
        print(f"defect: {error!r}", file=sys.stderr)
        return 3


def _ended(child: int) -> bool:
    """Without taking its exit code away."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _wait(children: Sequence[int]) -> list[int]:
    """Exit codes; a process that hangs is killed."""
    until = time.monotonic() + LONGEST
    while not all(_ended(child) for child in children) and time.monotonic() < until:
        time.sleep(0.02)
    for child in children:
        if not _ended(child):
            os.kill(child, signal.SIGKILL)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args()
    from tests.support.models.mllama_models import write_mllama
    from tests.support.models.training import SETTINGS, write_pack

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        base, pack = write_mllama(folder / "base"), write_pack(folder / "pack")
        settings = [*SETTINGS, "dropout=0.1", "max_steps=24"]
        outcome = run(base, pack, folder, settings=settings, kills=arguments.kills)
    print(f"{outcome.kills} kills, {outcome.resumed} of them after a checkpoint was written")
    print(f"wrong: {len(outcome.wrong)}", *outcome.wrong[:5])
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
