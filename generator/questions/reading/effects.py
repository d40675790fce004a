"""What is done to an organ, as the finding that it is: "what pushes the trachea".

as_findings("what is pushing the trachea over?")        # "what the mediastinal displacement over?"
as_findings("is something pushing the trachea?")        # "is something mediastinal displacement?"

"What" and "how far" take for granted that it is done; "is something" asks it. A sentence in the
passive keeps its form: "how far is the trachea pushed" becomes "how far is the trachea displaced".
"""

import re
from collections.abc import Sequence
from functools import lru_cache

_MOVE = "push pull shift displace deviate move drag shove tug draw bend force".split()
_PRESS = "compress squeeze squash press crush push pinch".split()
_COVER = "obscure hide cover blur efface silhouette mask block".split()
_LIFT = "raise lift elevate push".split()
_BREAK = "break fracture crack snap crush shatter".split()
_WIDEN = "widen enlarge broaden expand dilate stretch swell".split()

_MIDDLE = r"(?:trachea|wind ?pipe|heart|mediastin\w+|cardiac \w+|o?esophagus|carina)"
_LUNG = r"(?:(?:upper|middle|lower) lobe|lungs?|lobes?)"
_DIAPHRAGM = r"(?:(?:hemi)?-?diaphragms?)"
_ANGLE = r"(?:(?:costo-?phrenic|cp) (?:angle|recess|sulcus)(?:es|s)?)"
_BORDER = r"(?:(?:heart|cardiac|mediastinal|aortic) (?:border|margin|edge|contour|outline)s?)"
_BONE = (
    r"(?:ribs?|bones?|clavicles?|collar ?bones?|sternum|breast ?bone|vertebrae?|spine|scapula"
    r"|shoulder ?blades?|humerus)"
)

_EFFECTS: tuple[tuple[Sequence[str], str, str, str], ...] = (
    (_LIFT, _DIAPHRAGM, "elevated hemidiaphragm", "elevated"),
    (_MOVE, _MIDDLE, "mediastinal displacement", "displaced"),
    (_PRESS, _LUNG, "atelectasis", ""),
    (["collapse", "deflate", "puncture"], r"lungs?", "pneumothorax", ""),
    (["collapse"], _LUNG, "atelectasis", ""),
    ([*_COVER, "blunt", "fill"], _ANGLE, "blunted costophrenic angle", "blunted"),
    (_COVER, rf"(?:{_BORDER}|{_DIAPHRAGM}|heart)", "lung opacity or pleural effusion", ""),
    (_WIDEN, r"mediastin\w+", "enlarged cardiomediastinum", "widened"),
    (_WIDEN, r"(?:heart|cardiac \w+|(?:ventric|atri)\w+)", "cardiomegaly", "enlarged"),
    (_WIDEN, r"hil(?:um|a|us)", "hilar enlargement", "enlarged"),
    (
        [*_PRESS, "narrow", "constrict"],
        r"(?:trachea|wind ?pipe|airways?|bronchus|bronchi)",
        "narrowing",
        "",
    ),
    (["flatten", "depress"], _DIAPHRAGM, "hyperinflation", ""),
    (["thicken"], r"(?:pleura|lining)", "pleural thickening", ""),
    (_BREAK, _BONE, "fracture", "broken"),
)
"""Verbs, the organ, the finding, and the participle that reports use."""

_IRREGULAR = {
    "break": "broke broken",
    "hide": "hid hidden",
    "draw": "drew drawn",
    "bend": "bent",
    "swell": "swollen",
}
_DET = (
    r"(?:(?:on|over|against|up|down|away|out|in|back|the|his|her|my|their|your|this|that|a|an|of"
    r"|left|right|both|one|which|whole|upper|lower) )*"
)
_DONE = r"(?:(?:is|are|was|were|be|been|being|has|have|had|could|can|may|might|did|does) )*"
_ASKS_ON = re.compile(
    r"^\W*(?:and |so |but |then )?(?:what|which|who|why|how|where|when|by what|in what|in which"
    r"|to what|to which|since when|from what|for how|on which|is it|was it|name|identify|specify"
    r"|locate)\b"
)


def _done_forms(verb: str) -> str:
    """The past forms of a verb, as a pattern."""
    stem = f"{verb}{verb[-1]}" if verb[-1] in "gp" else verb.removesuffix("e")
    return "|".join([f"{verb.removesuffix('e')}ed", f"{stem}ed", *_IRREGULAR.get(verb, "").split()])


def _forms(verb: str) -> str:
    """A verb in all its forms, as a pattern."""
    stem = f"{verb}{verb[-1]}" if verb[-1] in "gp" else verb.removesuffix("e")
    plain = verb.removesuffix("e")
    return "|".join([verb, f"{verb}e?s", f"{plain}ing", f"{stem}ing", _done_forms(verb)])


_ACTIVE = tuple(
    (re.compile(rf"\b{_DONE}(?:{'|'.join(map(_forms, verbs))}) {_DET}{organ}\b"), finding)
    for verbs, organ, finding, _ in _EFFECTS
)
_ORGAN_FIRST = _DET.replace("|one|which", "")
_BETWEEN = (
    r"(?:(?:all|so|that|to|far|badly|partly|fully|really|been|being|be|is|are|was|were|has|have"
    r"|got) )*"
)
_PASSIVE = tuple(
    (
        re.compile(
            rf"\b(?P<organ>{_ORGAN_FIRST}{organ}) (?P<how>{_BETWEEN})"
            rf"(?:{'|'.join(map(_done_forms, verbs))})\b"
        ),
        finding,
        participle,
    )
    for verbs, organ, finding, participle in _EFFECTS
)


@lru_cache(maxsize=1 << 12)
def as_findings(text: str) -> str:
    """A text in lower case with what is done to an organ replaced by the finding."""
    granted = _ASKS_ON.search(text) is not None
    for pattern, finding in _ACTIVE:
        if match := pattern.search(text):
            return f"{text[: match.start()]}{'the ' * granted}{finding}{text[match.end() :]}"
    for pattern, finding, participle in _PASSIVE:
        if (match := pattern.search(text)) is None:
            continue
        if granted:
            return f"{text[: match.start()]}the {finding}{text[match.end() :]}"
        if participle:
            organ, how = match["organ"], match["how"]
            return f"{text[: match.start()]}{organ} {how}{participle}{text[match.end() :]}"
    return text
