"""A temporary SQLite database of the studies and images that an audit has read.

It keeps memory use independent of the number of studies. Each row belongs to one of two sides:
``audited``, the source under audit, or ``compared``, the source or index it is compared with.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from indexer.audit.images import THUMBNAIL, ImageFacts

Side = Literal["audited", "compared"]
Measured = Literal["outline", "similarity", "frontality"]
"""Columns filled in after all images are read.

- ``outline``: the highest correlation of its thumbnail with that of an image of another study
- ``similarity``: the mean cosine of its vector to the nearest images of other studies
- ``frontality``: the probability that it is a frontal view
"""

_TABLES = """
CREATE TABLE studies (id INTEGER PRIMARY KEY, side TEXT, study TEXT, patient TEXT, split TEXT,
  frontal INTEGER, findings BLOB, findings_words BLOB, report BLOB, report_words BLOB);
CREATE TABLE images (id INTEGER PRIMARY KEY, study INTEGER, side TEXT, path TEXT, view TEXT,
  file TEXT, pixels TEXT, dhash INTEGER, width INTEGER, height INTEGER,
  mean REAL, contrast REAL, black REAL, white REAL, thumbnail BLOB,
  outline REAL, similarity REAL, frontality REAL);
"""


class ScratchDatabase:
    """Rows of studies and images in a temporary SQLite file."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("")
        self._file.executescript(_TABLES)
        self._file.execute("PRAGMA journal_mode = OFF")

    def add_study(self, side: Side, **columns: Any) -> int:
        """Add a study with these columns and return its id."""
        return self._insert("studies", {"side": side, **columns})

    def add_image(self, side: Side, study: int, facts: ImageFacts) -> int:
        """Add an image and return its id. Ids ascend in the order of insertion."""
        return self._insert(
            "images",
            {
                "study": study,
                "side": side,
                "path": str(facts.path),
                "view": facts.view_position,
                "file": facts.file_sha256,
                "pixels": facts.pixels_sha256,
                "dhash": facts.dhash - 2**63,  # SQLite's integers are signed
                "width": facts.width,
                "height": facts.height,
                "mean": facts.mean,
                "contrast": facts.contrast,
                "black": facts.black,
                "white": facts.white,
                "thumbnail": facts.thumbnail,
            },
        )

    def add_pixels(self, side: Side, study: int, path: str, pixels_sha256: str) -> None:
        """Add an image of which only the digest of the pixels is known."""
        self._insert(
            "images", {"study": study, "side": side, "path": path, "pixels": pixels_sha256}
        )

    def set_images(self, column: Measured, images: np.ndarray, values: np.ndarray) -> None:
        """Set one column for the images with these ids."""
        pairs = zip(values.tolist(), images.tolist(), strict=True)
        self._file.executemany(f"UPDATE images SET {column} = ? WHERE id = ?", pairs)

    def index(self) -> None:
        """Create the SQL indexes. Call this once, after all rows have been added."""
        for column in ("findings", "findings_words", "report_words", "patient", "study"):
            self._file.execute(f"CREATE INDEX studies_{column} ON studies ({column}, side, split)")
        for column in ("file", "pixels", "study"):
            self._file.execute(f"CREATE INDEX images_{column} ON images ({column}, side)")

    def rows(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        yield from self._file.execute(query, values)

    def number(self, query: str, *values: Any) -> int:
        """Return the single number that a query yields."""
        row = self._file.execute(query, values).fetchone()
        return int(row[0] or 0)

    def thumbnails(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return ids (n,), study ids (n,) and thumbnails (n, 256) uint8 of all readable images."""
        query = "FROM images WHERE thumbnail IS NOT NULL ORDER BY id"
        ids = np.fromiter((row[0] for row in self.rows(f"SELECT id {query}")), dtype=np.int64)
        studies = np.fromiter((row[0] for row in self.rows(f"SELECT study {query}")), np.int64)
        thumbnails = np.zeros((len(ids), THUMBNAIL * THUMBNAIL), dtype=np.uint8)
        for place, (content,) in enumerate(self.rows(f"SELECT thumbnail {query}")):
            thumbnails[place] = np.frombuffer(content, dtype=np.uint8)
        return ids, studies, thumbnails

    def _insert(self, table: str, columns: dict[str, Any]) -> int:
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        query = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        return int(self._file.execute(query, tuple(columns.values())).lastrowid or 0)
