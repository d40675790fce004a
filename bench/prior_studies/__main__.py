"""Measure what is said of a patient's own prior study: on constructed pairs, and on follow-ups.

    python -m bench.prior_studies --index data/index --data-dir OPENI --split-file FILE \
        --nih-dir NIH --nih-dir NIH_HIRES --nih-dir NIH_128PX --out results/prior_studies.json

**Constructed pairs.** Open-I has one study a patient. So two val studies of different patients with
the same views are taken for two of one patient: pairs whose reports differ in exactly one label of
the 13 (the study that has it comes second), and pairs whose labels are equal. Everything else
differs as it does between two people, which makes them harder than follow-ups; which finding comes
first is made up. **Follow-ups.** ChestX-ray14 has several images of a patient: consecutive ones
with the same view of the patients of its val part. Their labels were mined from reports that are
not public, and a label that comes or goes is often no change of the image. The test part is not
read.

The least change, a difference of log-odds, is the smallest at which no change is stated in .85 of
the constructed pairs of one state. It is chosen on one half of the patients and measured on pairs
within the other; the follow-ups are measured with the one chosen on all. Beside the rule stand the
states alone, a random direction (which states a change of every finding) and always no change.
Intervals resample patients, a pair of two with both.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.openi_split import add_split, split_of
from bench.prior_studies.counts import change_table, choose_least, half_of, within
from bench.prior_studies.pairs import LabelledStudy, Pair, constructed, follow_ups, nih_labels
from db.errors import UserError
from db.files import write_json
from db.labels import FINDINGS, named
from evaluation.metrics.bootstrap import RESAMPLES
from evaluation.provenance import machine
from evaluation.retrieval.studies import embed, read_studies
from evaluation.tables import Table, to_text, without_nan
from generator.assessment.assess import assess
from generator.assessment.calibration import Calibration
from indexer.encoder.load import load_encoder
from indexer.images.reader import Radiograph, read_radiograph
from indexer.sources.nih_folders import NihImage, read_nih_folders
from indexer.sources.openi import OpenI
from retriever.query import image_queries
from retriever.search import Retriever

_BATCH = 16


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_split(parser, index="of the encoder to measure", splits=["val"])
    parser.add_argument("--encoder", help="default: the one that the index names")
    parser.add_argument("--nih-dir", type=Path, action="append", default=[])
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--out", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    try:
        encoder = None if arguments.encoder is None else load_encoder(arguments.encoder)
        retriever = Retriever.open(arguments.index, encoder)
        calibration = Calibration.find(retriever.index)
        source = split_of(arguments)
        differing, alike = constructed(read_openi(source, retriever, calibration))
        least = choose_least(alike)
        tables = [crossed(differing, alike, arguments.resamples)]
        if arguments.nih_dir:
            images = [one for one in read_nih_folders(arguments.nih_dir) if one.part == "val"]
            studies = read_nih(images, retriever, calibration)
            tables.append(followed(images, studies, least, arguments.resamples))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n\n".join(to_text(one) for one in tables))
    print(f"least change: {least} (the calibration has {calibration.least_change})")
    if arguments.out is not None:
        stored = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
        figures = {
            "encoder": retriever.encoder.spec.name,
            "index": retriever.index.manifest.fingerprint,
            "calibrated_on": calibration.name,
            "least_change": least,
            "resamples": arguments.resamples,
            "machine": machine(gpu=False),
            "tables": [asdict(one) for one in tables],
        }
        sha256 = retriever.encoder.spec.weights_sha256
        write_json(arguments.out, without_nan(stored | {sha256: figures}))
    return 0


def read_openi(
    source: OpenI, retriever: Retriever, calibration: Calibration
) -> list[LabelledStudy]:
    """The studies of a split, each assessed from all its views."""
    studies, _ = read_studies(source, retriever)
    found = []
    for study, query in zip(studies, embed(retriever.encoder, studies, "both"), strict=True):
        there = named(study.labels)
        found.append(
            LabelledStudy(
                patient=study.patient_id or study.study_id,
                views=tuple(sorted(str(image.view_position) for image in study.images)),
                labels={name: name in there for name in FINDINGS},
                assessment=assess(query, retriever.vote(query), calibration=calibration),
            )
        )
    return found


def read_nih(
    images: Sequence[NihImage], retriever: Retriever, calibration: Calibration
) -> list[LabelledStudy]:
    """One study per image."""
    found = []
    for start in range(0, len(images), _BATCH):
        some = images[start : start + _BATCH]
        read = [
            [Radiograph(pixels=read_radiograph(one.path).pixels, view_position="AP", notes=())]
            for one in some
        ]
        for one, query in zip(some, image_queries(retriever.encoder, read), strict=True):
            found.append(
                LabelledStudy(
                    patient=one.patient_id,
                    views=(one.view_position,),
                    labels=nih_labels(one.labels),
                    assessment=assess(query, retriever.vote(query), calibration=calibration),
                )
            )
    return found


def crossed(differing: Sequence[Pair], alike: Sequence[Pair], resamples: int) -> Table:
    """Constructed pairs within each half of the patients, with what the other half chose."""
    chosen = {half: choose_least(within(alike, 1 - half)) for half in (0, 1)}

    def both(pairs: Sequence[Pair]) -> list[Pair]:
        return [*within(pairs, 0), *within(pairs, 1)]

    return change_table(
        "Constructed pairs of Open-I val studies, the least change chosen on the other half",
        both(differing),
        both(alike),
        lambda pair: chosen[half_of(pair.now.patient)],
        resamples=resamples,
        notes=(f"least change {chosen[0]} and {chosen[1]}", "not follow-ups: two people a pair"),
    )


def followed(
    images: Sequence[NihImage], studies: Sequence[LabelledStudy], least: float, resamples: int
) -> Table:
    """Follow-ups of one patient, labels by text mining."""
    pairs = list(follow_ups(images, studies))
    differing = [pair for pair in pairs if pair.changed]
    alike = [pair for pair in pairs if not pair.changed]
    patients = {pair.now.patient for pair in pairs}
    return change_table(
        "Follow-ups of ChestX-ray14 (val part), labels mined from reports",
        differing,
        alike,
        least,
        resamples=resamples,
        notes=(f"{len(pairs)} pairs of {len(patients)} patients, least change {least}",),
    )


if __name__ == "__main__":
    sys.exit(main())
