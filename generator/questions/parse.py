"""Read a question: what it asks of which findings.

parse("Is there an effusion or a pneumothorax?")
# presence of Pleural Effusion, Pneumothorax; any of them
parse("Which side is the effusion on?")         # place, on the premise of a Pleural Effusion
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from db.findings import FINDING
from db.labels import FINDINGS, NO_FINDING, State
from generator.grounding.answers import as_statement, asked_states
from generator.grounding.support.atoms import atoms
from generator.questions.scope import declined

_I = re.IGNORECASE

Kind = Literal[
    "presence", "normal", "region", "what", "place", "degree", "view", "modality", "anatomy",
    "declined", "other",
]  # fmt: skip

_YES_NO = re.compile(
    r"^\W*(?:(?:and|but|so|please|ok|hi|hello)\W+)*(?:is|are|was|were|does|do|did|has|have|can"
    r"|could"
    r"|would|any|isn't|aren't|doesn't|don't|hasn't|haven't)\b"
    r"|^(?!\W*(?:what|which|where|who|when|why|how|in what|in which|on which)\b).*"
    r"\b(?:is|are) (?:there|it|this)\b",
    _I,
)
_PLACE = re.compile(
    r"\bwhere\b|\b(?:which|what) (?:side|lung|lobe|part|zone|location|region|area|hemithorax|field)"
    r"|\bin (?:which|what) (?:part|side|lung|lobe)|\b(?:left|right)[\w -]*\bor\b[\w -]*\b(?:left"
    r"|right)"
    r"|\bon (?:which|what) side|\blocat(?:ion|ed)\b|\bhow many\b|\bunilateral or bilateral|\bone"
    r" or both",
    _I,
)
_DEGREE = re.compile(
    r"\bhow (?:large|big|severe|bad|much|extensive|small|great|marked|wide|dense|deep)\b"
    r"|\b(?:what|which) (?:size|degree|severity|extent|grade)|\b(?:size|severity|extent|degree) of"
    r" (?:the"
    r"|this|that)|\bwhat is the (?:size|severity|extent|degree)|\b(?:mild"
    r"|small)\b.*\bor\b.*\b(?:severe"
    r"|large|moderate)\b|\bdescribe the\b|\bwhat (?:kind|type|sort) of\b",
    _I,
)
_ON_A_PREMISE: tuple[tuple[Kind, re.Pattern[str]], ...] = (("place", _PLACE), ("degree", _DEGREE))
_VIEW = re.compile(
    r"\b(?:which|what|how many) (?:views?|projections?|planes?|positions?)\b|\bin what plane\b"
    r"|\b(?:frontal|lateral|pa|ap|antero-?posterior|postero-?anterior)\b.*\b(?:view|film|image"
    r"|x-?ray"
    r"|radiograph|projection|study|or)\b|\b(?:view|film|image|x-?ray|radiograph|study|this) (?:is"
    r" )?(?:an?"
    r" )?(?:frontal|lateral|pa|ap)\b|\bmid-?sagittal\b|\b(?:axial|sagittal|coronal)\b",
    _I,
)
_MODALITY = re.compile(
    r"\b(?:which|what) (?:imaging )?(?:modality|technique)\b|\bmodality\b|\bhow was (?:this|the)"
    r" (?:image"
    r"|picture|scan|film|study) (?:taken|made|acquired)|\b(?:what|which) (?:kind|type|sort) of"
    r" (?:image"
    r"|imaging|scan|picture|study|exam\w*|film|x-?ray)|\b(?:is|was) (?:this|it|that|the image)(?:"
    r" image"
    r"| study| scan| picture)? (?:an?|from an?) (?:\w+ )?(?:ct|mri?|mr|pet|ultrasound|x-?ray|cxr"
    r"|scan"
    r"|radiograph|mammogra\w+|photo\w*|cat scan)\b|\bwhat (?:am i looking at|is this(?: image|"
    r" picture)?)\W*$",
    _I,
)
_X_RAY = re.compile(r"\b(?:x-?ray|radiograph|cxr|film)\b", _I)
_ANATOMY = re.compile(
    r"\b(?:which|what) (?:organs?|body part|part of the body|anatom\w+|region of the body|organ"
    r" system"
    r"|structures?|body region|area of the body|system)\b|\b(?:is|was) (?:this|it)(?: image| an"
    r" image| a"
    r" picture| a study| x-?ray| film| an x-?ray)* (?:of |the )+(?P<part>[a-z]+)",
    _I,
)
_CHEST_PARTS = re.compile(r"^(?:chest|thora\w+|lungs?|heart|rib\w*)$", _I)
_WHAT = re.compile(
    r"\b(?:what|which|list|name|describe|summari[sz]e|tell me|give|report)\b.*\b(?:abnormal\w*"
    r"|finding\w*"
    r"|wrong|patholog\w+|diagnos\w+|problems?|lesions?|diseases?|conditions?|show\w*|seen?|visible"
    r"|present|impression|happening|going on|unusual|image|x-?ray|film)\b|^\W*(?:findings"
    r"|impression"
    r"|summary)\W*$|\bsummari[sz]e\b",
    _I,
)
_WHOLE = r"(?:film|x-?ray|image|chest|study|radiograph|scan|picture|cxr|physiology)"
_NORMAL = re.compile(
    r"^\W*(?:is|are|was|does|do|would)\b(?:(?!\b(?:heart|lungs?|mediastin|bones?|ribs?|pleura|hil"
    r"|aort"
    r"|diaphragm|spine|trachea|cardi|vascul)).)*\b(?P<word>abnormal\w*|normal\w*|healthy"
    r"|unremarkable"
    r"|wrong|fine|patholog\w+|disease[sd]?|findings?|acute|okay|ok|clear)\b"
    r"|\bany(?:thing)? (?:abnormal\w*|wrong|findings?|patholog\w*|unusual|suspicious)",
    _I,
)
_ABNORMAL = re.compile(
    r"\b(?:abnormal\w*|wrong|patholog\w*|disease[sd]?|findings?|unusual|suspicious|acute)\b", _I
)
_NO = re.compile(r"\b(?:no|without|free of|absence of|absent|not|lack\w*|never|negative for)\b", _I)
_NOT_YES = re.compile(r"^\W*(?:is|are|do|does|has|have|can|could)n['’]?t\b", _I)
_WELL = re.compile(
    r"\b(?:normal|clear|unremarkable|intact|healthy|fine|okay|ok|well aerated|aerated|expanded)\b",
    _I,
)
REGIONS: Mapping[str, tuple[re.Pattern[str], tuple[str, ...]]] = {
    "heart": (re.compile(r"\b(?:heart|cardiac)\b", _I), ("Cardiomegaly",)),
    "mediastinum": (
        re.compile(r"\b(?:mediastin\w+|cardiomediastin\w+)\b", _I),
        ("Enlarged Cardiomediastinum", "Cardiomegaly"),
    ),
    "lungs": (
        re.compile(r"\b(?:lungs?|lung fields?|parenchyma|airspaces?)\b", _I),
        ("Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis"),
    ),
    "pleura": (
        re.compile(r"\b(?:pleura|pleural spaces?|costophrenic angles?)\b", _I),
        ("Pleural Effusion", "Pneumothorax", "Pleural Other"),
    ),
    "bones": (
        re.compile(r"\b(?:bones?|bony|ribs?|skelet\w+|osseous|clavicles?)\b", _I),
        ("Fracture",),
    ),
}
"""What is asked about as a whole, and the findings that make it abnormal."""

_LAY = (
    (re.compile(r"\b(?:fluid|water) (?:in|on|around) (?:the |his |her )?(?:lungs?|chest"
                r"|pleura)", _I),
     "pleural effusion"),
    (re.compile(r"\b(?:big|large|dilated|oversized) heart\b|\benlargement of the heart\b"
                r"|\bheart (?:look|appear)s? (?:big|large|enlarged)|\bheart (?:shadow"
                r" )?(?:abnormally "
                r"|too )?(?:big|large|wide)\b|\bheart size (?:is )?(?:increased|enlarged)", _I),
     "cardiomegaly"),
    (re.compile(r"\blung infection\b|\binfection (?:in|of) the lungs?", _I), "pneumonia"),
    (re.compile(r"\bbroken (?:rib|bone|clavicle)s?|\b(?:rib|bone|clavicle)s? (?:is |are"
                r" )?(?:broken|fractured)"
                r"|\bfractured\b|\bribs .*fractured", _I), "fracture"),
    (re.compile(r"\bcollapsed lung\b", _I), "pneumothorax"),
    (re.compile(r"\b(?:lung )?(?:cancer|tumou?rs?)\b", _I), "lung mass"),
    (re.compile(r"\b(?:hardware|medical devices?|support devices?|foreign bod(?:y|ies)|implants?"
                r"|lines? or tubes?|tubes? or lines?|tubes|lines)\b", _I), "support devices"),
    (re.compile(r"\b(?:widened|wide|widening of the) mediastin\w+|\bmediastin\w+ (?:is"
                r" )?(?:widened|wide"
                r"|enlarged|widening)", _I), "enlarged cardiomediastinum"),
    (re.compile(r"\bintubated\b", _I), "an endotracheal tube"),
    (re.compile(r"\bpleural other\b", _I), "pleural thickening"),
    (re.compile(r"\b(?:effusions?)\b", _I), "pleural effusion"),
)  # fmt: skip
"""Wordings of people, and the term for them."""


@dataclass(frozen=True, kw_only=True)
class ParsedQuestion:
    """One question in the form that an assessment can answer."""

    text: str
    kind: Kind
    asked: Mapping[str, State] = field(default_factory=dict)
    """Observation to the state that "yes" gives it; the premise where place or degree is asked."""
    topics: tuple[str, ...] = ()
    """Findings outside the 14 observations that it names."""
    every: bool = True
    """Whether "yes" needs all of ``asked``, not one of them."""
    yes_no: bool = False
    region: str = ""
    decline: str = ""
    """The sentence that declines it."""
    side: frozenset[str] = frozenset()
    """Sides that a question on presence names."""


def parse(question: str) -> ParsedQuestion:
    """Read one question. Never fails: what no rule reads has the kind ``other``."""
    text = " ".join(question.split())
    base = ParsedQuestion(text=text, kind="other", yes_no=bool(_YES_NO.search(text)))
    names = _names(text)
    if _MODALITY.search(text):
        return replace(base, kind="modality")
    if (anatomy := _ANATOMY.search(text)) and not names:
        return replace(base, kind="anatomy", region=(anatomy["part"] or "").lower())
    if sentence := declined(text):
        return replace(base, kind="declined", decline=sentence)
    if _VIEW.search(text) and not names:
        return replace(base, kind="view")
    return _about_findings(base, names)


def _about_findings(base: ParsedQuestion, names: tuple[str, ...]) -> ParsedQuestion:
    text = base.text
    outside = [one.finding for one in atoms(_plain(text)) if FINDING[one.finding].parent is None]
    topics = tuple(dict.fromkeys(outside))
    base = replace(base, topics=topics)
    for kind, pattern in _ON_A_PREMISE:
        if pattern.search(text) and (names or topics):
            return replace(base, kind=kind, asked=dict.fromkeys(names, "positive"))
    region = next((name for name, (words, _) in REGIONS.items() if words.search(text)), "")
    if base.yes_no and region and _WELL.search(text) and (not names or _well_of(text)):
        well: dict[str, State] = dict.fromkeys(REGIONS[region][1], "negative")
        return replace(base, kind="presence", asked=well, region=region)
    if (names or topics) and (base.yes_no or not _WHAT.search(text)):
        return _presence(base, names)
    if base.yes_no and _NORMAL.search(text):
        denied = bool(re.search(r"\b(?:no|not|without|free)\b", text, _I))
        state: State = "negative" if bool(_ABNORMAL.search(text)) != denied else "positive"
        return replace(base, kind="normal", asked={NO_FINDING: state})
    if not base.yes_no and region and not names:
        return replace(base, kind="region", region=region)
    return replace(base, kind="what") if not base.yes_no and _WHAT.search(text) else base


def split_questions(text: str) -> list[str]:
    """The questions of a text that asks several, one after the other."""
    parts = [part.strip() for part in re.findall(r"[^?]+\??", text) if re.search(r"\w{2}", part)]
    return parts or [text]


def _presence(base: ParsedQuestion, names: tuple[str, ...]) -> ParsedQuestion:
    text = base.text
    said = {name: state for name, state in asked_states(_plain(text)).items() if name in names}
    denied = bool(_NO.search(text)) and not _NOT_YES.search(text)
    states: dict[str, State] = dict.fromkeys(names, "negative" if denied else "positive")
    if denied and set(said.values()) == {"positive", "negative"}:
        states = said
    sides = {side for one in atoms(_plain(text)) for side in one.sides}
    return replace(
        base,
        kind="presence",
        asked=states,
        every="negative" in states.values() or not re.search(r"\bor\b|/", text, _I),
        side=frozenset(sides) if len(sides) == 1 else frozenset(),
    )


def _plain(text: str) -> str:
    """A question as a statement, in the words of a report."""
    words = text.strip().rstrip("?").strip()
    for pattern, term in _LAY:
        words = pattern.sub(term, words)
    return as_statement(words)


def _names(text: str) -> tuple[str, ...]:
    """The observations that a question names, in the order of the 14."""
    plain = _plain(text)
    parents = {FINDING[one.finding].parent for one in atoms(plain)}
    parents |= set(asked_states(plain)) - {NO_FINDING}
    low = plain.lower()
    parents |= {name for name in FINDINGS if name.lower() in low}
    return tuple(name for name in FINDINGS if name in parents)


def _well_of(text: str) -> bool:
    """Whether the named finding is no more than the region called normal: "heart size normal"."""
    bare = re.sub(r"\b(?:size|silhouette|contour|shadow|fields?|angles?)\b", "", text)
    return not any(name.lower() in bare.lower() for name in FINDINGS) and not atoms(
        re.sub(_WELL, "", as_statement(bare.rstrip("?")))
    )
