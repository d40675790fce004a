"""What the label of a field says about its value: "Geb.-Datum: 04.11.1938", "Adı Soyadı: ...".

The labels stand in `labels.txt`, in about 30 languages. They are compared without case and dots,
the longest first.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path

LONGEST_LABEL = 5
"""Words."""
_PEOPLE_ONLY = "name of people only"
_LABEL_END = re.compile(r"[^\n:=：,;()|\[\]]{0,25}[:=：]")


@cache
def labels() -> dict[str, tuple[str, ...]]:
    """Return each label, in lower case without dots, with the kinds of value it may have."""
    found: dict[str, tuple[str, ...]] = {}
    for kind, label in _table():
        if kind != _PEOPLE_ONLY:
            found[label] = (*found.get(label, ()), kind)
    return found


@cache
def explicit() -> frozenset[str]:
    """Return the labels that only a person has."""
    return frozenset(label for kind, label in _table() if kind == _PEOPLE_ONLY)


@cache
def _table() -> tuple[tuple[str, str], ...]:
    rows: list[tuple[str, str]] = []
    kind = ""
    for line in Path(__file__).with_name("labels.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            kind = line.strip("[]")
        elif line and not line.startswith("#"):
            rows += [(kind, plain(label)) for label in line.split("|")]
    return tuple(rows)


def plain(label: str) -> str:
    """Return a label in lower case, without dots."""
    label = unicodedata.normalize("NFC", label)
    return " ".join(label.replace("’", "'").casefold().replace(".", " ").split())


def label_before(text: str, end: int) -> tuple[str, tuple[str, ...]]:
    """Return the longest label that ends at a place in the text, and its kinds; "" for none."""
    head = text[max(0, end - 60) : end]
    head = head[head.rfind("\n") + 1 :]
    words = plain(_after_stop(head)).split()[-LONGEST_LABEL - 1 :]
    known = labels()
    for count in range(min(len(words), LONGEST_LABEL + 1), 0, -1):
        label = " ".join(words[-count:]).strip("-–—#* ")
        if label in known:
            return label, known[label]
    return "", ()


def label_start(text: str, end: int) -> int:
    """Return where the label begins that a run of words ends in; the end of the text for none."""
    match = _LABEL_END.match(text, end)
    if match is None:
        return len(text)
    separator = match.end() - 1
    label, _ = label_before(text, separator)
    if not label:
        return len(text)
    start = separator
    for _ in label.split(" "):
        start = len(text[:start].rstrip(" "))
        start = max(text.rfind(" ", 0, start), text.rfind("\n", 0, start)) + 1
        if start == 0 or plain(text[start:separator]).endswith(label):
            break
    return start


def _after_stop(head: str) -> str:
    return re.split(r"[,;|()\[\]<>:=：]", head)[-1]
