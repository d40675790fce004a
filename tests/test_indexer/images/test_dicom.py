import io
import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from db.errors import TooLargeError, UserError
from indexer.images.radiograph import reduced
from indexer.images.reader import Limits, Radiograph, encode_png, read_radiograph
from tests.support.dicoms import write_dicom
from tests.support.radiographs import draw_radiograph, similarity

RADIOGRAPH = draw_radiograph(3, size=(256, 210))
DEEP = (RADIOGRAPH.astype(np.uint16) << 4) + 40  # 12 bits
PATIENT = ("Quixotic", "Zebedee", "31415926", "19470203")


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def write_and_read(pixels: np.ndarray, **attributes: Any) -> Radiograph:
        return read_radiograph(write_dicom(tmp_path / "image.dcm", pixels, **attributes))

    return write_and_read


def real(name: str) -> str:
    """A file that comes with pydicom or pydicom-data."""
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} comes with the package pydicom-data")
    return str(path)


def as_chest_image(name: str) -> bytes:
    """A real file in a rare encoding under the header of a chest image."""
    dataset = pydicom.dcmread(real(name))
    dataset.Modality, dataset.BodyPartExamined = "CR", "CHEST"
    dataset.NumberOfFrames = 1
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def test_a_twelve_bit_image_comes_out_with_dark_lungs(read: Any) -> None:
    image = read(DEEP, BitsStored=12, HighBit=11)
    assert similarity(image.pixels, RADIOGRAPH) > 0.99
    assert image.pixels.dtype == np.uint8
    assert image.pixels.shape == RADIOGRAPH.shape
    assert image.view_position == "PA"


def test_monochrome1_is_inverted(read: Any) -> None:
    image = read(4095 - DEEP, BitsStored=12, HighBit=11, PhotometricInterpretation="MONOCHROME1")
    assert similarity(image.pixels, RADIOGRAPH) > 0.99
    eight = read(
        255 - RADIOGRAPH, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"
    )
    assert similarity(eight.pixels, RADIOGRAPH) > 0.99
    assert not any("contradicts" in note for note in eight.notes)


def test_presentation_lut_shape_inverse_inverts_monochrome2_with_a_note(read: Any) -> None:
    image = read(255 - RADIOGRAPH, PresentationLUTShape="INVERSE")
    assert similarity(image.pixels, RADIOGRAPH) > 0.99
    assert any("contradicts" in note for note in image.notes)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_every_depth_signed_or_not_is_read(read: Any, bits: int, signed: bool) -> None:
    values = RADIOGRAPH.astype(np.int64) * 2**bits // 256 - (2 ** (bits - 1) if signed else 0)
    dtype = np.dtype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")
    image = read(values.astype(dtype), BitsStored=bits, HighBit=bits - 1)
    assert similarity(image.pixels, RADIOGRAPH) > 0.99


def test_bits_outside_the_stored_ones_are_ignored(read: Any) -> None:
    overlay = np.zeros_like(DEEP)
    overlay[:40] = 1 << 15
    image = read(DEEP | overlay, BitsStored=12, HighBit=11)
    assert np.array_equal(image.pixels, read(DEEP, BitsStored=12, HighBit=11).pixels)


def test_a_high_bit_at_the_top_of_the_word_is_shifted_down(read: Any) -> None:
    image = read(DEEP << 4, BitsStored=12, HighBit=15)
    assert np.array_equal(image.pixels, read(DEEP, BitsStored=12, HighBit=11).pixels)


def test_rescale_with_a_negative_slope_inverts(read: Any) -> None:
    image = read(4095 - DEEP, BitsStored=12, HighBit=11, RescaleSlope=-0.5, RescaleIntercept=99)
    assert similarity(image.pixels, RADIOGRAPH) > 0.99


def window(function: str | None = None, **more: Any) -> dict[str, Any]:
    return {"WindowCenter": 128, "WindowWidth": 256, "VOILUTFunction": function, **more}


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT"])
def test_a_window_over_the_whole_range_leaves_eight_bits_as_they_are(
    read: Any, function: str | None
) -> None:
    image = read(RADIOGRAPH, **window(function))
    assert np.abs(image.pixels.astype(int) - RADIOGRAPH).max() <= 1
    assert image.notes == ()


def test_the_window_of_the_file_sets_the_contrast(read: Any) -> None:
    image = read(RADIOGRAPH, WindowCenter=["120", "60"], WindowWidth=["200", "40"])
    expected = np.clip((RADIOGRAPH.astype(float) - 20) / 200 * 255, 0, 255)
    assert np.abs(image.pixels - expected).max() < 2
    assert image.notes == ()


