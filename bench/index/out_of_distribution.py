"""How well the out-of-distribution check tells chest images from everything else.

    python -m bench.index.out_of_distribution --index data/train_index --data-dir DIR \
        --split-file FILE

Every image of the split is judged on its own, and so is every image of ``other_images``:
photographs, textures, other modalities, limbs, pages of text, noise, and chest images cut, turned
or inverted (made from every n-th image of the split). The threshold comes from the indexed images
alone. Needs scikit-image and pydicom-data. Exit code 1 where a figure misses its bound. A run on
test adds a line to ``results/test_log.jsonl``.
"""

import argparse
import datetime
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pydicom.data import get_testdata_file
from tqdm import tqdm

from bench.index.other_images import other_images
from bench.openi_split import add_split, split_of
from db.errors import UserError
from evaluation.metrics.bootstrap import bootstrap, by_patient
from evaluation.metrics.ranking import auc_statistic, roc_auc
from evaluation.retrieval.studies import read_studies
from indexer.images.radiograph import Grey, Radiograph
from indexer.images.reader import read_radiograph
from indexer.typicality.profile import MEASURES, TypicalityProfile
from retriever.ood import THRESHOLD_LEVEL, measure_images
from retriever.query import image_queries
from retriever.search import Retriever

LEAST_AUROC = 0.97
MOST_FLAGGED = 0.03
EVERY = 25
CHEST_IMAGE = "RG1_UNCR.dcm"
IMAGES_AT_ONCE = 16
TEST_LOG = Path(__file__).resolve().parents[2] / "results" / "test_log.jsonl"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_split(parser, splits=["val", "test"])
    arguments = parser.parse_args(argv)
    try:
        return measure(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def measure(arguments: argparse.Namespace) -> int:
    retriever = Retriever.open(arguments.index)
    manifest = retriever.index.manifest
    profile = retriever.index.read_profile()
    if profile is None:
        raise UserError(f"{arguments.index} has no profile of its images: build it from the images")
    source = split_of(arguments)
    studies, _ = read_studies(source, retriever)
    radiographs = [radiograph for study in studies for radiograph in study.decode()]
    inside = measures_of(retriever, profile, radiographs)
    kinds = other_images([radiograph.pixels for radiograph in radiographs[::EVERY]])
    outside = {
        kind: measures_of(retriever, profile, [as_image(pixels) for pixels in images])
        for kind, images in kinds.items()
    }
    (chest,) = measures_of(retriever, profile, [read_radiograph(chest_image())])
    threshold = profile.quantiles["typicality"][THRESHOLD_LEVEL]

    everything = np.concatenate(list(outside.values()))
    scores = np.concatenate([profile.typicality(inside), profile.typicality(everything)])
    labels = np.repeat([1, 0], [len(inside), len(everything)])
    patients = [study.patient_id for study in studies for _ in study.images]
    auc = by_patient(auc_statistic(labels, scores), [*patients, *[None] * len(everything)])
    auroc = bootstrap(auc, resamples=2000)
    flagged = float(np.mean(profile.typicality(inside) < threshold))
    chest_score = float(profile.typicality(chest[None])[0])

    print(f"index {manifest.fingerprint[:12]}, encoder {manifest.encoder.name}")
    print(
        f"{len(inside)} images of split {arguments.split} against {len(everything)} images of "
        f"{len(outside)} kinds; threshold {threshold:.2f}, below it {float(THRESHOLD_LEVEL):.1%} "
        "of the indexed images"
    )
    print(f"AUROC {auroc.value:.4f} [{auroc.low:.4f}, {auroc.high:.4f}]")
    for column, name in enumerate(MEASURES):
        alone = np.concatenate([inside[:, column], everything[:, column]])
        print(f"  {name} alone {roc_auc(labels, alone):.4f}")
    print(f"{arguments.split} images flagged: {flagged:.1%}")
    print(f"{CHEST_IMAGE}: {chest_score:.2f}, {'flagged' if chest_score < threshold else 'passed'}")
    print(f"{'kind':28} images  flagged    AUROC")
    for kind, rows in outside.items():
        own = profile.typicality(rows)
        each = np.concatenate([profile.typicality(inside), own])
        area = roc_auc(np.repeat([1, 0], [len(inside), len(own)]), each)
        print(f"{kind:28} {len(own):6} {np.mean(own < threshold):8.0%} {area:8.4f}")
    if arguments.split == "test":
        log_test_run(
            manifest.encoder.weights_sha256,
            {
                "AUROC": [round(v, 4) for v in (auroc.value, auroc.low, auroc.high)],
                "images flagged": round(flagged, 4),
                "other images flagged": round(
                    float(np.mean(profile.typicality(everything) < threshold)), 4
                ),
            },
        )
    good = auroc.value >= LEAST_AUROC and flagged <= MOST_FLAGGED and chest_score >= threshold
    return 0 if good else 1


def log_test_run(weights_sha256: str, figures: dict[str, object]) -> None:
    entry = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "weights_sha256": weights_sha256,
        "command": " ".join(["python", *sys.argv]),
        "figures": {"out of distribution": figures},
    }
    with TEST_LOG.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry, sort_keys=True) + "\n")


def measures_of(
    retriever: Retriever, profile: TypicalityProfile, images: Sequence[Radiograph]
) -> np.ndarray:
    """Each image as a query of its own: (images, 3)."""
    return np.concatenate(list(_batches(retriever, profile, images)))


def _batches(
    retriever: Retriever, profile: TypicalityProfile, images: Sequence[Radiograph]
) -> Iterator[np.ndarray]:
    for start in tqdm(range(0, len(images), IMAGES_AT_ONCE), unit="batch", file=sys.stderr):
        some = images[start : start + IMAGES_AT_ONCE]
        for query in image_queries(retriever.encoder, [[image] for image in some]):
            yield measure_images(query, retriever.index, profile)


def as_image(pixels: Grey) -> Radiograph:
    return Radiograph(pixels=np.ascontiguousarray(pixels), view_position=None, notes=())


def chest_image() -> Path:
    path = get_testdata_file(CHEST_IMAGE, download=False)
    if path is None:
        raise UserError(f"{CHEST_IMAGE} is missing: install it with 'pip install pydicom-data'")
    return Path(str(path))


if __name__ == "__main__":
    sys.exit(main())
