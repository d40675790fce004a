"""Over-reliance: are findings copied from the context, and are those only on the image reported?

table = over_reliance_table({"with retrieval": rows, "without retrieval": others}, contexts, ...)

A finding is in the context if the report of a shown case names it, and seen if the encoder's label
head detects it. All systems are compared on the contexts of the first one: a system that was not
shown them tells how often a finding is written anyway.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from db.labels import FINDINGS, Labels, positives
from evaluation.metrics.bootstrap import RESAMPLES, Statistic
from evaluation.outputs.names import (
    EXTRACTIVE,
    IMAGE_FINDINGS_WITHHELD,
    WITH_RETRIEVAL,
    WITHOUT_RETRIEVAL,
)
from evaluation.outputs.rows import Outputs, ReportRow
from evaluation.reports.references import References
from evaluation.reports.systems import report_labels, rows_of
from evaluation.retrieval.systems import System
from evaluation.tables import Share, Table, tabulate
from retriever.results import Retrieval

COPIED = "only in the context: copied"
SURVIVED = "only on the image, seen by the encoder: written"
UNSEEN = "only on the image, seen or not: written"
SHARED = "in both, seen by the encoder: written"


def over_reliance_tables(
    outputs: Outputs, references: References, systems: Sequence[System], resamples: int
) -> list[Table]:
    """On the contexts of the first condition, and on those without what the image shows.

    Without a language model, on those of the extractive report.
    """
    tables = []
    shown = rows_of(outputs, WITH_RETRIEVAL, references.studies)
    if shown or (shown := rows_of(outputs, EXTRACTIVE, references.studies)):
        written = {one.name: one.labels for one in systems if one.labels is not None}
        tables.append(
            _of_condition(outputs, references, shown, written, "Over-reliance", resamples)
        )
    seeing = [one for one in references.studies if outputs.images[one.study_id].sees]
    if seeing and (shown := rows_of(outputs, IMAGE_FINDINGS_WITHHELD, seeing)):
        compared = {
            name: rows_of(outputs, name, seeing)
            for name in (IMAGE_FINDINGS_WITHHELD, WITH_RETRIEVAL, WITHOUT_RETRIEVAL)
        }
        written = {name: [report_labels(row) for row in rows] for name, rows in compared.items()}
        title = "Over-reliance, cases that name what the image shows withheld"
        some = {name: labels for name, labels in written.items() if labels}
        tables.append(_of_condition(outputs, references, shown, some, title, resamples))
    return tables


def _of_condition(
    outputs: Outputs,
    references: References,
    shown: Sequence[ReportRow],
    written: Mapping[str, Sequence[Labels]],
    title: str,
    resamples: int,
) -> Table:
    return over_reliance_table(
        written,
        references=[references.cases[row.study_id].labels for row in shown],
        retrievals=[references.retrieval(outputs, row.study_id) for row in shown],
        contexts=[[hit.case.labels for hit in references.hits(row.context)] for row in shown],
        patients=[references.cases[row.study_id].patient_id for row in shown],
        title=title,
        resamples=resamples,
    )


def over_reliance_table(
    written: Mapping[str, Sequence[Labels]],
    *,
    references: Sequence[Labels],
    retrievals: Sequence[Retrieval],
    contexts: Sequence[Sequence[Labels]],
    patients: Sequence[str | None] | None = None,
    title: str = "Over-reliance",
    resamples: int = RESAMPLES,
) -> Table:
    """``written`` has the labels of each system's reports; ``contexts`` those of the shown cases.

    Everything in the order of the same studies.
    """
    there = positives(references, FINDINGS)  # (n, 13), as all below
    seen = np.array(
        [[name in (one.image_findings or ()) for name in FINDINGS] for one in retrievals]
    ).reshape(there.shape)
    shown = np.array([positives(some, FINDINGS).any(axis=0) for some in contexts])
    asked = {
        COPIED: shown & ~there & ~seen,
        SURVIVED: ~shown & there & seen,
        UNSEEN: ~shown & there,
        SHARED: shown & there & seen,
    }
    rows: dict[str, dict[str, Statistic | Share]] = {}
    for system, labels in written.items():
        said = positives(labels, FINDINGS)
        for name, table in asked.items():
            share = Share(hits=(table & said).sum(axis=1), of=table.sum(axis=1))
            rows.setdefault(name, {})[system] = share
    return tabulate(
        title,
        rows,
        patients=patients,
        notes=(
            "pairs of a study and one of 13 findings; the contexts are those of the first system, "
            "for the others as well",
            f"{COPIED.split(':')[0]}: not in the reference and not seen on the image",
        ),
        resamples=resamples,
    )
