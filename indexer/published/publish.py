"""Publish an index in PostgreSQL with pgvector, and pull it back.

publish(Path("data/index"), url)      # a new version, current from one moment to the next
pull(url, Path("data/copy"))          # the same files, byte for byte

The files of the version are kept too: the manifest and what is read whole come from them.
"""

import shutil
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from db.engines.location import DatabaseUrl, shown
from db.errors import MismatchError, UserError
from db.index.published import PublishedVersion
from db.index.publishing import Draft, publishing
from db.index.selection import pack_states
from indexer.encoder.spec import EncoderSpec
from indexer.encoder.weight_files import file_sha256
from indexer.index import Index
from indexer.manifest import FORMAT_VERSION, Manifest
from indexer.published.opening import write_files
from indexer.published.recall import RECALL_AT, measure_recall
from indexer.vectors.options import SelectivityClass, ServerSpec
from indexer.versions import KEPT, Versions, changing

MIN_RECALL = 0.97
"""Of HNSW against an exact search, in every class of selectivity."""
_BLOCK = 4096


@dataclass(frozen=True, kw_only=True)
class PublishOptions:
    """How to publish. Raises UserError for a value that is out of range."""

    keep: int = KEPT
    """Number of versions on the server, including the new one."""
    min_recall: float = MIN_RECALL
    """Less is refused."""
    hnsw_from: int = 50_000
    """From this many cases on HNSW is built: below it, an exact search takes a few milliseconds."""
    exact_rows: int = 20_000
    """Searches are exact where filters and exclusions leave at most so many cases."""
    replace_encoder: bool = False
    """Whether the new version may be of another encoder than the current one."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_recall <= 1:
            raise UserError(f"min_recall must be between 0 and 1, not {self.min_recall}")


def publish(index_dir: Path, url: DatabaseUrl, options: PublishOptions | None = None) -> Manifest:
    """Publish the current version of an index as a new version on the server; return its manifest
    there, which says how it is searched.

    Raises UserError, and changes nothing, if the server cannot be used or lacks pgvector, has this
    version or a later one already or one of another encoder, or if HNSW finds less than
    ``min_recall`` of what an exact search finds.
    """
    options = options or PublishOptions()
    index = Index.open(index_dir)
    manifest = index.manifest
    if manifest.format_version < FORMAT_VERSION:
        raise MismatchError(
            f"{index_dir} has an older format: run 'python -m indexer upgrade {index_dir}' first"
        )
    with publishing(url, keep=options.keep) as draft:
        _check_current(draft, manifest, shown(url), options)
        draft.begin(manifest.version, manifest.fingerprint)
        for name in sorted(manifest.file_bytes):
            draft.add_file(index.path / name)
        draft.add_cases(index.cases)
        _, states = index.cases.state_table()
        draft.add_vectors(index.vectors.blocks(), pack_states(states), index.vectors.dim)
        images = index.image_vectors
        draft.add_image_vectors(
            (images[first : first + _BLOCK] for first in range(0, len(images), _BLOCK)),
            index.vectors.dim,
        )
        spec = ServerSpec()
        if index.vectors.count >= options.hnsw_from:
            draft.build_hnsw()
            spec = measure_recall(draft.vectors(), index, exact_rows=options.exact_rows)
            for one in spec.classes:
                _check_recall(one, options.min_recall)
        manifest = replace(manifest, server=spec)
        draft.commit_as(manifest.text(), version=manifest.version, fingerprint=manifest.fingerprint)
    index.close()
    return manifest


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
        current = versions.current()
        have = None if current is None else Manifest.read(current)
        before = None if have is None else (have.version, have.fingerprint)
        _check_newer(before, Manifest.parse(version.manifest, shown(url)), str(index_dir))
        return write_version(version, versions, keep=keep)


def write_version(
    version: PublishedVersion, versions: Versions, *, keep: int, files: bool = True
) -> Manifest:
    """Write a version on a server as the current version of a directory, with or without its files.

    Raises UserError, and changes nothing, if a file does not arrive as it was published.
    """
    place = shown(version.url)
    draft = versions.building / "draft"
    shutil.rmtree(versions.building, ignore_errors=True)
    draft.mkdir(parents=True)
    manifest = replace(Manifest.parse(version.manifest, place), server=None)
    if files:
        write_files(version, draft)
        for name, digest in manifest.file_sha256.items():
            if not (draft / name).is_file() or file_sha256(draft / name) != digest:
                raise UserError(f"{place} holds another {name} than was published")
    versions.publish(draft, manifest, keep=keep)
    return manifest


def require_encoder(theirs: EncoderSpec, ours: EncoderSpec, place: str) -> None:
    """Raise MismatchError if an index of our encoder must not follow one of theirs."""
    if not theirs.same_space(ours):
        raise MismatchError(
            f"{place} holds an index of encoder '{theirs.name}' (weights "
            f"{theirs.weights_sha256[:12]}), and this one is of '{ours.name}' (weights "
            f"{ours.weights_sha256[:12]}): name another database, or say --replace-encoder"
        )


def _check_current(draft: Draft, manifest: Manifest, place: str, options: PublishOptions) -> None:
    """Raise UserError if this must not follow the version that is current on the server."""
    current = draft.current()
    _check_newer(current and current[:2], manifest, place)
    if current is not None and not options.replace_encoder:
        require_encoder(Manifest.parse(current[2], place).encoder, manifest.encoder, place)


def _check_newer(have: tuple[int, str] | None, manifest: Manifest, place: str) -> None:
    if have == (manifest.version, manifest.fingerprint):
        raise UserError(f"{place} has this index already, as version {manifest.version}")
    if have is not None and have[0] >= manifest.version:
        raise UserError(
            f"{place} has version {have[0]} already, later than version {manifest.version} or of "
            "another index: name another place"
        )


def _check_recall(measured: SelectivityClass, least: float) -> None:
    if measured.recall < least:
        where = "" if measured.share == 1 else f" where a filter leaves {measured.share:.1%} of all"
        raise UserError(
            f"HNSW finds {measured.recall:.3f} of the {RECALL_AT} nearest cases{where}, less than "
            f"{least}: lower --min-recall, or keep the index in its files"
        )