def test_a_sigmoid_window_bends_the_ends(read: Any) -> None:
    image = read(RADIOGRAPH, **window("SIGMOID", WindowWidth=160))
    expected = 255 / (1 + np.exp(-4 * (RADIOGRAPH.astype(float) - 128) / 160))
    assert np.abs(image.pixels - expected).max() < 1


def test_the_window_is_in_rescaled_values(read: Any) -> None:
    image = read(
        RADIOGRAPH, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=156, WindowWidth=512
    )
    assert np.abs(image.pixels.astype(int) - RADIOGRAPH).max() <= 1


@pytest.mark.parametrize(
    ("centre", "width", "why"),
    [(15000, 30000, "washed out"), (40, 20, "hide"), (900, 100, "hide"), (100, -3, "not valid")],
)
def test_a_window_that_does_not_show_the_image_is_left_out_with_a_note(
    read: Any, centre: float, width: float, why: str
) -> None:
    image = read(RADIOGRAPH, WindowCenter=centre, WindowWidth=width)
    assert similarity(image.pixels, RADIOGRAPH) > 0.98
    (note,) = (note for note in image.notes if "window" in note)
    assert why in note
    assert f"({centre}/{width})" in note


def test_black_background_does_not_count_as_hidden(read: Any) -> None:
    bordered = np.zeros((300, 420), np.uint8)
    bordered[22:278, 105:315] = RADIOGRAPH
    assert read(bordered, **window()).notes == ()


def test_an_invalid_window_is_ignored_with_a_note(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "image.dcm", RADIOGRAPH, WindowCenter="128", WindowWidth="256")
    path.write_bytes(path.read_bytes().replace(b"DS\x04\x00128 ", b"DS\x04\x00l2B ", 1))
    image = read_radiograph(path)
    assert similarity(image.pixels, RADIOGRAPH) > 0.98
    assert image.notes[0] == "window of the file not used: it is not valid"


def voi_lut(entries: int, first: int, bits: int, table: np.ndarray) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [entries, first, bits]
    item.LUTData = table.astype(np.uint16).tolist()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "US"
    return item


def test_a_voi_lut_comes_before_a_window(read: Any) -> None:
    curve = np.rint(np.linspace(0, 1, 256) ** 0.7 * 4095)
    image = read(
        RADIOGRAPH, VOILUTSequence=[voi_lut(256, 0, 12, curve)], WindowCenter=40, WindowWidth=9
    )
    assert np.abs(image.pixels - curve[RADIOGRAPH] / 4095 * 255).max() <= 1
    assert image.notes == ()


def test_a_broken_voi_lut_is_left_out_with_a_note(read: Any) -> None:
    item = voi_lut(256, 0, 12, np.arange(5))
    image = read(RADIOGRAPH, VOILUTSequence=[item])
    assert similarity(image.pixels, RADIOGRAPH) > 0.98
    assert any("VOI LUT of the file not used" in note for note in image.notes)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_set_the_contrast(read: Any, photometric: str) -> None:
    stored = DEEP.copy() if photometric == "MONOCHROME2" else 4095 - DEEP
    stored = stored.astype(np.int16)
    stored[:60] = -2000
    image = read(stored, PixelPaddingValue=-2000, PhotometricInterpretation=photometric)
    assert not image.pixels[:60].any()
    assert similarity(image.pixels[60:], RADIOGRAPH[60:]) > 0.99
    assert "padding made black" in image.notes


def test_a_range_of_padding_is_black_at_either_end(read: Any) -> None:
    stored = DEEP.copy()
    stored[:30], stored[30:60] = 60000, 65535
    image = read(stored, PixelPaddingValue=65535, PixelPaddingRangeLimit=60000)
    assert not image.pixels[:60].any()
    assert similarity(image.pixels[60:], RADIOGRAPH[60:]) > 0.99


def test_values_linear_in_exposure_get_usual_mid_tones(read: Any) -> None:
    exposure = 60 + 20000 * (1 - RADIOGRAPH / 256.0) ** 2.5
    image = read(exposure.astype(np.uint16), PhotometricInterpretation="MONOCHROME1")
    assert "mid-tones balanced" in image.notes
    assert 140 < np.median(image.pixels) < 190
    assert similarity(image.pixels, RADIOGRAPH) > 0.8


