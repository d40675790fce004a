"""The claims of a sentence: its findings one by one, its labels, and what it calls normal.

    claims = read_text("Right pleural effusion and left lower lobe atelectasis.")
    claims.atoms[0].finding, claims.atoms[0].sides      # "Pleural Effusion", {"right"}

The findings with their attributes are what a citation must support (`generator.grounding.support`).
Labels, topics and normal regions keep a composed report free of contradiction: "the lungs are
clear" names no finding and yet denies most.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from db.findings import Region
from db.index.store import Sentence
from db.labels import FINDINGS, NO_FINDING, Labels, State
from generator.grounding.regions import REGIONS, TOPICS, abnormal_region, region_of
from generator.grounding.sentences import (
    SIDES,
    content_words,
    particulars,
)
from generator.grounding.support.atoms import MAX_CHARS, atoms
from generator.grounding.support.organs import organs_called_normal
from indexer.reports.labeller import label_sentence
from indexer.reports.labelling.mention import Mention

_PARTS: dict[str, tuple[str, ...]] = {
    "Pneumonia": ("Consolidation", "Lung Opacity"),
    "Consolidation": ("Lung Opacity",),
    "Enlarged Cardiomediastinum": ("Cardiomegaly",),
}
"""Finding to the findings whose denial would contradict it."""

_AIRSPACE = ("Lung Opacity", "Consolidation", "Pneumonia")
"""Denying one of these amounts to calling the lungs clear."""

_ACUTE = frozenset(FINDINGS) - {"Support Devices"}

_I = re.IGNORECASE
_REGION_WORDS: tuple[tuple[Region, re.Pattern[str]], ...] = (
    ("heart", re.compile(r"\bheart|\bcardiac|\bcardio[\s-]?(?:mediastin|pulm|thym|vasc)", _I)),
    ("mediastinum", re.compile(r"mediastin|\bhila|\baort|trachea", _I)),
    ("vessels", re.compile(r"vascul|pulmonary (?:vessel|arter)", _I)),
    (
        "lungs",
        re.compile(
            r"\blungs?\b|cardiopulm|\bpulmonary\b(?! (?:vasc|vessel|arter))|air[\s-]?space|alveol"
            r"|infiltrat|parenchym",
            _I,
        ),
    ),
    ("pleura", re.compile(r"\bpleura|cardiopulm|costophrenic", _I)),
    ("abdomen", re.compile(r"diaphragm|abdom|periton", _I)),
    ("bones", re.compile(r"\bbon[ey]|osseous|skelet|\bspin[ea]|\bribs?\b|vertebra", _I)),
)
_CALLED_NORMAL = re.compile(
    r"\bnormal|unremarkable|\bclear\b|\bintact\b|\bmidline|within limits|\bfree of\b"
    r"|\bnegative\b|\bnot enlarged"
    r"|\b(?:no|without) (?:[a-z]+ )*?(?:abnormal|(?:acute|active|significant) (?:[a-z]+ )*?"
    r"(?:abnormal|disease|process|finding|change|infiltrat))",
    _I,
)
_WHOLE_CHEST = re.compile(
    r"\bchest\b|intrathoracic|\b(?:no|without|negative for) (?:[a-z]+ )*?(?:acute|active) "
    r"(?:radiographic )?(?:abnormalit|disease|process|finding)",
    _I,
)
_CLEAR_LUNGS = re.compile(r"\blungs? (?:[a-z]+ ){0,3}clear\b|\bclear lungs?\b", _I)
_WITHIN_LIMITS = re.compile(r"\bnormal\b|within (?:[a-z]+ )?limits", _I)
_WHOLE: frozenset[Region] = frozenset({"heart", "lungs", "pleura", "chest"})
_RANK: dict[State, int] = {"negative": 0, "uncertain": 1, "positive": 2}


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The content of one sentence in comparable form."""

    text: str
    atoms: tuple[Mention, ...]
    """Findings, each with its own side, place, degree and so on."""
    organs: Mapping[str, bool]
    """Organs called normal, and whether only acute abnormality is denied."""
    truncated: bool
    """Whether the sentence was too long to be read whole."""
    labels: Labels
    topics: Mapping[str, State]
    normal: frozenset[Region]
    """Regions called normal, or without acute abnormality, as a whole."""
    region: Region
    """The region under which a report lists the sentence."""
    particulars: frozenset[str]
    words: frozenset[str]
    consistent: bool
    """False if the sentence calls one region both normal and abnormal."""

    @property
    def states(self) -> dict[str, State]:
        """Labels and topics together."""
        return {**self.topics, **self.labels}

    @property
    def keys(self) -> frozenset[str]:
        """The names of all claims; two sentences that share one repeat each other."""
        keys = set(self.states) | {f"normal {region}" for region in self.normal}
        if "lungs" in self.normal or any(self.labels.get(n) == "negative" for n in _AIRSPACE):
            keys.add("no airspace disease")
        return frozenset(keys)

    @property
    def regions(self) -> frozenset[Region]:
        """Every region that the sentence mentions."""
        return frozenset({self.region, *self.normal, *map(region_of, self.states)})

    @property
    def named(self) -> frozenset[str]:
        """Findings and topics that are positive or uncertain."""
        return frozenset(
            name
            for name, state in self.states.items()
            if name != NO_FINDING and state in ("positive", "uncertain")
        )

    def denies(self, present: Collection[str]) -> bool:
        """Whether the sentence contradicts findings and topics that are present."""
        if not _ACUTE.isdisjoint(present) and self.labels.get(NO_FINDING) == "positive":
            return True
        if "chest" in self.normal and not _ACUTE.isdisjoint(set(present) - self.named):
            return True  # "COPD with no acute disease" beside an opacity
        for name in present:
            denied = (name, *_PARTS.get(name, ()))
            if any(self.states.get(one) == "negative" for one in denied):
                return True
            if abnormal_region(name) in self.normal:
                return True
        return False


