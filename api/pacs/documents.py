"""What a PACS sends: descriptions in DICOM JSON (PS3.18 annex F), and files in a multipart body.

Everything here is from outside and may be nonsense; `ValueError` says so.
"""

import re
from collections.abc import Mapping, Sequence
from email.message import Message
from typing import Any

import msgspec

DICOM, DICOM_JSON = "application/dicom", "application/dicom+json"

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_TEXT = 128


class _Element(msgspec.Struct):
    """One attribute."""

    Value: list[Any] | None = None


Description = Mapping[str, _Element]
"""Of a study or an instance: tags to attributes."""


def descriptions(body: bytes) -> Sequence[Description]:
    """Parse an array of descriptions. Raises ValueError for anything else."""
    if not body.strip():
        return ()
    try:
        return msgspec.json.decode(body, type=list[dict[str, _Element]])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError("no DICOM JSON") from error


def description(body: bytes) -> Description:
    """Parse one description. Raises ValueError for anything else."""
    try:
        return msgspec.json.decode(body, type=dict[str, _Element])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError("no DICOM JSON") from error


def texts(found: Description, tag: str) -> list[str]:
    """The values of an attribute, each on one line of printable characters."""
    element = found.get(tag)
    values = [] if element is None or element.Value is None else element.Value
    return [_clean(str(one)) for one in values if isinstance(one, str | int | float)]


def text(found: Description, tag: str) -> str:
    """The first value of an attribute, or an empty string."""
    return next(iter(texts(found, tag)), "")


def uid(found: Description, tag: str) -> str:
    """An identifier. Raises ValueError if it is missing or not one."""
    value = text(found, tag)
    if not is_uid(value):
        raise ValueError("a description without an identifier")
    return value


def items(found: Description, tag: str) -> list[Description]:
    """The items of a sequence. Raises ValueError if they are something else."""
    element = found.get(tag)
    values = [] if element is None or element.Value is None else element.Value
    try:
        return [msgspec.convert(one, dict[str, _Element]) for one in values]
    except (msgspec.ValidationError, RecursionError) as error:
        raise ValueError("no DICOM JSON") from error


def is_uid(value: str) -> bool:
    """Whether this is a DICOM identifier (PS3.5 section 9): safe as a part of an address."""
    return len(value) <= 64 and bool(_UID.fullmatch(value))


def only_part(body: bytes, content_type: str) -> bytes:
    """Return the one DICOM file of a ``multipart/related`` body, or the body if it is a file.

    Raises ValueError for another type, for no part and for several.
    """
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() == DICOM:
        return body
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/related" or not boundary:
        raise ValueError("no DICOM file")
    mark = b"\r\n--" + boundary.encode("latin-1", "replace")
    start = 0 if body.startswith(mark[2:]) else body.find(mark)
    head = body.find(b"\r\n\r\n", start)
    end = body.find(mark, head + 4)
    if start < 0 or head < 0 or end < 0:
        raise ValueError("a damaged multipart body")
    if not body.startswith(b"--", end + len(mark)):
        raise ValueError("several files for one")
    return body[head + 4 : end]


def as_only_part(file: bytes) -> tuple[bytes, str]:
    """Return a ``multipart/related`` body with one DICOM file, and its content type."""
    boundary = "grounded-cxr"
    while boundary.encode() in file:
        boundary += "-"
    head = f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode()
    body = head + file + f"\r\n--{boundary}--\r\n".encode()
    return body, f'multipart/related; type="{DICOM}"; boundary={boundary}'


def _clean(value: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in value[:_LONGEST_TEXT])
    return " ".join(shown.split())
