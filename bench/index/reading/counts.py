"""Shares, F1 and word counts."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"\w+(?:[.,]\d+)?")
_ITEM_NUMBER = re.compile(r"(?:^|(?<=\s))\(?\d{1,2}[.)](?=\s)")


def share(part: int, whole: int) -> float:
    """Divide; nan of nothing."""
    return part / whole if whole else float("nan")


def mean(values: Sequence[float]) -> float:
    """Average; nan of nothing."""
    return sum(values) / len(values) if values else float("nan")


def f1(counts: Counter[str]) -> float:
    """F1 of the counts `right`, `ours` and `theirs`; nan where neither has any."""
    total = counts["ours"] + counts["theirs"]
    return 2 * counts["right"] / total if total else float("nan")


def words_of(text: str) -> Counter[str]:
    """Words and numbers in lower case; the numbers of a list's items are none."""
    return Counter(_WORD.findall(_ITEM_NUMBER.sub(" ", text).lower()))


def listed(values: Iterable[object]) -> str:
    """Values for a person to read, `-` of none."""
    return ", ".join(sorted(map(str, values))) or "-"
