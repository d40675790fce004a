"""Images that are not upright whole chest images, which the out-of-distribution check must flag.

Made from installed packages (scikit-image, pydicom, pydicom-data), from numbers, and from images
given. Nothing is downloaded and none of it has set a threshold. DICOM pixels are decoded here
directly, as a screenshot would show them: the reader's refusal by header is not what is measured.
"""

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from pydicom.pixels import pixel_array

from indexer.images.radiograph import Grey, quiet_decoders

SEED = 0

_PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "horse", "motorcycle_left", "rocket")
_TEXTURES = ("brick", "chessboard_GRAY", "clock_motion", "coins", "color", "grass", "gravel")
_MICROSCOPY = ("cell", "ihc", "microaneurysms", "retina")
_SKY = ("hubble_deep_field", "moon")
_SECTIONS = (
    *("693_UNCR.dcm", "CT_small.dcm", "J2K_pixelrep_mismatch.dcm", "explicit_VR-UN.dcm"),
    *("bad_sequence.dcm", "eCT_Supplemental.dcm", "MR2_UNCR.dcm", "MR_small.dcm"),
    *("MR-SIEMENS-DICOM-WithOverlays.dcm", "emri_small.dcm", "liver_1frame.dcm"),
)
_ULTRASOUND = (
    *("US1_UNCR.dcm", "gdcm-US-ALOKA-16.dcm", "OBXXXX1A.dcm", "examples_rgb_color.dcm"),
    "JPEG2000_UNC.dcm",
)
_LIMBS = ("RG3_UNCR.dcm", "RG3_J2KI.dcm")


def other_images(
    images: Sequence[Grey], chest_dicom: str = "RG1_UNCR.dcm"
) -> dict[str, list[Grey]]:
    """Kind to images. ``images`` (frontal and lateral) are cut, turned and inverted."""
    rng = np.random.default_rng(SEED)
    limbs = [_dicom(name) for name in _LIMBS]
    chest = _dicom(chest_dicom)
    return {
        "photograph": [*map(_sample, _PHOTOGRAPHS), *_faces()],
        "texture": list(map(_sample, _TEXTURES)),
        "microscopy, retina": list(map(_sample, _MICROSCOPY)),
        "sky": list(map(_sample, _SKY)),
        "drawing": [_sample("logo"), _sample("phantom"), *_plots(rng)],
        "CT, MR": list(map(_dicom, _SECTIONS)),
        "ultrasound, scintigram": list(map(_dicom, _ULTRASOUND)),
        "limb": [turned for limb in limbs[:1] for turned in _all_turns(limb)] + limbs[1:],
        "text page": [_sample("page"), _sample("text"), *_pages(rng)],
        "noise": list(_noise(rng)),
        "nearly blank": list(_blank(rng)),
        "quarter of a chest image": [
            quarter for image in images[:4] for quarter in _quarters(image)
        ],
        "chest image upside down": [np.rot90(image, 2) for image in [*images[:11], chest]],
        "chest image on its side": [
            np.rot90(image, 1 + 2 * (number % 2)) for number, image in enumerate(images[:8])
        ],
        "chest image inverted": [255 - image for image in images[:8]],
    }


def _sample(name: str) -> Grey:
    spec = importlib.util.find_spec("skimage")
    assert spec is not None and spec.origin is not None, "install scikit-image"
    (path,) = (Path(spec.origin).parent / "data").glob(f"{name}.*")
    return np.asarray(Image.open(path).convert("L"))


def _faces() -> list[Grey]:
    spec = importlib.util.find_spec("skimage")
    assert spec is not None and spec.origin is not None
    faces = np.load(Path(spec.origin).parent / "data" / "lfw_subset.npy")
    return [to_grey(face) for face in faces[:3]]


def _dicom(name: str) -> Grey:
    folders = [
        Path(str(file.locate())).parent
        for file in importlib.metadata.files("pydicom-data") or []
        if file.name == "RG1_UNCR.dcm"
    ]
    folders.append(Path(str(pydicom.__file__)).parent / "data" / "test_files")
    path = next(folder / name for folder in folders if (folder / name).is_file())
    with quiet_decoders():
        dataset = pydicom.dcmread(path, force=True)
        values = pixel_array(dataset)
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        values = values[len(values) // 2]
    grey = to_grey(values)
    return 255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def to_grey(values: np.ndarray) -> Grey:
    """Any samples to 8 bits, spread between their percentiles; colours to luminance."""
    plain = values.astype(np.float64)
    if plain.ndim == 3:
        plain = plain[..., :3] @ np.array([0.299, 0.587, 0.114])
    low, high = np.percentile(plain, [0.1, 99.9])
    if high <= low:
        low, high = plain.min(), max(plain.max(), plain.min() + 1)
    return np.rint(np.clip((plain - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _all_turns(pixels: Grey) -> list[Grey]:
    return [np.rot90(pixels, turns) for turns in range(4)]


def _quarters(image: Grey) -> Iterator[Grey]:
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    for top in (0, rows):
        for left in (0, columns):
            yield image[top : top + rows, left : left + columns]


def _pages(rng: np.random.Generator) -> Iterator[Grey]:
    words = "chest report patient image heart lungs normal left right small seen date".split()
    for number in range(5):
        page = Image.new("L", (600, 780), 0 if number == 4 else 255)
        draw = ImageDraw.Draw(page)
        font = ImageFont.load_default(size=14 + 4 * number)
        for line in range(20 + 5 * (number % 2)):
            text = " ".join(rng.choice(words, 9 - number))
            draw.text((40, 40 + line * 28), text, fill=255 if number == 4 else 0, font=font)
        yield np.asarray(page)


def _plots(rng: np.random.Generator) -> Iterator[Grey]:
    for number in range(3):
        plot = Image.new("L", (640, 480), 255)
        draw = ImageDraw.Draw(plot)
        draw.rectangle((60, 30, 610, 430), outline=0, width=2)
        for curve in range(number + 1):
            heights = 230 + np.cumsum(rng.normal(0, 12, 55))
            points = [(60 + 10 * place, float(y)) for place, y in enumerate(heights)]
            draw.line(points, fill=40 * curve, width=3)
        yield np.asarray(plot)


def _noise(rng: np.random.Generator) -> Iterator[Grey]:
    yield rng.integers(0, 256, (256, 256)).astype(np.uint8)
    yield to_grey(rng.normal(0, 1, (300, 240)))
    yield np.where(rng.random((256, 256)) < 0.5, 0, 255).astype(np.uint8)
    for radius in (2, 6, 16, 40):
        rough = Image.fromarray(rng.integers(0, 256, (320, 288)).astype(np.uint8))
        yield to_grey(np.asarray(rough.filter(ImageFilter.GaussianBlur(radius))))


def _blank(rng: np.random.Generator) -> Iterator[Grey]:
    for level in (0, 128, 255):
        yield np.clip(level + rng.normal(0, 2, (256, 256)), 0, 255).astype(np.uint8)
    yield np.tile(np.linspace(0, 255, 256).astype(np.uint8), (256, 1))
    page = np.zeros((300, 256), np.uint8)
    page[:12, :30] = 255
    yield page
