"""Kills, a full disk and a read-only mount: an index in place always opens, verifies and answers.

    python -m tests.robustness.index_durability --kills 50 --seed 0  # CI runs --kills 1

`build`, `add`, `remove --patient` and `merge` are each killed with SIGKILL at random moments: the
first time and every other time before a random one of their calls that change the file system,
because a rename takes microseconds and no clock hits it, else after a random time. After each kill
the index that was there is opened, verified and searched; then the same command runs again and must
give the same files as where nobody disturbed it. The same on a small file system that runs full at
random fillings, and on one that is mounted read-only; where mounting is not allowed (or with
--no-mount), a limit on the size of files and a folder without write permission stand in, and the
output says so.
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
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from db.errors import NotFoundError
from indexer.build import add, build
from indexer.encoder.spec import EncoderSpec, ImageEmbeddings
from indexer.index import Index
from indexer.manifest import MANIFEST
from indexer.merge import merge
from indexer.remove import RemovalTarget, remove
from indexer.sources.jsonl import JsonLines
from indexer.verify import verify
from indexer.versions import Versions, current_folder
from tests.robustness.interruptions import counted_changes, in_child, run, small_disk

PATIENT = "zebrafinch"
SENTENCE = "A quetzal feather lies over the left apex."

Verb = Callable[[Path, Path], None]


class SmallEncoder:
    """Images as 8 x 8 thumbnails."""

    spec = EncoderSpec(name="small", weights_sha256="0" * 64, dim=64, preprocessing={"size": 8})

    def embed_images(self, images: Sequence[np.ndarray]) -> ImageEmbeddings:
        rows = [
            np.asarray(Image.fromarray(image).resize((8, 8)), dtype=np.float32).ravel() - 127.5
            for image in images
        ]
        vectors = np.stack(rows) if rows else np.zeros((0, 64), np.float32)
        return ImageEmbeddings(vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def verb_build(index: Path, data: Path) -> None:
    build(JsonLines(data / "all.jsonl"), SmallEncoder(), index)


def verb_add(index: Path, data: Path) -> None:
    add(JsonLines(data / "all.jsonl"), SmallEncoder(), index)


def verb_remove(index: Path, data: Path) -> None:
    try:
        remove(index, RemovalTarget(patient_id=PATIENT), everywhere=True)
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
    """Images, three lists of studies, the index to be changed (of two versions) and another."""
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


def same(index: Path, wanted: Path, fingerprint: str) -> None:
    """Raises AssertionError where the current versions differ in more than their times;
    ``fingerprint`` is what `check` has said of the wanted one."""
    assert check(index) == fingerprint
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


def try_kills(name: str, data: Path, work: Path, kills: int, draw: random.Random) -> str:
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
    old, new = check(data / "base"), check(wanted)
    trials = killed = kept_old = 0
    while killed < kills:
        fresh(data, index)
        trials += 1
        if trials % 2:
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
        assert now in (old, new), "neither the old index nor the new one"
        kept_old += now == old
        assert run(partial(verb, index, data)) == 0
        same(index, wanted, new)
        if name == "remove":
            assert kept_by(index) == kept_by(wanted)
            for words in (PATIENT, SENTENCE):
                assert not lines_of(index, words), lines_of(index, words)
    return (
        f"{killed} killed at work in {trials} trials ({seconds:.2f} s, {changes} changes "
        f"undisturbed), {kept_old} left the old index"
    )


def try_full_disks(
    name: str, data: Path, work: Path, trials: int, draw: random.Random, mount: bool
) -> str:
    verb = VERBS[name]
    wanted = fresh(data, work / "wanted")
    assert run(partial(verb, wanted, data)) == 0
    old, new, refused = check(data / "base"), check(wanted), 0
    with small_disk(work / "disk", mount) as disk:
        index = disk.path / "index"
        for _ in range(trials):
            disk.resize(64_000_000)
            fresh(data, index)
            disk.fill(draw)
            status = run(partial(disk.limited, partial(verb, index, data)))
            assert status in (0, 1), status
            refused += status
            assert check(index) in (old, new)
            disk.resize(64_000_000)
            assert run(partial(verb, index, data)) == 0
            same(index, wanted, new)
        how = disk.how
    return f"{trials} trials ({how}), {refused} ran full"


def try_read_only(name: str, data: Path, work: Path, mount: bool) -> str:
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
        prepare(data)
        for name in arguments.verb or VERBS:
            draw = random.Random(f"{arguments.seed} {name}")
            kills = try_kills(name, data, work, arguments.kills, draw)
            print(f"{name}: kills: {kills}")
            full = try_full_disks(name, data, work, arguments.full_disks, draw, arguments.mount)
            print(f"{name}: full disk: {full}")
            read_only = try_read_only(name, data, work, arguments.mount)
            print(f"{name}: read-only: {read_only}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
