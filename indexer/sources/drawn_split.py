"""A train and a val part drawn by patient, for a data set that names no splits.

source = DrawnSplit(OwnTable(path), HoldOut.of("patient:0.2", "--split-by"), keep={"val"})

A patient falls on the same side whatever order the rows have, with all studies.
"""

from collections.abc import Collection, Iterator

from db.errors import UserError
from indexer.sources.hold_out import HoldOut
from indexer.sources.records import Record, RowCounts, Source, StudyRecord


class DrawnSplit:
    """The studies of a source in ``train`` or ``val``."""

    def __init__(self, whole: Source, hold_out: HoldOut, keep: Collection[str] = ()) -> None:
        """``keep`` is empty for both. Raises UserError for another split, or another unit."""
        if hold_out.unit != "patient":
            raise UserError("--split-by draws patients: give it as patient:0.2")
        if unknown := sorted(set(keep) - {"train", "val"}):
            raise UserError(f"--split-by draws train and val, not '{unknown[0]}': use one of these")
        self.name, self.licence = whole.name, whole.licence
        self.split = ",".join(sorted(keep)) or "all"
        self._whole = whole
        self._hold_out = hold_out
        self._keep = frozenset(keep)

    def records(self) -> Iterator[Record]:
        held = self._hold_out.draw({_patient(record) for record in self._whole.records()})
        for record in self._whole.records():
            split = "val" if _patient(record) in held else "train"
            if not self._keep or split in self._keep:
                yield record

    @property
    def rows(self) -> RowCounts | None:
        """Counts of rows of the whole; None before the first reading is complete."""
        return getattr(self._whole, "rows", None)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the whole guessed, for the user to check."""
        return getattr(self._whole, "remarks", ())


def _patient(record: Record) -> str:
    """A study without a patient is one of its own."""
    known = record.patient_id if isinstance(record, StudyRecord) else None
    return f"patient {known}" if known else f"study {record.study_id}"
