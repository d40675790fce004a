"""Choose the studies of some splits of a data set, or all."""

from collections.abc import Mapping
from dataclasses import dataclass

from db.errors import UserError

UNLISTED = "unlisted"
"""The split of studies that a split file does not name."""


@dataclass(frozen=True, kw_only=True)
class SplitChoice:
    """The splits to keep. A split file takes precedence over the data set's own splits."""

    keep: frozenset[str] = frozenset()
    """Empty: every study."""
    listed: Mapping[str, str] | None = None
    """Study id to split, from a split file (``records.read_split``)."""

    @property
    def name(self) -> str:
        """The name of the choice, as the manifest records it."""
        return ",".join(sorted(self.keep)) or "all"

    def require_file(self, source: str) -> None:
        """Raise UserError if splits are chosen, but neither file nor data set defines them."""
        if self.keep and self.listed is None:
            raise UserError(
                f"source {source} has no splits of its own: --split needs --split-file, which says "
                "which study is in which split"
            )

    def split_of(self, study_id: str, own: str | None = None) -> str | None:
        """Return the split of a study; ``own`` is the one given by its data set."""
        if self.listed is None:
            return own
        return self.listed.get(study_id, UNLISTED)

    def includes(self, split: str | None) -> bool:
        return not self.keep or split in self.keep
