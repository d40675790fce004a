"""Verify that an index matches its manifest: files, rows, vectors and, on request, pixels.

    for problem in verify(Path("data/index"), pixels=True): ...

Nothing is changed. An older format, or an unfinished change beside a complete index, is not
reported as a problem.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from db.errors import UserError
from db.index.store import Case, CaseImage
from indexer.encoder.weight_files import file_sha256
from indexer.images.radiograph import Radiograph
from indexer.images.reader import read_radiograph, restore_size
from indexer.index import Index
from indexer.ingest.fingerprint import NO_CONTENTS, add_contents, fingerprint, sum_contents
from indexer.manifest import Manifest
from indexer.vectors.row_files import BLOCK_ROWS
from indexer.versions import Versions, current_folder

_LENGTH_ERROR = 3e-3  # tolerance for float16 vectors of a few hundred numbers
_NAMED = 5

Progress = Callable[[Iterable[Case], int], Iterable[Case]]
"""Wraps the cases, given their count, as ``tqdm`` does."""


def silently(cases: Iterable[Case], _total: int) -> Iterable[Case]:
    return cases


@dataclass(frozen=True, kw_only=True)
class IndexProblem:
    """One mismatch between an index and its manifest."""

    version: int
    what: str
    """A sentence that names the file, row or image."""


def verify(
    index_dir: Path,
    *,
    pixels: bool = False,
    progress: Progress = silently,
) -> list[IndexProblem]:
    """List the problems of every kept version, the current one first.

    Image files are looked up at their indexed paths; with ``pixels`` they are decoded and compared.
    Raises NotFoundError if there is no index and UserError if its manifest cannot be read.
    """
    Manifest.read(current_folder(index_dir))
    problems = []
    for folder, manifest in reversed(Versions(index_dir).kept().items()):
        found = _check(folder, manifest, pixels=pixels, progress=progress)
        problems += [IndexProblem(version=manifest.version, what=what) for what in found]
    return problems


def _check(folder: Path, manifest: Manifest, *, pixels: bool, progress: Progress) -> Iterator[str]:
    yield from _check_files(folder, manifest)
    try:
        index = Index.open(folder)
    except UserError as error:
        yield str(error)
        return
    try:
        damage = index.cases.damage()
        if damage is not None:
            yield f"{folder / 'cases.sqlite'} is damaged: {damage}"
            return
        yield from check_content(index, pixels=pixels, progress=progress)
    finally:
        index.close()


def check_content(index: Index, *, pixels: bool, progress: Progress) -> Iterator[str]:
    """Yield what vectors, cases and images have that the manifest does not describe."""
    yield from _check_vectors(index)
    yield from _check_cases(index, pixels=pixels, progress=progress)


def _check_files(folder: Path, manifest: Manifest) -> Iterator[str]:
    for name, size in manifest.file_bytes.items():
        path = folder / name
        if not path.is_file():
            yield f"{path} is missing"
        elif path.stat().st_size != size:
            yield f"{path} has {path.stat().st_size} bytes instead of {size}"
        elif name in manifest.file_sha256 and file_sha256(path) != manifest.file_sha256[name]:
            yield f"{path} was changed: its SHA-256 does not match the manifest"


def _check_vectors(index: Index) -> Iterator[str]:
    for ids, rows in index.vectors.blocks():
        for case_id in ids[_off_length(rows)]:
            yield f"the vector of case {case_id} is not of length 1"
    for start in range(0, len(index.image_vectors), BLOCK_ROWS):
        rows = index.image_vectors[start : start + BLOCK_ROWS].astype(np.float32)
        for place in np.flatnonzero(_off_length(rows)):
            yield f"the vector of image {start + place} is not of length 1"


def _off_length(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1)
    off: np.ndarray = ~(np.abs(lengths - 1) <= _LENGTH_ERROR)  # NaN counts as off
    return off


def _check_cases(index: Index, *, pixels: bool, progress: Progress) -> Iterator[str]:
    held = NO_CONTENTS
    lost, changed = [], []
    vectors = (pair for block in index.vectors.blocks() for pair in zip(*block, strict=True))
    cases = progress(index.cases, index.manifest.studies)
    for case, (case_id, vector) in zip(cases, vectors, strict=False):
        if case.case_id != case_id:
            yield f"case {case.case_id} (study {case.study_id}) has no vector"
            return
        held = add_contents(held, sum_contents([(case, vector)]))
        for number, image in enumerate(case.images, start=1):
            name = f"image {number} of study {case.study_id}"
            if image.path is None or not Path(image.path).is_absolute():
                continue
            if not Path(image.path).is_file():
                lost.append(f"{name} ({image.path})")
            elif pixels and not _same_pixels(image):
                changed.append(f"{name} ({image.path})")
    manifest = index.manifest
    if manifest.contents is not None:
        if held != manifest.contents:
            yield "cases and vectors are not those described by the manifest"
        if fingerprint(held, manifest.encoder) != manifest.fingerprint:
            yield "the fingerprint in the manifest does not match cases, vectors and encoder"
    for names, what in (
        (lost, "not at its indexed path (if the images moved: relocate)"),
        (changed, "no longer the image indexed"),
    ):
        yield from (f"{name} is {what}" for name in names[:_NAMED])
        if len(names) > _NAMED:
            yield f"and {len(names) - _NAMED} more: {what}"


def _same_pixels(image: CaseImage) -> bool:
    try:
        radiograph = read_radiograph(Path(str(image.path)))
    except UserError:
        return False
    size = (image.height, image.width)
    if radiograph.pixels.shape != size:
        stretched = restore_size(radiograph.pixels, image.width, image.height)
        radiograph = Radiograph(
            pixels=stretched, view_position=radiograph.view_position, notes=radiograph.notes
        )
    return radiograph.sha256 == image.pixels_sha256
