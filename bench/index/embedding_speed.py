"""Images embedded per second, beside the forward pass alone and beside torch.

    python -m bench.index.embedding_speed --images OPENI/images

Every way embeds the same images; the best of three rounds counts. Exit code 1 below 50 images a
second or below 85 % of the forward pass alone, or where vectors of both runtimes differ by more
than 1e-4.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from db.errors import UserError
from indexer.encoder.dual_encoder import BATCH, OpenClipEncoder
from indexer.encoder.folder import from_folder
from indexer.encoder.network import TOWER
from indexer.encoder.spec import DEFAULT_ENCODER
from indexer.encoder.trained import read_network
from indexer.images.reader import read_radiograph

ROUNDS = 3
LEAST_RATE = 50.0
LEAST_SHARE = 0.85
MOST_DIFFERENCE = 1e-4


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=Path, required=True, help="a folder of JPEG images")
    parser.add_argument("--encoder", type=Path, default=Path(DEFAULT_ENCODER))
    parser.add_argument("--count", type=int, default=320, help="how many of them to embed")
    arguments = parser.parse_args(argv)
    try:
        paths = sorted(arguments.images.glob("*.jpg"))[: arguments.count]
        if len(paths) < BATCH:
            raise UserError(f"{arguments.images} holds {len(paths)} JPEG files: name more images")
        encoder = from_folder(arguments.encoder, name=str(arguments.encoder))
        return measure(paths, encoder, read_network(arguments.encoder))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def measure(paths: Sequence[Path], encoder: OpenClipEncoder, network: torch.nn.Module) -> int:
    images = [read_radiograph(path).pixels for path in paths]
    batches = [encoder.prepare(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    whole = best(
        lambda: [encoder.embed_images([read_radiograph(p).pixels for p in paths])], len(paths)
    )
    forward = best(lambda: [encoder.forward(batch) for batch in batches], len(paths))
    with torch.inference_mode():
        few = [torch.from_numpy(batch) for batch in batches[:4]]
        eager = best(lambda: [network(batch) for batch in few], sum(len(b) for b in few))
        expected = network(few[0])[0][:, : encoder.spec.dim].numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    difference = float(np.abs(encoder.embed_images(images[: len(few[0])]).vectors - expected).max())
    print(f"{len(paths)} images, {TOWER} at {batches[0].shape[-1]} px, batches of {BATCH}")
    print(f"JPEG files to vectors       {whole:6.1f} images/s")
    print(
        f"ONNX Runtime forward alone  {forward:6.1f} images/s: {whole / forward:.0%} of it reached"
    )
    print(f"torch forward alone         {eager:6.1f} images/s, reached: {whole / eager:.0%}")
    print(f"largest difference of a vector's numbers between the two runtimes: {difference:.1e}")
    good = whole >= LEAST_RATE and whole >= LEAST_SHARE * forward and difference <= MOST_DIFFERENCE
    return 0 if good else 1


def best(run: Callable[[], object], images: int) -> float:
    """Images a second in the quickest of some rounds, the first of which warms up."""
    seconds = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return images / min(seconds[1:])


if __name__ == "__main__":
    sys.exit(main())
