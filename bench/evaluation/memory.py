"""Peak memory of an evaluation by the number of studies, which should hardly raise it.

    python -m bench.evaluation.memory --counts 64 256

Studies with one drawn image of 5 megapixels each, and an encoder that shrinks it, so that only the
evaluation itself is measured: what is read, embedded, searched, written and scored. Each count and
each command is run in a process of its own; what is printed is by how much its memory grew at most,
and how much all images would take at once.
"""

import argparse
import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench.index.build_memory import SmallEncoder
from evaluation.__main__ import main as evaluate
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever

INDEXED = 200
WIDTH, HEIGHT = 2048, 2500
COMMANDS = {
    "evaluate retrieval": ["retrieval", "index"],
    "evaluate model": ["model", "--model", "none", "--index", "index", "--out", "out"],
}


def write_studies(folder: Path, held_out: int) -> None:
    """Write studies to index with small images, and studies of val with large ones."""
    draw = np.random.default_rng(0)
    lines = []
    for number in range(INDEXED + held_out):
        held = number >= INDEXED
        coarse = draw.integers(0, 255, (10, 8)).astype(np.uint8)
        size = (WIDTH, HEIGHT) if held else (64, 80)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(
            folder / f"{number}.jpg", quality=80
        )
        finding = ("The heart is enlarged.", "Small left effusion.")[number % 2]
        lines.append(
            {
                "study_id": f"s{number}",
                "patient_id": f"p{number}",
                "image": f"{number}.jpg",
                "findings": f"{finding} Lungs are clear at level {number % 40}.",
                "impression": "As above.",
                "split": "val" if held else "train",
            }
        )
    (folder / "studies.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def measure(command: str, held_out: int) -> float:
    """Megabytes that the memory of a process grew by at most."""
    for module in ("evaluation.retrieval.run", "evaluation.run"):
        importlib.import_module(module)  # what imports take is no part of it
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        import resource  # not on Windows

        with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
            write_studies(Path(name), held_out)
            build(JsonLines(Path("studies.jsonl"), split="train"), SmallEncoder(), Path("index"))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            source = ["--source", "jsonl", "--data-dir", "studies.jsonl", "--split", "val"]
            told = io.StringIO()
            with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
                code = evaluate(
                    [*COMMANDS[command], *source, "--resamples", "50"],
                    open_retriever=lambda path, **_: Retriever.open(path, SmallEncoder()),
                )
            assert code == 0, told.getvalue()
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        os.write(writer, str(grown / 1000).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        grown_mb = float(stream.read())
    os.waitpid(process, 0)
    return grown_mb


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[64, 256])
    print("| command | studies | peak MB grown | all images, MB |\n|---|---|---|---|")
    for count in parser.parse_args(argv).counts:
        whole = count * WIDTH * HEIGHT / 1e6
        for command in COMMANDS:
            print(f"| {command} | {count:,} | {measure(command, count):.0f} | {whole:.0f} |")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
