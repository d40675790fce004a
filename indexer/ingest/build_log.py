"""``build.log`` in an index: what the last build or addition left out, row by row, with the reason.

It lists study ids and paths of images, so it is as confidential as the index, and removing a
patient deletes it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from db.files import write_text
from indexer.ingest.studies import DroppedImage
from indexer.sources.records import RowCounts, SkippedStudy

BUILD_LOG = "build.log"
IMAGE_MISSING = "image missing"
IMAGE_UNREADABLE = "unreadable image"


@dataclass(frozen=True, kw_only=True)
class NotIndexed:
    """What a build left out of the index."""

    studies: int
    """Studies of the source, the skipped ones included."""
    skipped: Sequence[SkippedStudy]
    dropped: Sequence[DroppedImage]
    rows: RowCounts | None
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def summary(self) -> str:
        """Return one line: "205 rows, 200 studies: 5 duplicate rows, 9 images missing"."""
        counted = [] if self.rows is None else [_some(self.rows.rows, "row", "rows")]
        counted.append(_some(self.studies, "study", "studies"))
        missing = sum(image.missing for image in self.dropped)
        reasons = Counter(study.reason for study in self.skipped)
        without = reasons.pop(IMAGE_MISSING, 0) + reasons.pop(IMAGE_UNREADABLE, 0)
        repeated = 0 if self.rows is None else len(self.rows.repeated)
        parts = [
            (repeated, _some(repeated, "duplicate row", "duplicate rows")),
            (missing, f"{_some(missing, 'image', 'images')} missing"),
            (
                len(self.dropped) - missing,
                f"{_some(len(self.dropped) - missing, 'image', 'images')} unreadable",
            ),
            (without, f"{_some(without, 'study', 'studies')} skipped without a readable image"),
        ]
        told = [text for count, text in parts if count]
        told += [f"{count} skipped ({reason})" for reason, count in sorted(reasons.items())]
        return ", ".join(counted) + (f": {', '.join(told)}" if told else "")

    def write(self, index_dir: Path, made_by: str, made_at: str) -> Path:
        """Write the log, and return its path."""
        path = index_dir / BUILD_LOG
        lines = [f"{made_by} {made_at}: {self.summary()}", *self._lines()]
        write_text(path, "\n".join(lines) + "\n")
        return path

    def _lines(self) -> Iterator[str]:
        for place in () if self.rows is None else self.rows.repeated:
            yield f"duplicate row: {place}"
        for image in self.dropped:
            reason = IMAGE_MISSING if image.missing else IMAGE_UNREADABLE
            yield f"{reason}: study {image.study_id}: {one_line(image.detail)}"
        for study in self.skipped:
            detail = f": {one_line(study.detail)}" if study.detail else ""
            yield f"study skipped: {study.study_id}: {study.reason}{detail}"
        for note, studies in sorted(self.notes.items()):
            yield f"note: {one_line(note)}: {', '.join(studies)}"


def one_line(text: str) -> str:
    return " ".join(text.split())


def _some(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
