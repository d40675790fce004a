"""DICOM files whose header and pixels disagree, and headers that are not as the standard says."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, JPEG2000Lossless, JPEGLosslessSV1, RLELossless

from db.errors import UserError
from indexer.images.dicom_header import read_view
from indexer.images.header_numbers import header_numbers
from indexer.images.reader import Limits, Radiograph, read_radiograph
from tests.support.dicoms import chest_dataset, write_dicom
from tests.support.radiographs import draw_radiograph, similarity

RADIOGRAPH = draw_radiograph(3, size=(256, 210))
DEEP = (RADIOGRAPH.astype(np.uint16) << 4) + 40  # 12 bits
TWELVE = {"BitsStored": 12, "HighBit": 11}


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def write_and_read(pixels: np.ndarray, **attributes: Any) -> Radiograph:
        return read_radiograph(write_dicom(tmp_path / "image.dcm", pixels, **attributes))

    return write_and_read


@pytest.fixture
def plain(read: Any) -> np.ndarray:
    """RADIOGRAPH as it is read from a file with a sound header."""
    pixels: np.ndarray = read(RADIOGRAPH).pixels
    return pixels


def with_frames(path: Path, frames: list[bytes], syntax: UID, **attributes: Any) -> Path:
    """Write frames that are compressed already under the header of a chest image."""
    dataset = chest_dataset(DEEP)
    for keyword, value in {**TWELVE, **attributes}.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("stated", [None, 1])
def test_more_pixels_than_one_frame_are_refused(
    tmp_path: Path, count: int, stated: int | None
) -> None:
    dataset = chest_dataset(DEEP)
    dataset.PixelData = DEEP.tobytes() * count
    if stated:
        dataset.NumberOfFrames = stated
    dataset.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    with pytest.raises(UserError, match=f"{count} frames, though its header declares one"):
        read_radiograph(tmp_path / "image.dcm")


def test_a_few_bytes_after_the_pixels_are_ignored(tmp_path: Path) -> None:
    dataset = chest_dataset(DEEP)
    dataset.PixelData = DEEP.tobytes() + bytes(64)
    dataset.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    assert similarity(read_radiograph(tmp_path / "image.dcm").pixels, RADIOGRAPH) > 0.98


@pytest.mark.parametrize("with_table", [True, False])
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless, JPEGLosslessSV1])
def test_several_compressed_frames_are_refused(
    tmp_path: Path, syntax: UID, with_table: bool
) -> None:
    if syntax == RLELossless:
        dataset = chest_dataset(DEEP)
        dataset.compress(RLELossless, generate_instance_uid=False)
        frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    elif syntax == JPEG2000Lossless:
        frame = imagecodecs.jpeg2k_encode(DEEP, codecformat="j2k", bitspersample=12)
    else:
        frame = imagecodecs.jpeg8_encode(DEEP, lossless=True, predictor=1, bitspersample=12)
    path = with_frames(tmp_path / "image.dcm", [frame, frame], syntax)
    if not with_table:
        dataset = pydicom.dcmread(path)
        dataset.PixelData = encapsulate([frame, frame], has_bot=False)
        dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(UserError, match="2 frames"):
        read_radiograph(path)


@pytest.mark.parametrize("bits", [8, 9, 10, 11])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless])
def test_too_few_stated_bits_do_not_cut_values_off(
    tmp_path: Path, bits: int, syntax: UID | None
) -> None:
    path = write_dicom(tmp_path / "image.dcm", DEEP, **TWELVE)
    dataset = pydicom.dcmread(path)
    if syntax is not None:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.save_as(path, enforce_file_format=True)
    image = read_radiograph(path)
    assert similarity(image.pixels, RADIOGRAPH) > 0.98
    assert f"values take more than the {bits} bits that the header states" in image.notes


def test_values_that_use_all_bits_are_read_whole_where_twelve_are_stated(read: Any) -> None:
    whole = RADIOGRAPH.astype(np.uint16) * 257
    assert similarity(read(whole, **TWELVE).pixels, RADIOGRAPH) > 0.98


@pytest.mark.parametrize("position", [12, 15])
def test_an_overlay_in_unused_bits_stays_out_of_the_image(read: Any, position: int) -> None:
    drawn = DEEP.copy()
    drawn[40:60, 30:90] |= np.uint16(1 << position)
    plain = read(DEEP, **TWELVE)
    undeclared = read(drawn, **TWELVE)
    assert np.array_equal(undeclared.pixels, plain.pixels)
    assert undeclared.notes == plain.notes


def test_negative_values_with_sign_extension_keep_the_stated_bits(read: Any) -> None:
    signed = DEEP.astype(np.int16) - 2048
    image = read(signed, **TWELVE)
    assert np.array_equal(image.pixels, read(DEEP, **TWELVE).pixels)
    assert not any("bits that the header states" in note for note in image.notes)


@pytest.mark.parametrize("signed_stream", [True, False])
def test_the_sign_that_gives_a_smooth_image_counts_in_jpeg_2000(
    tmp_path: Path, signed_stream: bool
) -> None:
    values = DEEP.astype(np.int16) - 2048 if signed_stream else DEEP
    frame = imagecodecs.jpeg2k_encode(values, codecformat="j2k", bitspersample=12)
    path = with_frames(
        tmp_path / "image.dcm",
        [frame],
        JPEG2000Lossless,
        PixelRepresentation=0 if signed_stream else 1,
    )
    image = read_radiograph(path)
    assert similarity(image.pixels, RADIOGRAPH) > 0.98
    assert "header is wrong on whether values may be negative" in image.notes


def test_negative_values_in_an_unsigned_jpeg_2000_stream_follow_the_header(tmp_path: Path) -> None:
    wrapped = ((DEEP.astype(np.int32) - 2048) % 4096).astype(np.uint16)
    frame = imagecodecs.jpeg2k_encode(wrapped, codecformat="j2k", bitspersample=12)
    path = with_frames(tmp_path / "image.dcm", [frame], JPEG2000Lossless, PixelRepresentation=1)
    image = read_radiograph(path)
    assert similarity(image.pixels, RADIOGRAPH) > 0.98
    assert not any("negative" in note for note in image.notes)


def test_unsigned_values_under_a_signed_header_are_not_split_in_halves(read: Any) -> None:
    image = read(DEEP, PixelRepresentation=1, **TWELVE)
    assert similarity(image.pixels, RADIOGRAPH) > 0.98


def test_differences_that_wrap_around_in_lossless_jpeg_are_added_up(tmp_path: Path) -> None:
    pixels = RADIOGRAPH.astype(np.uint16) * 257
    pixels[::8, ::8] = 65535 - pixels[::8, ::8]  # leaps of more than half the range
    frame = imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=16)
    sixteen = {"BitsStored": 16, "HighBit": 15}
    path = with_frames(tmp_path / "image.dcm", [frame], JPEGLosslessSV1, **sixteen)
    native = read_radiograph(write_dicom(tmp_path / "native.dcm", pixels))
    assert np.array_equal(read_radiograph(path).pixels, native.pixels)


def test_a_lossless_jpeg_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    frame = imagecodecs.jpeg8_encode(DEEP, lossless=True, predictor=1, bitspersample=12)
    for share in (0.3, 0.6, 0.95):
        part = frame[: int(len(frame) * share)]
        path = with_frames(tmp_path / "image.dcm", [part], JPEGLosslessSV1)
        with pytest.raises(UserError, match="damaged"):
            read_radiograph(path)


@pytest.mark.parametrize(
    "stated",
    [
        {"RescaleSlope": "", "RescaleIntercept": ""},
        {"RescaleSlope": "", "RescaleIntercept": "-100"},
        {"RescaleSlope": "1"},
        {"WindowCenter": "", "WindowWidth": ""},
        {"PixelSpacing": ""},
    ],
)
def test_an_empty_number_counts_as_not_stated(read: Any, stated: dict[str, str]) -> None:
    assert np.array_equal(read(DEEP, **TWELVE, **stated).pixels, read(DEEP, **TWELVE).pixels)


def test_a_rescale_slope_of_zero_is_not_used(read: Any) -> None:
    image = read(DEEP, RescaleSlope="0", RescaleIntercept="5", **TWELVE)
    assert similarity(image.pixels, RADIOGRAPH) > 0.98
    assert "rescale of the file not used: it is not valid" in image.notes


def with_bytes(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    return path


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    squeezed = np.ascontiguousarray(RADIOGRAPH[::2])
    path = write_dicom(tmp_path / "image.dcm", squeezed, PixelSpacing=["0.4", "0.2"])
    with_bytes(path, b"0.4\\0.2", b"0,4\\0,2")
    height, width = read_radiograph(path).pixels.shape
    assert width / height == pytest.approx(210 / 256, abs=0.01)
    rescaled = write_dicom(tmp_path / "image.dcm", RADIOGRAPH, RescaleSlope="-2.5")
    with_bytes(rescaled, b"-2.5", b"-2,5")
    assert similarity(read_radiograph(rescaled).pixels, RADIOGRAPH) < -0.9


@pytest.mark.parametrize(
    ("stated", "numbers"),
    [
        (b"0,2\\0,2 ", [0.2, 0.2]),
        (b"0.2,0.4 ", [0.2, 0.4]),
        (b"1,5e-1", [0.15]),
        (b"\\0.4", []),
        (b"NaN\\1 ", []),
        (b"wide", []),
        (b"", []),
    ],
)
def test_numbers_of_a_header_are_read_or_left_out(stated: bytes, numbers: list[float]) -> None:
    dataset = Dataset()
    tag = pydicom.tag.Tag("PixelSpacing")
    dataset._dict[tag] = pydicom.dataelem.RawDataElement(
        tag, "DS", len(stated), stated, 0, False, True
    )
    assert header_numbers(dataset, "PixelSpacing") == numbers


@pytest.mark.parametrize(
    ("spacing", "is_squeezed"),
    [
        ({"NominalScannedPixelSpacing": ["0.4", "0.2"]}, True),
        ({"PixelSpacing": ["0.2", "0.2"], "PixelAspectRatio": ["2", "1"]}, False),
        ({"ImagerPixelSpacing": ["0.4", "0.2"], "PixelAspectRatio": ["1", "1"]}, True),
        ({"PixelAspectRatio": ["2", "1"]}, True),
        ({"PixelAspectRatio": "1"}, False),
        ({"PixelAspectRatio": "1", "PixelSpacing": ["0.4", "0.2"]}, True),
        ({"PixelSpacing": ["0.4"], "ImagerPixelSpacing": ["0.4", "0.2"]}, True),
    ],
)
def test_spacing_comes_before_the_aspect_ratio(
    read: Any, spacing: dict[str, Any], is_squeezed: bool
) -> None:
    image = read(np.ascontiguousarray(RADIOGRAPH[::2]), **spacing)
    height, width = image.pixels.shape
    assert width / height == pytest.approx(210 / 256 if is_squeezed else 210 / 128, abs=0.01)


@pytest.mark.parametrize("view", ["PA", "AP"])
@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (["L", "F"], RADIOGRAPH),
        (["R", "F"], RADIOGRAPH[:, ::-1]),
        (["L", "H"], RADIOGRAPH[::-1]),
        (["R", "H"], RADIOGRAPH[::-1, ::-1]),
        (["F", "L"], RADIOGRAPH.T),
        (["F", "R"], RADIOGRAPH[:, ::-1].T),
        (["H", "L"], RADIOGRAPH[::-1].T),
        (["H", "R"], RADIOGRAPH[::-1, ::-1].T),
        (["RA", "FP"], RADIOGRAPH[:, ::-1]),
    ],
)
def test_a_mirrored_or_turned_frontal_image_is_put_right(
    read: Any, plain: np.ndarray, orientation: list[str], stored: np.ndarray, view: str
) -> None:
    image = read(np.ascontiguousarray(stored), PatientOrientation=orientation, ViewPosition=view)
    assert np.array_equal(image.pixels, plain)
    assert any("PatientOrientation" in note for note in image.notes) == (stored is not RADIOGRAPH)


def test_a_lateral_image_is_turned_and_never_mirrored(read: Any, plain: np.ndarray) -> None:
    for orientation in (["A", "F"], ["P", "F"]):
        assert np.array_equal(read(RADIOGRAPH, PatientOrientation=orientation).pixels, plain)
    turned = np.ascontiguousarray(np.rot90(RADIOGRAPH, 2))
    assert np.array_equal(read(turned, PatientOrientation=["A", "H"]).pixels, plain)


@pytest.mark.parametrize("orientation", ["", "L", ["L", "R"], ["?", "F"]])
def test_an_orientation_that_says_nothing_changes_nothing(
    read: Any, plain: np.ndarray, orientation: Any
) -> None:
    image = read(RADIOGRAPH, PatientOrientation=orientation)
    assert np.array_equal(image.pixels, plain) and image.notes == ()


def test_an_orientation_of_an_axial_image_is_noted(read: Any) -> None:
    (note,) = read(RADIOGRAPH, PatientOrientation=["L", "P"]).notes
    assert "neither a frontal nor a lateral" in note


@pytest.mark.parametrize(
    ("words", "view"),
    [
        ("postero-anterior", "PA"),
        ("ANTERO-POSTERIOR", "AP"),
        ("Posteroanterior", "PA"),
        ("postéro-antérieur", "PA"),
        ("Antéro-postérieure debout", "AP"),
        ("póstero-anterior", "PA"),
        ("anteroposteriore", "AP"),
        ("p.a.", "PA"),
        ("a.-p.", "AP"),
        ("P/A erect", "PA"),
        ("Thorax dorso-ventral", "PA"),
        ("left lateral", "LATERAL"),
        ("L", "LATERAL"),
        ("R", "LATERAL"),
        ("profil", "LATERAL"),
        ("seitlich", "LATERAL"),
        ("latero-lateral", "LATERAL"),
        ("chest_frontal", "FRONTAL"),
        ("left anterior oblique", None),
        ("oblique", None),
        ("apical", None),
        ("unknown", None),
        ("L spine", None),
    ],
)
def test_views_written_in_full_are_read(words: str, view: str | None) -> None:
    assert read_view(words) == view


def test_the_code_of_the_view_counts_where_no_position_is_stated(read: Any) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "399348003", "SCT"
    code.CodeMeaning = "antero-posterior"
    stated = {"ViewCodeSequence": Sequence([code])}
    assert read(RADIOGRAPH, ViewPosition=None, **stated).view_position == "AP"
    assert read(RADIOGRAPH, ViewPosition="PA", **stated).view_position == "PA"


@pytest.mark.parametrize(("stated", "told"), [("YES", True), ("NO", False), ("", False)])
def test_text_burned_into_the_image_is_told(read: Any, stated: str, told: bool) -> None:
    notes = read(RADIOGRAPH, BurnedInAnnotation=stated).notes
    assert any("burned into the image" in note for note in notes) == told


@pytest.mark.parametrize("header", [{"Modality": "CT"}, {"BodyPartExamined": "ABDOMEN"}])
def test_another_modality_or_body_part_is_read_only_on_demand(
    tmp_path: Path, plain: np.ndarray, header: dict[str, str]
) -> None:
    path = write_dicom(tmp_path / "image.dcm", RADIOGRAPH, **header)
    with pytest.raises(UserError, match="chest X-ray"):
        read_radiograph(path)
    image = read_radiograph(path, limits=Limits(accept_as_chest=True))
    assert np.array_equal(image.pixels, plain)
    assert "read as a chest X-ray" in image.notes[0]
