"""All tables of one evaluation, from the outputs alone.

scores = score(outputs, references, index.manifest)
scores.text(), scores.document(), scores.log_entry()
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from db.errors import UserError
from db.labels import Labels, positives
from evaluation.answers.scores import MAJORITY, answer_table, by_group, majority
from evaluation.classification.scores import COMBINED, class_tables, opinions
from evaluation.grounding.citations import CheckedReport, check_reports, grounding_table
from evaluation.grounding.over_reliance import reliance_table
from evaluation.metrics.bootstrap import Statistic, mean_of
from evaluation.metrics.clinical_bert import similarity
from evaluation.outputs.names import (
    CONDITIONS,
    EXTRACTIVE,
    MADE,
    VQA_RAD,
    WITH,
    WITH_INDICATION,
    WITHHELD,
    WITHOUT,
)
from evaluation.outputs.rows import About, Outputs, ReportRow
from evaluation.reports.references import References
from evaluation.reports.systems import (
    CLINICAL_BERT,
    NOT_COMPUTED,
    label_table,
    report_labels,
    report_systems,
    rows_of,
)
from evaluation.retrieval.report import Provenance, provenance, to_document, to_table
from evaluation.retrieval.run import RESAMPLES, Evaluation, evaluate
from evaluation.retrieval.systems import System
from evaluation.tables import Share, Table, tabulate, to_text
from generator.calibration import Calibration
from indexer.manifest import Manifest

FOLDS = 5
"""Of VQA-RAD, by image."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a run is judged by."""

    about: About
    origin: Provenance
    evaluation: Evaluation | None
    """Reports as texts and labels; None where none were written."""
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    checked: Mapping[str, Sequence[CheckedReport]]
    """By system, the citations that it wrote."""
    sources: Mapping[str, np.ndarray]
    """Probabilities of the 14 observations, (n, 14); empty where the model was not asked."""

    @property
    def not_computed(self) -> dict[str, str]:
        """Metrics that are missing, and why."""
        there = {table.title for table in self.tables}
        return {name: why for name, why in NOT_COMPUTED.items() if name not in there}

    def text(self) -> str:
        """For a terminal."""
        model = self.about.model + (f" + {self.about.adapter}" if self.about.adapter else "")
        lines = [
            f"model {model} (weights {self.about.weights_sha256[:12]}), "
            f"{self.about.prompt_version}, greedy, at most {self.about.max_new_tokens} tokens",
            f"computed: {self.about.computed}",
            *self.notes,
        ]
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
            "tables": [_without_nan(asdict(table)) for table in self.tables],
        }

    def log_entry(self) -> dict[str, Any]:
        """What the test log keeps."""
        figures: dict[str, Any] = {}
        if self.evaluation is not None:
            for system, found in self.evaluation.subsets[0].figures.items():
                figures[system] = {name: _rounded(one) for name, one in found.items()}
        for table in self.tables:
            figures[table.title] = {
                row: {column: _rounded(cell.interval) for column, cell in cells.items()}
                for row, cells in table.rows.items()
            }
        return {
            "weights_sha256": self.about.weights_sha256,
            "model": self.about.model,
            "adapter": self.about.adapter,
            "prompt_version": self.about.prompt_version,
            "encoder": self.about.encoder,
            "index_fingerprint": self.about.index_fingerprint,
            "labeller": self.origin.reference_labeller,
            "cleaning": self.origin.cleaning,
            "figures": _without_nan(figures),
        }


def score(
    outputs: Outputs,
    references: References,
    manifest: Manifest,
    *,
    calibration: Calibration,
    clinical_bert: Path | None = None,
    resamples: int = RESAMPLES,
) -> Scores:
    """Everything that the outputs allow. Raises UserError for outputs that are not complete."""
    systems = report_systems(outputs, references)
    written = [
        condition for condition in CONDITIONS if rows_of(outputs, condition, references.studies)
    ]
    tables: list[Table] = []
    evaluation = None
    checked: dict[str, list[CheckedReport]] = {}
    if written:
        evaluation = evaluate(references.studies, systems, resamples=resamples)
        if clinical_bert is not None:
            tables.append(_similarity_table(clinical_bert, references, systems, resamples))
        tables += _label_tables(references, systems, resamples)
        for name in (WITH, WITH_INDICATION, EXTRACTIVE):
            if rows := rows_of(outputs, name, references.studies):
                checked[name] = check_reports(rows, outputs, references)
        tables.append(grounding_table(checked, resamples=resamples))
        tables += _reliance_tables(outputs, references, systems, resamples)
    sources = opinions(outputs, references, calibration)
    if sources:
        labels = [study.labels for study in references.studies]
        shares = positives([case.labels for case in references.indexed.values()]).mean(axis=0)
        note = f"{COMBINED}: weights and offsets fitted on {calibration.fitted_on}"
        tables += class_tables(sources, labels, shares, note=note, resamples=resamples)
    tables += _answer_tables(outputs, resamples)
    notes = [f"{len(references.studies)} studies"]
    if references.left:
        notes.append(f"{references.left} studies of the split are not in the outputs")
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
    return tabulate(CLINICAL_BERT, {"mean": cells}, notes=notes, resamples=resamples)