@pytest.mark.parametrize(
    ("stated", "view"),
    [
        ("PA", "PA"),
        ("AP", "AP"),
        ("LL", "LATERAL"),
        ("RL", "LATERAL"),
        ("LATERAL", "LATERAL"),
        ("XTABLE LATERAL", "LATERAL"),
        ("LLD", "FRONTAL"),
        ("AP RLD", "AP"),
        ("RAO", None),
        ("", None),
        (None, None),
    ],
)
def test_the_view_position_is_that_of_the_header(
    read: Any, stated: str | None, view: str | None
) -> None:
    assert read(RADIOGRAPH, ViewPosition=stated).view_position == view


WINDOWS = {
    "WindowCenter": ["128", "200", "60"],
    "WindowWidth": ["256", "40", "0"],
    "WindowCenterWidthExplanation": ["NORMAL", "NORMAL", "EMPTY"],
}


def test_each_window_of_the_file_can_be_chosen(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "image.dcm", RADIOGRAPH, **WINDOWS)
    plain, first, narrow = (
        read_radiograph(path, limits=Limits(window=number)) for number in (None, 1, 2)
    )
    assert plain.display is not None
    assert [one.name for one in plain.display.windows] == ["NORMAL", "NORMAL (2)"]
    assert plain.sha256 == first.sha256
    expected = np.clip((RADIOGRAPH.astype(float) - 180) / 40 * 255, 0, 255)
    assert np.abs(narrow.pixels - expected).max() < 8, "also one that hides much of the image"
    with pytest.raises(UserError, match="has 2 windows of its own: there is no window 3"):
        read_radiograph(path, limits=Limits(window=3))
    with pytest.raises(UserError, match="is not a DICOM file"):
        read_radiograph(encode_png(RADIOGRAPH), limits=Limits(window=1))


@pytest.mark.parametrize(
    ("header", "millimetres", "plane"),
    [
        ({}, None, None),
        ({"PixelSpacing": [0, 0]}, None, None),
        ({"PixelSpacing": [400, 400]}, None, None),
        ({"PixelSpacing": [1.4, 1.4]}, 1.4, "patient"),
        ({"PixelSpacing": [1.4, 1.4], "ImagerPixelSpacing": [1.4, 1.4]}, 1.4, "detector"),
        ({"ImagerPixelSpacing": [1.4, 1.4]}, 1.4, "detector"),
        (
            {"ImagerPixelSpacing": [1.4, 1.4], "EstimatedRadiographicMagnificationFactor": 1.12},
            1.25,
            "patient",
        ),
        ({"PixelSpacing": [1.4, 0.7]}, 1.4, "patient"),
        ({"PixelSpacing": [1.4, 1.4], "PatientOrientation": ["F", "L"]}, 1.4, "patient"),
    ],
)
def test_the_size_of_a_pixel_is_that_of_the_header(
    read: Any, header: dict[str, Any], millimetres: float | None, plane: str | None
) -> None:
    image = read(RADIOGRAPH, **header)
    assert image.display.plane == plane
    small = reduced(image, Limits(max_kept_pixels=image.pixels.size // 4)).display
    assert small is not None
    found = (image.display.pixel_mm, small.pixel_mm)
    if millimetres is None:
        assert found == (None, None)
    else:
        assert found == pytest.approx((millimetres, 2 * millimetres), rel=0.01)


@pytest.mark.parametrize(
    "spacing",
    [
        {"PixelAspectRatio": ["2", "1"]},
        {"PixelSpacing": [0.4, 0.2]},
        {"ImagerPixelSpacing": [0.4, 0.2], "PixelSpacing": [0, 0]},
    ],
)
def test_oblong_pixels_are_made_square(read: Any, spacing: dict[str, Any]) -> None:
    image = read(np.ascontiguousarray(RADIOGRAPH[::2]), **spacing)
    assert image.pixels.shape[1] / image.pixels.shape[0] == pytest.approx(210 / 256, abs=0.01)
    assert "oblong pixels made square" in image.notes


def test_square_pixels_and_absurd_ratios_change_nothing(read: Any) -> None:
    assert read(RADIOGRAPH, PixelSpacing=[0.139, 0.139]).pixels.shape == RADIOGRAPH.shape
    assert read(RADIOGRAPH, PixelAspectRatio=["1", "900"]).pixels.shape == RADIOGRAPH.shape


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
    ],
)
def test_lossless_transfer_syntaxes_give_equal_pixels(read: Any, syntax: UID) -> None:
    image = read(DEEP, BitsStored=12, HighBit=11, syntax=syntax)
    assert np.array_equal(image.pixels, read(DEEP, BitsStored=12, HighBit=11).pixels)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_a_bare_data_set_without_preamble_and_meta_is_read(read: Any, syntax: UID) -> None:
    image = read(DEEP, BitsStored=12, HighBit=11, syntax=syntax, file_format=False)
    assert similarity(image.pixels, RADIOGRAPH) > 0.99


