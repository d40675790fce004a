"""Decode the single frame of a DICOM chest radiograph to 8-bit grey with dark lungs."""

import io
import zlib
from dataclasses import dataclass

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import PersonName

from db.errors import TooLargeError, UserError
from indexer.images.contrast import to_grey
from indexer.images.deep_grey import colour_note
from indexer.images.dicom_elements import check_elements
from indexer.images.dicom_frame import decode_frame
from indexer.images.dicom_geometry import pixel_size, square_pixels, upright
from indexer.images.dicom_header import check_header, subject_of, view_position
from indexer.images.dicom_voi import file_windows, monochrome
from indexer.images.radiograph import (
    Display,
    Grey,
    LargeImageError,
    Limits,
    Radiograph,
    out_of_memory,
    quiet_decoders,
)
from indexer.images.stored_values import Stored, stored_values

_PREAMBLE = 128
_LONGEST_UID = 64
_META_START = b"\x02\x00"
_GROUP_STARTS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")


def is_dicom(data: bytes) -> bool:
    """Return whether data has the PS3.10 marker or starts with group 0002 or 0008."""
    return data[_PREAMBLE : _PREAMBLE + 4] == b"DICM" or data[:2] in _GROUP_STARTS


def decode(data: bytes, name: str, limits: Limits) -> Radiograph:
    """Decode the single frame of a radiograph.

    Raises UserError (TooLargeError above a limit) with ``name`` and no patient data.
    """
    try:
        return _decode(data, name, limits)
    except UserError:
        raise
    except MemoryError as error:
        raise out_of_memory(name) from error
    except Exception as error:  # pydicom and its decoders raise almost anything on damage
        raise UserError(
            f"{name} is a DICOM file that is damaged, cut short or encoded in a way that cannot be "
            "read: export it again, uncompressed if that is possible"
        ) from error


def _decode(data: bytes, name: str, limits: Limits) -> Radiograph:
    dataset = open_dataset(data, name, limits)
    notes: list[str] = []
    check_header(dataset, name, limits, notes)
    stored, codestream = decode_frame(dataset, name)
    if stored.ndim == 3:
        pixels = _colour(stored, int(dataset.BitsStored), notes)
    elif dataset.PhotometricInterpretation == "PALETTE COLOR":
        table = apply_color_lut(stored, dataset)
        pixels = _colour(table, 8 * table.dtype.itemsize, notes)
    else:
        values = stored_values(stored, dataset, codestream, notes)
        pixels = monochrome(values, dataset, notes, window=limits.window)
    pixels = square_pixels(pixels, dataset, notes)
    size, windows = pixel_size(pixels, dataset), file_windows(dataset)
    _check_window(limits.window, len(windows), name)
    pixels = upright(pixels, dataset, notes)
    return Radiograph(
        pixels=pixels,
        view_position=view_position(dataset),
        notes=tuple(notes),
        subject=subject_of(dataset),
        display=Display(
            pixel_mm=None if size is None else size.millimetres,
            plane=None if size is None else size.plane,
            windows=windows,
        ),
    )


def _check_window(wanted: int | None, there: int, name: str) -> None:
    if wanted is not None and not 1 <= wanted <= there:
        raise UserError(f"{name} has {there} windows of its own: there is no window {wanted}")


@dataclass(frozen=True, kw_only=True)
class Identifiers:
    """The UIDs that identify an instance; empty where the header does not state them."""

    study: str = ""
    sop_class: str = ""
    instance: str = ""


def read_identifiers(data: bytes, name: str, limits: Limits) -> Identifiers:
    """Read the UIDs of a file. Raises UserError if it is no DICOM file that can be read."""
    try:
        with quiet_decoders():
            if not is_dicom(data):
                raise UserError(f"{name} is not a DICOM file: send DICOM")
            dataset = open_dataset(data, name, limits)
            study, sop_class, instance = (
                str(dataset.get(keyword) or "")[:_LONGEST_UID]
                for keyword in ("StudyInstanceUID", "SOPClassUID", "SOPInstanceUID")
            )
    except UserError:
        raise
    except MemoryError as error:
        raise out_of_memory(name) from error
    except Exception as error:
        raise UserError(f"{name} is a DICOM file that is damaged: export it again") from error
    return Identifiers(study=study, sop_class=sop_class, instance=instance)


STUDY_KEYWORDS = (
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber"),
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "ReferringPhysicianName"),
)
_LONGEST_VALUE = 256
"""Characters; the standard allows 64 in each of the three parts of a name."""

StudyAttributes = dict[str, str | None]
"""Keyword to value without padding: empty where the header has none, None for several values, for
one that is no text, and for one that is longer than any may be."""


def read_study_attributes(data: bytes, name: str, limits: Limits) -> StudyAttributes:
    """Read the `STUDY_KEYWORDS` of a file, within the limits on bytes and elements.

    Raises TooLargeError above a limit, and UserError if it is no DICOM file that can be read.
    """
    with quiet_decoders():
        try:
            if is_dicom(data):
                dataset = open_dataset(data, name, limits)
                return {keyword: _text(dataset, keyword) for keyword in STUDY_KEYWORDS}
        except TooLargeError:
            raise
        except MemoryError as error:
            raise out_of_memory(name) from error
        except Exception:  # the message may quote the header
            pass
    raise UserError(
        f"{name} is not a DICOM file, so it names no study: send the image's DICOM file"
    )


def _text(dataset: Dataset, keyword: str) -> str | None:
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom raises almost anything on an invalid element
        return None
    if value is None:
        return ""
    text = str(value).strip(" \0") if isinstance(value, str | PersonName) else None
    return None if text is None or len(text) > _LONGEST_VALUE else text


def open_dataset(data: bytes, name: str, limits: Limits) -> Dataset:
    """Read the data set, inflating a deflated one, within the limits on bytes and elements."""
    marked = data[_PREAMBLE : _PREAMBLE + 4] == b"DICM"
    stream = io.BytesIO(data)
    stream.seek(_PREAMBLE + 4 if marked else 0)
    syntax = None
    if marked or data.startswith(_META_START):
        meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
        syntax = meta.get("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        inflated = inflater.decompress(data[stream.tell() :], limits.max_bytes)
        if inflater.unconsumed_tail:
            raise LargeImageError(
                f"{name} inflates to more than {limits.max_bytes:,} bytes: send a smaller file"
            )
        check_elements(inflated, name, limits)
        return _with_syntax(read_dataset(io.BytesIO(inflated), False, True), False, True)
    start = stream.tell()
    big_endian = syntax == ExplicitVRBigEndian or data[start : start + 1] == b"\0"
    check_elements(data, name, limits, start=start, little_endian=not big_endian)
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, little = dataset.original_encoding
        return _with_syntax(dataset, bool(implicit), little is not False)
    return dataset


def _with_syntax(dataset: Dataset, implicit: bool, little_endian: bool) -> Dataset:
    dataset.file_meta = FileMetaDataset()
    explicit = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _colour(samples: Stored, bits: int, notes: list[str]) -> Grey:
    """Convert (height, width, 3) to luminance (ITU-R 601)."""
    height, width = samples.shape[:2]
    few = samples[:: max(1, height // 64), :: max(1, width // 64), :3]
    notes.append(colour_note(few * (255 / (2**bits - 1))))
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return to_grey(samples[..., :3] @ (weights / np.float32(2**bits - 1)))
