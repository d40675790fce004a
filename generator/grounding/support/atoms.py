"""The findings of a sentence, each with the attributes to be checked.

    atoms("Large right and small left effusions, tip of the left PICC in the SVC.")
    # Pleural Effusion right severe; Pleural Effusion left mild; PICC left, tip svc

These are the labeller's mentions, prepared for comparison: a list that pairs sides with places or
sizes is split, attributes that the finding implies ("calcified" of a calcified aorta) are dropped,
and so is the side of a midline structure.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from db.findings import FINDING
from generator.grounding.support.pairing import BOTH, taken_apart
from indexer.reports.labeller import mentions
from indexer.reports.labelling.mention import Mention, Side

MAX_CHARS = 1_000
"""Characters of a sentence that are read."""

_MIDLINE = frozenset(
    {
        "Cardiomegaly",
        "Enlarged Cardiomediastinum",
        "Tortuous Aorta",
        "Aortic Calcification",
        "Aortic Enlargement",
        "Pneumomediastinum",
        "Pneumoperitoneum",
        "Hyperinflation",
        "Low Lung Volumes",
        "Kyphosis",
        "Endotracheal Tube",
        "Tracheostomy Tube",
        "Enteric Tube",
        "Valve Prosthesis",
        "Sternotomy Wires",
    }
)
_WITHOUT_PLACE = frozenset({"Cardiomegaly", "Enlarged Cardiomediastinum", "Low Lung Volumes"})
_WITHOUT_TIP = frozenset({"Surgical Clips", "Sternotomy Wires", "Valve Prosthesis"})
_IMPLIED: dict[str, frozenset[str]] = {
    "Aortic Calcification": frozenset({"calcified"}),
    "Atelectasis": frozenset({"compression"}),
    "Blunted Costophrenic Angle": frozenset({"costophrenic angle"}),
    "Cavity": frozenset({"cavitary"}),
    "Elevated Hemidiaphragm": frozenset({"base"}),
    "Granuloma": frozenset({"calcified", "chronic", "nodular"}),
    "Hilar Enlargement": frozenset({"hilum"}),
    "Mediastinal Shift": frozenset({"displaced"}),
    "Nodule": frozenset({"nodular"}),
}
"""Places, kinds and ages that a finding implies."""

_UNCOUNTED = frozenset({"deformity", "density"})
"""Kinds that only the roll-up to the 14 observations uses."""

_CURVE = {"left": "levo", "right": "dextro"}
_IMPLIED_SIDE: dict[str, Side] = {"middle lobe": "right", "lingula": "left"}

_APART = re.compile(r"[,;.]|\b(?:and|or|another|second|other)\b", re.IGNORECASE)

_READ_AS = re.compile(
    r"\b(?:consistent|compatible|in keeping|in line) with\b|\brepresent|\breflect|\blikely\b"
    r"|\bprobabl|\bpossibl|\bmay be\b|\bcould be\b|\bsuspicious\b|\bconcerning\b|\bsuggest"
    r"|\bversus\b|\bvs\b|^\s*or\s*$|\bfavor|\bfrom\b|\bdue to\b",
    re.IGNORECASE,
)
_WITH = re.compile(
    r",? (?:(?:and|which|that) )?(?:(?:has|have|is|are) )?(?:with|containing|contains"
    r"|(?:associated|together|along) with|accompanied by|associated|surrounded by|and adjacent"
    r"|and overlying|and associated) (?:(?!no\b|not\b|without\b)[\w-]+ ){0,3}",
    re.IGNORECASE,
)
"""Between a finding and what belongs to it."""
_NEW_CLAUSE = re.compile(r";|\.\s|\band\b|\bwith(?! )", re.IGNORECASE)


@lru_cache(maxsize=1 << 15)
def atoms(text: str) -> tuple[Mention, ...]:
    """Return the findings of a sentence in order; a bilateral finding is one."""
    text = text[:MAX_CHARS]
    found = mentions(text)
    return _at_one_place(
        text,
        [
            _normal_form(one)
            for place, mention in enumerate(found)
            for one in taken_apart(text, found, place, mention)
        ],
    )


def _at_one_place(text: str, found: list[Mention]) -> tuple[Mention, ...]:
    """The findings, with what a finding comes with at its place: "LUL mass with cavitation"."""
    for place, (one, other) in enumerate(pairwise(found), start=1):
        if _is_joined(text, one, other) and not (other.sides or other.location):
            found[place] = replace(other, sides=one.sides, location=one.location)
    return tuple(found)


def joined(text: str, found: Sequence[Mention]) -> Iterator[tuple[Mention, Mention]]:
    """Yield the pairs of findings of which the text says that they come together."""
    for one, other in pairwise(found):
        if _is_joined(text, one, other):
            yield one, other


def _is_joined(text: str, one: Mention, other: Mention) -> bool:
    return (
        one.state != "negative"
        and other.state != "negative"
        and {FINDING[one.finding].region, FINDING[other.finding].region} <= {"lungs", "pleura"}
        and one.end <= other.start
        and _WITH.fullmatch(text, one.end, other.start) is not None
    )


@lru_cache(maxsize=1 << 15)
def evidence_atoms(text: str) -> tuple[Mention, ...]:
    """Return `atoms` with two wordings of one thing taken together.

    "T8 wedging with compression deformity" is one fracture, and the disease that an opacity is read
    as lies where the opacity does.
    """
    found: list[Mention] = []
    explained: Mention | None = None
    for one in atoms(text):
        last = found[-1] if found else None
        if last is None or one.state == "negative" or last.end > one.start:
            found.append(one)
            explained = None
            continue
        between = text[last.end : one.start]
        if (
            last.finding == one.finding
            and last.state == one.state
            and not _APART.search(between)
            and _agree(last, one)
        ):
            found[-1] = _merged(last, one)
        elif _READ_AS.search(between) and not _NEW_CLAUSE.search(between):
            explained = explained or last
            lies_there = not (one.sides or one.location) and (
                FINDING[one.finding].region == FINDING[explained.finding].region == "lungs"
            )
            found.append(
                replace(one, sides=explained.sides, location=explained.location)
                if lies_there
                else one
            )
        else:
            found.append(one)
            explained = None
    return tuple(found)


def _agree(one: Mention, other: Mention) -> bool:
    pairs = (
        (one.sides, other.sides),
        (one.location, other.location),
        (one.degree, other.degree),
        (one.size_mm, other.size_mm),
        (one.tip, other.tip),
    )
    return all(not a or not b or a == b for a, b in pairs)


def _merged(one: Mention, other: Mention) -> Mention:
    return replace(
        one,
        end=other.end,
        sides=one.sides | other.sides,
        location=one.location | other.location,
        tip=one.tip | other.tip,
        degree=one.degree | other.degree,
        size_mm=one.size_mm or other.size_mm,
        age=one.age | other.age,
        kind=one.kind | other.kind,
    )


def _normal_form(mention: Mention) -> Mention:
    name = mention.finding
    implied = _IMPLIED.get(name, frozenset())
    sides, kind = mention.sides, mention.kind - implied - _UNCOUNTED
    if name == "Scoliosis":
        if len(sides) == 1 and not kind & {"dextro", "levo"}:
            kind |= {_CURVE[side] for side in sides}
        sides = frozenset()
    elif name in _MIDLINE:
        sides = frozenset()
    elif not sides and len(mention.location) == 1:
        sides = frozenset(
            _IMPLIED_SIDE[place] for place in mention.location if place in _IMPLIED_SIDE
        )
    if mention.state == "negative" and sides == BOTH:
        sides = frozenset()
    return replace(
        mention,
        sides=sides,
        location=frozenset()
        if name in _WITHOUT_PLACE
        else mention.location - implied - mention.tip,
        tip=frozenset() if name in _WITHOUT_TIP else mention.tip,
        age=mention.age - implied,
        kind=kind,
    )
