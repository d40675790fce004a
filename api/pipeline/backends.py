"""The one seam between the service and whatever writes.

A ``Writer`` gets the studies of a batch and yields, in any order, what comes of each: pieces of
text while it writes, and at the end one report, or the error that a person should see. An answer
and a caption are reports of one statement; classes are a report with probabilities.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from api.pipeline.observations import Classified, classified, observations_without_model
from api.pipeline.request import Order
from db.app.generation import StoredOrigin
from db.errors import UserError
from generator.grounding.report import GroundedReport
from generator.prompts import Task
from indexer.images.radiograph import Radiograph
from retriever.knn_votes import Vote
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.results import Retrieval


@dataclass(frozen=True, kw_only=True)
class Token:
    """A piece of text as it is written, not yet checked."""

    text: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Writing:
    """One text to write: what was asked for, the study, and the cases found for it."""

    images: tuple[Radiograph, ...]
    retrieval: Retrieval
    order: Order
    votes: Mapping[str, Vote] = field(default_factory=dict)
    """Of many more cases than were found; filled for the task ``classify`` alone."""
    cancelled: Callable[[], bool] = field(default=lambda: False)
    """True once nobody waits for it; a writer that takes long asks between its tokens."""


Written = Token | GroundedReport | Classified | UserError


class Finder(Protocol):
    """What a writer needs of ``retriever.search.Retriever``."""

    def find(self, query: Query, options: SearchOptions) -> Retrieval: ...


class Writer(Protocol):
    """What turns hits into text."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What it can do; nothing else is asked of it."""

    @property
    def at_once(self) -> int:
        """How many it is best asked for together."""

    def describe(self, origin: StoredOrigin) -> StoredOrigin:
        """``origin`` with model, adapter, prompt version, seed and sampling filled in."""

    def find(self, retriever: Finder, query: Query, options: SearchOptions) -> Retrieval:
        """The hits that it wants to choose from."""

    def write(self, writings: Sequence[Writing]) -> Iterator[tuple[int, Written]]:
        """Pairs of the place in the batch and what came of it."""


WriteReport = Callable[[Retrieval], GroundedReport]


class OneByOne:
    """A writer that needs no model: see ``generator.extractive.write_report``.

    A caption is the first statement of the report's impression; classes are the votes of the
    retrieved cases and the encoder's label head, both taken alike.
    """

    tasks: tuple[Task, ...] = ("report", "classify", "caption")
    at_once: int = 8

    def __init__(self, write_report: WriteReport) -> None:
        self._write_report = write_report

    def describe(self, origin: StoredOrigin) -> StoredOrigin:
        return origin

    def find(self, retriever: Finder, query: Query, options: SearchOptions) -> Retrieval:
        return retriever.find(query, options)

    def write(self, writings: Sequence[Writing]) -> Iterator[tuple[int, Written]]:
        for place, writing in enumerate(writings):
            try:
                yield place, self._do(writing)
            except UserError as error:
                yield place, error

    def _do(self, writing: Writing) -> GroundedReport:
        retrieval = writing.retrieval
        if writing.order.task == "classify":
            return classified(
                observations_without_model(writing.votes, retrieval.label_scores),
                retrieval,
                hits=retrieval.hits,
                generator="votes-1",
            )
        report = self._write_report(retrieval)
        if writing.order.task == "caption":
            first = (*report.section("impression"), *report.section("findings"))[:1]
            return replace(report, statements=first)
        return report
