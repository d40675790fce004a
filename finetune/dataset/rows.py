"""What one row of a data set says: its images, its questions and answers, its patient.

    columns = find_columns(rows, Columns(text="report"))
    row = read_row(place, raw, columns, folder)        # raises RowError

A text alone describes the images, a question with an answer is asked about them, and a
conversation gives one question and answer a turn. A value that is no text, such as a list, a date
or true, is never turned into one.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from db.errors import UserError
from finetune.dataset.chat import Turn, is_chat, read_chat
from finetune.dataset.files import Malformed, Place
from finetune.dataset.images import Images, images_in

IMAGE_COLUMNS = (
    *("image", "images", "image_name", "img_name", "file_name", "image_path", "image_paths"),
    *("img", "image_base64", "dicom", "dicom_path"),
)
TEXT_COLUMNS = ("text", "report", "caption")
CHAT_COLUMNS = ("messages", "conversations", "conversation")
_PATIENT_COLUMNS = ("patientid", "patient", "subjectid", "subject", "deidpatientid")
"""Compared without case, blanks and underscores."""


class RowError(UserError):
    """One row that cannot be trained on."""

    def __init__(self, place: Place, column: str | None, reason: str) -> None:
        named = f"column '{column}': " if column else ""
        super().__init__(f"{place}: {named}{reason}")
        self.place, self.column, self.reason = place, column, reason


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row, as far as it can be read without opening its images."""

    place: Place
    images: Images
    image_column: str | None
    """None where a conversation holds the images."""
    text_column: str
    question_column: str | None
    turns: tuple[Turn, ...]
    patient: str | None
    system: bool = False
    """Whether a conversation has a system message, which no prompt of the service has."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns hold what; None: known names are tried."""

    image: str | Sequence[str] | None = None
    """Several columns are several images of one study."""
    text: str | None = None
    """Reports, answers or conversations."""
    question: str | None = None
    patient: str | None = None

    def __str__(self) -> str:
        given = {
            "images": ", ".join([self.image] if isinstance(self.image, str) else self.image or ()),
            "texts": self.text,
            "questions": self.question,
            "patients": self.patient,
        }
        return "; ".join(f"{what} of '{name}'" for what, name in given.items() if name)


def find_columns(rows: Iterable[Any], given: Columns) -> Columns:
    """The columns to read, by the keys that these rows have.

    Raises UserError for a column that is not there.
    """
    keys = dict.fromkeys(key for row in rows if isinstance(row, Mapping) for key in row)
    question = given.question or ("question" if "question" in keys else None)
    names = (*(("answer",) if question else TEXT_COLUMNS), *CHAT_COLUMNS)
    text = given.text or next((name for name in names if name in keys), None)
    chat = text in CHAT_COLUMNS or any(
        is_chat(row.get(text)) for row in rows if isinstance(row, Mapping)
    )
    image = given.image or next((name for name in IMAGE_COLUMNS if name in keys), None)
    for kind, wanted_names, wanted in (
        ("question", [question] if question else [], question is not None),
        ("image", [image] if isinstance(image, str) else list(image or ()), not chat),
        ("text", [text] if text else [], True),
        ("patient", [given.patient] if given.patient else [], False),
    ):
        missing = [name for name in wanted_names if name not in keys]
        if missing or (wanted and not wanted_names):
            standard = {"image": IMAGE_COLUMNS[0], "text": "answer" if question else "text"}
            raise UserError(
                f"no column called '{missing[0] if missing else standard[kind]}' among "
                f"{', '.join(sorted(map(str, keys)))}: name it with --{kind}-column"
            )
    return Columns(
        image=image, text=text, question=None if chat else question, patient=_patient(keys, given)
    )


def _patient(keys: Iterable[Any], given: Columns) -> str | None:
    plain = {"".join(filter(str.isalnum, str(key))).lower(): str(key) for key in keys}
    return given.patient or next((plain[name] for name in _PATIENT_COLUMNS if name in plain), None)


def read_row(place: Place, raw: Any, columns: Columns, folder: Path | None) -> Row:
    """Raises RowError for a row that cannot be trained on."""
    if isinstance(raw, Malformed):
        raise RowError(place, None, raw.reason)
    if not isinstance(raw, Mapping):
        raise RowError(place, None, f"it is {_kind(raw)} and no object with columns")
    assert columns.text is not None
    named = [columns.image] if isinstance(columns.image, str) else list(columns.image or ())
    chat = columns.text in CHAT_COLUMNS or is_chat(raw.get(columns.text))
    images: list[Path | bytes] = []
    for column in named:
        if chat and raw.get(column) is None:
            continue
        try:
            images += images_in(raw.get(column), folder)
        except ValueError as error:
            raise RowError(place, column, str(error)) from error
    row = Row(
        place=place,
        images=tuple(images),
        image_column=", ".join(named) or None,
        text_column=columns.text,
        question_column=columns.question,
        turns=(),
        patient=_identifier(raw.get(columns.patient)) if columns.patient else None,
    )
    if chat:
        return _chat_row(row, raw[columns.text], folder)
    question = _text(place, raw, columns.question) if columns.question else None
    answer = _text(place, raw, columns.text)
    return replace(row, turns=(Turn(question=question, answer=answer, images=len(images)),))


def _chat_row(row: Row, value: Any, folder: Path | None) -> Row:
    try:
        chat = read_chat(value, row.images, folder)
    except ValueError as error:
        raise RowError(row.place, row.text_column, str(error)) from error
    return replace(row, turns=chat.turns, images=chat.images, system=chat.system)


def _text(place: Place, raw: Mapping[str, Any], column: str) -> str:
    try:
        return text_of(raw.get(column))
    except ValueError as error:
        raise RowError(place, column, str(error)) from error


def text_of(value: Any) -> str:
    """A text on one line; whole and decimal numbers are texts too.

    Raises ValueError that says what the value is instead.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise ValueError("it is empty")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"it is {_kind(value)} and no text: write the text itself")
    text = " ".join(value.split())
    if not text:
        raise ValueError("it is empty")
    if text.lower() == "nan":
        raise ValueError(f"it is '{text}', as a table writes a missing value")
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise ValueError("it has characters that were lost in decoding: save the file as UTF-8")
    return text


def _kind(value: Any) -> str:
    """What a value is, for people."""
    if isinstance(value, bool):
        return str(value).lower()
    names = {dict: "an object", list: "a list", tuple: "a list", bytes: "binary data"}
    for kind, name in names.items():
        if isinstance(value, kind):
            return name
    return {"datetime": "a date", "date": "a date", "Timestamp": "a date"}.get(
        type(value).__name__, f"a value of type {type(value).__name__}"
    )


def _identifier(value: Any) -> str | None:
    """A patient as text; None for an empty cell."""
    if value is None or isinstance(value, bool) or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None
