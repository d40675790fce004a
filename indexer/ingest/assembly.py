"""From cases and batches to the files of a version: where build, add, remove and merge end.

    parts = [IndexPart(index=base, without=frozenset({3}))]
    manifest = assemble(draft, parts, batches, about)      # draft/cases.sqlite is there already

Rows go from file to file in blocks: memory does not grow with the number of cases.
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
from indexer.ingest import fingerprint as contents
from indexer.manifest import Manifest, PastVersion
from indexer.typicality.profile import PROFILE, TypicalityProfile, fit_profile, turned
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


def joined_names(lists: Iterable[str], mark: str) -> str:
    """Several lists of names as one, each name once."""
    return mark.join(dict.fromkeys(name for names in lists for name in names.split(mark)))


@dataclass(frozen=True, kw_only=True)
class IndexPart:
    """Cases of an index that go into the new version."""

    index: Index
    without: frozenset[int] = frozenset()
    """Case ids that do not."""
    shift: int = 0
    """What their case ids are raised by."""

    def copy_cases(self, cases: CaseStore) -> None:
        cases.copy_from(self.index.path / CASES, without=self.without, shift=self.shift)

    def image_cases(self) -> np.ndarray:
        """(images,) case id of every image, in the order of the image vectors."""
        return np.fromiter((case_id for case_id, _ in self.index.cases.image_hashes()), np.int64)

    def contents(self) -> str:
        index = self.index
        if index.manifest.contents is None:
            vectors = (row for _, rows in index.vectors.blocks() for row in rows)
            pairs = zip(index.cases, vectors, strict=True)
            return contents.contents_of(
                pair for pair in pairs if pair[0].case_id not in self.without
            )
        left_out = index.cases.get(sorted(self.without))
        return contents.less(
            index.manifest.contents,
            contents.contents_of((case, index.vectors.vector(case.case_id)) for case in left_out),
        )


@dataclass(frozen=True, kw_only=True)
class VersionInfo:
    """What the manifest says besides what follows from the files."""

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
    withdrawn: tuple[str, ...] = ()
    history: tuple[PastVersion, ...] = ()

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """The same as a manifest says."""
        return cls(**{part.name: getattr(manifest, part.name) for part in fields(cls)})


def assemble(
    draft: Path,
    parts: Sequence[IndexPart],
    batches: Iterable[Mapping[str, Any]],
    about: VersionInfo,
    *,
    image_profile: TypicalityProfile | None = None,
    vector_options: VectorOptions | None = None,
) -> Manifest:
    """Write everything that belongs beside ``cases.sqlite``, and tell what the manifest is.

    Batches have arrays ``ids``, ``vectors`` and ``image_vectors``, a number ``contents`` and those
    of a `ThumbnailSample`; their ids follow those of the parts. ``image_profile`` came with stored
    vectors; ``vector_options`` may differ from those remembered for later versions. Raises
    UserError where nothing is left or the vectors fail their options.
    """
    with CaseStore.open(draft / CASES) as cases:
        studies, images = cases.count(), cases.image_count()
    if studies == 0:
        raise UserError("the index would hold no study: delete its directory instead")
    held, sample = _copy_rows(draft, parts, batches, (studies, images), about.encoder.dim)
    spec = build_vectors(draft, vector_options or about.vector_options)
    profile = _profile(draft, spec, sample, images) or image_profile or _inherited(parts)
    (draft / SAMPLE).unlink(missing_ok=True)
    if sample.images:
        sample.write(draft / SAMPLE)
    (draft / PROFILE).unlink(missing_ok=True)
    if profile is not None:
        profile.write(draft / PROFILE)
    return Manifest(
        **describe_files(draft),
        fingerprint=contents.fingerprint(held, about.encoder),
        created_at=about.created_at,
        source=about.source,
        split=about.split,
        studies=studies,
        images=images,
        skipped=dict(about.skipped),
        encoder=about.encoder,
        metric="cosine",
        labeller_version=about.labeller_version,
        licence=about.licence,
        version=about.version,
        made_by=about.made_by,
        contents=held,
        vector_options=about.vector_options,
        vectors=spec,
        image_quantiles=None if profile is None else profile.quantiles,
        withdrawn=about.withdrawn,
        history=about.history,
    )


def describe_files(draft: Path) -> dict[str, Any]:
    """What a manifest says of the files; others, which SQLite may leave on a full disk, go."""
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
    """The sum of the contents, and the sample of the images."""
    studies, images = counts
    held, sample = contents.NOTHING, ThumbnailSample.none()
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
            held = contents.joined(held, part.contents())
            known = part.index.read_sample()
            gone = min(known.images, int((~image_kept).sum()))
            sample = sample.joined(known.without(part.without, images=gone).shifted(part.shift))
        for batch in batches:
            ids.append(batch["ids"])
            vectors.append(batch["vectors"])
            image_vectors.append(batch["image_vectors"])
            held = contents.joined(held, str(batch["contents"]))
            sample = sample.joined(ThumbnailSample.from_arrays(batch))
    return held, sample


def _profile(
    draft: Path, spec: VectorSpec, sample: ThumbnailSample, images: int
) -> TypicalityProfile | None:
    """Fitted where at least half of the images were read, by this index or those it is made of."""
    if 2 * sample.images < images:
        return None
    with CaseStore.open(draft / CASES) as cases:
        image_cases = np.fromiter((case_id for case_id, _ in cases.image_hashes()), np.int64)
    rows = np.searchsorted(image_cases, sample.case_ids) + sample.positions
    return fit_profile(
        map_rows(draft / IMAGE_VECTORS)[rows].astype(np.float32),
        turned(sample.outlines.astype(np.float32)),
        sample.case_ids,
        open_vectors(draft, spec),
    )


def _inherited(parts: Sequence[IndexPart]) -> TypicalityProfile | None:
    """Of the part with the most images that has one."""
    for part in sorted(parts, key=lambda part: -part.index.manifest.images):
        profile = part.index.read_profile()
        if profile is not None:
            return profile
    return None
