"""Writers that wait, stream and are told to stop, as a language model does, without one."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from api.pipeline.backends import BackendRequest, ExtractiveBackend, Output, Token
from db.app.generation import Citation, Origin, RemovedCitation, Statement
from generator.assessment.classification import Classification
from generator.grounding.report import GroundedReport
from generator.prompts import Task
from generator.tasks import TASKS
from retriever.results import Retrieval
from tests.support.service.services import write_report


class Gate(ExtractiveBackend):
    """Waits with every report until it is let through."""

    def __init__(self) -> None:
        super().__init__(self._let_through)
        self.open = threading.Event()
        self.reached = threading.Event()

    def _let_through(self, retrieval: Retrieval) -> GroundedReport:
        self.reached.set()
        assert self.open.wait(60)
        return write_report(retrieval)


class Talker(ExtractiveBackend):
    """Writes word by word, for all of a batch in turn; waits before the last."""

    def __init__(self) -> None:
        super().__init__(write_report)
        self.go = threading.Event()
        self.cancelled = 0

    def write(self, writings: Sequence[BackendRequest]) -> Iterator[tuple[int, Output]]:
        for word in ("Lungs ", "drawn ", "clear."):
            for place, _ in enumerate(writings):
                yield place, Token(text=word)
        while not self.go.wait(0.01):
            if all(writing.cancelled() for writing in writings):
                self.cancelled += len(writings)
                return
        yield from super().write(writings)


class WithoutAnswers(ExtractiveBackend):
    """Does every task but to answer questions."""

    tasks: tuple[Task, ...] = ("report", "classify", "caption")


class TalkingWriter(ExtractiveBackend):
    """Streams what it writes word by word, and holds its last word back until ``go`` is set.

    Every question is answered with yes, for which hit 1 is cited; a citation of hit 9 was taken
    out. The second statement of a report is contradicted by the image.
    """

    tasks: tuple[Task, ...] = tuple(TASKS)

    def __init__(self, *, hold: bool = False) -> None:
        super().__init__(write_report)
        self.go = threading.Event()
        if not hold:
            self.go.set()
        self.cancelled = 0
        self.batches: list[int] = []

    def describe(self, origin: Origin) -> Origin:
        return replace(
            origin,
            model="drawn-model",
            model_sha256="a1" * 32,
            adapter="drawn-adapter",
            prompt_version="drawn-prompts",
            seed=0,
            sampling={"temperature": 0.0},
        )

    def write(self, writings: Sequence[BackendRequest]) -> Iterator[tuple[int, Output]]:
        self.batches.append(len(writings))
        for place, writing in enumerate(writings):
            outcome = self._outcome(writing)
            if not isinstance(outcome, Classification):
                *words, last = (outcome.as_written or "").split(" ")
                for word in words:
                    yield place, Token(text=f"{word} ")
                while not self.go.wait(0.01):
                    if writing.cancelled():
                        break
                if writing.cancelled():
                    self.cancelled += 1
                    continue
                yield place, Token(text=last)
            yield place, outcome

    def _outcome(self, writing: BackendRequest) -> GroundedReport:
        if writing.request.task == "ask":
            return _answer(writing)
        made = self._write(writing)
        if isinstance(made, Classification):
            found = made.assessment
            seen = tuple(replace(one, language_model=0.75) for one in found.observations)
            found = replace(found, observations=seen, calibrated_on="drawn val")
            return replace(made, assessment=found)
        doubted = tuple(
            replace(
                one, contradiction="classifier score for Lung Opacity is 0.75", added_by_rule=True
            )
            if place == 1
            else one
            for place, one in enumerate(made.statements)
        )
        said = " ".join(str(statement) for statement in made.statements)
        return replace(made, statements=doubted, as_written=f"Findings: {said}")


def _answer(writing: BackendRequest) -> GroundedReport:
    hit = writing.retrieval.hits[0]
    return GroundedReport(
        statements=(
            Statement(
                section="impression",
                text="Yes.",
                citations=(
                    Citation(
                        number=1,
                        source=hit.case.source,
                        study_id=hit.case.study_id,
                        index_fingerprint=writing.retrieval.index_fingerprint,
                        quote=hit.case.sentences[0].text,
                        score=hit.score,
                    ),
                ),
                removed_citations=(RemovedCitation(number=9, reason="no case has this number"),),
                image_support=0.75,
            ),
        ),
        hits=writing.retrieval.hits,
        generator="drawn-model + drawn-adapter, drawn-prompts",
        index_fingerprint=writing.retrieval.index_fingerprint,
        label_scores=writing.retrieval.label_scores,
        as_written="Yes. [1][9]",
    )
