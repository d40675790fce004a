"""All tables of one evaluation, from the outputs alone.

scores = score(outputs, references, index.manifest)
scores.text(), scores.document(), scores.log_entry()
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from finetune.evaluation_grounding import check_reports, grounding_table
from finetune.evaluation_names import ARMS, EXTRACTIVE, WITH, WITH_INDICATION
from finetune.evaluation_outputs import About, Outputs
from finetune.evaluation_references import References
from finetune.evaluation_reliance import reliance_table
from finetune.evaluation_reports import NOT_COMPUTED, label_table, report_systems, rows_of
from finetune.evaluation_tables import Table, to_text
from indexer.manifest import Manifest
from retriever.evaluate import RESAMPLES, Evaluation, evaluate
from retriever.evaluation_report import Provenance, provenance, to_document, to_table
from retriever.evaluation_systems import System


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a run is judged by."""

    about: About
    origin: Provenance
    evaluation: Evaluation | None
    """Reports as texts and labels; None where none were written."""
    tables: tuple[Table, ...]
    notes: tuple[str, ...]

    def text(self) -> str:
        """For a terminal."""
        model = self.about.model + (f" + {self.about.adapter}" if self.about.adapter else "")
        lines = [
            f"model {model} (weights {self.about.weights_sha256[:12]}), "
            f"{self.about.prompt_version}, greedy, at most {self.about.max_new_tokens} tokens",
            *self.notes,
        ]
        if self.evaluation is not None:
            lines.append(to_table(self.evaluation, self.origin))
            lines += [f"{name}: not computed, its weights are not given" for name in NOT_COMPUTED]
        for table in self.tables:
            lines += ["", to_text(table)]
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """As JSON values; an undefined number is null."""
        written = {} if self.evaluation is None else to_document(self.evaluation, self.origin)
        return {
            "about": asdict(self.about),
            "notes": list(self.notes),
            "not_computed": list(NOT_COMPUTED),
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
    outputs: Outputs, references: References, manifest: Manifest, *, resamples: int = RESAMPLES
) -> Scores:
    """Raises UserError for outputs that are not complete."""
    systems = report_systems(outputs, references)
    written = [arm for arm in ARMS if rows_of(outputs, arm, references.studies)]
    tables: list[Table] = []
    evaluation = None
    if written:
        evaluation = evaluate(references.studies, systems, resamples=resamples)
        tables += _report_tables(outputs, references, systems, resamples)
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
    )


def _report_tables(
    outputs: Outputs, references: References, systems: list[System], resamples: int
) -> list[Table]:
    studies = references.studies
    tables = [label_table(systems, studies, resamples=resamples)]
    fresh = np.array([not study.in_index for study in studies])
    if fresh.any() and not fresh.all():
        tables.append(
            label_table(
                [_only(system, fresh) for system in systems],
                [study for study in studies if not study.in_index],
                title="Label F1, findings not word for word in the index",
                resamples=resamples,
            )
        )
    citing = {
        name: rows_of(outputs, name, studies)
        for name in (WITH, WITH_INDICATION, EXTRACTIVE)
        if rows_of(outputs, name, studies)
    }
    checked = {name: check_reports(rows, outputs, references) for name, rows in citing.items()}
    tables.append(grounding_table(checked, resamples=resamples))
    shown = rows_of(outputs, WITH, studies)
    if shown:
        tables.append(
            reliance_table(
                {one.name: one.labels for one in systems if one.labels is not None},
                references=[study.labels for study in studies],
                retrievals=[references.retrieval(outputs, one.study_id) for one in studies],
                contexts=[[hit.case.labels for hit in references.hits(r.context)] for r in shown],
                resamples=resamples,
            )
        )
    return tables


def _only(system: System, chosen: np.ndarray) -> System:
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
