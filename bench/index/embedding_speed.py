"""Images embedded per second, beside the forward pass alone and beside torch.

    python -m bench.index.embedding_speed --images OPENI/images

Every way embeds the same images; the best of three rounds counts. Exit code 1 below 50 images a
second or below 85 % of the forward pass alone, or where vectors of both runtimes differ by more
than 1e-4.

    python -m bench.index.embedding_speed --images OPENI/images --device cuda --count 40000

With a GPU, or ``--workers``, images are decoded in processes while others are embedded, as a build
on a GPU does it; exit code 1 below 85 % of the slower of decoding alone and the forward pass alone.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from db.errors import UserError
from evaluation.provenance import machine
from indexer.encoder.dual_encoder import BATCH, OpenClipEncoder
from indexer.encoder.folder import from_folder
from indexer.encoder.load import DEVICES
from indexer.encoder.network import TOWER
from indexer.encoder.spec import DEFAULT_ENCODER, FittingEncoder
from indexer.encoder.trained import read_network
from indexer.engines.decoding_workers import STUDIES_PER_BATCH, DecodingWorkers, started_ahead
from indexer.images.reader import Limits, read_radiograph
from indexer.ingest.batch_indexer import BatchIndexer
from indexer.sources.records import ImageRecord, StudyRecord

ROUNDS = 3
LEAST_RATE = 50.0
LEAST_SHARE = 0.85
MOST_DIFFERENCE = 1e-4


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=Path, required=True, help="a folder of JPEG images")
    parser.add_argument("--encoder", type=Path, default=Path(DEFAULT_ENCODER))
    parser.add_argument("--count", type=int, default=320, help="how many of them to embed")
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--workers", type=int, help="processes that decode; default: one per core")
    parser.add_argument("--out", type=Path, help="JSON to write, of --device cuda")
    arguments = parser.parse_args(argv)
    try:
        paths = sorted(arguments.images.glob("*.jpg"))[: arguments.count]
        if len(paths) < BATCH:
            raise UserError(f"{arguments.images} holds {len(paths)} JPEG files: name more images")
        if arguments.device != "cpu" or arguments.workers is not None:
            encoder = from_folder(
                arguments.encoder, name=str(arguments.encoder), device=arguments.device
            )
            return measure_overlap(paths, encoder, arguments)
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


class NoEncoder:
    """Fits images as another encoder, and embeds none: what it takes is decoding."""

    def __init__(self, encoder: OpenClipEncoder) -> None:
        self.fit, self.spec = encoder.fit, encoder.spec

    def start(self, fitted: np.ndarray) -> Callable[[], np.ndarray]:
        vectors = np.zeros((len(fitted), self.spec.dim), np.float32)
        vectors[:, 0] = 1
        return lambda: vectors


def measure_overlap(
    paths: Sequence[Path], encoder: OpenClipEncoder, arguments: argparse.Namespace
) -> int:
    """Embed files by `DecodingWorkers`, beside decoding alone and the forward pass alone.

    Files are taken again until there are ``--count``; no report is embedded.
    """
    count = arguments.count
    paths = [paths[place % len(paths)] for place in range(count)]
    workers = arguments.workers or os.cpu_count() or 1
    fitted = np.stack([encoder.fit(read_radiograph(p).pixels) for p in paths[:STUDIES_PER_BATCH]])
    rounds = -(-count // STUDIES_PER_BATCH)

    def forward() -> None:
        for vectors in started_ahead([fitted] * rounds, encoder.start, 1):
            assert len(vectors) == len(fitted)

    rates = {
        "files_to_vectors": piped(paths, encoder, workers),
        "decoding_alone": piped(paths, NoEncoder(encoder), workers),
        "forward_alone": best(forward, rounds * len(fitted)),
    }
    share = rates["files_to_vectors"] / min(rates["decoding_alone"], rates["forward_alone"])
    found = {
        "machine": machine(),
        "images": count,
        "workers": workers,
        "images_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "share_of_the_slower": round(share, 3),
    }
    print(json.dumps(found, indent=1))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if share >= LEAST_SHARE else 1


def piped(paths: Sequence[Path], encoder: FittingEncoder, workers: int) -> float:
    """Images a second from files to finished batches, once every worker has given one."""
    info: Any = SimpleNamespace(
        encoder=replace(encoder.spec, report_weight=0.0), labeller_version="", withdrawn=()
    )
    indexer = BatchIndexer(
        *("files", info.encoder, info, None, Limits()), studies_per_batch=STUDIES_PER_BATCH
    )
    records = [
        StudyRecord(study_id=f"s{number}", images=(ImageRecord(path=path),))
        for number, path in enumerate(paths)
    ]
    source: Any = SimpleNamespace(records=lambda: iter(records))
    started, images = 0.0, 0
    engine = DecodingWorkers(encoder, workers=workers)
    for number, batch in enumerate(engine.run(source, indexer, 0)):
        if number >= workers:
            images += batch.images
        if number == workers - 1:
            started = time.perf_counter()
    if not images:
        raise UserError(f"{len(paths)} images are too few for {workers} workers: raise --count")
    return images / (time.perf_counter() - started)


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
