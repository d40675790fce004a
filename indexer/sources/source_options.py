"""Names and options of the sources, without importing what reads them."""

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
    "r2gen",
    "llava",
    "hub",
)
"""The keys of `indexer.sources.catalogue`."""


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Options of a source from the command line; each source uses some of them."""

    data_dir: Path | None = None
    """The folder of a data set, or a file of your own; ``owner/name`` for the Hub."""
    vectors: Path | None = None
    """Stored vectors to use instead of images."""
    reports: Path | None = None
    """An archive, folder or table of reports kept apart from the images."""
    split_file: Path | None = None
    split_by: str | None = None
    """``patient:0.2``: draw train and val by patient, where no split is named."""
    split: str | None = None
    """Splits to keep, separated by commas."""
    name: str | None = None
    """The source name under which your own studies are cited."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our column names to those of your own table."""
    images_dir: Path | None = None
    """Where to write images that a table holds as bytes."""
    accept_as_chest: bool = False
    """Take DICOM files also if their header names another modality or part of the body."""
