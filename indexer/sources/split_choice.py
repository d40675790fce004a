"""Which studies of a data set are wanted: those of some splits, or all."""

from collections.abc import Mapping
from dataclasses import dataclass

from db.errors import UserError

UNLISTED = "unlisted"
"""The split of studies that a split file does not name."""


@dataclass(frozen=True, kw_only=True)
class SplitChoice:
    """Splits to keep. A split file goes before what the data set itself says."""

    keep: frozenset[str] = frozenset()
    """Empty: every study."""
    listed: Mapping[str, str] | None = None
    """Study id to split, from a split file (``records.read_split``)."""

    @property
    def name(self) -> str:
        """As the manifest records it."""
        return ",".join(sorted(self.keep)) or "all"

    def require_file(self, source: str) -> None:
        """Raises UserError where splits are asked of a data set that has none of its own."""
        if self.keep and self.listed is None:
            raise UserError(
                f"source {source} has no splits of its own: --split needs --split-file, which says "
                "which study is in which split"
            )

    def split_of(self, study_id: str, own: str | None = None) -> str | None:
        """Of one study; ``own`` is what its data set says."""
        if self.listed is None:
            return own
        return self.listed.get(study_id, UNLISTED)

    def includes(self, split: str | None) -> bool:
        return not self.keep or split in self.keep
