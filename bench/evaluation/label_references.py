"""Label scores on Open-I against other references than this project's labeller.

python -m bench.evaluation.label_references --index data/index --outputs runs/val/outputs.jsonl \\
    --data-dir OPENI --split-file r2gen_split.json --split val --out references.json

A system that is trained and scored with one labeller may have learnt its faults. So the same
outputs are scored against the public automatic CheXpert labels (``chexpert_labels_train_val.csv``)
and against the MeSH terms that people gave each report (Demner-Fushman et al., JAMIA 2016); a term
has no side of doubt, and none is an enlarged mediastinum. Labels that the three give a study are
compared as well. The public labels have known faults: no reference is the truth.
"""

import argparse
import json
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bench.index.labeller import read_reference
from db.errors import UserError
from db.files import write_json
from db.labels import FINDINGS, NO_FINDING, OBSERVATIONS, Labels, State, positives
from evaluation.metrics.bootstrap import RESAMPLES, Statistic, average
from evaluation.metrics.labels import f1_statistic
from evaluation.metrics.ranking import auc_statistic
from evaluation.outputs.names import HEAD, VOTE
from evaluation.outputs.rows import Outputs
from evaluation.reports.references import References
from evaluation.reports.systems import report_systems
from evaluation.retrieval.scores import LEAST_POSITIVES
from evaluation.tables import Cell, Table, tabulate, to_text, without_nan
from generator.assessment.calibration import Calibration
from indexer.cli.parser import Parser, run
from indexer.index import Index
from indexer.reports.labeller import LABELLER_VERSION
from indexer.sources.arguments import add_split_arguments, options_of
from indexer.sources.catalogue import open_source

ARCHIVE, PUBLIC_LABELS = "NLMCXR_reports.tgz", "chexpert_labels_train_val.csv"
OURS, PUBLIC, MESH = "this labeller", "public CheXpert labels", "MeSH"

TERMS: Mapping[str, tuple[str, ...]] = {
    NO_FINDING: ("normal",),
    "Cardiomegaly": ("Cardiomegaly",),
    "Lung Lesion": ("Nodule", "Mass", "Cavitation"),
    "Lung Opacity": ("Opacity", "Density", "Airspace Disease", "Infiltrate"),
    "Edema": ("Pulmonary Edema", "Pulmonary Congestion", "Heart Failure"),
    "Consolidation": ("Consolidation",),
    "Pneumonia": ("Pneumonia",),
    "Atelectasis": ("Pulmonary Atelectasis",),
    "Pneumothorax": ("Pneumothorax", "Hydropneumothorax", "Hemopneumothorax"),
    "Pleural Effusion": ("Pleural Effusion", "Hydropneumothorax", "Hemopneumothorax", "Hemothorax"),
    "Pleural Other": ("Thickening/pleura", "Cicatrix/pleura", "Pleura"),
    "Fracture": ("Fractures, Bone",),
    "Support Devices": (
        *("Catheters, Indwelling", "Implanted Medical Device", "Medical Device"),
        "Tube, Inserted",
    ),
}
"""Observation to the terms any of which says it, each with what must follow it."""


def parser() -> Parser:
    whole = Parser(prog="python -m bench.evaluation.label_references", description=__doc__)
    whole.add_argument("--index", type=Path, required=True, help="the index of the outputs")
    whole.add_argument("--outputs", type=Path, required=True, help="of 'evaluate model'")
    add_split_arguments(whole)
    whole.add_argument("--split", choices=("val",), required=True, help="the held-out part")
    whole.add_argument("--resamples", type=int, default=RESAMPLES, help="(%(default)s)")
    whole.add_argument("--out", type=Path, help="JSON file for the figures")
    return whole


def mesh_labels(terms: Sequence[str]) -> dict[str, State]:
    """The observations that a report's terms say, such as ``Thickening/pleura/apex``."""
    said = [f"{term.strip()}/" for term in terms]
    return {
        name: "positive"
        for name, some in TERMS.items()
        if any(term.startswith(f"{one}/") for term in said for one in some)
    }


def read_terms(archive_path: Path) -> dict[str, list[str]]:
    """The major terms of each report, by study number. Raises UserError without the archive."""
    found = {}
    try:
        with tarfile.open(archive_path) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name.endswith(".xml") else None
                if file is not None:
                    root = ElementTree.parse(file).getroot()
                    found[Path(member.name).stem] = [one.text or "" for one in root.iter("major")]
    except (OSError, tarfile.TarError) as error:
        raise UserError(f"{archive_path} holds no reports of Open-I: check --data-dir") from error
    return found


