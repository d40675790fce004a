"""The findings that a question names, and those that it takes for granted.

named("Is there a nodule or scoliosis?")         # Named(("Lung Lesion",), ("Scoliosis",))
taken_for_granted("Is the nodule calcified?")       # (Named(("Lung Lesion",), ()),)
taken_for_granted("Is the nodule present?")         # ()
presumed("Is the left chest tube in place?")        # (Named(("Support Devices",), ()),)

"the nodule" takes a nodule for granted, and so does "which lobe has the nodule", unless all that is
asked is whether it is there. Of "the left chest tube" that may be asked as well, but who asks it
believes in one: `presumed`. Text is that of `generator.questions.reading.wording.in_report_words`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from db.findings import FINDING
from db.labels import FINDINGS, NO_FINDING
from generator.grounding.answers import as_statement, asked_states
from generator.grounding.support.atoms import atoms
from generator.questions.reading.vocabulary import (
    CONTENTLESS,
    IMAGE_WORDS,
    ORGANS,
    UNREAD,
    words_of,
)

_DEFINITE = re.compile(
    r"\b(?:the|this|that|these|those|his|her|hers|its|their|my|your|such an?|with an?|what an?)\s+"
    r"(?=(?P<noun>[\w-]+(?:[ /]+[\w-]+){0,4}))"
)
"""The noun is looked ahead at: "the edge of the mass" has two."""
_SUBJECT = re.compile(
    r"^\W*(?:is|are|was|were|does|do|did|has|have|can|could|will|would|might)\s+"
    r"(?!(?:there|it|this|that|these|those|the|an?|any|some|no|you|we|i|he|she|they|one|either)\b)"
    r"(?P<noun>[\w-]+(?:[ /]+[\w-]+){0,4})"
)
"""A bare noun as the subject: "is pneumonia contagious"."""
_NOUN_ENDS = frozenset(
    """
    is are was were has have had does do did in on at of to from and or but with without which
    who where when for a an any be been being there having than compared
    """.split()
)
_VERB = re.compile(
    r"^(?:look|seem|appear|suggest|show|indicat|represent|demonstrat|contain|mean|reveal|display"
    r"|exhibit|hint|develop|suffer|resembl)(?:e?s|e|ed|ing|n)?$"
)
_EXISTS = frozenset(
    """
    present visible seen there noted evident apparent shown identified identifiable detected
    found real definite definitely obvious exist exists suspected likely possible confirmed true
    still evidence sign signs hint hints trace traces suggestion indication suspicion place situ
    anywhere absent gone excluded ruled here now visualised visualized
    """.split()
)
_PREDICATE = re.compile(
    r"^(?:(?:en|un)?larged|hyper\w+|flattened|widened|elevated|tortuous|calcified|dilated|deviat\w*"
    r"|thickened|blunt\w*|displaced|prominent|fractured|broken|collaps(?:ed|ing)|shift\w*|raised"
    r"|abnormal"
    r"|congested|full|unfolded|clear|normal|curved|increased|depressed|inflated|intact)$"
)
"""What is said of an organ: "are the lymph nodes enlarged" takes nothing for granted."""
_PLAINLY_EXISTS = _EXISTS - frozenset("place situ still anywhere real true now here".split())
_HAS_PLACE = re.compile(r"\b(?:left|right|upper|lower|middle|apical|basal|sided)\b")
_PRESUMES = re.compile(
    r"^\W*(?:and|so|now|name|identify|specify|state|what about|how about|tell (?:me"
    r"|us) (?:more )?(?:about|of))\b(?!.*\b(?:if"
    r"|whether)\b)|\b(?:ok|okay|fine|alright|good)\W*$"
)
"""What presumes a thing that a question names with "the": "and the tube?"."""
_STATED = frozenset(
    """
    present visible seen there noted evident apparent shown identified detected found depicted
    demonstrated visualized visualised appreciated situ
    """.split()
)
_ABOUT = re.compile(
    r"^\W*(?:(?:roughly|approximately|about|exactly|precisely|so|and|but|then|in what way|out of"
    r" interest),? )*(?:what|which|where|who|when|why|how|whose|(?:in|on|at|of|to|by|for"
    r"|from) (?:what|which)"
    r"|(?:(?:can|could|would) you |please |kindly )*(?:describe|characteri[sz]e|measure|locate"
    r"|locali[sz]e|grade|quantify|count|point (?:out|to|at)|show me|outline|circle|mark|stage"
    r"|estimate|size up|compare|elaborate"
    r"|(?:name|identify|state|give|specify|tell (?:me|us)) (?:me |us )?the (?:[\w-]+ ){1,3}"
    r"(?:of|with|that|which|where|in which|containing|affected)))\b"
    r"|\b(?:where|which|what|how (?:big|large|small|wide|deep|severe|bad|many|much|far|thick|long))"
    r" (?:[\w-]+ ){0,6}(?:is|are|sits?|lies?|ends?)\b"
)
_DEGREES = (
    r"(?:big|large|small|tiny|mild|moderate|severe|massive|simple|complex|acute|chronic|old|new"
    r"|recent|benign|malignant|focal|diffuse|unilateral|bilateral|left|right|upper|lower|complete"
    r"|completely|total|partial|partly|whole|entire|all|smooth|ragged|sharp|fuzzy|irregular"
    r"|spiculated|lobulated|calcified|solid|localised|localized|widespread)"
)
_ALTERNATIVES = re.compile(
    rf"\b{_DEGREES} or (?:an? )?{_DEGREES}\b"
    rf"|\b{_DEGREES} (?:[\w-]+ ){{0,4}}or (?:is (?:it|this|that) )?"
    rf"(?:(?:only|just|merely|an?|the) )*(?:{_DEGREES} (?:ones?|part|half|bit)|(?:only|just"
    r"|merely) (?:(?:an?|the|its|one) )*[\w-]+|part|half)\b"
)
"""Degrees to choose from, as "small or large", "all of it or only a part"."""
_VERBAL_COLLAPSE = re.compile(
    r"\b(?:do|does|did|can|could|will|would|might|may)\b[^,;.?]*\bcollapse(?=\W*$| (?:or|and|at"
    r"|in|on|after|because|completely|partly|partially|again|here|there)\b)"
)
"""Where "the lung collapse" is no noun: "did the lung collapse"."""
_PROBABLY = re.compile(
    r"\b(?:(?<!more )(?<!most )likel\w+|probab\w+|confiden\w+|certain\w*|sure|chances? (?:of"
    r"|that)|odds)\b"
    r"|^\W*(?:what|how) about\b|\b(?:tell|say|know|see|check|confirm|wonder\w*) (?:me )?(?:if"
    r"|whether)\b|\bif (?:any|at all|there is one)\b|\bor (?:neither|none)\b"
)
_WHICH_EXIST = re.compile(
    r"\b(?:what|which)(?! (?:side|lung|lobe|part|zone|region|area|size|shape|level|extent"
    r"|degree|types?|kinds?|sorts?|brand|make|model|grade|stage"
    r"|cause)\b(?! (?:of )?(?:abnormalit|finding"
    r"|patholog|disease|device|problem))) (?:[\w/-]+"
    r" ){0,6}?"
    r"(?:(?:is|are) (?:there|present|visible|seen|in place|in situ|shown|noted|evident)"
    r"|(?:do|can) you see)\b"
)
_GIVEN = re.compile(
    r"\b(?:given|since|considering|now that|seeing that|apart from|besides|other than|in"
    r" addition to"
    r"|despite|in spite of|because of|due to|on account of)\b(?P<claim>[^,;?]+)"
)
_TOLD = re.compile(
    r"^(?P<claim>.+?)(?:[.;,:]\s+(?:(?:and|so|but|then) )?|\s+(?:but|and|so) )"
    r"(?:(?:i|we)(?:'d| would)? (?:want|wish|like|need) to know |tell me |i wonder |please )?"
    r"(?P<asked>(?:is|are|was|does|do|did|has|have|what|where|which|how|on which|in which|can|could"
    r"|why|any)\b.*\b(?:it|its|it's|they|them|their|one|ones|any)\b.*)"
)
"""A statement, and after it a question on what it states."""
_STARTS_QUESTION = re.compile(
    r"^\W*(?:is|are|was|were|does|do|did|has|have|can|could|would|will|any|what|which|where|who"
    r"|when"
    r"|why|how|isn't|aren't)\b"
)


@dataclass(frozen=True, kw_only=True)
class Named:
    """Findings that one noun or one question names."""

    names: tuple[str, ...] = ()
    """Of the 14 observations, in their order."""
    topics: tuple[str, ...] = ()
    """Findings outside them."""
    things: tuple[str, ...] = ()
    """What no finding is, by its noun: "stent"."""

    def __bool__(self) -> bool:
        return bool(self.names or self.topics or self.things)

    @classmethod
    def of(cls, several: Sequence["Named"]) -> Self:
        """All that several nouns name."""
        names = {name for one in several for name in one.names}
        return cls(
            names=tuple(name for name in FINDINGS if name in names),
            topics=tuple(dict.fromkeys(topic for one in several for topic in one.topics)),
            things=tuple(dict.fromkeys(thing for one in several for thing in one.things)),
        )


@lru_cache(maxsize=1 << 12)
def named(text: str) -> Named:
    """The findings that a question or a noun names."""
    plain = as_statement(text.rstrip("? ").strip())
    found = [one.finding for one in atoms(plain)]
    parents = {FINDING[one].parent for one in found}
    parents |= set(asked_states(plain)) - {NO_FINDING}
    parents |= {name for name in FINDINGS if name.lower() in plain.lower()}
    return Named(
        names=tuple(name for name in FINDINGS if name in parents),
        topics=tuple(dict.fromkeys(one for one in found if FINDING[one].parent is None)),
    )


def taken_for_granted(text: str) -> tuple[Named, ...]:
    """What must be seen for the question to make sense, one entry for each noun."""
    if _PROBABLY.search(text) and not _ALTERNATIVES.search(text):
        return ()
    found = list(_claimed(text))
    for match in (*_DEFINITE.finditer(text), *_SUBJECT.finditer(text)):
        noun = _noun(match["noun"])
        if noun.endswith("collapse") and _VERBAL_COLLAPSE.search(text):
            continue
        if noun and not _only_existence(text, noun):
            found.append(named(noun))
    if is_about(text) and not found:
        found.append(named(text))
    if not any(found) and not named(text):
        found = _unread(text)
    return tuple(dict.fromkeys(one for one in found if one))


def presumed(text: str) -> tuple[Named, ...]:
    """What a question believes in, though it may ask no more than whether it is there."""
    if re.search(r"\bif (?:any|at all|there is one)\b", text):
        return ()
    nouns = [
        noun
        for match in _DEFINITE.finditer(text)
        if (noun := _noun(match["noun"])) and not (ORGANS | {"ok", "okay"}).issuperset(noun.split())
    ]
    return tuple(
        dict.fromkeys(
            named(noun)
            for noun in nouns
            if _HAS_PLACE.search(noun)
            or _PRESUMES.search(text)
            or not {w for w in words_of(text.replace(noun, " ")) if w not in CONTENTLESS}
            <= _PLAINLY_EXISTS
        )
    )


def _unread(text: str) -> list[Named]:
    """What a question takes for granted that is no finding: "the stent"."""
    found = []
    for match in _DEFINITE.finditer(text):
        for word in match["noun"].split():
            if word in _NOUN_ENDS or _VERB.match(word):
                break
            if word in UNREAD and not _only_existence(text, word):
                found.append(Named(things=(word,)))
    if not found and is_about(text):
        found = [Named(things=(word,)) for word in words_of(text) if word in UNREAD][:1]
    return found


def is_about(text: str) -> bool:
    """Whether it asks for more than whether something is there: where, how, what kind."""
    if _ALTERNATIVES.search(text):
        return True
    whether = (
        _PROBABLY.search(text)
        or _WHICH_EXIST.search(text)
        or re.search(r"\b(?:there is no|there are no|absence of|rules? out|excludes?)\b", text)
    )
    return bool(_ABOUT.search(text)) and not whether


def _claimed(text: str) -> tuple[Named, ...]:
    claims = [match["claim"] for match in _GIVEN.finditer(text)]
    if told := _TOLD.match(text):
        rest = told["asked"]
        if not (_STARTS_QUESTION.match(text) or named(rest) or asks_only_existence(rest)):
            claims.append(told["claim"])
    return tuple(
        named(claim) for claim in claims if not re.search(r"\b(?:no|not|without)\b", claim)
    )


def _noun(words: str) -> str:
    """The shortest beginning of some words that names a finding; empty where none does."""
    noun: list[str] = []
    for word in words.split():
        if word in _NOUN_ENDS or _VERB.match(word):
            break
        noun.append(word)
        if named(" ".join(noun)):
            return "" if noun[1:] and _PREDICATE.match(word) else " ".join(noun)
    return ""


def asked_part(text: str) -> str:
    """The question of a text, without what is stated before a question on it."""
    told = _TOLD.match(text)
    return told["asked"] if told and not _STARTS_QUESTION.match(text) else text


def asks_only_existence(text: str) -> bool:
    """Whether a question without a noun asks if something is there: "can you see any of it"."""
    rest = {word for word in words_of(text) if word not in CONTENTLESS | IMAGE_WORDS}
    return not is_about(text) and rest <= _EXISTS


def _only_existence(text: str, noun: str) -> bool:
    """Whether nothing is asked of a noun but whether it is there, and on which side."""
    rest = {word for word in words_of(text.replace(noun, " ")) if word not in CONTENTLESS}
    stated = not rest.isdisjoint(_STATED) and text.split(noun)[0].split()[-1:] != ["the"]
    return not is_about(text) and (stated or rest <= _EXISTS)
