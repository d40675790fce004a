"""Small DICOM files around drawn images."""

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

UID_ROOT = "1.2.826.0.1.3680043.8.498"


def write_dicom(
    path: Path,
    pixels: npt.NDArray[np.generic],
    *,
    syntax: UID = ExplicitVRLittleEndian,
    file_format: bool = True,
    **attributes: Any,
) -> Path:
    """Write one radiograph and return its path.

    ``pixels`` (height, width) or (height, width, 3), 8 or 16 bits, signed or not. ``syntax`` may be
    native, JPEG baseline, or whatever pydicom compresses (RLE, JPEG 2000). ``file_format`` False
    leaves out preamble and file meta. ``attributes`` are DICOM keywords; None takes one out.
    """
    dataset = chest_dataset(pixels)
    for keyword, value in attributes.items():
        if value is not None:
            with warnings.catch_warnings(
                action="ignore"
            ):  # machines write values that are not allowed
                setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    if syntax == JPEGBaseline8Bit:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=92)
        dataset.PixelData = encapsulate([out.getvalue()])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
        dataset.compress(syntax, generate_instance_uid=False)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian and "PixelData" in dataset and pixels.itemsize == 2:
        dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    if file_format:
        dataset.save_as(path, enforce_file_format=True)
    else:
        del dataset.file_meta
        implicit = syntax == ImplicitVRLittleEndian
        little = syntax != ExplicitVRBigEndian
        with path.open("wb") as file:
            pydicom.dcmwrite(file, dataset, implicit_vr=implicit, little_endian=little)
    return path


def slow_dicom(folder: Path) -> bytes:
    """A file within all limits whose run lengths take about half a minute to add up."""
    image = np.zeros((64, 64), np.uint8)
    data = write_dicom(folder / "slow.dcm", image, syntax=RLELossless).read_bytes()
    start = data.index(b"\xe0\x7f\x10\x00OB")
    segment = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x80" * 60_000_000  # of no effect
    fragments = [b"", segment]
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(one)) + one for one in fragments)
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return data[: start + 12] + items + end


def chest_dataset(pixels: npt.NDArray[np.generic]) -> Dataset:
    """The header and pixels of a PA chest image of an invented patient."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["drawn"])
    dataset.PatientName = "Quixotic^Zebedee"
    dataset.PatientID = "MRN-31415926"
    dataset.PatientBirthDate = "19470203"
    dataset.Modality = "CR"
    dataset.BodyPartExamined = "CHEST"
    dataset.ViewPosition = "PA"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    bits = 8 * pixels.itemsize
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    return dataset


def code(value: str, scheme: str, meaning: str) -> Sequence:
    """A code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def item(kind: str, name: Sequence, content: Any = None) -> Dataset:
    """One content item of a structured report."""
    one = Dataset()
    one.RelationshipType, one.ValueType, one.ConceptNameCodeSequence = "CONTAINS", kind, name
    if kind == "TEXT":
        one.TextValue = content
    elif kind == "CODE":
        one.ConceptCodeSequence = content
    elif content is not None:
        one.ContentSequence = Sequence(content)
    return one


def write_sr(path: Path, study: str, content: list[Dataset], **attributes: Any) -> Path:
    """Write a structured report on the study ``UID_ROOT.study`` and return its path."""
    document = Dataset()
    document.file_meta = FileMetaDataset()
    document.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    document.SpecificCharacterSet = "ISO_IR 100"  # Latin-1
    document.SOPClassUID, document.Modality = BasicTextSRStorage, "SR"
    document.SOPInstanceUID = generate_uid(entropy_srcs=[path.stem])
    document.StudyInstanceUID = f"{UID_ROOT}.{study}"
    document.PatientID, document.PatientName = "P1", "Quixotic^Zebedee"
    document.ContentDate, document.ContentTime = "20240102", "101500"
    document.VerificationFlag, document.ValueType = "UNVERIFIED", "CONTAINER"
    document.ContentSequence = Sequence(content)
    for keyword, value in attributes.items():
        setattr(document, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    document.save_as(path, enforce_file_format=True)
    return path
