"""The one seam between the service and whatever writes.

A ``Writer`` gets the studies of a batch and yields, in any order, what comes of each: pieces of
text while it writes, and at the end one report, or the error that a person should see.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from db.errors import UserError
from db.generation import StoredOrigin
from generator.grounded import GroundedReport
from indexer.film import Film
from retriever.retrieval import Retrieval


@dataclass(frozen=True, kw_only=True)
class Token:
    """A piece of text as it is written, not yet checked."""

    text: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Writing:
    """One text to write: the study and the cases found for it."""

    films: tuple[Film, ...]
    retrieval: Retrieval
    cancelled: Callable[[], bool] = field(default=lambda: False)
    """True once nobody waits for it; a writer that takes long asks between its tokens."""


Written = Token | GroundedReport | UserError


class Writer(Protocol):
    """What turns hits into a report."""

    def describe(self, origin: StoredOrigin) -> StoredOrigin:
        """``origin`` with model, adapter, prompt version, seed and sampling filled in."""

    def write(self, writings: Sequence[Writing]) -> Iterator[tuple[int, Written]]:
        """Pairs of the place in the batch and what came of it."""


WriteReport = Callable[[Retrieval], GroundedReport]


class OneByOne:
    """A writer that needs no model: see ``generator.extractive.write_report``."""

    def __init__(self, write_report: WriteReport) -> None:
        self._write_report = write_report

    def describe(self, origin: StoredOrigin) -> StoredOrigin:
        return origin

    def write(self, writings: Sequence[Writing]) -> Iterator[tuple[int, Written]]:
        for place, writing in enumerate(writings):
            try:
                yield place, self._write_report(writing.retrieval)
            except UserError as error:
                yield place, error
