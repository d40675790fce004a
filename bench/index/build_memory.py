"""Peak memory of an index build by the number of studies, which should hardly raise it.

    python -m bench.index.build_memory --counts 16000 48000

Studies of JSON Lines with one of 64 drawn images each and an encoder that shrinks them, so that
only the build itself is measured: ids, reports, labels, hashes, vectors, and the index of the
vectors. Each count is built in a process of its own; what is printed is by how much its memory grew
at most. It grows up to the 10,000 images that say what is usual, which are compared at the end.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from indexer.build import build
from indexer.encoder.spec import EncoderSpec, ImageEmbeddings
from indexer.sources.jsonl import JsonLines

IMAGES = 64


class SmallEncoder:
    """Images as 8 x 8 thumbnails."""

    spec = EncoderSpec(name="small", weights_sha256="0" * 64, dim=64, preprocessing={"size": 8})

    def embed_images(self, images: Sequence[np.ndarray]) -> ImageEmbeddings:
        rows = np.stack([np.asarray(Image.fromarray(f).resize((8, 8)), np.float32) for f in images])
        vectors = rows.reshape(len(images), 64) - 127.5
        return ImageEmbeddings(vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def write_studies(folder: Path, count: int) -> Path:
    draw = np.random.default_rng(0)
    for number in range(IMAGES):
        pixels = draw.integers(0, 255, (64, 64)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    path = folder / "studies.jsonl"
    with path.open("w") as stream:
        for number in range(count):
            study = {
                "study_id": f"s{number}",
                "patient_id": f"p{number // 2}",
                "image": f"{number % IMAGES}.png",
                "findings": f"The heart is enlarged. No effusion at level {number}.",
                "impression": "Cardiomegaly.",
            }
            stream.write(json.dumps(study) + "\n")
    return path


def measure(count: int) -> tuple[float, float]:
    """Seconds, and megabytes that the memory of the process grew by at most."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        import resource  # not on Windows

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = write_studies(folder, count)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            started = time.perf_counter()
            built = build(JsonLines(path), SmallEncoder(), folder / "index")
            seconds = time.perf_counter() - started
            assert built.manifest.studies == count
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        os.write(writer, f"{seconds} {grown / 1000}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        seconds, grown_mb = map(float, stream.read().split())
    os.waitpid(process, 0)
    return seconds, grown_mb


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[16_000, 48_000])
    print("| studies | seconds | peak MB grown |\n|---|---|---|")
    for count in parser.parse_args(argv).counts:
        seconds, grown = measure(count)
        print(f"| {count:,} | {seconds:.1f} | {grown:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
