"""Measure where the maps of the label scores lie: on the side that a report names, in boxes.

    python -m bench.generation.score_maps --data-dir OPENI --split-file FILE --split val \
        --nih-dir NIH --nih-dir NIH_HIRES --nih-dir NIH_128PX --out results/score_maps.json

**Sides.** Every sentence of the split's reference reports that states an observation on one side is
paired with the frontal image of its study. Counted is whether more of the map's mass lies on that
side of the image's middle; the left of a frontal image is the patient's right. The sentence is read
only after the map is made. **Boxes.** On the images of ChestX-ray14 that have boxes, whether the
highest place of the map lies in a box of its observation (the pointing game of Zhang et al., ECCV
2016, arXiv 1608.00507, without its margin).

Beside each figure stand three controls, each a mean over many maps: random maps (smooth noise of as
many places as the encoder has), the maps of the other findings in the same image, and the maps of
the same finding in the other images. Intervals resample patients.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.errors import UserError
from db.files import write_json
from db.findings import FINDING
from db.labels import FINDINGS, OBSERVATIONS
from evaluation.metrics.bootstrap import RESAMPLES
from evaluation.provenance import machine
from evaluation.retrieval.studies import FRONTAL
from evaluation.tables import Cell, Share, Table, minus, tabulate, to_text, without_nan
from generator.localization.maps import FloatMap, image_map
from generator.localization.regions import find_regions
from indexer.encoder.load import load_encoder
from indexer.encoder.spec import DEFAULT_ENCODER, ClassMaps, Encoder
from indexer.images.radiograph import Grey, Limits
from indexer.images.reader import read_pixels, read_radiograph
from indexer.ingest.studies import read_image
from indexer.reports.labeller import mentions
from indexer.reports.labelling.mention import Side
from indexer.reports.sentences import split_sentences
from indexer.sources.nih_folders import OBSERVED_BY, read_nih_folders
from indexer.sources.openi import OpenI
from indexer.sources.records import BoundingBox, StudyRecord, read_split
from retriever.query import image_query

SEED = 0
MAP, RANDOM, OTHER_FINDINGS, OTHER_IMAGES = "map", "random maps", "other findings", "other images"
_SCALE = 64
"""Rows and columns of a map that is measured, over the image stretched to a square."""
_RANDOM_MAPS = 50
"""Drawn for each finding; their mirror images count too."""
_BATCH = 16
_RUNS = 15


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Where the map of an observation should lie in an image."""

    image: int
    patient: str
    observation: str
    wanted: npt.NDArray[np.bool_]  # (_SCALE, _SCALE)
    """The half of the named side, or the boxes."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    parser.add_argument("--data-dir", type=Path, required=True, help="the Open-I folder")
    parser.add_argument("--split-file", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--nih-dir", type=Path, action="append", default=[])
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--out", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    try:
        encoder = load_encoder(arguments.encoder)
        tables = [sides(encoder, arguments)]
        if arguments.nih_dir:
            tables.append(boxes(encoder, arguments))
        seconds = speed(encoder)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n\n".join(to_text(table) for table in tables))
    for name, value in seconds.items():
        print(f"{name}: {1000 * value:.0f} ms a study of two images of 2,000 x 2,400 pixels")
    if arguments.out is not None:
        stored = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
        figures = {
            "split": arguments.split,
            "machine": machine(),
            "seconds": seconds,
            "tables": [asdict(table) for table in tables],
        }
        write_json(arguments.out, without_nan(stored | {encoder.spec.weights_sha256: figures}))
    return 0


def sides(encoder: Encoder, arguments: argparse.Namespace) -> Table:
    """Share of sided sentences whose map has more of its mass on their side."""
    source = OpenI(
        data_dir=arguments.data_dir,
        splits=read_split(arguments.split_file),
        keep=[arguments.split],
    )
    images: list[Grey] = []
    places: list[Place] = []
    for record in source.records():
        if not isinstance(record, StudyRecord):
            continue
        named = list(sided(f"{record.findings}\n{record.impression}"))
        for image in record.images:
            if not named or image.view_position not in FRONTAL:
                continue
            places += [
                Place(
                    image=len(images),
                    patient=record.patient_id or record.study_id,
                    observation=observation,
                    wanted=half(side),
                )
                for observation, side in named
            ]
            images.append(read_image(image, Limits()).pixels)
    return table(
        f"More of the map on the named side, {arguments.split}",
        places,
        class_maps(encoder, images),
        on_side,
        resamples=arguments.resamples,
    )


def sided(report: str) -> Iterator[tuple[str, Side]]:
    """Each observation that a sentence states on one side alone, sentence by sentence."""
    for sentence in split_sentences(report):
        found: dict[str, set[Side]] = {}
        for mention in mentions(sentence):
            parent = FINDING[mention.finding].parent
            if mention.state == "positive" and parent is not None:
                found.setdefault(parent, set()).update(mention.sides)
        for observation, where in found.items():
            if len(where) == 1:
                yield observation, next(iter(where))


def half(side: Side) -> npt.NDArray[np.bool_]:
    """The half of a frontal image that shows this side of the patient."""
    columns = np.arange(_SCALE) < _SCALE // 2
    row = columns if side == "right" else ~columns
    return np.tile(row, (_SCALE, 1))


def boxes(encoder: Encoder, arguments: argparse.Namespace) -> Table:
    """Share of boxed findings whose map is highest in a box."""
    observed = {label: name for name, labels in OBSERVED_BY.items() for label in labels[:2]}
    observed["Infiltration"] = "Lung Opacity"
    images: list[Grey] = []
    places: list[Place] = []
    for one in read_nih_folders(arguments.nih_dir, adults=False):
        if not one.boxes:
            continue
        pixels = read_radiograph(one.path).pixels
        marked: dict[str, list[BoundingBox]] = {}
        for box in one.boxes:
            marked.setdefault(observed[box.name], []).append(box)
        places += [
            Place(
                image=len(images),
                patient=one.patient_id,
                observation=observation,
                wanted=inside(found, *pixels.shape),
            )
            for observation, found in marked.items()
        ]
        images.append(pixels)
    return table(
        f"Highest place of the map in a box, {len(images)} images of ChestX-ray14",
        places,
        class_maps(encoder, images),
        points_into,
        resamples=arguments.resamples,
    )


def inside(found: Sequence[BoundingBox], height: int, width: int) -> npt.NDArray[np.bool_]:
    """The places that lie in one of the boxes of an image with this many pixels."""
    y = (np.arange(_SCALE)[:, None] + 0.5) * height / _SCALE
    x = (np.arange(_SCALE)[None, :] + 0.5) * width / _SCALE
    within = np.zeros((_SCALE, _SCALE), np.bool_)
    for box in found:
        within |= (abs(x - box.left - box.width / 2) <= box.width / 2) & (
            abs(y - box.top - box.height / 2) <= box.height / 2
        )
    return within


def class_maps(encoder: Encoder, images: Sequence[Grey]) -> list[ClassMaps]:
    """Raises UserError for an encoder without class maps."""
    found: list[ClassMaps] = []
    for start in range(0, len(images), _BATCH):
        embedded = encoder.embed_images(images[start : start + _BATCH])
        if embedded.class_maps is None:
            raise UserError(f"the encoder '{encoder.spec.name}' has no class maps")
        found += embedded.class_maps
    return found


def on_side(found: FloatMap, wanted: npt.NDArray[np.bool_]) -> float:
    """1 where more of the mass is in the wanted half, 0.5 where there is none at all."""
    there, elsewhere = float(found[wanted].sum()), float(found[~wanted].sum())
    return 0.5 if there == elsewhere else float(there > elsewhere)


def points_into(found: FloatMap, wanted: npt.NDArray[np.bool_]) -> float:
    """1 where the highest place is wanted; a map of zeros points nowhere."""
    return float(found.any() and wanted.flat[int(found.argmax())])


def table(
    title: str,
    places: Sequence[Place],
    maps: Sequence[ClassMaps],
    hit: Any,
    *,
    resamples: int,
) -> Table:
    """The share of hits by observation, of the map and of every control."""
    rng = np.random.default_rng(SEED)
    drawn = [
        {name: image_map(one, name, rows=_SCALE, columns=_SCALE) for name in OBSERVATIONS}
        for one in maps
    ]
    rows: dict[str, list[float]] = {
        name: [] for name in (MAP, RANDOM, OTHER_FINDINGS, OTHER_IMAGES)
    }
    for place in places:
        own = drawn[place.image]
        others = [own[name] for name in FINDINGS if name != place.observation]
        elsewhere = [one[place.observation] for one in drawn if one is not own]
        rows[MAP].append(hit(own[place.observation], place.wanted))
        noises = [noise(rng, maps[place.image]) for _ in range(_RANDOM_MAPS)]
        noises += [one[:, ::-1] for one in noises]  # neither side is likelier
        controls = ((RANDOM, noises), (OTHER_FINDINGS, others), (OTHER_IMAGES, elsewhere))
        for name, alike in controls:
            rows[name].append(float(np.mean([hit(one, place.wanted) for one in alike])))
    observations = np.array([place.observation for place in places])
    everywhere = np.ones(len(places), np.bool_)
    groups = {"all": everywhere} | {
        name: observations == name for name in OBSERVATIONS if (observations == name).any()
    }
    cells: dict[str, Mapping[str, Cell]] = {}
    for group, chosen in groups.items():
        shares = {n: Share(hits=np.array(r) * chosen, of=chosen * 1.0) for n, r in rows.items()}
        cells[f"{group} ({int(chosen.sum())})"] = shares
        if group == "all":
            cells["all: map minus"] = {
                name: minus(shares[MAP], share) for name, share in shares.items() if name != MAP
            }
    patients = [place.patient for place in places]
    return tabulate(
        title,
        cells,
        patients=patients,
        notes=(
            f"{len(places)} findings in {len({place.image for place in places})} images of "
            f"{len(set(patients))} patients",
        ),
        resamples=resamples,
    )


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


def noise(rng: np.random.Generator, like: ClassMaps) -> FloatMap:
    """A map of normal noise at as many places as the encoder has, resampled in the same way."""
    parts = rng.normal(size=like.parts.shape[1:]).astype(np.float32)
    drawn = Image.fromarray(parts).resize((_SCALE, _SCALE), Image.Resampling.BICUBIC)
    return np.maximum(np.asarray(drawn), 0)


if __name__ == "__main__":
    sys.exit(main())
