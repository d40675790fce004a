"""Publish an index in PostgreSQL with pgvector, open it there, and pull it back.

publish(Path("data/index"), url)      # a new version, current from one moment to the next
index = open_published(url)           # searched on the server
pull(url, Path("data/copy"))          # the same files, byte for byte

The files of the version are kept too: the manifest and what is read whole come from them.
"""

import shutil
import tempfile
import weakref
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from db.engines.location import DatabaseUrl, Location, shown
from db.errors import MismatchError, UserError
from db.index.published import PublishedVersion
from db.index.publishing import Draft, publishing
from db.index.store import CaseStore
from indexer.encoder.weight_files import file_sha256
from indexer.index import CASES, IMAGE_VECTORS, Index
from indexer.manifest import FORMAT_VERSION, MANIFEST, Manifest
from indexer.vectors.ivf import IDS, LISTS, VECTORS
from indexer.vectors.mapped_files import MappedFiles
from indexer.vectors.published import PROPOSED, PublishedVectors, best
from indexer.versions import KEPT, changing

HNSW_FROM = 50_000
"""From this many cases on HNSW is built: below it, an exact search takes a few milliseconds."""
MIN_RECALL = 0.97
"""Of HNSW against an exact search, measured on indexed cases when an index is published."""
_RECALL_AT, _QUERIES = 10, 200
_IN_TABLES = (CASES, IMAGE_VECTORS, LISTS, IDS, VECTORS)
"""Files that a search needs nothing of, because tables hold the same."""
_BLOCK = 4096


@dataclass(frozen=True, kw_only=True)
class Published:
    """What is on the server now."""

    manifest: Manifest
    recall: float | None
    """Of HNSW, the share of the 10 nearest other cases found; None where every search is exact."""


def publish(
    index_dir: Path,
    url: DatabaseUrl,
    *,
    keep: int = KEPT,
    min_recall: float = MIN_RECALL,
    hnsw_from: int = HNSW_FROM,
) -> Published:
    """Publish the current version of an index as a new version on the server.

    Raises UserError, and changes nothing, if the server cannot be used or lacks pgvector, has this
    version or a later one already, or if HNSW finds less than ``min_recall`` of what an exact
    search finds.
    """
    index = Index.open(index_dir)
    manifest = index.manifest
    if manifest.format_version < FORMAT_VERSION:
        raise MismatchError(
            f"{index_dir} has an older format: run 'python -m indexer upgrade {index_dir}' first"
        )
    with publishing(url, keep=keep) as draft:
        _check_newer(draft.current(), manifest, shown(url))
        draft.begin(manifest.version, manifest.fingerprint)
        for name in sorted(manifest.file_bytes):
            draft.add_file(index.path / name)
        draft.add_cases(index.cases)
        hnsw = index.vectors.count >= hnsw_from
        draft.add_vectors(index.vectors.blocks(), index.vectors.dim, hnsw=hnsw)
        images = index.image_vectors
        draft.add_image_vectors(
            (images[first : first + _BLOCK] for first in range(0, len(images), _BLOCK)),
            index.vectors.dim,
        )
        recall = _recall(draft, index.vectors.ids) if hnsw else None
        if recall is not None and recall < min_recall:
            raise UserError(
                f"HNSW finds {recall:.3f} of the {_RECALL_AT} nearest cases, less than "
                f"{min_recall}: lower --min-recall, or keep the index in its files"
            )
        draft.commit_as(manifest.text(), version=manifest.version, fingerprint=manifest.fingerprint)
    return Published(manifest=manifest, recall=recall)


def pull(url: DatabaseUrl, index_dir: Path, *, keep: int = KEPT) -> Manifest:
    """Write the current version on the server as the current version of an index directory.

    Raises UserError, and changes nothing, if the directory has this version or a later one already,
    or if a file does not arrive as it was published.
    """
    cure = "free some space or mount it writable, then run the same command again"
    with (
        closing(PublishedVersion.open(url)) as version,
        changing(index_dir, "pulling into", cure=cure) as versions,
    ):
        draft = versions.building / "draft"
        shutil.rmtree(versions.building, ignore_errors=True)
        draft.mkdir(parents=True)
        manifest = _write_files(version, draft)
        current = versions.current()
        have = None if current is None else Manifest.read(current)
        before = None if have is None else (have.version, have.fingerprint)
        _check_newer(before, manifest, str(index_dir))
        for name, digest in manifest.file_sha256.items():
            if not (draft / name).is_file() or file_sha256(draft / name) != digest:
                raise UserError(f"{shown(url)} holds another {name} than was published")
        versions.publish(draft, manifest, keep=keep)
    return manifest


def open_index(location: Location) -> Index:
    """Open the current version of an index, in a directory or on a server.

    Raises as `Index.open` does, and UserError if the server cannot be used.
    """
    if isinstance(location, Path):
        return Index.open(location)
    version = PublishedVersion.open(location)
    try:
        return _open(version)
    except BaseException:
        version.close()
        raise


def _open(version: PublishedVersion) -> Index:
    folder = Path(tempfile.mkdtemp(prefix="grounded-cxr-index-"))
    weakref.finalize(version, shutil.rmtree, folder, ignore_errors=True)
    manifest = _write_files(version, folder, without=_IN_TABLES)
    vectors = PublishedVectors(version)
    root = None if manifest.image_root is None else Path(manifest.image_root)
    cases = CaseStore(version.engine, name=shown(version.url), image_root=root)
    if not (vectors.count == cases.count() == manifest.studies):
        raise MismatchError(
            f"{shown(version.url)} is damaged: the manifest counts {manifest.studies} studies, "
            f"there are {vectors.count} vectors and {cases.count()} cases; publish the index again"
        )
    return Index(
        path=folder,
        manifest=manifest,
        vectors=vectors,
        cases=cases,
        image_vectors=cast(np.ndarray, _ImageVectors(version)),
        image_files=MappedFiles(),
    )


class _ImageVectors:
    """The vectors of images on a server, for the places asked for."""

    def __init__(self, version: PublishedVersion) -> None:
        self._version = version

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        if not len(places):
            return np.zeros((0, self._version.dim), np.float16)
        return self._version.image_vectors(places)


def _check_newer(have: tuple[int, str] | None, manifest: Manifest, place: str) -> None:
    if have == (manifest.version, manifest.fingerprint):
        raise UserError(f"{place} has this index already, as version {manifest.version}")
    if have is not None and have[0] >= manifest.version:
        raise UserError(
            f"{place} has version {have[0]} already, later than version {manifest.version} or of "
            "another index: name another place"
        )


def _write_files(
    version: PublishedVersion, folder: Path, *, without: Collection[str] = ()
) -> Manifest:
    (folder / MANIFEST).write_text(version.manifest, encoding="utf-8")
    for name in version.file_names():
        if name not in without:
            with (folder / name).open("wb") as stream:
                stream.writelines(version.parts(name))
    return Manifest.read(folder)


def _recall(draft: Draft, ids: np.ndarray) -> float:
    """Search the nearest others of some cases by HNSW and exactly; return the share found."""
    rows, shares = draft.vectors(), []
    drawn = np.random.default_rng(1).permutation(ids)[:_QUERIES]
    for case_id in drawn.tolist():
        _, (query,) = rows.block(case_id, 1)
        k = min(_RECALL_AT, len(ids) - 1)
        proposed = rows.nearest(query, PROPOSED * k, exclude=[case_id], approximate=True)
        exact = rows.nearest(query, k, exclude=[case_id])
        found, _ = best(*proposed, query, k)
        shares.append(np.isin(exact[0], found).mean())
    return float(np.mean(shares))
