"""What a coded item of a structured report says in words, with what is said of it.

    said(item)            # ('No pneumothorax.', False): a finding with the context "Known absent"

A finding takes its state from its context ("Known absent", "Probably present"), its side and degree
from its properties, and an item whose value is yes or no states or denies what it is called. The
second value is whether the past is spoken of. Nothing is said of what is unknown, or of a relative.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from pydicom.dataset import Dataset

_DENIES = re.compile(
    r"^\W*(?:no|absent|none|negative|false|nil|nein|non|not (?:present|seen|found|visible|evident"
    r"|detected"
    r"|identified))\W*$|\b(?:known absent|definitely not|not present|absent|excluded|ruled out"
    r"|negated)\b",
    re.IGNORECASE,
)
_DOUBTS = re.compile(
    r"\b(?:possibl\w+|probabl\w+|suspected|uncertain|indeterminate|equivocal|undetermined|questionable"
    r"|likely|suspicious|cannot be excluded)\b",
    re.IGNORECASE,
)
_UNLIKELY = re.compile(r"\b(?:probably not|unlikely)\b", re.IGNORECASE)
_AFFIRMS = re.compile(
    r"^\W*(?:yes|present|positive|true|ja|oui|s[ií]|seen)\W*$|\b(?:known|confirmed"
    r"|definitely) present\b",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"^\W*(?:unknown|not (?:assessed|evaluated|applicable|known|specified|reported)|n/?a)\W*$",
    re.IGNORECASE,
)
_PAST = re.compile(r"\b(?:past|previous\w*|prior|history|resolved|old study)\b", re.IGNORECASE)
_SITE = re.compile(r"\b(?:site|location|region|topograph\w+|lobe)\b", re.IGNORECASE)
NAMELESS = re.compile(
    r"^\W*(?:findings?|comments?|text|report(?: text)?|description|conclusions?|impressions?"
    r"|observations?"
    r"|narrative|value|result|diagnos[ie]s|summary|document|diagnostic imaging report|specific"
    r"|finding text"
    r"|.*\b(?:report|text|note)s?)\W*$",
    re.IGNORECASE,
)


def said(item: Dataset, *, is_heading: bool = False) -> tuple[str, bool]:
    """What a TEXT or CODE item says, and whether it says it of the past; empty for nothing.

    ``is_heading``: the name of the item is a heading of the report and no question.
    """
    kind = str(item.get("ValueType") or "")
    name, value = name_of(item)[1], value_of(item)
    context = FindingContext.of(item)
    asks = not is_heading and name and not NAMELESS.match(name)
    if is_answer(value):
        question = re.sub(r"\W*\?\W*$|\b(?:presence of|present)\b", "", name, flags=re.IGNORECASE)
        return _stated(question.strip(), value, context) if asks else ("", False)
    if kind == "CODE" or (not context.is_plain and len(value.split()) < 8):
        return _stated(value.rstrip("."), "", context)
    short = asks and value and len(value.split()) < 4 and name.lower() not in value.lower()
    return (f"{name}: {value}" if short else value), context.is_past


def details(item: Dataset) -> Iterator[str]:
    """Whole sentences below an item, which are no property of it."""
    for child in item.get("ContentSequence") or []:
        if str(child.get("ValueType") or "") == "TEXT" and len(value_of(child).split()) > 4:
            yield value_of(child)


def is_answer(value: str) -> bool:
    """Whether a value is a yes or no to the name of its item."""
    return (
        any(pattern.search(value) for pattern in (_DENIES, _AFFIRMS, _UNKNOWN))
        and len(value.split()) < 4
    )


def _stated(finding: str, answer: str, context: "FindingContext") -> tuple[str, bool]:
    """A sentence of a finding, an answer and what else is said of it; empty where that is open."""
    states = [answer, *context.states]
    if not finding or any(_UNKNOWN.match(state) for state in states if state) or context.is_other:
        return "", False
    plain = finding if finding[:2].isupper() else f"{finding[:1].lower()}{finding[1:]}"
    words = " ".join([*context.adjectives, plain])
    words = f"{words}{''.join(f' in {site}' for site in context.sites)}"
    if any(_UNLIKELY.search(state) for state in states):
        words = f"{words[:1].upper()}{words[1:]} is unlikely"
    elif any(state and _DENIES.search(state) for state in states):
        words = f"No {words}"
    elif any(_DOUBTS.search(state) for state in states):
        words = f"Possible {words}"
    return f"{words[:1].upper()}{words[1:]}.", context.is_past


@dataclass(frozen=True, kw_only=True)
class FindingContext:
    """What the items below a finding say of it."""

    states: tuple[str, ...] = ()
    adjectives: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    is_past: bool = False
    is_other: bool = False
    """Whether it is a finding of another person."""

    @property
    def is_plain(self) -> bool:
        return not (self.states or self.adjectives or self.sites or self.is_past or self.is_other)

    @classmethod
    def of(cls, item: Dataset) -> Self:
        states, adjectives, sites = [], [], []
        is_past = is_other = False
        for child in item.get("ContentSequence") or []:
            kind = str(child.get("ValueType") or "")
            if (
                kind not in ("CODE", "TEXT")
                or str(child.get("RelationshipType") or "") == "INFERRED FROM"
            ):
                continue
            _, name = name_of(child)
            value = value_of(child)
            if "relationship" in name.lower():
                is_other = is_other or not re.search(
                    r"\b(?:self|subject of record|patient)\b", value.lower()
                )
            elif re.search(r"\btempor\w+|\btime\b", name.lower()):
                is_past = is_past or _PAST.search(value) is not None
            elif _SITE.search(name):
                sites.append(value.lower())
            elif (
                is_answer(value)
                or _DENIES.search(value)
                or _DOUBTS.search(value)
                or _AFFIRMS.search(value)
            ):
                states.append(value)
            elif value and len(value.split()) < 5:
                adjectives.append(value.lower())
        return cls(
            states=tuple(states),
            adjectives=tuple(adjectives),
            sites=tuple(sites),
            is_past=is_past,
            is_other=is_other,
        )


def value_of(item: Dataset) -> str:
    """The text, or the meaning of the code, of an item."""
    if str(item.get("ValueType") or "") == "TEXT":
        return str(item.get("TextValue") or "").strip()
    codes = item.get("ConceptCodeSequence") or []
    return str(codes[0].get("CodeMeaning") or "").strip() if codes else ""


def name_of(item: Dataset) -> tuple[str, str]:
    """Code and meaning of what an item is called."""
    names = item.get("ConceptNameCodeSequence") or []
    if not names:
        return "", ""
    return str(names[0].get("CodeValue") or "").strip(), str(
        names[0].get("CodeMeaning") or ""
    ).strip()
