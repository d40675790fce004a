"""What an audit finds: counts with examples, in parts, and the outlying images.

``Audit.to_json`` is the machine's view, ``indexer.audit.page`` the person's. Examples are study ids
and file names; a text that may identify somebody is counted and never quoted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MOST_EXAMPLES = 20


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many there are of something that has a name."""

    name: str
    count: int
    of: int | None = None
    """Out of how many; None where that is no question."""
    note: str = ""
    """By what rule it was counted."""
    examples: tuple[str, ...] = ()
    """At most 20 of them."""


@dataclass(frozen=True, kw_only=True)
class AuditSection:
    """Counts that belong together."""

    name: str
    counts: tuple[Count, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class OutlierImage:
    """An image that stands out among the others."""

    study_id: str
    path: str
    reason: str
    """In which respect, one of few."""
    value: float
    usual: float
    """The median of all images."""
    thumbnail: bytes
    """JPEG."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """One audit of one source."""

    source: str
    split: str
    licence: str
    made_at: str
    against: str | None
    """What it was compared with."""
    parts: tuple[AuditSection, ...]
    outermost: tuple[OutlierImage, ...]

    def count(self, part: str, name: str) -> Count:
        """Raises KeyError for one that is not there."""
        for one in self.parts:
            for count in one.counts:
                if (one.name, count.name) == (part, name):
                    return count
        raise KeyError(f"{part}: {name}")

    def to_json(self) -> dict[str, Any]:
        """Parts and counts by name; of unusual images everything but the picture."""
        outermost = [
            {key: value for key, value in asdict(image).items() if key != "thumbnail"}
            for image in self.outermost
        ]
        return {
            "source": self.source,
            "split": self.split,
            "licence": self.licence,
            "made_at": self.made_at,
            "against": self.against,
            "parts": {
                part.name: {
                    count.name: {k: v for k, v in asdict(count).items() if k != "name"}
                    for count in part.counts
                }
                for part in self.parts
            },
            "outermost": outermost,
        }


def some(names: Iterable[str]) -> tuple[str, ...]:
    """The first 20 of them, each once."""
    kept: dict[str, None] = {}
    for name in names:
        kept[name] = None
        if len(kept) == MOST_EXAMPLES:
            break
    return tuple(kept)


def audit_lines(found: Audit, directory: Path) -> Iterator[str]:
    """The audit for a terminal: what there is of each; labels and examples are left to the page."""
    yield f"{found.source}, split {found.split}: {directory / 'audit.html'}"
    for part in found.parts:
        counts = [count for count in part.counts if count.count]
        if part.name == "labels" or not counts:
            continue
        yield part.name
        for count in counts:
            share = f" of {count.of:,}" if count.of else ""
            yield f"  {count.count:>9,}{share}  {count.name}"
    yield "labels, examples and every number: see the page"
