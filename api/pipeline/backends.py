"""The interface between the service and the generators, and the registry of backends.

backend = open_backend(retriever, BackendOptions(model="pretrained/generator"))
for place, output in backend.write(writings): ...         # tokens, then each result as it ends

A `Backend` gets the studies of a batch and yields their outputs in any order: pieces of text while
it writes, the number of tokens where it has any, and at the end of each study one report, or the
error to show to the user. An answer or a
caption is a report of one statement; a classification is a report with probabilities.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from api.pipeline.current_index import StudySearch
from db.app.generation import Origin
from db.errors import UserError
from generator.assessment.calibration import Calibration, Sensitivity
from generator.engines.address import RemoteOptions
from generator.grounding.report import GroundedReport
from generator.prompts import Task
from generator.request import GenerationRequest
from generator.vision_language import GREEDY, NO_MODEL, DecodingOptions
from generator.without_model import WriteReport, find_to_write, write_without_model
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
    """A piece of text as it is generated, not yet checked."""

    text: str


@dataclass(frozen=True, kw_only=True)
class TokenCount:
    """What a language model read and wrote for one text, in its own tokens."""

    prompt: int
    """Of all prompts with their cases, without images and what the chat template adds."""
    completion: int
    """Of the text before its check; 0 for answers that are only scored."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BackendRequest:
    """One text to write: the request, the study, and the cases found for it."""

    images: tuple[Radiograph, ...]
    retrieval: Retrieval
    request: GenerationRequest
    votes: Mapping[str, Vote] = field(default_factory=dict)
    """Votes of many more cases than the hits."""
    cancelled: Callable[[], bool] = field(default=lambda: False)
    """Whether the request was cancelled; slow backends call this between tokens."""


Output = Token | TokenCount | GroundedReport | UserError


More = Callable[[int], Sequence[BackendRequest]]


def nothing_more(_: int) -> Sequence[BackendRequest]:
    """No further request."""
    return ()


class Backend(Protocol):
    """Turns hits into text."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks it supports; it gets no others."""

    @property
    def batch_size(self) -> int:
        """How many texts it writes in one batch."""

    @property
    def concurrency(self) -> int:
        """How many batches it writes at the same time, each in a thread."""

    @property
    def description(self) -> str:
        """Its name, the expected rate and what a person should know, for the log at start."""

    @property
    def calibration(self) -> Calibration | None:
        """Of its assessments; None for the default one."""

    def use(self, retriever: Retriever) -> None:
        """Switch to another index. Raises MismatchError if it does not fit."""

    def describe(self, origin: Origin) -> Origin:
        """Fill model, adapter, prompt version, seed and sampling into ``origin``."""

    def find(
        self,
        retriever: StudySearch,
        query: Query,
        options: SearchOptions,
        sensitivity: Sensitivity = "balanced",
    ) -> Retrieval:
        """Retrieve the hits that the backend selects from."""

    def write(self, writings: Sequence[BackendRequest]) -> Iterator[tuple[int, Output]]:
        """Yield pairs of a position in the batch and an output."""


@runtime_checkable
class JoiningBackend(Backend, Protocol):
    """A backend whose texts may begin while others of the batch are being written."""

    @property
    def joins(self) -> bool:
        """Whether it asks for more."""

    def write(
        self, writings: Sequence[BackendRequest], *, more: More = nothing_more
    ) -> Iterator[tuple[int, Output]]:
        """As `Backend.write`.

        ``more`` is called between tokens with a number of free places, for at most so many further
        requests, which are numbered after those before.
        """


class ExtractiveBackend:
    """A backend without a language model: see `generator.without_model.write_without_model`."""

    tasks: tuple[Task, ...] = ("report", "ask", "classify", "caption")
    batch_size: int = 8
    concurrency: int = 1
    description = (
        "extractive, without a language model; about "
        f"{EXTRACTIVE_RATE:.0f} reports a minute on two CPU cores"
    )

    def __init__(
        self,
        write_report: WriteReport | None = None,
        *,
        retriever: Retriever | None = None,
    ) -> None:
        """The calibration is that of the index of ``retriever``, read when it is needed."""
        self._write_report = write_report
        self._retriever = retriever
        self._calibration: Calibration | None = None

    def use(self, retriever: Retriever) -> None:
        self._retriever, self._calibration = retriever, None

    def describe(self, origin: Origin) -> Origin:
        return origin

    def find(
        self,
        retriever: StudySearch,
        query: Query,
        options: SearchOptions,
        sensitivity: Sensitivity = "balanced",
    ) -> Retrieval:
        retrieval, _ = find_to_write(
            retriever, query, options, calibration=self.calibration, sensitivity=sensitivity
        )
        return retrieval

    @property
    def calibration(self) -> Calibration | None:
        if self._calibration is None and self._retriever is not None:
            self._calibration = Calibration.find(self._retriever.index)
        return self._calibration

    def write(self, writings: Sequence[BackendRequest]) -> Iterator[tuple[int, Output]]:
        for place, writing in enumerate(writings):
            try:
                yield place, self._write(writing)
            except UserError as error:
                yield place, error

    def _write(self, writing: BackendRequest) -> GroundedReport:
        return write_without_model(
            writing.request,
            writing.retrieval,
            writing.votes,
            calibration=self.calibration,
            write=self._write_report,
        )


@dataclass(frozen=True, kw_only=True)
class BackendOptions:
    """Which backend to open, and how it writes."""

    model: str = NO_MODEL
    """Folder, hub id or address of a language model, or ``none``."""
    adapter: str | None = None
    device: str = "auto"
    """Where the language model runs: ``auto`` (a GPU if any), ``cpu`` or ``cuda``."""
    decoding: DecodingOptions = GREEDY
    remote: RemoteOptions = field(default_factory=RemoteOptions)
    """What is allowed for a model of another server."""

    def __post_init__(self) -> None:
        if self.model == NO_MODEL and self.adapter is not None:
            raise UserError("an adapter belongs to a language model: name that with --model")

    @property
    def name(self) -> str:
        """The backend that serves this model, a key of `BACKENDS`."""
        return "extractive" if self.model == NO_MODEL else "language model"


def _open_language_model(retriever: Retriever, options: BackendOptions) -> Backend:
    from api.pipeline.language_model import LanguageModelBackend

    return LanguageModelBackend.open(retriever, options)


BACKENDS: Mapping[str, Callable[[Retriever, BackendOptions], Backend]] = {
    "extractive": lambda retriever, options: ExtractiveBackend(retriever=retriever),
    "language model": _open_language_model,
}


def open_backend(retriever: Retriever, options: BackendOptions) -> Backend:
    """Open the backend that serves the model.

    Raises UserError if the model cannot be loaded, MismatchError if it does not fit the index.
    """
    return BACKENDS[options.name](retriever, options)
