"""Rows of a data set of images and texts, from wherever ``datasets`` reads them.

A hub data set by name, a JSON, JSON lines or Parquet file, or a folder that holds such files by
split. VQA-RAD, SLAKE and PathVQA are read as they are published: their columns and image folders
are known by name. A split called ``test`` is never read.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from db.errors import NotFoundError, UserError

IMAGE_COLUMNS = ("image", "image_name", "img_name", "file_name", "image_path")
TEXT_COLUMNS = ("text", "report", "caption")
_IMAGE_FOLDERS = ("", "images", "imgs", "VQA_RAD Image Folder")
_SPLITS = {"train": ("train", "trainset"), "val": ("validation", "validate", "val", "dev")}
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_FORMATS = {".json": "json", ".jsonl": "json", ".parquet": "parquet"}


class RowError(UserError):
    """One row that cannot be trained on."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One example as it stands in the data."""

    place: str
    """For messages: which split and row."""
    image: Path | bytes
    question: str | None
    """None where the text describes the image without a question."""
    text: str


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns hold what; None: known names are tried."""

    image: str | None = None
    text: str | None = None
    question: str | None = None


def read_splits(
    name: str, *, limit: int = 0, load: Callable[..., Any] | None = None
) -> dict[str, Any]:
    """``train``, and ``val`` where there is one, as sequences of raw rows.

    ``limit`` above 0 takes the first rows, of a hub data set by streaming. Raises UserError.
    """
    import datasets

    load = load or datasets.load_dataset
    path = Path(name)
    try:
        if path.exists():
            files = _files(path)
            kind = _FORMATS[next(iter(files.values())).suffix]
            found = load(kind, data_files={split: str(file) for split, file in files.items()})
        else:
            if name.startswith((".", "/")) or Path(name).suffix in _FORMATS:
                raise NotFoundError(f"{name} does not exist: name a file, folder or hub data set")
            found = load(name, streaming=limit > 0)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{name} cannot be read as a data set ({reason}): it must be a hub data set, or JSON, "
            "JSON lines or Parquet with one example a row"
        ) from error
    splits = {}
    for split, names in _SPLITS.items():
        chosen = next((found[n] for n in (split, *names) if n in found), None)
        if chosen is not None:
            splits[split] = _plain(chosen, limit)
    if "train" not in splits:
        raise UserError(f"{name} has no split called train, only {', '.join(found)}: rename one")
    return splits


def _files(path: Path) -> dict[str, Path]:
    if path.is_file():
        if path.suffix not in _FORMATS:
            raise UserError(f"{path} is no {', '.join(_FORMATS)} file: convert it to one of them")
        return {"train": path}
    files = {
        split: path / f"{name}{ending}"
        for split, names in reversed(_SPLITS.items())
        for name in reversed(names)
        for ending in _FORMATS
        if (path / f"{name}{ending}").is_file()
    }
    if not files:
        published = sorted(path.glob("VQA_RAD*Public.json"))
        if published:
            return {"train": published[0]}
        raise NotFoundError(f"{path} holds no train.json, train.jsonl or train.parquet")
    return files


def _plain(split: Any, limit: int) -> Any:
    """Images as the bytes they are stored as, not decoded."""
    import datasets

    for column, feature in (split.features or {}).items():
        if isinstance(feature, datasets.Image):
            split = split.cast_column(column, datasets.Image(decode=False))
    if limit:
        split = split.take(limit)
    return split


def rows_of(split: str, rows: Any, columns: Columns, folder: Path) -> Iterator[Row | RowError]:
    """Rows in their order; in place of one that cannot be trained on, what is wrong with it.

    Raises UserError where the columns are not there.
    """
    names: Columns | None = None
    for number, raw in enumerate(rows, start=1):
        if names is None:
            names = _known(raw, columns)
        if raw.get("q_lang", "en") != "en":
            continue  # SLAKE asks everything twice, in English and in Chinese
        place = f"row {number} of {split}"
        try:
            yield Row(
                place=place,
                image=_image(raw[names.image], folder, place),
                question=_text(raw, names.question, place) if names.question else None,
                text=_text(raw, names.text, place),
            )
        except RowError as error:
            yield error


def _known(raw: Mapping[str, Any], columns: Columns) -> Columns:
    question = columns.question or ("question" if "question" in raw else None)
    texts = ("answer",) if question and columns.text is None else TEXT_COLUMNS
    none: tuple[str, ...] = ()
    chosen = {}
    for kind, given, names in (
        ("question", question, none),
        ("image", columns.image, IMAGE_COLUMNS),
        ("text", columns.text, texts),
    ):
        name = given or next((name for name in names if name in raw), None)
        wanted = kind != "question" or question is not None
        if wanted and name not in raw:
            raise UserError(
                f"no column called '{given or names[0]}' among {', '.join(sorted(raw))}: "
                f"name it with --{kind}-column"
            )
        chosen[kind] = name
    return Columns(**chosen)


def _text(raw: Mapping[str, Any], column: str | None, place: str) -> str:
    value = raw.get(column or "")
    text = " ".join(str(value).split()) if value is not None else ""
    if not text:
        raise RowError(f"{place} has an empty '{column}'")
    return text


def _image(value: Any, folder: Path, place: str) -> Path | bytes:
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes | bytearray | memoryview) and len(value):
        return bytes(value)
    if isinstance(value, Image.Image | np.ndarray | list) and not _is_empty(value):
        try:
            return encode_image(value)
        except (OSError, TypeError, ValueError, KeyError) as error:
            raise RowError(f"{place}: the image cannot be read ({error})") from error
    if not isinstance(value, str) or not value:
        raise RowError(f"{place} names no image")
    for inside in _IMAGE_FOLDERS:
        path = folder / inside / value
        if path.is_file():
            return path
    raise RowError(f"{place}: the image {value} does not exist beside the data")


def _is_empty(value: Any) -> bool:
    return not isinstance(value, Image.Image) and len(value) == 0


def encode_image(value: Any) -> bytes:
    """A PIL image, an array or nested lists as a lossless file, for the reader of image files.

    Arrays are (height, width) or (height, width, channels). Whole numbers of 0 to 255 are 8-bit
    values unless their type says otherwise, those up to 65535 are 16-bit values, and all others
    floating point. Raises ValueError or TypeError for what is no image.
    """
    image = value if isinstance(value, Image.Image) else _array_image(np.asarray(value))
    buffer = io.BytesIO()
    kind = "PNG" if image.mode in _PNG_MODES else "TIFF"
    image.save(buffer, kind, exif=image.getexif())
    return buffer.getvalue()


def _array_image(values: Any) -> Image.Image:
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.dtype.kind in "iu" and values.dtype not in (np.uint8, np.uint16):
        low, high = int(values.min()), int(values.max())
        values = values.astype(
            np.float32 if low < 0 or high > 65535 else (np.uint8 if high <= 255 else np.uint16)
        )
    elif values.dtype.kind == "f":
        values = values.astype(np.float32)
    return Image.fromarray(values)
