"""Measure where the maps of the label scores lie: on the side that a report names, in boxes.

    python -m bench.score_maps --data-dir OPENI --split-file FILE --split val \
        --nih-dir NIH --nih-dir NIH_HIRES --nih-dir NIH_128PX --out results/score_maps.json

**Sides.** Every sentence of the split's reference reports that states an observation on one side is
paired with the frontal images of its study. Counted is whether more of the map's mass lies on that
side of the image's middle; the left of a frontal image is the patient's right. A map is made from
the image and the observation alone. **Boxes.** On the images of ChestX-ray14 that have boxes,
whether the highest place of the map lies in a box of its observation (the pointing game of Zhang et
al., ECCV 2016, arXiv 1608.00507, without its margin).

Beside each figure stand three controls, each a mean over many maps: random maps (smooth noise of as
many places as the encoder has), the maps of the other findings in the same image, and the maps of
the same finding in the other images. Intervals resample patients. ``--out`` keeps the figures of
other encoders that the file holds.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bench.openi_split import add_split, split_of
from bench.score_maps.counts import SEED, on_side, points_into, table
from bench.score_maps.places import boxed, named_sides
from db.errors import UserError
from db.files import write_json
from evaluation.metrics.bootstrap import RESAMPLES
from evaluation.provenance import machine
from evaluation.tables import to_text, without_nan
from generator.localization.regions import find_regions
from indexer.encoder.load import load_encoder
from indexer.encoder.spec import DEFAULT_ENCODER, ClassMaps, Encoder
from indexer.images.radiograph import Grey
from indexer.images.reader import read_pixels
from retriever.query import image_query

_BATCH = 16
_RUNS = 15


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    add_split(parser, index=None)
    parser.add_argument("--nih-dir", type=Path, action="append", default=[])
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--out", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    try:
        encoder = load_encoder(arguments.encoder)
        source = split_of(arguments)
        images, places = named_sides(source)
        maps = class_maps(encoder, images)
        title = f"More of the map on the named side, {arguments.split}"
        tables = [table(title, places, maps, on_side, resamples=arguments.resamples)]
        if arguments.nih_dir:
            images, places = boxed(arguments.nih_dir)
            maps = class_maps(encoder, images)
            title = f"Highest place of the map in a box, {len(images)} images of ChestX-ray14"
            tables.append(table(title, places, maps, points_into, resamples=arguments.resamples))
        seconds = speed(encoder)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n\n".join(to_text(one) for one in tables))
    for name, value in seconds.items():
        print(f"{name}: {1000 * value:.0f} ms a study of two images of 2,000 x 2,400 pixels")
    if arguments.out is not None:
        stored = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
        figures = {
            "encoder": encoder.spec.name,
            "split": arguments.split,
            "resamples": arguments.resamples,
            "machine": machine(gpu=False),
            "seconds": seconds,
            "tables": [asdict(one) for one in tables],
        }
        write_json(arguments.out, without_nan(stored | {encoder.spec.weights_sha256: figures}))
    return 0


def class_maps(encoder: Encoder, images: Sequence[Grey]) -> list[ClassMaps]:
    """Raises UserError for an encoder without class maps."""
    found: list[ClassMaps] = []
    for start in range(0, len(images), _BATCH):
        embedded = encoder.embed_images(images[start : start + _BATCH])
        if embedded.class_maps is None:
            raise UserError(f"the encoder '{encoder.spec.name}' has no class maps")
        found += embedded.class_maps
    return found


def speed(encoder: Encoder) -> dict[str, float]:
    """Median seconds of the maps of a study, without and with the encoder, once it is warm."""
    rng = np.random.default_rng(SEED)
    images = [read_pixels(rng.integers(0, 256, (2400, 2000)).astype(np.uint8)) for _ in range(2)]
    query = image_query(encoder, images)
    runs: dict[str, Callable[[], object]] = {
        "maps": lambda: find_regions(query.views),
        "encoder and maps": lambda: find_regions(image_query(encoder, images).views),
    }
    return {
        name: float(np.median([_timed(run) for _ in range(_RUNS)])) for name, run in runs.items()
    }


def _timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
