"""Read a question: what it asks of which findings.

parse("Is there an effusion or a pneumothorax?")
# presence of Pleural Effusion, Pneumothorax; any of them
parse("Which side is the effusion on?")         # detail, on the premise of a Pleural Effusion
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from db.labels import FINDINGS, NO_FINDING, State
from generator.grounding.answers import as_statement, asked_states
from generator.grounding.support.atoms import atoms
from generator.questions.reading import whole
from generator.questions.reading.evidence import asks_certainty, asks_evidence, asks_similar_cases
from generator.questions.reading.named import (
    Named,
    asked_part,
    is_about,
    named,
    presumed,
    taken_for_granted,
)
from generator.questions.reading.quality import Aspect, quality_of
from generator.questions.reading.scope import BESIDE_QUALITY, declined, off_topic
from generator.questions.reading.specific import Narrower, narrower, unmeasured
from generator.questions.reading.topics.knowledge import CAUSE, GENERAL
from generator.questions.reading.unnamed import (
    asks_degree,
    asks_for_something,
    asks_how_bad,
    compares_sides,
    is_of_looks,
)
from generator.questions.reading.view import is_projection, is_view
from generator.questions.reading.vocabulary import CONTENTLESS, strange_words, words_of
from generator.questions.reading.wording import in_report_words, spelt

Kind = Literal[
    "presence", "normal", "region", "what", "where", "detail", "view", "modality", "anatomy",
    "orientation", "quality", "evidence", "certainty", "similar", "declined", "other",
]  # fmt: skip
"""``detail`` is side, place, degree or another property of a finding, ``where`` the same of what is
abnormal; ``orientation`` is which side is the patient's left, ``quality`` how the image was taken,
``evidence`` what speaks for a finding, ``certainty`` how sure the reading is, and ``similar`` what
the similar cases say."""

_YES_NO = re.compile(
    r"^\W*(?:(?:and|but|so|please|ok|hi|hello|good \w+|yes|well)\W+)*(?:is|are|was|were|does|do|did"
    r"|has|have|can|could|would|any|anything|isn't|aren't|doesn't|don't|hasn't|haven't|isnt"
    r"|arent)\b"
    r"|^(?!\W*(?:what|which|where|who|when|why|how|in what|in which|on which)\b).*"
    r"\b(?:is|are) (?:there|it|this)\b|\b(?:right|correct|yes or no|y/n|or not)\W*$"
)
_OPEN = re.compile(
    r"\b(?:can|could|would) (?:you )?(?:please )?(?:list|name|describe|summari[sz]e|tell me what"
    r"|give|read|interpret|comment|walk|explain|help|show me)\b"
)
_NO = re.compile(
    r"\b(?:no|without|free of|absence of|absent|not|lack\w*|never|negative for|neither|(?:rule[sd]?"
    r" out)|exclud\w+|ruled out|don't see"
    r"|(?:there|it|this|that|image|x-?ray|film) (?:is|are|does|has|was)n['’]?t)\b"
)
_EITHER = re.compile(
    r"\b(?:normal|clear|fine|ok|okay|healthy|intact|within normal limits|sharp|midline|straight"
    r"|central"
    r"|unremarkable)(?: [\w-]+){0,2}? or \w+|\bor (?:\w+ )?(?:normal|clear|fine|healthy"
    r"|unremarkable)\b"
)
"""A choice between sound and not, to which neither yes nor no is an answer."""
_LOW_VOLUMES = Named(topics=("Low Lung Volumes",))
"""What "poor inspiration" is read as."""
_NOT_YES = re.compile(r"^\W*(?:is|are|do|does|has|have|can|could)n['’]?t\b")


@dataclass(frozen=True, kw_only=True)
class ParsedQuestion:
    """One question in the form that an assessment can answer."""

    text: str
    """In lower case and spelt right."""
    kind: Kind
    asked: Mapping[str, State] = field(default_factory=dict)
    """Observation to the state that "yes" gives it."""
    topics: tuple[str, ...] = ()
    """Findings outside the 14 observations that it names."""
    narrower: tuple[Narrower, ...] = ()
    """What it names that is narrower than the observations, in presence or for granted."""
    unmeasured: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Observation to what the question says of it and the assessment does not: extent,
    place."""
    granted: tuple[Named, ...] = ()
    """What it takes for granted."""
    presumed: tuple[Named, ...] = ()
    """What a question on presence believes in: "is the left chest tube in place"."""
    every: bool = True
    """Whether "yes" needs all of ``asked``, not one of them."""
    yes_no: bool = False
    either: bool = False
    """Whether it offers a choice, to which neither yes nor no is an answer."""
    region: str = ""
    decline: str = ""
    """The sentence that declines it."""
    side: frozenset[str] = frozenset()
    """Sides that a question on presence names."""
    aspect: Aspect | None = None
    """What a question on the quality of the image asks."""


