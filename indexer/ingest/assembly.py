"""Write the files of a new index version; build, add, remove and merge all end here.

    parts = [IndexPart(index=base, without=frozenset({3}))]
    manifest = assemble(draft, parts, batches, info)       # draft/cases.sqlite exists already

Rows are copied from file to file in blocks, so memory does not grow with the number of cases.
"""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from db.errors import UserError
from db.index.store import CaseStore
from indexer.encoder.spec import EncoderSpec
from indexer.encoder.weight_files import file_sha256
from indexer.index import CASES, IMAGE_VECTORS, Index
from indexer.ingest.fingerprint import (
    NO_CONTENTS,
    add_contents,
    fingerprint,
    subtract_contents,
    sum_contents,
)
from indexer.manifest import Manifest, PastVersion
from indexer.typicality.profile import PROFILE, TypicalityProfile, add_turns, fit_profile
from indexer.typicality.sample import SAMPLE, ThumbnailSample
from indexer.vectors.build import build_vectors
from indexer.vectors.ivf import IDS, LISTS, VECTORS
from indexer.vectors.options import VectorOptions, VectorSpec
from indexer.vectors.row_files import BLOCK_ROWS, RowFile, map_rows
from indexer.vectors.store import open_vectors

_FILES = frozenset({CASES, IDS, VECTORS, LISTS, IMAGE_VECTORS, SAMPLE, PROFILE})

Clock = Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def merge_names(lists: Iterable[str], mark: str) -> str:
    """Merge lists of names that are joined by ``mark``; each name occurs once in the result."""
    return mark.join(dict.fromkeys(name for names in lists for name in names.split(mark)))


def path_or_none(path: str | None) -> Path | None:
    return None if path is None else Path(path)


@dataclass(frozen=True, kw_only=True)
class IndexPart:
    """The cases that one index contributes to the new version."""

    index: Index
    without: frozenset[int] = frozenset()
    """Ids of cases to leave out."""
    shift: int = 0
    """Number added to the case ids."""

    def copy_cases(self, cases: CaseStore) -> None:
        cases.copy_from(
            self.index.path / CASES,
            without=self.without,
            shift=self.shift,
            image_root=path_or_none(self.index.manifest.image_root),
        )

    def image_cases(self) -> np.ndarray:
        """Return the case id of every image, (images,), in the order of the image vectors."""
        return np.fromiter((case_id for case_id, _ in self.index.cases.image_hashes()), np.int64)

    def contents(self) -> str:
        """Sum the digests of the cases that stay; see `indexer.ingest.fingerprint`."""
        index = self.index
        if index.manifest.contents is None:
            vectors = (row for _, rows in index.vectors.blocks() for row in rows)
            pairs = zip(index.cases, vectors, strict=True)
            return sum_contents(pair for pair in pairs if pair[0].case_id not in self.without)
        excluded = index.cases.get(sorted(self.without))
        return subtract_contents(
            index.manifest.contents,
            sum_contents((case, index.vectors.vector(case.case_id)) for case in excluded),
        )