def reference_table(
    references: Mapping[str, Sequence[Labels]],
    scores: Mapping[str, np.ndarray],
    called: Mapping[str, Sequence[Labels]],
    *,
    patients: Sequence[str | None],
    resamples: int,
) -> Table:
    """A column a reference: mean AUC of ``scores`` (n, 14), micro-F1 of ``called`` labels, and of
    the labels of the other references."""
    truth = {name: positives(labels) for name, labels in references.items()}
    labelled = {name: truth[name].any(axis=0) for name in references}
    enough = {
        name: [
            column
            for column, finding in enumerate(OBSERVATIONS)
            if finding in FINDINGS and table[:, column].sum() >= LEAST_POSITIVES
        ]
        for name, table in truth.items()
    }
    common = sorted(set.intersection(*map(set, enough.values())))
    rows: dict[str, dict[str, Cell]] = {}
    for source, table in scores.items():
        for reference, real in truth.items():

            def auc(columns: Sequence[int], table: np.ndarray = table,
                    real: np.ndarray = real) -> Statistic:  # fmt: skip
                return average([auc_statistic(real[:, c], table[:, c]) for c in columns])

            if common:
                row = f"AUC of {source}, {len(common)} findings"
                rows.setdefault(row, {})[reference] = auc(common)
            if enough[reference]:
                row = f"AUC of {source}, all with {LEAST_POSITIVES} or more"
                rows.setdefault(row, {})[reference] = auc(enough[reference])
    findings = [column for column, name in enumerate(OBSERVATIONS) if name in FINDINGS]
    for name, said in {**called, **references}.items():
        given = positives(said)
        for reference, real in truth.items():
            if name != reference:
                columns = [column for column in findings if labelled[reference][column]]
                a, b = real[:, columns], given[:, columns]
                counts = np.stack([a & b, ~a & b, a & ~b], axis=-1)
                rows.setdefault(f"micro-F1 of {name}", {})[reference] = f1_statistic(counts)
    return tabulate(
        "Labels against other references",
        rows,
        patients=patients,
        notes=(
            f"{len(patients)} studies; in common: "
            f"{', '.join(OBSERVATIONS[column] for column in common)}",
            f"{OURS}: {LABELLER_VERSION}; uncertain counts as positive; F1 over the findings that "
            "a reference has at all",
        ),
        resamples=resamples,
    )


def compare(arguments: argparse.Namespace) -> tuple[Table, dict[str, object]]:
    """The table, and what it depends on. Raises UserError."""
    outputs = Outputs.read(arguments.outputs)
    options = options_of(arguments)
    source, index = open_source(arguments.source, options), Index.open(arguments.index)
    found = References.read(source, index, outputs)
    about = outputs.about
    calibration = Calibration.find(index, about.adapter or about.model)
    studies = [study.study_id for study in found.studies]
    public = read_reference(arguments.data_dir / PUBLIC_LABELS, arguments.split)
    terms = read_terms(arguments.data_dir / ARCHIVE)
    images = [outputs.images[study] for study in studies]
    given = {VOTE: [one.votes for one in images]}
    if all(one.label_scores is not None for one in images):
        given[HEAD] = [one.label_scores or {} for one in images]
    table = reference_table(
        {
            OURS: [study.labels for study in found.studies],
            PUBLIC: [public.get(study, {}) for study in studies],
            MESH: [mesh_labels(terms.get(study, [])) for study in studies],
        },
        {
            name: np.array([[row[finding] for finding in OBSERVATIONS] for row in rows])
            for name, rows in given.items()
        },
        {
            one.name: one.labels
            for one in report_systems(outputs, found, calibration)
            if one.labels is not None and any(positives(one.labels, FINDINGS).any(axis=1))
        },
        patients=found.patients,
        resamples=arguments.resamples,
    )
    return table, {
        "split": f"{source.split} of {source.name}",
        "studies": len(studies),
        "labeller": LABELLER_VERSION,
        "index_fingerprint": about.index_fingerprint,
        "weights_sha256": about.weights_sha256,
        "encoder_sha256": about.encoder_sha256,
        "resamples": arguments.resamples,
    }


def main() -> int:
    arguments = parser().parse_args()
    try:
        table, about = compare(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if arguments.out is not None:
        figures = {"about": about, "tables": [asdict(table)]}
        write_json(arguments.out, json.loads(json.dumps(without_nan(figures))))
    print(to_text(table))
    return 0


if __name__ == "__main__":
    run(main)
