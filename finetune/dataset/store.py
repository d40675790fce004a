"""Every distinct image of a data set: where it is, what it looks like, and how a study is shown.

    images = StudyImages()
    study = images.add([Path("pa.dcm"), Path("lateral.dcm")])    # opened and checked
    images.canvas(study, side=560)                               # as the service shows them

Images that a row holds itself are kept in a temporary file and not in memory.
"""

import hashlib
import tempfile
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.errors import UserError
from finetune.dataset.images import Images
from generator.study_canvas import MAX_VIEWS, frontal_first, study_canvas
from indexer.encoder.spec import Encoder
from indexer.images.radiograph import Radiograph
from indexer.images.reader import difference_hash, read_radiograph


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """One image file."""

    path: Path | None
    start: int
    """Of its bytes in the temporary file, without a path."""
    length: int
    sha256: str
    """Of the file."""
    pixels_sha256: str
    dhash: int

    @property
    def name(self) -> str:
        return self.path.name if self.path else f"the image {self.sha256[:8]}"


@dataclass(kw_only=True, eq=False)
class StudyImages:
    """Images and the studies they make up, both by number."""

    files: list[StoredImage] = field(default_factory=list)
    studies: list[tuple[int, ...]] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Width and height."""
    crowded: int = 0
    """Studies with more images than a canvas shows."""
    _numbers: dict[Path | str, int] = field(default_factory=dict)
    _study_numbers: dict[tuple[int, ...], int] = field(default_factory=dict)
    _kept: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        weakref.finalize(self, self._kept.close)

    def add(self, images: Images) -> int:
        """The number of a study. Raises UserError for an image that the service would refuse."""
        numbers = tuple(self._add(image) for image in images)
        if numbers not in self._study_numbers:
            self._study_numbers[numbers] = len(self.studies)
            self.studies.append(numbers)
            self.crowded += len(numbers) > MAX_VIEWS
        return self._study_numbers[numbers]

    def canvas(self, study: int, side: int) -> Image.Image:
        """The images of a study as the service shows them to the model: grey, side by side."""
        radiographs = [self._read(self.files[number]) for number in self.studies[study]]
        return study_canvas([image.pixels for image in frontal_first(radiographs)], side)

    def digest(self, study: int) -> str:
        """Names the files of a study, whatever they are called."""
        return "\0".join(self.files[number].sha256 for number in self.studies[study])

    def embed(self, encoder: Encoder, numbers: Sequence[int]) -> npt.NDArray[np.float32]:
        """Unit vectors of images, (n, dim)."""
        pixels = [self._read(self.files[number]).pixels for number in numbers]
        return np.asarray(encoder.embed_images(pixels).vectors, np.float32)

    def _add(self, image: Path | bytes) -> int:
        if isinstance(image, Path) and image in self._numbers:
            return self._numbers[image]
        radiograph = read_radiograph(image, name=image.name if isinstance(image, Path) else None)
        content = image.read_bytes() if isinstance(image, Path) else image
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 not in self._numbers:
            height, width = radiograph.pixels.shape
            self.sizes[width, height] += 1
            self._numbers[sha256] = len(self.files)
            self.files.append(
                StoredImage(
                    path=image if isinstance(image, Path) else None,
                    start=0 if isinstance(image, Path) else self._keep(image),
                    length=len(content),
                    sha256=sha256,
                    pixels_sha256=radiograph.sha256,
                    dhash=difference_hash(radiograph.pixels),
                )
            )
        if isinstance(image, Path):
            self._numbers[image] = self._numbers[sha256]
        return self._numbers[sha256]

    def _keep(self, content: bytes) -> int:
        try:
            start = self._kept.seek(0, 2)
            self._kept.write(content)
            self._kept.flush()
        except OSError as error:
            raise UserError(
                f"the images cannot be kept in {tempfile.gettempdir()} ({error.strerror}): set "
                "TMPDIR to a folder with more space"
            ) from error
        return start

    def _read(self, stored: StoredImage) -> Radiograph:
        if stored.path is not None:
            return read_radiograph(stored.path, name=stored.name)
        with self._lock:
            self._kept.seek(stored.start)
            content = self._kept.read(stored.length)
        return read_radiograph(content, name=stored.name)