@dataclass(frozen=True, kw_only=True)
class VersionInfo:
    """The entries of a manifest that do not follow from the files."""

    version: int
    made_by: str
    created_at: str
    source: str
    split: str
    licence: str
    encoder: EncoderSpec
    labeller_version: str
    vector_options: VectorOptions
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    identifiers: Mapping[str, int] = field(default_factory=dict)
    image_root: str | None = None
    withdrawn: tuple[str, ...] = ()
    history: tuple[PastVersion, ...] = ()

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Copy the entries from a manifest."""
        return cls(**{part.name: getattr(manifest, part.name) for part in fields(cls)})


def assemble(
    draft: Path,
    parts: Sequence[IndexPart],
    batches: Iterable[Mapping[str, Any]],
    info: VersionInfo,
    *,
    image_profile: TypicalityProfile | None = None,
    vector_options: VectorOptions | None = None,
) -> Manifest:
    """Write all files of a version beside ``cases.sqlite`` and return its manifest.

    Each batch has the arrays ``ids``, ``vectors`` and ``image_vectors``, the text ``contents`` and
    the arrays of a `ThumbnailSample`; its ids follow those of the parts. ``image_profile`` is one
    that came with stored vectors. ``vector_options`` apply to this version alone; those in ``info``
    go into the manifest. Raises UserError if no study is left or the vectors cannot meet the
    options.
    """
    with CaseStore.open(draft / CASES) as cases:
        studies, images = cases.count(), cases.image_count()
    if studies == 0:
        raise UserError("no study would be left in the index: delete its directory instead")
    contents, sample = _copy_rows(draft, parts, batches, (studies, images), info.encoder.dim)
    spec = build_vectors(draft, vector_options or info.vector_options)
    profile = _profile(draft, spec, sample, images) or image_profile or _inherited_profile(parts)
    (draft / SAMPLE).unlink(missing_ok=True)
    if sample.images:
        sample.write(draft / SAMPLE)
    (draft / PROFILE).unlink(missing_ok=True)
    if profile is not None:
        profile.write(draft / PROFILE)
    return Manifest(
        **describe_files(draft),
        fingerprint=fingerprint(contents, info.encoder),
        created_at=info.created_at,
        source=info.source,
        split=info.split,
        studies=studies,
        images=images,
        skipped=dict(info.skipped),
        notes=dict(info.notes),
        identifiers=dict(info.identifiers),
        encoder=info.encoder,
        metric="cosine",
        labeller_version=info.labeller_version,
        licence=info.licence,
        version=info.version,
        made_by=info.made_by,
        contents=contents,
        vector_options=info.vector_options,
        vectors=spec,
        image_quantiles=None if profile is None else profile.quantiles,
        image_root=info.image_root,
        withdrawn=info.withdrawn,
        history=info.history,
    )


def describe_files(draft: Path) -> dict[str, Any]:
    """Return what the manifest says about the files.

    Other files, which SQLite may leave behind on a full disk, are deleted.
    """
    files = sorted(path for path in draft.iterdir() if path.name in _FILES)
    for path in set(draft.iterdir()) - set(files):
        path.unlink()
    return {
        "file_bytes": {path.name: path.stat().st_size for path in files},
        "file_sha256": {path.name: file_sha256(path) for path in files},
    }


def _copy_rows(
    draft: Path,
    parts: Sequence[IndexPart],
    batches: Iterable[Mapping[str, Any]],
    counts: tuple[int, int],
    dim: int,
) -> tuple[str, ThumbnailSample]:
    """Copy vectors to the draft; return the sum of the contents and the thumbnail sample."""
    studies, images = counts
    contents, sample = NO_CONTENTS, ThumbnailSample.empty()
    with (
        RowFile(draft / IDS, studies, dtype=np.int64) as ids,
        RowFile(draft / VECTORS, studies, dim, dtype=np.float32) as vectors,
        RowFile(draft / IMAGE_VECTORS, images, dim, dtype=np.float16) as image_vectors,
    ):
        for part in parts:
            for case_ids, rows in part.index.vectors.blocks():
                kept = ~np.isin(case_ids, list(part.without))
                ids.append(case_ids[kept] + part.shift)
                vectors.append(rows[kept])
            image_kept = ~np.isin(part.image_cases(), list(part.without))
            for start in range(0, len(image_kept), BLOCK_ROWS):
                rows = np.array(part.index.image_vectors[start : start + BLOCK_ROWS])
                image_vectors.append(rows[image_kept[start : start + BLOCK_ROWS]])
            contents = add_contents(contents, part.contents())
            known = part.index.read_sample()
            gone = min(known.images, int((~image_kept).sum()))
            sample = sample.merged_with(
                known.without(part.without, images=gone).shifted(part.shift)
            )
        for batch in batches:
            ids.append(batch["ids"])
            vectors.append(batch["vectors"])
            image_vectors.append(batch["image_vectors"])
            contents = add_contents(contents, str(batch["contents"]))
            sample = sample.merged_with(ThumbnailSample.from_arrays(batch))
    return contents, sample


def _profile(
    draft: Path, spec: VectorSpec, sample: ThumbnailSample, images: int
) -> TypicalityProfile | None:
    """Fit a profile if thumbnails of at least half of the images are known."""
    if 2 * sample.images < images:
        return None
    with CaseStore.open(draft / CASES) as cases:
        image_cases = np.fromiter((case_id for case_id, _ in cases.image_hashes()), np.int64)
    rows = np.searchsorted(image_cases, sample.case_ids) + sample.positions
    return fit_profile(
        map_rows(draft / IMAGE_VECTORS)[rows].astype(np.float32),
        add_turns(sample.outlines.astype(np.float32)),
        sample.case_ids,
        open_vectors(draft, spec),
    )


def _inherited_profile(parts: Sequence[IndexPart]) -> TypicalityProfile | None:
    """Return the profile of the largest part that has one."""
    for part in sorted(parts, key=lambda part: -part.index.manifest.images):
        profile = part.index.read_profile()
        if profile is not None:
            return profile
    return None
