"""The one seam between the service and whatever writes, and the registry of what can.

backend = open_backend(retriever, BackendOptions(model="pretrained/generator"))
for place, output in backend.write(writings): ...         # tokens, then each result as it ends

A `Backend` gets the studies of a batch and yields, in any order, what comes of each: pieces of text
while it writes, and at the end one report, or the error that a person should see. An answer and a
caption are reports of one statement; classes are a report with probabilities.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from db.app.generation import Origin
from db.errors import UserError
from generator.candidates import CandidateSearch
from generator.classification import observe_without_model, to_classification
from generator.extractive import write_report
from generator.grounding.report import GroundedReport
from generator.prompts import Task
from generator.request import GenerationRequest
from generator.vision_language import GREEDY, NO_MODEL, DecodingOptions
from indexer.images.radiograph import Radiograph
from retriever.knn_votes import Vote
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.results import Retrieval
from retriever.search import Retriever

EXTRACTIVE_RATE = 840.0
"""Extractive reports a minute on two CPU cores, as measured by ``tests/robustness/load.py``."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """A piece of text as it is written, not yet checked."""

    text: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Writing:
    """One text to write: the request, the study, and the cases found for it."""

    images: tuple[Radiograph, ...]
    retrieval: Retrieval
    request: GenerationRequest
    votes: Mapping[str, Vote] = field(default_factory=dict)
    """Of many more cases than were found; filled for the task ``classify`` alone."""
    cancelled: Callable[[], bool] = field(default=lambda: False)
    """True once nobody waits for it; a slow backend asks between its tokens."""


Output = Token | GroundedReport | UserError


class Backend(Protocol):
    """What turns hits into text."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What it can do; it is asked for nothing else."""

    @property
    def batch_size(self) -> int:
        """How many texts it writes together."""

    @property
    def description(self) -> str:
        """Its name and the expected rate, for the log at start."""

    def use(self, retriever: Retriever) -> None:
        """Write with another index from now on. Raises MismatchError where that does not fit."""

    def describe(self, origin: Origin) -> Origin:
        """``origin`` with model, adapter, prompt version, seed and sampling filled in."""

    def find(self, retriever: CandidateSearch, query: Query, options: SearchOptions) -> Retrieval:
        """The hits that it chooses from."""

    def write(self, writings: Sequence[Writing]) -> Iterator[tuple[int, Output]]:
        """Pairs of the place in the batch and what came of it."""


WriteReport = Callable[[Retrieval], GroundedReport]


class ExtractiveBackend:
    """A backend without a language model: see ``generator.extractive``.

    A caption is the first statement of the report's impression; classes are the votes of the
    retrieved cases and the encoder's label head, with equal weights.
    """

    tasks: tuple[Task, ...] = ("report", "classify", "caption")
    batch_size: int = 8
    description = (
        "extractive, without a language model; about "
        f"{EXTRACTIVE_RATE:.0f} reports a minute on two CPU cores"
    )

    def __init__(self, write_report: WriteReport = write_report) -> None:
        self._write_report = write_report

    def use(self, retriever: Retriever) -> None:
        """Nothing is kept of an index."""

    def describe(self, origin: Origin) -> Origin:
        return origin

    def find(self, retriever: CandidateSearch, query: Query, options: SearchOptions) -> Retrieval:
        return retriever.find(query, options)

    def write(self, writings: Sequence[Writing]) -> Iterator[tuple[int, Output]]:
        for place, writing in enumerate(writings):
            try:
                yield place, self._write(writing)
            except UserError as error:
                yield place, error

    def _write(self, writing: Writing) -> GroundedReport:
        retrieval = writing.retrieval
        if writing.request.task == "classify":
            return to_classification(
                observe_without_model(writing.votes, retrieval.label_scores),
                retrieval,
                hits=retrieval.hits,
                generator="votes-1",
            )
        report = self._write_report(retrieval)
        if writing.request.task == "caption":
            first = (*report.section("impression"), *report.section("findings"))[:1]
            return replace(report, statements=first)
        return report


@dataclass(frozen=True, kw_only=True)
class BackendOptions:
    """Which backend to open, and how it writes."""

    model: str = NO_MODEL
    """Folder or hub id of a language model, or ``none``."""
    adapter: str | None = None
    device: str = "auto"
    """Where the language model runs: ``auto`` (a GPU if any), ``cpu`` or ``cuda``."""
    decoding: DecodingOptions = GREEDY

    def __post_init__(self) -> None:
        if self.model == NO_MODEL and self.adapter is not None:
            raise UserError("an adapter belongs to a language model: name that with --model")

    @property
    def name(self) -> str:
        """The backend that serves this model, a key of `BACKENDS`."""
        return "extractive" if self.model == NO_MODEL else "mllama"


def _open_mllama(retriever: Retriever, options: BackendOptions) -> Backend:
    from api.pipeline.language_model import LanguageModelBackend  # torch and transformers

    return LanguageModelBackend.open(retriever, options)


BACKENDS: Mapping[str, Callable[[Retriever, BackendOptions], Backend]] = {
    "extractive": lambda retriever, options: ExtractiveBackend(),
    "mllama": _open_mllama,
}


def open_backend(retriever: Retriever, options: BackendOptions) -> Backend:
    """Raises UserError for a model that cannot be loaded, MismatchError for one that does not fit
    the index."""
    return BACKENDS[options.name](retriever, options)
