"""Kills, a full disk and a read-only mount: an index in place always opens, verifies and answers.

    python bench/index_durability.py --kills 50 --seed 0      # minutes; CI runs --kills 2

`build`, `add`, `remove --patient` and `merge` are each killed with SIGKILL at random moments: every
other time after a random time, else before a random one of their calls that change the file
system, because a rename takes microseconds and no clock hits it. After each kill the index that
was there is opened, verified and searched; then the same command runs again and must give the same
files as where nobody disturbed it. The same on a small file system that runs full at random
fillings, and on one that is mounted read-only; where mounting is not allowed (or with --no-mount),
a limit on the size of files and a folder without write permission stand in, and the output says so.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from db.errors import NotFoundError, UserError
from indexer.build import add, build
from indexer.encoder import EncoderSpec, Reading
from indexer.index import Index
from indexer.manifest import MANIFEST
from indexer.merge import merge
from indexer.removal import Target, remove
from indexer.sources.jsonl import JsonLines
from indexer.verification import verify
from indexer.versions import Versions, current_folder

PATIENT = "zebrafinch"
SENTENCE = "A quetzal feather lies over the left apex."
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree"}

Verb = Callable[[Path, Path], None]


class SmallEncoder:
    """Films as 8 x 8 thumbnails."""

    spec = EncoderSpec(name="small", weights_sha256="0" * 64, dim=64, preprocessing={"size": 8})

    def read(self, films: Sequence[np.ndarray]) -> Reading:
        rows = [
            np.asarray(Image.fromarray(film).resize((8, 8)), dtype=np.float32).ravel() - 127.5
            for film in films
        ]
        vectors = np.stack(rows) if rows else np.zeros((0, 64), np.float32)
        return Reading(vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def verb_build(index: Path, data: Path) -> None:
    build(JsonLines(data / "all.jsonl"), SmallEncoder(), index)


def verb_add(index: Path, data: Path) -> None:
    add(JsonLines(data / "all.jsonl"), SmallEncoder(), index)


def verb_remove(index: Path, data: Path) -> None:
    try:
        remove(index, Target(patient_id=PATIENT), everywhere=True)
    except NotFoundError:
        if lines_of(index, PATIENT):
            raise


def verb_merge(index: Path, data: Path) -> None:
    merge([data / "base", data / "other"], index)


VERBS: dict[str, Verb] = {
    "build": verb_build,
    "add": verb_add,
    "remove": verb_remove,
    "merge": verb_merge,
}


def prepare(data: Path) -> None:
    """Films, three lists of studies, the index to be changed (of two versions) and another."""
    draw = np.random.default_rng(0)
    lines = []
    for number in range(44):
        pixels = draw.integers(0, 255, (8, 8)).astype(np.uint8)
        Image.fromarray(pixels).resize((48, 56)).save(data / f"{number}.png")
        patient = PATIENT if number in (3, 4, 18) else f"p{number // 2}"
        findings = SENTENCE if patient == PATIENT else f"The lungs are clear at level {number}."
        lines.append(
            json.dumps(
                {
                    "study_id": f"{patient}-s{number}",
                    "patient_id": patient,
                    "image": f"{number}.png",
                    "findings": findings,
                }
            )
        )
    (data / "half.jsonl").write_text("\n".join(lines[:8]))
    (data / "most.jsonl").write_text("\n".join(lines[:20]))
    (data / "all.jsonl").write_text("\n".join(lines))
    build(JsonLines(data / "half.jsonl"), SmallEncoder(), data / "base")
    add(JsonLines(data / "most.jsonl"), SmallEncoder(), data / "base")
    other = JsonLines(data / "half.jsonl", name="elsewhere")
    build(other, SmallEncoder(), data / "other")


def in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a process of its own; its id."""
    process = os.fork()
    if process:
        return process
    code = 0
    try:
        work()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except BaseException as error:
        print(f"defect: {error!r}", file=sys.stderr)
        code = 2
    finally:
        sys.stderr.flush()
        os._exit(code)


def run(work: Callable[[], None]) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(in_child(work), 0)[1])


