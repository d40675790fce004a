"""Run a model on everything that an evaluation needs, and store its outputs.

writer = OutputWriter(TaskRunner(retriever, model), outputs)
writer.write(studies, cases, conditions=CONDITIONS, tasks=TASKS)        # what the file lacks
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from db.index.store import Case
from evaluation.answers.questions import Question, report_questions
from evaluation.outputs.conditions import (
    baseline_rows,
    case_names,
    extractive_row,
    nearest_row,
    shown,
)
from evaluation.outputs.names import (
    IMAGE_FINDINGS_WITHHELD,
    MOST_FREQUENT,
    TASKS,
    WITH_INDICATION,
    WITH_RETRIEVAL,
    WITHOUT_RETRIEVAL,
)
from evaluation.outputs.rows import AnswerRow, ClassRow, Outputs, ReportRow, Row, StudyRow
from evaluation.retrieval.studies import EvaluationStudy
from generator.prompts import Prompt
from generator.retrieved_study import RetrievedStudy
from generator.tasks import TASKS as TASK_TABLE
from generator.tasks import TaskRunner
from generator.vision_language import GREEDY, DecodingOptions
from retriever.query import Query, image_queries

ASKED = (WITH_RETRIEVAL, WITHOUT_RETRIEVAL)
"""The conditions under which questions are asked."""

BATCH = 8
"""Prompts that are answered, and written to the disk, together."""
_STUDIES_AT_ONCE = 32

_ToRow = Callable[[str], Row]


@dataclass(frozen=True, kw_only=True, eq=False)
class _EmbeddedStudy:
    study: EvaluationStudy
    query: Query
    read: RetrievedStudy
    """As the first condition shows it."""


class OutputWriter:
    """One model over one split, into one file."""

    def __init__(
        self, runner: TaskRunner, outputs: Outputs, *, options: DecodingOptions = GREEDY
    ) -> None:
        self._runner = runner
        self._outputs = outputs
        self._options = options

    def write(
        self,
        studies: Sequence[EvaluationStudy],
        cases: Mapping[str, Case],
        *,
        conditions: Sequence[str],
        tasks: Collection[str] = TASKS,
        progress: Callable[[int], object] = lambda studies: None,
    ) -> None:
        """``cases`` are the studies as cases, by study id: their indication and sentences.

        ``progress`` receives how many more studies are done.
        """
        known = self._outputs.reports.get(MOST_FREQUENT, {})
        if any(study.study_id not in known for study in studies):
            self._outputs.append(baseline_rows(self._runner.retriever, studies))
        questions: dict[str, list[Question]] = {}
        for question in report_questions(cases[study.study_id] for study in studies):
            questions.setdefault(question.group, []).append(question)
        for start in range(0, len(studies), _STUDIES_AT_ONCE):
            some = studies[start : start + _STUDIES_AT_ONCE]
            images = self._read(
                [one for one in some if self._lacks(one, conditions, tasks, questions)]
            )
            if "report" in tasks:
                for condition in conditions:
                    self._reports(condition, images, cases)
            if "classify" in tasks:
                self._classes(images)
            if "ask" in tasks:
                for condition in ASKED:
                    self.ask(
                        condition,
                        [
                            (image.read, question)
                            for image in images
                            for question in questions.get(image.study.study_id, [])
                        ],
                    )
            progress(len(some))

    def ask(self, condition: str, asked: Sequence[tuple[RetrievedStudy, Question]]) -> None:
        """Put each question to its study under this condition; those answered are skipped."""
        rows: list[tuple[Prompt, _ToRow]] = []
        for study, question in asked:
            if question.key in self._outputs.answers.get(condition, {}):
                continue
            seen = self._as_seen(condition, study)

            def row(text: str, question: Question = question, seen: RetrievedStudy = seen) -> Row:
                return AnswerRow(
                    system=condition,
                    questions=question.questions,
                    question_id=question.question_id,
                    group=question.group,
                    question=question.text,
                    reference=question.answer,
                    closed=question.closed,
                    text=text,
                    context=case_names(seen.short_context.hits),
                )

            (prompt,) = TASK_TABLE["ask"].prompts(seen, question.text)
            rows.append((prompt, row))
        self._generate(rows)

    def ask_about_images(self, questions: Sequence[Question], folder: Path) -> None:
        """Questions on single images, each read and searched with once. Raises UserError."""
        by_image: dict[str, list[Question]] = {}
        for question in questions:
            if any(
                question.key not in self._outputs.answers.get(condition, {}) for condition in ASKED
            ):
                by_image.setdefault(question.group, []).append(question)
        asked = [
            (study, question)
            for image, some in by_image.items()
            for study in [self._runner.retrieve([folder / image])]
            for question in some
        ]
        for condition in ASKED:
            self.ask(condition, asked)

    def _lacks(
        self,
        study: EvaluationStudy,
        conditions: Sequence[str],
        tasks: Collection[str],
        questions: Mapping[str, Sequence[Question]],
    ) -> bool:
        """Whether the file lacks anything of a study."""
        held, study_id = self._outputs, study.study_id
        if study_id not in held.images:
            return True
        if "report" in tasks and any(
            study_id not in held.reports.get(condition, {})
            for condition in conditions
            if self._is_due(condition, study_id)
        ):
            return True
        if "classify" in tasks and study_id not in held.classes.get(WITH_RETRIEVAL, {}):
            return True
        return "ask" in tasks and any(
            question.key not in held.answers.get(condition, {})
            for condition in ASKED
            for question in questions.get(study_id, ())
        )

    def _read(self, studies: Sequence[EvaluationStudy]) -> list[_EmbeddedStudy]:
        """Embed and search, and store the rows of new studies that need no model."""
        if not studies:
            return []
        retriever = self._runner.retriever
        queries = image_queries(retriever.encoder, [study.decode() for study in studies])
        images = [
            _EmbeddedStudy(study=study, query=query, read=self._runner.retrieve_query(query))
            for study, query in zip(studies, queries, strict=True)
        ]
        rows: list[Row] = []
        for image in images:
            study_id, retrieval = image.study.study_id, image.read.retrieval
            if study_id in self._outputs.images:
                continue
            rows += [
                extractive_row(study_id, retriever, image.query, self._runner.calibration),
                nearest_row(study_id, retrieval.hits),
                StudyRow(
                    study_id=study_id,
                    label_scores=_rounded(retrieval.label_scores),
                    label_thresholds=_rounded(retrieval.label_thresholds),
                    votes={n: round(vote.probability, 6) for n, vote in image.read.votes.items()},
                    hits=tuple(
                        (name, round(hit.score, 6))
                        for name, hit in zip(
                            case_names(retrieval.hits), retrieval.hits, strict=True
                        )
                    ),
                ),
            ]
        self._outputs.append(rows)
        return images

    def _reports(
        self, condition: str, images: Sequence[_EmbeddedStudy], cases: Mapping[str, Case]
    ) -> None:
        rows: list[tuple[Prompt, _ToRow]] = []
        for image in images:
            study_id = image.study.study_id
            if study_id in self._outputs.reports.get(condition, {}) or not self._is_due(
                condition, study_id
            ):
                continue
            indication = cases[study_id].indication if condition == WITH_INDICATION else ""
            seen = self._as_seen(condition, image.read, indication)

            def row(text: str, study_id: str = study_id, seen: RetrievedStudy = seen) -> Row:
                return ReportRow(
                    system=condition,
                    study_id=study_id,
                    text=text,
                    context=case_names(seen.context.hits),
                    indication=seen.context.indication,
                )

            (prompt,) = TASK_TABLE["report"].prompts(seen, "")
            rows.append((prompt, row))
        self._generate(rows)

    def _classes(self, images: Sequence[_EmbeddedStudy]) -> None:
        for image in images:
            study_id = image.study.study_id
            if study_id in self._outputs.classes.get(WITH_RETRIEVAL, {}):
                continue
            found = self._runner.classify(image.read).assessment.observations
            values = {
                one.name: round(one.language_model, 8)
                for one in found
                if one.language_model is not None
            }
            self._outputs.append(
                [ClassRow(system=WITH_RETRIEVAL, study_id=study_id, probabilities=values)]
            )

    def _is_due(self, condition: str, study_id: str) -> bool:
        return condition != IMAGE_FINDINGS_WITHHELD or self._outputs.images[study_id].sees

    def _as_seen(
        self, condition: str, study: RetrievedStudy, indication: str = ""
    ) -> RetrievedStudy:
        return self._runner.assemble(
            study.image, shown(condition, study.retrieval), study.votes, indication
        )

    def _generate(self, rows: Sequence[tuple[Prompt, _ToRow]]) -> None:
        """Generate in batches of prompts of similar length."""
        ordered = sorted(rows, key=lambda one: len(one[0].text))
        for start in range(0, len(ordered), BATCH):
            some = ordered[start : start + BATCH]
            texts = self._runner.model.generate([prompt for prompt, _ in some], self._options)
            written = zip(some, texts, strict=True)
            self._outputs.append([to_row(text) for (_, to_row), text in written])


def _rounded(values: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if values is None else {name: round(float(v), 6) for name, v in values.items()}