def test_jpeg_baseline_is_read_and_called_lossy(read: Any) -> None:
    image = read(RADIOGRAPH, syntax=JPEGBaseline8Bit, **window())
    assert similarity(image.pixels, RADIOGRAPH) > 0.999
    assert image.notes == ("lossy compressed",)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("MR_small_jpeg_ls_lossless.dcm", (64, 64)),  # JPEG-LS
        ("SC_rgb_jpeg_gdcm.dcm", (100, 100)),  # JPEG lossless, colour
        ("SC_rgb_rle_16bit.dcm", (100, 100)),
        ("SC_ybr_full_422_uncompressed.dcm", (100, 100)),
        ("SC_rgb_dcmtk_+eb+cy+s2.dcm", (100, 100)),  # JPEG baseline, YBR_FULL_422
        ("SC_rgb_gdcm_KY.dcm", (100, 100)),  # JPEG 2000, colour
        ("examples_palette.dcm", (350, 800)),
    ],
)
def test_rare_encodings_are_read(name: str, shape: tuple[int, int]) -> None:
    image = read_radiograph(as_chest_image(name))
    assert image.pixels.shape == shape
    assert np.ptp(image.pixels) > 100


def test_jpeg_ls_equals_the_uncompressed_original() -> None:
    compressed = read_radiograph(as_chest_image("MR_small_jpeg_ls_lossless.dcm"))
    assert np.array_equal(compressed.pixels, read_radiograph(as_chest_image("MR_small.dcm")).pixels)


def test_a_colour_capture_of_an_image_becomes_grey(read: Any) -> None:
    image = read(np.ascontiguousarray(np.repeat(RADIOGRAPH[..., None], 3, axis=2)), Modality="OT")
    assert np.array_equal(image.pixels, RADIOGRAPH)
    assert "colour turned to grey" in image.notes