def read_claims(sentence: Sentence) -> Claims:
    """Read the claims of an indexed sentence; its stored labels are taken as they are."""
    return _read(sentence.text, tuple(sorted(sentence.labels.items())))


def read_text(text: str) -> Claims:
    """Read the claims of a sentence that has no labels yet."""
    return _read(text, tuple(sorted(label_sentence(text[:MAX_CHARS]).items())))


@lru_cache(maxsize=1 << 15)
def _read(text: str, pairs: tuple[tuple[str, State], ...]) -> Claims:
    labels = dict(pairs)
    truncated = len(text) > MAX_CHARS
    text = text[:MAX_CHARS]
    found = atoms(text)
    topics = _topics(found)
    mentioned = {region for region, pattern in _REGION_WORDS if pattern.search(text)}
    normal: set[Region] = set()
    if _CALLED_NORMAL.search(text):
        normal = set(mentioned) | (_WHOLE if _WHOLE_CHEST.search(text) else set())
    present = [n for n, s in {**topics, **labels}.items() if s != "negative" and n != NO_FINDING]
    normal -= {abnormal_region(name) for name in present}
    regions = {region_of(name) for name in (present or labels or topics)} or normal or mentioned
    if not present and (labels.get(NO_FINDING) == "positive" or "chest" in normal):
        regions = {"chest"}
    extra = particulars(text)
    if not present:
        extra -= SIDES if extra >= SIDES else frozenset()
    return Claims(
        text=text,
        truncated=truncated,
        atoms=found,
        organs=organs_called_normal(text),
        labels=labels,
        topics=topics,
        normal=frozenset(normal),
        region=min(regions, key=REGIONS.index) if regions else "chest",
        particulars=extra,
        words=content_words(text),
        consistent=not (
            (_CLEAR_LUNGS.search(text) and "lungs" in map(abnormal_region, present))
            or (_WHOLE_CHEST.search(text) and "chest" in normal and set(present) & _ACUTE)
            or (_WITHIN_LIMITS.search(text) and any(name in TOPICS for name in present))
        ),
    )


def _topics(found: Collection[Mention]) -> dict[str, State]:
    """Merge the states of findings outside the 14 observations; positive beats uncertain."""
    topics: dict[str, State] = {}
    for one in sorted(found, key=lambda one: _RANK[one.state]):
        if one.finding in TOPICS:
            topics[one.finding] = one.state
    return topics
