"""Measure one image, and find identifying attributes in its DICOM header."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

from db.errors import UserError
from db.index.store import ViewPosition
from indexer.encoder.weight_files import file_sha256
from indexer.images.dicom import is_dicom
from indexer.images.radiograph import Grey, Limits, quiet_decoders
from indexer.images.reader import difference_hash
from indexer.ingest.studies import read_image
from indexer.sources.records import ImageRecord

THUMBNAIL = 16
"""Side length of the thumbnails that are compared, in pixels."""
_SHOWN = 160

IDENTIFYING = (
    "PatientName",
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "OtherPatientIDs",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "InstitutionName",
    "InstitutionAddress",
)
"""DICOM attributes that de-identification must empty (PS3.15, Table E.1-1)."""


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """The measurements of one readable image."""

    path: Path
    view_position: ViewPosition | None
    file_sha256: str
    pixels_sha256: str
    dhash: int
    width: int
    height: int
    mean: float
    """Mean grey level, 0 to 255."""
    contrast: float
    """Standard deviation of the grey levels."""
    black: float
    """Share of pixels at 0."""
    white: float
    """Share of pixels at 255."""
    thumbnail: bytes
    """16 x 16 grey levels."""
    identifying: tuple[str, ...]
    """Non-empty attributes of `IDENTIFYING`, and ``BurnedInAnnotation`` if the header says YES."""


def read_facts(image: ImageRecord, limits: Limits) -> ImageFacts:
    """Read one image as an index build would, and measure it.

    Raises UserError if the image cannot be read.
    """
    radiograph = read_image(image, limits)
    pixels = radiograph.pixels
    height, width = pixels.shape
    small = Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return ImageFacts(
        path=image.path,
        view_position=image.view_position or radiograph.view_position,
        file_sha256=_file_digest(image.path),
        pixels_sha256=radiograph.sha256,
        dhash=difference_hash(pixels),
        width=width,
        height=height,
        mean=float(pixels.mean()),
        contrast=float(pixels.std()),
        black=float((pixels == 0).mean()),
        white=float((pixels == 255).mean()),
        thumbnail=np.asarray(small).tobytes(),
        identifying=tuple(_identifying(image.path)),
    )


def thumbnail_jpeg(pixels: Grey) -> bytes:
    """Encode a JPEG whose longer side is 160 pixels, for the HTML page."""
    image = Image.fromarray(pixels)
    image.thumbnail((_SHOWN, _SHOWN), Image.Resampling.BOX)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def _file_digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error


def _identifying(path: Path) -> Iterator[str]:
    with path.open("rb") as stream:
        if not is_dicom(stream.read(132)):
            return
    try:
        with quiet_decoders():
            header = pydicom.dcmread(
                path,
                stop_before_pixels=True,
                force=True,
                specific_tags=[*IDENTIFYING, "BurnedInAnnotation"],
            )
            for keyword in IDENTIFYING:
                if str(header.get(keyword) or "").strip(" ^"):
                    yield keyword
            if str(header.get("BurnedInAnnotation") or "") == "YES":
                yield "BurnedInAnnotation"
    except Exception:  # pydicom raises almost anything on damage; the image itself was read
        return