def _label_tables(references: References, systems: Sequence[System], resamples: int) -> list[Table]:
    """On all studies, and on those whose findings the index does not hold."""
    studies = references.studies
    tables = [label_table(systems, studies, resamples=resamples)]
    fresh = [not study.in_index for study in studies]
    if any(fresh) and not all(fresh):
        tables.append(
            label_table(
                [_only(system, fresh) for system in systems],
                [study for study in studies if not study.in_index],
                title="Label F1, findings not word for word in the index",
                resamples=resamples,
            )
        )
    return tables


def _reliance_tables(
    outputs: Outputs, references: References, systems: Sequence[System], resamples: int
) -> list[Table]:
    """On the contexts of the first arm, and on those without what the image shows."""
    tables = []
    if shown := rows_of(outputs, WITH, references.studies):
        written = {one.name: one.labels for one in systems if one.labels is not None}
        tables.append(_reliance(outputs, references, shown, written, "Over-reliance", resamples))
    seeing = [one for one in references.studies if outputs.images[one.study_id].sees]
    if seeing and (shown := rows_of(outputs, WITHHELD, seeing)):
        compared = {name: rows_of(outputs, name, seeing) for name in (WITHHELD, WITH, WITHOUT)}
        written = {name: [report_labels(row) for row in rows] for name, rows in compared.items()}
        title = "Over-reliance, cases that name what the film shows withheld"
        some = {name: labels for name, labels in written.items() if labels}
        tables.append(_reliance(outputs, references, shown, some, title, resamples))
    return tables


def _reliance(
    outputs: Outputs,
    references: References,
    shown: Sequence[ReportRow],
    written: Mapping[str, Sequence[Labels]],
    title: str,
    resamples: int,
) -> Table:
    return reliance_table(
        written,
        references=[references.cases[row.study_id].labels for row in shown],
        retrievals=[references.retrieval(outputs, row.study_id) for row in shown],
        contexts=[[hit.case.labels for hit in references.hits(row.context)] for row in shown],
        title=title,
        resamples=resamples,
    )


def _answer_tables(outputs: Outputs, resamples: int) -> list[Table]:
    """A table a set of questions; the majority answer of VQA-RAD is that of each fold."""
    tables = []
    for name in (MADE, VQA_RAD):
        systems = {
            system: [row for row in rows.values() if row.questions == name]
            for system, rows in outputs.answers.items()
        }
        if not any(systems.values()):
            continue
        if missing := [condition for condition in (WITH, WITHOUT) if not systems.get(condition)]:
            raise UserError(
                f"'{missing[0]}' has not answered the questions {name} in {outputs.path}: go on "
                "with --model"
            )
        systems = {system: rows for system, rows in systems.items() if rows}
        asked = next(iter(systems.values()))
        notes = ["answered by a model that was not tuned on them"] if name == VQA_RAD else []
        folds = by_group(asked, FOLDS) if name == VQA_RAD else None
        tables.append(
            answer_table(
                f"Questions: {name}",
                {**systems, MAJORITY: majority(asked, folds)},
                notes=notes,
                resamples=resamples,
            )
        )
    return tables


def _only(system: System, chosen: Sequence[bool]) -> System:
    labels = [one for one, yes in zip(system.labels or (), chosen, strict=True) if yes]
    return System(name=system.name, views=None, labels=labels)


def _rounded(interval: Any) -> list[float]:
    return [round(interval.value, 4), round(interval.low, 4), round(interval.high, 4)]


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and value != value else value
