"""The result of an audit: counts with examples, grouped in parts, and the most extreme images.

``Audit.to_json`` is for programs, ``indexer.audit.page`` for people. Examples are study ids and
file names; text that may identify a person is counted but never quoted.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MOST_EXAMPLES = 20


@dataclass(frozen=True, kw_only=True)
class Count:
    """A named count with a few examples."""

    name: str
    count: int
    of: int | None = None
    """The total it is a share of; None if there is none."""
    note: str = ""
    """The rule by which it was counted."""
    examples: tuple[str, ...] = ()
    """At most 20."""


@dataclass(frozen=True, kw_only=True)
class AuditPart:
    """Related counts."""

    name: str
    counts: tuple[Count, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class OutlierImage:
    """An image that differs from the others."""

    study_id: str
    path: str
    reason: str
    """The measure by which it differs."""
    value: float
    median: float
    """Of all images."""
    thumbnail: bytes
    """JPEG."""


@dataclass(frozen=True, kw_only=True)
class SampleImage:
    """One of the images taken evenly from the source, to be looked at."""

    study_id: str
    path: str
    thumbnail: bytes
    """JPEG."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar of a chart."""

    name: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A bar chart."""

    name: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """One audit of one source."""

    source: str
    split: str
    licence: str
    made_at: str
    against: str | None
    """The source or index it was compared with, if any."""
    parts: tuple[AuditPart, ...]
    extreme_images: tuple[OutlierImage, ...]
    sample_images: tuple[SampleImage, ...] = ()
    plots: tuple[Plot, ...] = ()

    def count(self, part: str, name: str) -> Count:
        """Return a count by name. Raises KeyError if there is none."""
        for one in self.parts:
            for count in one.counts:
                if (one.name, count.name) == (part, name):
                    return count
        raise KeyError(f"{part}: {name}")

    def to_json(self) -> dict[str, Any]:
        """Return parts and counts by name, and the extreme images without their thumbnails."""
        extreme_images = [
            {key: value for key, value in asdict(image).items() if key != "thumbnail"}
            for image in self.extreme_images
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
            "plots": {plot.name: {bar.name: bar.count for bar in plot.bars} for plot in self.plots},
            "extreme_images": extreme_images,
        }


def audit_lines(found: Audit, directory: Path) -> Iterator[str]:
    """Yield the audit as lines for a terminal; labels and examples are only on the page."""
    yield f"{found.source}, split {found.split}"
    for part in found.parts:
        counts = [count for count in part.counts if count.count]
        if part.name == "labels" or not counts:
            continue
        yield part.name
        for count in counts:
            share = f" of {count.of:,}" if count.of else ""
            yield f"  {count.count:>9,}{share}  {count.name}"
    yield f"labels, examples and all counts: {directory / 'audit.html'}"
