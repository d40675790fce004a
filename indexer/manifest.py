"""``manifest.json``: what an index directory says of itself.

It is written last, so a directory that has one is complete.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from db.errors import MismatchError, NotFoundError, UserError
from indexer.encoder import EncoderSpec

MANIFEST = "manifest.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything a later stage needs to know of an index."""

    fingerprint: str
    """Hex SHA-256 over vectors, cases and encoder: equal content, equal fingerprint."""
    created_at: str
    """UTC, ISO 8601."""
    source: str
    split: str
    studies: int
    images: int
    skipped: Mapping[str, int]
    """Reason to number of studies that were left out."""
    encoder: EncoderSpec
    metric: str
    """``cosine``: inner product of unit vectors."""
    labeller_version: str
    vectors_sha256: str
    licence: str
    """What the source says of the use of its reports."""
    file_bytes: Mapping[str, int]
    """Size of each other file of the index, so that a truncated one is seen at once."""
    film_quantiles: Mapping[str, Mapping[str, float]] | None = None
    """How usual the indexed films are, each left out with its study (``indexer.film_profile``);
    None where that is not known: too few films, or vectors that came without it."""
    format_version: int = FORMAT_VERSION

    @classmethod
    def read(cls, index_dir: Path) -> Self:
        """The manifest of an index directory.

        Raises NotFoundError without a manifest and UserError for one that cannot be read.
        """
        path = index_dir / MANIFEST
        if not path.is_file():
            raise NotFoundError(
                f"{index_dir} is not an index (no {MANIFEST}): build one with "
                f"'python -m indexer build --out {index_dir}'"
            )
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            version = values["format_version"]
            if version != FORMAT_VERSION:
                raise MismatchError(
                    f"{index_dir} has index format {version}, this version reads "
                    f"{FORMAT_VERSION}: build the index again"
                )
            return cls(**{**values, "encoder": EncoderSpec(**values["encoder"])})
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise UserError(f"{path} cannot be read ({error}): build the index again") from error

    def write(self, index_dir: Path) -> None:
        text = json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False)
        (index_dir / MANIFEST).write_text(text + "\n", encoding="utf-8")