def counted_changes(work: Callable[[], None], kill_at: int | None = None) -> int:
    """Run ``work`` and count its calls that change the file system; die before one of them."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event not in CHANGES:
            return
        if event == "open" and not (len(arguments) > 1 and _writes(arguments[1])):
            return
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    sys.addaudithook(hook)
    work()
    return seen


def _writes(mode: object) -> bool:
    return isinstance(mode, str) and any(letter in mode for letter in "wax+")


def check(index: Path) -> str:
    """Open, verify and search what is in place; its fingerprint. Raises AssertionError."""
    problems = verify(index, pixels=True)
    assert not problems, problems
    opened = Index.open(index)
    for case in [*opened.cases][:3]:
        ids, scores = opened.vectors.search(opened.vectors.vector(case.case_id), 1)
        assert ids[0] == case.case_id and scores[0] > 0.999, case.study_id
    opened.close()
    return opened.manifest.fingerprint


def lines_of(index: Path, words: str) -> list[str]:
    """Files below the index that hold these words, as grep finds them."""
    found = subprocess.run(
        ["grep", "-rl", words, str(index)], capture_output=True, text=True, check=False
    )
    return found.stdout.splitlines()


def files_of(index: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in current_folder(index).iterdir()
        if path.name not in (MANIFEST, "cases.sqlite")
    }


def same(index: Path, wanted: Path) -> None:
    """Raises AssertionError where the current versions differ in more than their times."""
    assert check(index) == check(wanted)
    mine, theirs = files_of(index), files_of(wanted)
    assert mine.keys() == theirs.keys(), mine.keys() ^ theirs.keys()
    assert mine == theirs, [name for name in mine if mine[name] != theirs[name]]
    one, other = Index.open(index), Index.open(wanted)
    assert list(one.cases) == list(other.cases)
    one.close()
    other.close()


def kept_by(index: Path) -> list[tuple[int, str]]:
    kept = Versions(index).kept().values()
    return [(manifest.version, manifest.fingerprint) for manifest in kept]


def fresh(data: Path, index: Path) -> Path:
    if index.exists():
        for child in index.iterdir():
            shutil.rmtree(child) if child.is_dir() else child.unlink()
    shutil.copytree(data / "base", index, dirs_exist_ok=True)
    return index


def test_kills(name: str, data: Path, work: Path, kills: int, draw: random.Random) -> str:
    verb = VERBS[name]
    wanted = fresh(data, work / "wanted")
    started = time.perf_counter()
    assert run(lambda: verb(wanted, data)) == 0
    seconds = time.perf_counter() - started
    reader, writer = os.pipe()
    index = fresh(data, work / "index")

    def count() -> None:
        os.write(writer, str(counted_changes(lambda: verb(index, data))).encode())

    assert run(count) == 0
    changes = int(os.read(reader, 20))
    os.close(reader)
    os.close(writer)
    old = check(data / "base")
    killed = kept_old = 0
    for trial in range(kills):
        fresh(data, index)
        if trial % 2:
            moment = draw.randrange(changes)
            process = in_child(partial(counted_changes, partial(verb, index, data), moment))
        else:
            process = in_child(partial(verb, index, data))
            time.sleep(draw.uniform(0, seconds))
            os.kill(process, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert status in (0, -signal.SIGKILL), status
        killed += status != 0
        now = check(index)
        assert now in (old, check(wanted)), "neither the old index nor the new one"
        kept_old += now == old
        assert run(partial(verb, index, data)) == 0
        same(index, wanted)
        if name == "remove":
            assert kept_by(index) == kept_by(wanted)
            for words in (PATIENT, SENTENCE):
                assert not lines_of(index, words), lines_of(index, words)
    return (
        f"{kills} trials ({seconds:.2f} s, {changes} changes undisturbed), {killed} killed at "
        f"work, {kept_old} left the old index"
    )


def test_full_disk(
    name: str, data: Path, work: Path, trials: int, draw: random.Random, mount: bool
) -> str:
    verb = VERBS[name]
    wanted = fresh(data, work / "wanted")
    assert run(partial(verb, wanted, data)) == 0
    old, refused = check(data / "base"), 0
    with small_disk(work / "disk", mount) as disk:
        index = disk.path / "index"
        for _ in range(trials):
            disk.resize(64_000_000)
            fresh(data, index)
            disk.fill(draw)
            status = run(partial(disk.limited, partial(verb, index, data)))
            assert status in (0, 1), status
            refused += status
            assert check(index) in (old, check(wanted))
            disk.resize(64_000_000)
            assert run(partial(verb, index, data)) == 0
            same(index, wanted)
        how = disk.how
    return f"{trials} trials ({how}), {refused} ran full"


def test_read_only(name: str, data: Path, work: Path, mount: bool) -> str:
    verb = VERBS[name]
    with small_disk(work / "disk", mount) as disk:
        index = fresh(data, disk.path / "index")
        before = check(index)
        with disk.read_only():
            assert check(index) == before
            status = run(lambda: disk.without_rights(lambda: verb(index, data)))
            assert status == 1, status
            assert check(index) == before
        return f"refused, the index answers ({disk.how})"


class SmallDisk:
    """A file system of its own."""

    how = "tmpfs"

    def __init__(self, path: Path) -> None:
        self.path = path

    def resize(self, size: int) -> None:
        _mount("-o", f"remount,size={size}", str(self.path))

    def fill(self, draw: random.Random) -> None:
        """Leave room for a random part of what a verb writes."""
        used = sum(path.stat().st_blocks * 512 for path in self.path.rglob("*"))
        self.resize(used + draw.randrange(4_096, 300_000))

    def limited(self, work: Callable[[], None]) -> None:
        work()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        _mount("-o", "remount,ro", str(self.path))
        try:
            yield
        finally:
            _mount("-o", "remount,rw", str(self.path))

    def without_rights(self, work: Callable[[], None]) -> None:
        work()


class LimitedFolder(SmallDisk):
    """What stands in where mounting is not allowed."""

    how = "no right to mount: file size limit, folder without write permission"

    def resize(self, size: int) -> None:
        self._size = size

    def fill(self, draw: random.Random) -> None:
        self._size = draw.randrange(1_000, 60_000)

    def limited(self, work: Callable[[], None]) -> None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, resource.RLIM_INFINITY))
        work()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        folders = [self.path, *(path for path in self.path.rglob("*") if path.is_dir())]
        for path in [*folders, *(path for path in self.path.rglob("*") if path.is_file())]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            yield
        finally:
            for path in [*folders, *(path for path in self.path.rglob("*") if path.is_file())]:
                path.chmod(0o755 if path.is_dir() else 0o644)

    def without_rights(self, work: Callable[[], None]) -> None:
        if os.geteuid() == 0:  # root is not held up by permissions
            os.setgid(65534)
            os.setuid(65534)
        work()


@contextmanager
def small_disk(path: Path, mount: bool) -> Iterator[SmallDisk]:
    path.mkdir(exist_ok=True)
    if (
        mount
        and os.geteuid() == 0
        and _mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(path)) == 0
    ):
        try:
            yield SmallDisk(path)
        finally:
            subprocess.run(["umount", str(path)], check=True)
        return
    path.chmod(0o755)
    yield LimitedFolder(path)


def _mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], stderr=subprocess.DEVNULL, check=False).returncode


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Interrupted changes of an index.")
    parser.add_argument("--kills", type=int, default=50, help="per verb")
    parser.add_argument("--full-disks", type=int, default=10, help="per verb")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-mount", dest="mount", action="store_false")
    parser.add_argument("--verb", choices=VERBS, action="append")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        work.chmod(0o755)
        data = work / "data"
        data.mkdir()
        assert run(lambda: prepare(data)) == 0
        for name in arguments.verb or VERBS:
            draw = random.Random(f"{arguments.seed} {name}")
            kills = test_kills(name, data, work, arguments.kills, draw)
            print(f"{name}: kills: {kills}")
            full = test_full_disk(name, data, work, arguments.full_disks, draw, arguments.mount)
            print(f"{name}: full disk: {full}")
            read_only = test_read_only(name, data, work, arguments.mount)
            print(f"{name}: read-only: {read_only}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
