"""Small data sets of images and texts: drawn X-rays, and radiographs in many kinds of file."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from tests.support.dicoms import write_dicom
from tests.support.radiographs import draw_radiograph


def write_images(folder: Path, count: int = 3, size: tuple[int, int] = (90, 70)) -> list[str]:
    """Drawn images ``image-0.png`` and so on; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"image-{number}.png" for number in range(count)]
    for number, name in enumerate(names):
        Image.fromarray(draw_radiograph(number)).resize(size).save(folder / name)
    return names


def write_lines(path: Path, rows: Sequence[Any]) -> Path:
    """A JSON lines file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def png(seed: int) -> bytes:
    """A drawn image as the bytes of a file."""
    buffer = io.BytesIO()
    Image.fromarray(draw_radiograph(seed)).resize((40, 50)).save(buffer, "PNG")
    return buffer.getvalue()


def write_kinds(folder: Path) -> Mapping[str, Path]:
    """One radiograph in every kind of file that the service reads, by file name."""
    folder.mkdir(parents=True, exist_ok=True)
    eight = draw_radiograph(3, size=(96, 80))
    deep = eight.astype(np.uint16) * 13 + 200  # twelve bits of sixteen, as detectors give them
    fraction = deep.astype(np.float32) / 4095
    clear = np.where(np.arange(eight.shape[1]) < 30, 0, 255).astype(np.uint8)[None] + 0 * eight

    def save(values: np.ndarray, name: str, **options: Any) -> None:
        Image.fromarray(values).save(folder / name, **options)

    save(eight, "grey.png")
    save(np.dstack([eight, eight // 2, eight]), "colour.png")
    save(np.dstack([eight, eight, eight, clear]), "rgba.png")
    Image.fromarray(np.dstack([eight, clear]), "LA").save(folder / "grey-alpha.png")
    Image.fromarray(eight).convert("P").save(folder / "palette.png")
    Image.fromarray(eight).convert("P").save(folder / "palette-clear.png", transparency=0)
    Image.fromarray(eight).convert("1").save(folder / "one-bit.png")
    save(deep, "deep.png")
    save(deep, "deep.tif")
    hot = deep.copy()
    hot[5, 5] = 65535
    save(hot, "hot.png")
    for name, value in (("nan.tif", np.nan), ("infinite.tif", np.inf)):
        odd = fraction.copy()
        odd[10:14, 10:14] = value
        save(odd, name)
    save(fraction, "float.tif")
    save(eight, "grey.jpg", quality=92)
    save(np.dstack([eight] * 3), "progressive.jpg", quality=92, progressive=True)
    for turn in (3, 6, 8):
        exif = Image.Exif()
        exif[0x0112] = turn
        save(eight, f"turned-{turn}.jpg", quality=92, exif=exif)
    save(eight, "grey.bmp")
    save(eight, "one-frame.gif")
    save(np.dstack([eight] * 3), "colour.webp", lossless=True)
    write_dicom(folder / "plain.dcm", eight)
    write_dicom(folder / "inverted.dcm", deep, PhotometricInterpretation="MONOCHROME1")
    write_dicom(folder / "window.dcm", deep, WindowCenter=1500, WindowWidth=1800)
    write_dicom(folder / "rle.dcm", deep, syntax=RLELossless)
    write_dicom(folder / "wavelet.dcm", deep, syntax=JPEG2000Lossless)
    write_dicom(folder / "baseline.dcm", eight, syntax=JPEGBaseline8Bit)
    return {path.name: path for path in sorted(folder.iterdir())}


def write_refused(folder: Path) -> Mapping[str, Path]:
    """Files that the service refuses."""
    folder.mkdir(parents=True, exist_ok=True)
    eight = draw_radiograph(3, size=(96, 80))
    frames = [Image.fromarray(eight), Image.fromarray(255 - eight)]
    for name in ("frames.gif", "frames.tif"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    Image.new("L", (96, 80), 7).save(folder / "blank.png")
    Image.fromarray(eight).resize((16, 16)).save(folder / "icon.png")
    Image.fromarray(eight).save(folder / "whole.png")
    whole = (folder / "whole.png").read_bytes()
    (folder / "whole.png").unlink()
    (folder / "cut-short.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no image")
    huge = bytearray(whole)
    huge[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height in the header
    (folder / "huge.png").write_bytes(bytes(huge))
    write_dicom(folder / "hand.dcm", eight, BodyPartExamined="HAND")
    return {path.name: path for path in sorted(folder.iterdir())}
