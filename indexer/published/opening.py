"""Open an index wherever it is: a directory, or a database by URL.

index = open_index(parse_location("postgresql+psycopg://cxr@db.example/index"))
"""

import shutil
import tempfile
import weakref
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import cast

import numpy as np

from db.engines.location import DatabaseUrl, Location, shown
from db.errors import MismatchError
from db.index.published import PublishedVersion, version_numbers
from db.index.store import CaseStore
from indexer.index import CASES, IMAGE_VECTORS, Index
from indexer.manifest import Manifest
from indexer.vectors.ivf import IDS, LISTS, VECTORS
from indexer.vectors.mapped_files import MappedFiles
from indexer.vectors.options import ServerSpec
from indexer.vectors.published import PublishedVectors

_IN_TABLES = (CASES, IMAGE_VECTORS, LISTS, IDS, VECTORS)
"""Files that a search needs nothing of, because tables hold the same."""


def open_index(location: Location) -> Index:
    """Open the current version of an index, in a directory or on a server.

    Raises as `Index.open` does, and UserError if the server cannot be used.
    """
    if isinstance(location, Path):
        return Index.open(location)
    version = PublishedVersion.open(location)
    try:
        return opened(version)
    except BaseException:
        version.close()
        raise


def read_manifests(url: DatabaseUrl) -> list[Manifest]:
    """Return the manifests of all versions on a server, the current one first.

    Raises NotFoundError if there is no index, and UserError if the server cannot be used.
    """
    found = []
    numbers: list[int | None] = [*version_numbers(url)]
    for number in numbers or [None]:
        with closing(PublishedVersion.open(url, number)) as version:
            found.append(Manifest.parse(version.manifest, shown(url)))
    return found


def opened(version: PublishedVersion) -> Index:
    """Open a version; whoever opened it closes it, or the index."""
    place = shown(version.url)
    manifest = Manifest.parse(version.manifest, place)
    folder = Path(tempfile.mkdtemp(prefix="grounded-cxr-index-"))
    weakref.finalize(version, shutil.rmtree, folder, ignore_errors=True)
    write_files(version, folder, without=_IN_TABLES)
    vectors = PublishedVectors(version, manifest.server or ServerSpec())
    root = None if manifest.image_root is None else Path(manifest.image_root)
    cases = CaseStore(version.engine, name=place, image_root=root)
    if not (vectors.count == cases.count() == manifest.studies):
        raise MismatchError(
            f"{place} is damaged: the manifest counts {manifest.studies} studies, there are "
            f"{vectors.count} vectors and {cases.count()} cases; publish the index again"
        )
    return Index(
        path=folder,
        place=place,
        manifest=manifest,
        vectors=vectors,
        cases=cases,
        image_vectors=cast(np.ndarray, _ImageVectors(version, manifest.images)),
        image_files=MappedFiles(),
    )


class _ImageVectors:
    """The vectors of images on a server, for the places asked for."""

    def __init__(self, version: PublishedVersion, count: int) -> None:
        self._version = version
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, places: np.ndarray | slice) -> np.ndarray:
        if isinstance(places, slice):
            places = np.arange(self._count)[places]
        if not len(places):
            return np.zeros((0, self._version.dim), np.float16)
        return self._version.image_vectors(places)


def write_files(version: PublishedVersion, folder: Path, *, without: Collection[str] = ()) -> None:
    """Write the files of a version into a folder; the manifest is not one of them."""
    for name in version.file_names():
        if name not in without:
            with (folder / name).open("wb") as stream:
                stream.writelines(version.parts(name))