@lru_cache(maxsize=1 << 10)
def parse(question: str) -> ParsedQuestion:
    """Read one question. Never fails: what no rule reads has the kind ``declined``."""
    text = spelt(question).lower()
    base = ParsedQuestion(
        text=text,
        kind="other",
        yes_no=bool(_YES_NO.search(text)) and not _OPEN.search(text),
        either=bool(_EITHER.search(text)),
    )
    terms = in_report_words(question)
    found = named(terms) or Named.of(taken_for_granted(terms))
    if whole.is_modality(text) and not is_projection(text):
        return replace(base, kind="modality")
    anatomy = whole.anatomy_of(text)
    if anatomy is not None and not found:
        return replace(base, kind="anatomy", region=anatomy)
    if whole.asks_orientation(text) and not found:
        return replace(base, kind="orientation")
    sentence = declined(question) or declined(spelt(question))
    aspect = quality_of(text)
    if aspect and sentence not in BESIDE_QUALITY and found in (Named(), _LOW_VOLUMES):
        return replace(base, kind="quality", aspect=aspect)
    if _asks_grounds(text) and sentence in (None, CAUSE, GENERAL):
        kind: Kind = "evidence" if asks_evidence(text) else "similar"
        supposed = kind == "evidence" and not (whole.called_well(text) or _NO.search(terms))
        granted = taken_for_granted(terms) if supposed else ()
        return replace(
            base, kind=kind, asked=dict.fromkeys(found.names, "positive"), granted=granted
        )
    if sentence == CAUSE and (len(found.names) > 1 or (found and (aspect or is_projection(text)))):
        sentence = None
    if sentence:
        return replace(base, kind="declined", decline=sentence)
    if asks_certainty(text) and not found:
        return replace(base, kind="certainty")
    if is_view(text) and not found and not whole.region_of(text):
        return replace(base, kind="view")
    if found:
        return _on_findings(base, terms, found)
    return _on_the_whole(base)


def _asks_grounds(text: str) -> bool:
    return asks_evidence(text) or asks_similar_cases(text)


def _on_findings(base: ParsedQuestion, terms: str, found: Named) -> ParsedQuestion:
    region = whole.region_of(base.text)
    if base.yes_no and region and whole.called_well(base.text) and _only_well(base.text):
        return _well(base, region)
    granted = taken_for_granted(terms)
    base = replace(base, topics=found.topics, granted=granted, narrower=narrower(base.text, terms))
    known = {name for one in granted for name in one.names}
    side = _side(terms)
    asked = [name for name in found.names if name not in known]
    fresh = [topic for topic in found.topics if all(topic not in one.topics for one in granted)]
    if is_about(terms) or (granted and not asked and not fresh):
        one_side = len(side) == 1 or not re.search(r"\bor\b|/|\bvs\b", base.text)
        if (
            side
            and one_side
            and base.yes_no
            and known
            and not is_about(terms)
            and _of_side_only(terms)
        ):
            return _presence(base, terms, found.names)
        return replace(base, kind="detail", asked=dict.fromkeys(found.names, "positive"))
    return _presence(replace(base, topics=tuple(fresh)), terms, tuple(asked))


def _on_the_whole(base: ParsedQuestion) -> ParsedQuestion:
    """A question that names no finding."""
    region = whole.region_of(base.text)
    strange = strange_words(base.text)
    if compares_sides(base.text) or (is_of_looks(base.text) and not base.yes_no):
        return base
    if region and whole.asks_place_of_organ(base.text):
        return base
    if region and base.yes_no and len(strange) < 2:
        if whole.called_well(base.text):
            return _well(base, region)
        if whole.called_abnormal(base.text):
            return _well(base, region, "positive")
    if whole.asks_where(base.text) and whole.called_abnormal(base.text) and len(strange) < 2:
        return replace(base, kind="where")
    if asks_how_bad(base.text):
        return replace(base, kind="where")
    if not region:
        asked = whole.asks_whole(base.text, yes_no=base.yes_no)
        if asked == "normal":
            state = whole.wanted_state(base.text)
            return replace(base, kind="normal", asked={NO_FINDING: state})
        if asked == "what":
            return replace(base, kind="what")
    elif not base.yes_no and len(strange) < 2:
        return replace(base, kind="region", region=region)
    if asks_degree(base.text):
        return replace(base, kind="where")
    terms = in_report_words(base.text)
    if whole.is_of_xrays(base.text) or whole.is_of_xrays(terms) or asks_for_something(base.text):
        return base
    return replace(base, kind="declined", decline=off_topic(base.text))


def _well(base: ParsedQuestion, region: str, state: State = "negative") -> ParsedQuestion:
    """Ask for all or any of what makes a region abnormal: "are the lungs clear?"."""
    states = dict.fromkeys(whole.REGIONS[region][1], state)
    return replace(base, kind="presence", asked=states, region=region, every=state == "negative")


def _presence(base: ParsedQuestion, terms: str, names: tuple[str, ...]) -> ParsedQuestion:
    plain = as_statement(terms.rstrip("? ").strip())
    said = {name: state for name, state in asked_states(plain).items() if name in names}
    question = asked_part(terms)
    denied = bool(_NO.search(question)) and not _NOT_YES.search(question)
    states: dict[str, State] = dict.fromkeys(names, "negative" if denied else "positive")
    if denied and set(said.values()) == {"positive", "negative"}:
        states = said
    side = _side(terms)
    return replace(
        base,
        kind="presence",
        asked=states,
        unmeasured=unmeasured(terms),
        presumed=presumed(terms),
        every="negative" in states.values() or not re.search(r"\bor\b|/", terms),
        side=side if len(side) == 1 else frozenset(),
    )


def _side(terms: str) -> frozenset[str]:
    found = atoms(as_statement(terms.rstrip("? ").strip()))
    return frozenset(side for one in found for side in one.sides)


def _of_side_only(terms: str) -> bool:
    rest = set(words_of(terms)) - CONTENTLESS - {"left", "right", "side", "sided"}
    return not rest - {word for name in FINDINGS for word in name.lower().split()}


def _only_well(text: str) -> bool:
    """Whether the named finding is no more than the region called normal: "heart size normal"."""
    bare = re.sub(r"\b(?:size|silhouette|contour|shadow|fields?|angles?)\b", "", text)
    return not any(name.lower() in bare for name in FINDINGS) and not atoms(
        whole.without_well(as_statement(bare.rstrip("?")))
    )
