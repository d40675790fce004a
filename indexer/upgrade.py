"""Upgrade an index of an older format; cases and vectors stay the same."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from db.index.image_root import common_root
from db.index.store import CaseStore
from indexer.index import CASES, IMAGE_VECTORS, Index
from indexer.ingest.assembly import Clock, IndexPart, describe_files, path_or_none, utc_now
from indexer.ingest.fingerprint import fingerprint
from indexer.ingest.staging import Staging
from indexer.manifest import FORMAT_VERSION, Manifest
from indexer.typicality.profile import PROFILE
from indexer.typicality.sample import SAMPLE
from indexer.vectors.exact import write_exact
from indexer.vectors.ivf import IDS, LISTS, VECTORS
from indexer.versions import KEPT, changing

_CURE = "free some space or mount it writable, then run the same command again"


def upgrade(index_dir: Path, *, keep: int = KEPT, clock: Clock = utc_now) -> Manifest | None:
    """Write the next version in the current format; None if the index already has it.

    No image is read, and searches give the same results. The old version is kept like any other.
    Raises UserError if another process is changing the index or it cannot be written.
    """
    if Manifest.read(index_dir).format_version == FORMAT_VERSION:
        return None
    with changing(index_dir, "upgrading", cure=_CURE) as versions:
        staging = Staging(versions.building)
        staging.discard()
        staging.draft.mkdir(parents=True)
        index = Index.open(index_dir)
        part = IndexPart(index=index)
        root = _image_root(index)
        with CaseStore.create(staging.draft / CASES, image_root=path_or_none(root)) as cases:
            part.copy_cases(cases)
        _copy_vectors(index, staging.draft)
        before = index.manifest
        profile = index.read_profile()
        contents = part.contents()
        manifest = replace(
            before,
            **describe_files(staging.draft),
            fingerprint=fingerprint(contents, before.encoder),
            contents=contents,
            image_root=root,
            image_quantiles=None if profile is None else profile.quantiles,
            format_version=FORMAT_VERSION,
            version=before.version + 1,
            made_by="upgrade",
            created_at=clock().isoformat(timespec="seconds"),
            history=(*before.history, before.past()),
        )
        versions.publish(staging.draft, manifest, keep=keep)
    return manifest


def _image_root(index: Index) -> str | None:
    """Return the folder that contains all images with an absolute path."""
    folders = {
        Path(image.path).parent
        for case in index.cases
        for image in case.images
        if image.path is not None and Path(image.path).is_absolute()
    }
    root = common_root(folders)
    return None if root is None else str(root)


def _copy_vectors(index: Index, draft: Path) -> None:
    if index.manifest.vectors.type == "ivf":
        for name in (IDS, VECTORS, LISTS):
            shutil.copyfile(index.path / name, draft / name)
    else:
        write_exact(draft / LISTS, index.vectors.ids, (rows for _, rows in index.vectors.blocks()))
    np.save(draft / IMAGE_VECTORS, index.image_vectors)
    sample, profile = index.read_sample(), index.read_profile()
    if sample.images:
        sample.write(draft / SAMPLE)
    if profile is not None:
        profile.write(draft / PROFILE)
