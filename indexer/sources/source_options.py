"""The names of the sources, and what may be said of one; without what it takes to read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SOURCES = (
    "openi",
    "mimic-cxr",
    "chexpert",
    "chexpert-plus",
    "chestxray14",
    "padchest",
    "vindr-cxr",
    "dicom",
    "csv",
    "parquet",
    "json",
    "jsonl",
    "hub",
)
"""As `indexer.sources.catalogue` knows them."""


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """What is said of a source on the command line; each source takes some of it."""

    data_dir: Path | None = None
    """The folder of a data set, or the file of one's own; ``owner/name`` for the Hub."""
    vectors: Path | None = None
    """Stored vectors in place of images."""
    reports: Path | None = None
    """An archive, a folder or a table of reports that are not with the images."""
    split_file: Path | None = None
    split: str | None = None
    """Splits to keep, with commas between."""
    name: str | None = None
    """What the cases of one's own studies are cited by."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Names known here to those of a table of one's own."""
    images_dir: Path | None = None
    """Where images are put that come as bytes in a table."""
