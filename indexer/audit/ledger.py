"""What an audit has seen, on disk: memory does not grow with the number of studies.

Two sides are kept apart, ``here`` and ``there``: what is audited, and what it is compared with.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from indexer.audit.images import THUMBNAIL, ImageFacts

Side = Literal["here", "there"]
Measured = Literal["outline", "similarity", "frontality"]
"""What is known of an image only beside the others: the greatest correlation of its thumbnail with
that of another study's, the mean cosine of its vector to the nearest of other studies', and the
probability that it is frontal."""

_TABLES = """
CREATE TABLE studies (id INTEGER PRIMARY KEY, side TEXT, study TEXT, patient TEXT, split TEXT,
  frontal INTEGER, findings BLOB, findings_words BLOB, report BLOB, report_words BLOB);
CREATE TABLE images (id INTEGER PRIMARY KEY, study INTEGER, side TEXT, path TEXT, view TEXT,
  file TEXT, pixels TEXT, dhash INTEGER, width INTEGER, height INTEGER,
  mean REAL, contrast REAL, black REAL, white REAL, thumbnail BLOB,
  outline REAL, similarity REAL, frontality REAL);
"""


class Ledger:
    """Rows of studies and images in a temporary SQLite file."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("")
        self._file.executescript(_TABLES)
        self._file.execute("PRAGMA journal_mode = OFF")

    def add_study(self, side: Side, **columns: Any) -> int:
        """Columns are those of the table but ``id``; returns the id."""
        return self._insert("studies", {"side": side, **columns})

    def add_image(self, side: Side, study: int, facts: ImageFacts) -> int:
        """Returns the id; ids of one side ascend in the order of adding."""
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
        """An image of which only the digest is known."""
        self._insert(
            "images", {"study": study, "side": side, "path": path, "pixels": pixels_sha256}
        )

    def set_images(self, column: Measured, images: np.ndarray, values: np.ndarray) -> None:
        """One value an image, by id."""
        pairs = zip(values.tolist(), images.tolist(), strict=True)
        self._file.executemany(f"UPDATE images SET {column} = ? WHERE id = ?", pairs)

    def index(self) -> None:
        """To be called once when everything is added: questions get quick answers from then on."""
        for column in ("findings", "findings_words", "report_words", "patient", "study"):
            self._file.execute(f"CREATE INDEX studies_{column} ON studies ({column}, side, split)")
        for column in ("file", "pixels", "study"):
            self._file.execute(f"CREATE INDEX films_{column} ON images ({column}, side)")

    def rows(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        yield from self._file.execute(query, values)

    def number(self, query: str, *values: Any) -> int:
        """The one number that a query gives."""
        row = self._file.execute(query, values).fetchone()
        return int(row[0] or 0)

    def thumbnails(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids (n,), study ids (n,) and thumbnails (n, 256) uint8 of all images that were read."""
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
