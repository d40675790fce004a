"""All tables of one evaluation, from the outputs alone.

scores = score(outputs, references, index.manifest)
scores.text(), scores.document(), scores.log_entry()
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from db.labels import positives
from evaluation.answers.scores import answer_tables
from evaluation.classification.scores import COMBINED, class_tables, opinions
from evaluation.grounding.citations import CheckedReport, check_reports, grounding_table
from evaluation.grounding.over_reliance import over_reliance_tables
from evaluation.layout import wrapped
from evaluation.log import rounded, table_values
from evaluation.metrics.bootstrap import RESAMPLES, Statistic, mean_of
from evaluation.metrics.clinical_bert import similarity
from evaluation.outputs.names import (
    CONDITIONS,
    EXTRACTIVE,
    WITH_INDICATION,
    WITH_RETRIEVAL,
)
from evaluation.outputs.rows import Outputs, OutputsHeader
from evaluation.provenance import Provenance, provenance
from evaluation.reports.references import References
from evaluation.reports.systems import (
    CLINICAL_BERT,
    NOT_COMPUTED,
    OF_RADEVAL,
    label_tables,
    radeval_table,
    report_systems,
    rows_of,
)
from evaluation.retrieval.report import to_document, to_table
from evaluation.retrieval.scores import Evaluation, evaluate
from evaluation.retrieval.systems import System
from evaluation.tables import Share, Table, tabulate, to_text, without_nan
from generator.assessment.calibration import Calibration
from generator.vision_language import NO_MODEL
from indexer.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All figures of one evaluation."""

    about: OutputsHeader
    origin: Provenance
    evaluation: Evaluation | None
    """Scores of the reports as texts and labels; None without reports."""
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    checked: Mapping[str, Sequence[CheckedReport]]
    """The citations of each system, checked."""
    sources: Mapping[str, np.ndarray]
    """Probabilities of the 14 observations, (n, 14); empty where the model was not asked."""
    others: tuple[str, ...] = ()
    """Metrics of `NOT_COMPUTED` that RadEval was asked for."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Metrics that RadEval could not compute, and why."""

    @property
    def not_computed(self) -> dict[str, str]:
        """Metrics that are missing, and why."""
        there = {table.title for table in self.tables} | {*self.others}
        return {
            **{name: why for name, why in NOT_COMPUTED.items() if name not in there},
            **self.missing,
        }

    def text(self) -> str:
        """For a terminal."""
        model = self.about.model + (f" + {self.about.adapter}" if self.about.adapter else "")
        notes = (
            f"model {model} (weights {self.about.weights_sha256[:12]}), "
            f"{self.about.prompt_version}, greedy, at most {self.about.max_new_tokens} tokens",
            f"computed: {self.about.computed}",
            *self.notes,
        )
        lines = [line for note in notes for line in wrapped(note, indent="  ")]
        if self.evaluation is not None:
            lines.append(to_table(self.evaluation, self.origin))
            lines += [f"{name}: not computed, {why}" for name, why in self.not_computed.items()]
        for table in self.tables:
            lines += ["", to_text(table)]
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """As JSON values; an undefined number is null."""
        written = {} if self.evaluation is None else to_document(self.evaluation, self.origin)
        return {
            "about": asdict(self.about),
            "notes": list(self.notes),
            "not_computed": self.not_computed,
            **written,
            "tables": [without_nan(asdict(table)) for table in self.tables],
        }

    def log_entry(self) -> dict[str, Any]:
        """What the test log keeps."""
        figures: dict[str, Any] = {}
        if self.evaluation is not None:
            for system, found in self.evaluation.subsets[0].figures.items():
                figures[system] = {name: rounded(one) for name, one in found.items()}
        for table in self.tables:
            figures[table.title] = table_values(table)
        return {
            "weights_sha256": self.about.weights_sha256,
            "model": self.about.model,
            "adapter": self.about.adapter,
            "prompt_version": self.about.prompt_version,
            "encoder": self.about.encoder,
            "index_fingerprint": self.about.index_fingerprint,
            "labeller": self.origin.reference_labeller,
            "cleaning": self.origin.cleaning,
            "figures": without_nan(figures),
        }


def score(
    outputs: Outputs,
    references: References,
    manifest: Manifest,
    *,
    calibration: Calibration,
    clinical_bert: Path | None = None,
    metrics_python: Path | None = None,
    resamples: int = RESAMPLES,
) -> Scores:
    """Compute every table that the outputs allow. Raises UserError for incomplete outputs."""
    systems = report_systems(outputs, references, calibration)
    written = [
        condition for condition in CONDITIONS if rows_of(outputs, condition, references.studies)
    ]
    tables: list[Table] = []
    others: tuple[str, ...] = ()
    missing: Mapping[str, str] = {}
    evaluation = None
    checked: dict[str, list[CheckedReport]] = {}
    if written or outputs.about.model == NO_MODEL:
        evaluation = evaluate(references.studies, systems, resamples=resamples)
        if clinical_bert is not None:
            tables.append(_similarity_table(clinical_bert, references, systems, resamples))
        if metrics_python is not None:
            table, missing = radeval_table(metrics_python, references, systems, resamples)
            tables.append(table)
            others = OF_RADEVAL
        tables += label_tables(references, systems, resamples)
        for name in (WITH_RETRIEVAL, WITH_INDICATION, EXTRACTIVE):
            if rows := rows_of(outputs, name, references.studies):
                checked[name] = check_reports(rows, outputs, references)
        tables.append(grounding_table(checked, patients=references.patients, resamples=resamples))
        tables += over_reliance_tables(outputs, references, systems, resamples)
    sources = opinions(outputs, references, calibration)
    if sources:
        labels = [study.labels for study in references.studies]
        shares = positives([case.labels for case in references.indexed.values()]).mean(axis=0)
        note = f"{COMBINED}: weights and offsets fitted on {calibration.fitted_on}"
        tables += class_tables(
            sources,
            labels,
            shares,
            patients=references.patients,
            note=note,
            resamples=resamples,
        )
    tables += answer_tables(outputs, references, calibration, resamples)
    notes = [f"{len(references.studies)} studies"]
    if references.left:
        count = "1 study" if references.left == 1 else f"{references.left} studies"
        notes.append(f"without outputs: {count} of the split")
    return Scores(
        about=outputs.about,
        origin=provenance(
            manifest,
            split=outputs.about.split,
            without=references.without,
            resamples=resamples,
        ),
        evaluation=evaluation,
        tables=tuple(tables),
        notes=tuple(notes),
        checked=checked,
        sources=sources,
        others=others,
        missing=missing,
    )


def _similarity_table(
    folder: Path, references: References, systems: Sequence[System], resamples: int
) -> Table:
    wanted = [study.findings for study in references.studies]
    cells: dict[str, Statistic | Share] = {
        system.name: mean_of(similarity(folder, wanted, system.texts))
        for system in systems
        if system.texts is not None
    }
    notes = [f"mean cosine of findings and reference, by {folder.name}"]
    return tabulate(
        CLINICAL_BERT,
        {"mean": cells},
        patients=references.patients,
        notes=notes,
        resamples=resamples,
    )
