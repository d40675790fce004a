"""Stored reports in the form of another leaderboard.

python -m evaluation export --format rexrank --system extractive --outputs runs/val/outputs.jsonl

ReXrank (Zhang et al., arXiv 2411.15122) takes an object of study ids; beside what its data files
have of a study, each holds ``model_prediction``: "Findings: ... Impression: ...", uncited.
"""

import argparse
import json
import sys
from typing import Any

from db.errors import UserError
from db.files import write_text
from db.index.case import Case
from evaluation.outputs.names import SERVED, WITH_RETRIEVAL
from evaluation.outputs.rows import Outputs, ReportRow
from evaluation.reports.references import References
from evaluation.reports.systems import rows_of, sentences, served
from generator.assessment.calibration import Calibration
from indexer.index import Index
from indexer.sources.arguments import options_of
from indexer.sources.catalogue import open_source


def export_reports(arguments: argparse.Namespace) -> int:
    """Write one system's reports. Raises UserError for a system that has none."""
    outputs = Outputs.read(arguments.outputs)
    index = Index.open(arguments.index)
    source = open_source(arguments.source, options_of(arguments))
    references = References.read(source, index, outputs)
    wanted = WITH_RETRIEVAL if arguments.system == SERVED else arguments.system
    rows = rows_of(outputs, wanted, references.studies)
    if not rows:
        raise UserError(
            f"{outputs.path} has no reports of '{arguments.system}': name one of "
            f"{', '.join(sorted(outputs.reports))}"
        )
    if arguments.system == SERVED:
        about = outputs.about
        calibration = Calibration.find(index, about.adapter or about.model)
        rows = served(rows, outputs, references, calibration)
    document = {
        row.study_id: rexrank_entry(row, references.cases[row.study_id], outputs.about.split)
        for row in rows
    }
    write_text(arguments.out, json.dumps(document, indent=1) + "\n")
    sys.stdout.write(f"{len(document)} reports of '{arguments.system}' are in {arguments.out}\n")
    return 0


def rexrank_entry(row: ReportRow, case: Case, split: str) -> dict[str, Any]:
    """One study as ReXrank has it."""
    written = {
        section: " ".join(one.text for one in sentences(row.text) if one.section == section)
        for section in ("findings", "impression")
    }
    parts = [f"{section.capitalize()}: {text}" for section, text in written.items() if text]
    indication = f"Indication: {case.indication}" if case.indication else ""
    return {
        "subject_id": case.patient_id,
        "split": split,
        "context": f"<context>{indication}</context>",
        "findings": case.findings,
        "impression": case.impression,
        "model_prediction": " ".join(parts),
    }
