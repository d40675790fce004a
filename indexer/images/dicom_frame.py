"""Decode the single frame of a DICOM file, whose header may hide that there are several."""

from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import get_expected_length, pixel_array
from pydicom.uid import UID, JPEGLossless, JPEGLosslessSV1

from db.errors import UserError
from indexer.images.codestream import Codestream, check_codestream
from indexer.images.stored_values import Stored

_LOSSLESS_JPEG = (JPEGLossless, JPEGLosslessSV1)
_END_OF_IMAGE = b"\xff\xd9"


def decode_frame(dataset: Dataset, name: str) -> tuple[Stored, Codestream | None]:
    """Return pixels (height, width) or (height, width, 3), and what a compressed image states.

    Raises UserError for several frames and for a compressed image of another size.
    """
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    codestream = None
    if syntax.is_compressed:
        codestream = check_codestream(
            dataset.PixelData,
            syntax,
            width=int(dataset.Columns),
            height=int(dataset.Rows),
            samples=int(dataset.get("SamplesPerPixel") or 1),
            bits_allocated=int(dataset.BitsAllocated),
            name=name,
        )
    else:
        _check_length(dataset, name)
    if codestream is not None and codestream.samples == 1 and syntax in _LOSSLESS_JPEG:
        return _lossless_jpeg(dataset, codestream, name), codestream
    stored: Stored = pixel_array(
        dataset,
        correct_unused_bits=False,
        decoding_plugin="pylibjpeg" if syntax.is_compressed else "",
    )
    return stored, codestream


def _check_length(dataset: Dataset, name: str) -> None:
    """Refuse uncompressed pixels of two frames or more; less than one is refused by pydicom."""
    dataset.SamplesPerPixel = int(dataset.get("SamplesPerPixel") or 1)
    frames = len(dataset.PixelData) // max(1, get_expected_length(dataset))
    if frames > 1:
        raise UserError(
            f"{name} holds the pixels of {frames} frames, though its header declares one: send one "
            "radiograph per file"
        )


def _lossless_jpeg(dataset: Dataset, codestream: Codestream, name: str) -> Stored:
    """Decode with libjpeg-turbo: pylibjpeg limits sums that T.81 H.2.1 lets wrap around.

    Either decoder fills an image that is cut short with one grey, so its end is looked for.
    """
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    if not frame.rstrip(b"\0").endswith(_END_OF_IMAGE):
        raise UserError(f"{name} is damaged: its compressed image is cut short; export it again")
    from imagecodecs import jpeg8_decode  # slow to import

    decoded = jpeg8_decode(frame)
    wrapped: Stored = decoded & decoded.dtype.type(2 ** (codestream.precision or 16) - 1)
    return wrapped
