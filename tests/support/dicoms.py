"""Small DICOM files around drawn images."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    generate_uid,
)


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