def test_the_four_encodings_of_the_real_image_agree() -> None:
    images = {
        name: read_radiograph(real(f"RG1_{name}.dcm")) for name in ("UNCR", "UNCI", "J2KR", "J2KI")
    }
    plain = images["UNCR"].pixels
    assert plain.shape == (1955, 1841)
    assert images["UNCR"].sha256 == images["J2KR"].sha256
    for image in images.values():
        assert image.view_position == "PA"
        assert np.abs(image.pixels.astype(int) - plain).mean() < 1
    assert "lossy compressed" in images["J2KI"].notes
    lung, spine = plain[500:700, 450:650], plain[700:1200, 860:980]
    assert np.median(lung) < 80 < 190 < np.median(spine)
    assert 120 < np.median(plain) < 200, "neither washed out nor murky"
    assert any("15000/30000" in note for note in images["UNCR"].notes)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CT_small.dcm", "modality CT"),
        ("MR_small.dcm", "modality MR"),
        ("examples_rgb_color.dcm", "modality US"),
        ("rtplan.dcm", "modality RTPLAN"),
        ("test-SR.dcm", "modality SR"),
        ("SC_rgb_rle_2frame.dcm", "2 frames"),
        ("SC_rgb_rle_32bit.dcm", "32 of 32 bits"),
        ("RG3_UNCR.dcm", "extremity"),
    ],
)
def test_real_files_without_a_chest_radiograph_are_refused(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_radiograph(real(name))


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"Modality": "MG"}, "modality MG"),
        ({"Modality": None, "SOPClassUID": CTImageStorage}, "but not a radiograph"),
        ({"BodyPartExamined": "HAND"}, "shows hand"),
        ({"BodyPartExamined": "Left Knee"}, "shows knee"),
        ({"PixelData": None}, "without an image"),
        ({"NumberOfFrames": 3}, "3 frames"),
        ({"SamplesPerPixel": 2}, "2 samples"),
        ({"PhotometricInterpretation": "CMYK"}, "MONOCHROME2"),
        ({"BitsStored": 1, "HighBit": 0}, "1 of 8 bits"),
        ({"HighBit": 3}, "8 of 8 bits"),
        ({"Rows": None}, "damaged"),
        ({"Rows": 20}, "at least 32"),
        ({"Rows": 257}, "damaged"),
    ],
)
def test_headers_that_exclude_a_chest_radiograph_are_refused(
    read: Any, attributes: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read(RADIOGRAPH, **attributes)
    assert "image.dcm" in str(caught.value)
    assert not any(secret in str(caught.value) for secret in PATIENT)


@pytest.mark.parametrize(
    "part", ["CHEST", "Thorax", "RIB", "PORT CHEST", "CHEST/ABDOMEN", "LUNGS", "", "POUMON", None]
)
def test_the_chest_under_any_name_is_accepted(read: Any, part: str | None) -> None:
    assert read(RADIOGRAPH, BodyPartExamined=part).pixels.shape == RADIOGRAPH.shape


def test_a_missing_modality_is_assumed_and_noted(read: Any) -> None:
    assert "modality not stated, taken as a radiograph" in read(RADIOGRAPH, Modality=None).notes


def test_an_image_for_processing_is_noted(read: Any) -> None:
    notes = read(RADIOGRAPH, PresentationIntentType="FOR PROCESSING").notes
    assert any("for processing" in note for note in notes)


def test_a_blank_image_is_refused(read: Any) -> None:
    with pytest.raises(UserError, match="blank"):
        read(np.full((64, 64), 500, np.uint16))


def test_a_huge_declared_size_is_refused_before_decoding(read: Any) -> None:
    with pytest.raises(TooLargeError, match="65535 x 65535"):
        read(RADIOGRAPH, Rows=65535, Columns=65535)


def test_a_compressed_frame_larger_than_its_header_is_refused(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "image.dcm", RADIOGRAPH, syntax=JPEG2000Lossless)
    dataset = pydicom.dcmread(path)
    frame = bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    start = frame.find(b"\xff\x51") + 6
    frame[start : start + 8] = (60000).to_bytes(4, "big") * 2
    dataset.PixelData = encapsulate([bytes(frame)])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    with pytest.raises(UserError, match="disagree about the size"):
        read_radiograph(path)


def test_an_rle_run_beyond_the_frame_is_refused(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "image.dcm", RADIOGRAPH, syntax=RLELossless)
    dataset = pydicom.dcmread(path)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame + bytes([129, 7]) * 40])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    with pytest.raises(UserError, match="disagree about the size"):
        read_radiograph(path)


def test_a_deflated_bomb_is_refused(tmp_path: Path) -> None:
    padding = np.zeros((2000, 2000), np.uint16)
    padding[0, 0] = 1
    path = write_dicom(tmp_path / "image.dcm", padding, syntax=DeflatedExplicitVRLittleEndian)
    assert path.stat().st_size < 50_000
    with pytest.raises(TooLargeError, match="inflates"):
        read_radiograph(path, limits=Limits(max_bytes=1_000_000))


SYNTAXES = {
    "native": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg2000": JPEG2000Lossless,
    "jpeg": JPEGBaseline8Bit,
}


@pytest.fixture(params=SYNTAXES)
def small(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    image = draw_radiograph(4, size=(64, 48))
    return write_dicom(tmp_path / "small.dcm", image, syntax=SYNTAXES[request.param]).read_bytes()


def test_a_truncated_file_is_an_error_never_half_an_image(small: bytes) -> None:
    whole = read_radiograph(small).pixels
    for length in {*range(1, len(small), 53), *range(len(small) - 12, len(small))}:
        try:
            image = read_radiograph(small[:length])
        except UserError:
            continue
        assert np.array_equal(image.pixels, whole), f"{length} of {len(small)} bytes"


def test_damaged_bytes_give_an_image_or_one_clear_error(small: bytes) -> None:
    generator = random.Random(5)
    for _ in range(150):
        data = bytearray(small)
        for _ in range(generator.choice([1, 3, 10])):
            data[generator.randrange(132, generator.choice([800, len(data)]))] ^= (
                generator.randrange(1, 256)
            )
        try:
            image = read_radiograph(bytes(data))
        except UserError as error:
            assert not any(secret in str(error) for secret in PATIENT)
        else:
            assert image.pixels.ndim == 2


def test_nothing_of_the_header_reaches_warnings_or_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_dicom(
        tmp_path / "image.dcm", RADIOGRAPH, BodyPartExamined="Zebedee's chest", NumberOfFrames=0
    )
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        image = read_radiograph(path)
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")
    assert not any("Zebedee" in note for note in image.notes)
