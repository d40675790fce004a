"""Organs whose state is told by a predicate: "the heart is enlarged", "LUNGS: clear"."""

import re
from dataclasses import dataclass

from db.labels import State
from indexer.reports.labelling.wording import Span

_ORGANS = (
    r"(?:heart|cardiac|(?:cardio-?)?mediastin(?:al|um)|lungs?|hil(?:a|ar|um)|aort(?:a|ic)|size"
    r"|contours?|silhouettes?|shadows?|structures|pulmonary vascul\w+|vascul\w+|pulmonary"
    r"|pleura\w*|(?:great )?vessels|borders?|configuration|appearance|diaphragm\w*|trachea|bones?"
    r"|osseous|bony|visuali[sz]ed|abdomen|thora(?:x|cic)|soft tissues?)"
)
_CHAIN = re.compile(
    r"(?:(?: ?,(?: ?,)*| and| or|,? as well as|,? and| ?/)? ?(?:the |are |is |all |both |appear "
    r"|of |upper "
    rf"|superior )*{_ORGANS}\b)*"
)
"""Organs named together share one predicate: "heart, hila and mediastinum are normal"."""

_VALUE = re.compile(r"(?: ?[:=]| -| appearance| appears?| size)? ?")
_END = re.compile(
    r"[;,:.]|\b(?:but(?! (?:otherwise |\w+ly )*clear)|however|although|though|with(?!in)|without"
    r"|no(?! longer)|not seen|while|which(?! (?:is|are))|except|and (?:the|there|both)|(?:and "
    r"|the )*(?:heart|lungs?|cardiac|cardiomediast\w+|mediastin\w+|pulmonary|vascul\w+|bon[ey]\w*"
    r"|osseous|pleural|trachea|aort\w+|spine|diaphragm\w*))\b"
)
"""Ends the stretch in which an organ's predicate is looked for."""

_BEFORE = re.compile(
    r"(?<!not )(?<!near )\b(?P<normal>normal(?:[- ]sized)?(?: and (?:stable|unchanged))?"
    r"|unremarkable|clear|sharp)(?: (?!and\b|or\b|but\b|in\b|with\b|from\b|to\b|of\b)[\w-]+"
    r"| (?:appearance|size|contours?) of the)? $"
)
_BORDERLINE = re.compile(r"\bborderline(?: enlarged| prominent| size of the)? $")
_COORDINATED = re.compile(
    r" (?:(?:heart|cardiac|lungs?|hila\w*|mediastin\w+|size|contours?|silhouettes?)(?:,? and|,"
    r"| or)? ?)+$"
)
_NORMAL = (
    r"(?<!ab)(?<!near )(?<!near-)normal(?!ly| (?:volume|inflation|expan|in volume|for low))"
    r"|unremarkable|within (?:the )?(?:\w+ )?(?:normal|limits)|\bwnl\b|normal limits"
    r"|limits? (?:of|for) normal|top[- ](?:of[- ])?normal|not enlarged|not widened"
    r"|not (?:overtly |significantly |grossly |definitely )?(?:enlarged|dilated|widened|prominent"
    r"|big)|\bnot (?:be )?enlarged|\bok\b"
)
_CLEAR = (
    r"\bclear(?! (?:of|from)\b)|unremarkable|normal limits|within (?:the )?(?:\w+ )?(?:normal"
    r"|limits)"
)


@dataclass(frozen=True, slots=True)
class Organ:
    """An organ, the finding its predicates speak of, and what they say of it."""

    finding: str
    subject: re.Pattern[str]
    predicates: tuple[tuple[re.Pattern[str], State], ...]
    denied: State = "uncertain"
    """What it is if a sentence says that it is not normal."""


def _organ(
    finding: str, subject: str, *predicates: tuple[str, State], denied: State = "uncertain"
) -> Organ:
    rows = tuple((re.compile(pattern), state) for pattern, state in predicates)
    return Organ(finding, re.compile(subject), rows, denied)


_NOT_CALLED = re.compile(
    r"\b(?:not|cannot|hardly|no longer|never)(?: (?:\w+ly|be|been|said|called|considered|described"
    r"|regarded|termed|deemed|thought|felt|quite|well|look|appear|seem|to|as|a|of))* $"
)
"""Before what would be normal: "cannot be said to be clear"."""
_NOT_SAID = re.compile(
    r"\b(?:cannot|could not|not possible to|unable to|impossible to|wrong to) (?:\w+ly )?(?:say"
    r"|state|claim|conclude|call|describe)(?: that)?(?: (?:the|both|either|right|left))* $"
)
"""The same before the organ: "cannot say that the lungs are clear"."""


ORGANS: tuple[Organ, ...] = (
    _organ(
        "Cardiomegaly",
        r"\bheart(?! (?:failure|borders?\b|valve|disease|rate))(?: sizes?| shadow| silhouette"
        r"| contours?)?\b|\bcardiac(?: and mediastinal)? (?:size|silhouettes?|shadow|contours?)\b"
        r"|\bcardiac(?=,| (?:and|,))|\bcardiac(?= ?:)|\bcor\b|\bcardiothoracic ratio\b|\bctr\b",
        (r"borderline|(?:top[- ])?normal (?:to|or) (?:mild|slight|border|upper)", "uncertain"),
        (r"(?:not (?:\w+ )?(?:normal|unremarkable))|abnormal", "uncertain"),
        (_NORMAL, "negative"),
        (r"(?:mild\w* |slight\w* |moderate\w* |marked\w* )?(?:enlarged|prominent|increased"
         r"|large|dilated|generous|enlargement|big)\b", "positive"),
    ),
    _organ(
        "Enlarged Cardiomediastinum",
        r"\b(?:(?:superior|upper) )?(?:cardio ?-?)?mediastin(?:al|um)(?! (?:(?:and"
        r"|or) hilar )?(?:mass|clip|lymph|aden|shift|air|gas|tube|drain"
        r"|calcif))(?: (?:silhouettes?|contours?|structures|shadows?|configuration|outlines?"
        r"|borders?|width))*",
        (r"borderline", "uncertain"),
        (_NORMAL + r"|of normal width|not wide\b", "negative"),
        (r"(?:widened|wide|enlarged|prominent|widening|fullness|increased)\b", "positive"),
    ),
    _organ(
        "Interstitial Pattern",
        r"\b(?:interstitial|lung|bronchovascular|pulmonary) markings?\b|\binterstitium\b",
        (_NORMAL + r"|not (?:\w+ly )?(?:increased|prominent|coarse\w*)", "negative"),
    ),
    _organ(
        "Lung Opacity",
        r"\blungs?(?! (?:volumes?|nodul|mass|apex|apices|cancer|lesion|markings|disease|opacit"
        r"|infiltrat|parenchymal|consolid|transplant|vascul))(?: fields?| bases?| parenchyma"
        r"| zones?| apices)?\b|\bpulmonary parenchyma\b|\b(?:both )?hemithoraces",
        (r"\bnot (?:\w+ly |quite |well )?(?:clear|normal)\b(?! of\b)", "positive"),
        (_CLEAR, "negative"),
        (r"(?<!ab)normal(?!ly| (?:in )?(?:volume|inflat|expan|size)|\w* aerat)", "negative"),
        (r"\bfree of (?:\w+ )?(?:disease|abnormalit\w+)", "negative"),
        denied="positive",
    ),
    _organ(
        "Hilar Enlargement",
        r"\bhil(?:a|ar|um)\b(?! (?:mass|lymph|aden|calcif|node|opacit|prominen|enlarg"
        r"|full))(?: (?:structures|contours?|shadows?|regions?|vessels))*",
        (_NORMAL + r"|\bclear\b|not (?:\w+ly )?prominent", "negative"),
    ),
    _organ(
        "Blunted Costophrenic Angle",
        r"\b(?:costophrenic|cp|lateral) (?:angles?|sulc(?:us|i)|recess\w*)|\bcpas?\b",
        (r"\bsharp\b|\bclear\b(?! of)|\bpreserved\b|unremarkable|(?<!ab)normal|not blunted"
         r"|\bfree\b(?! (?:air|gas|intra|sub|fluid))|\bdeep\b", "negative"),
        denied="positive",
    ),
    _organ(
        "Low Lung Volumes",
        r"\blung volumes?\b",
        (_NORMAL + r"|\badequate\b|\bgood\b", "negative"),
    ),
    _organ(
        "Vertebral Fracture",
        r"\bvertebra\w* (?:body )?heights?\b",
        (r"\b(?:maintained|preserved|intact)\b|" + _NORMAL, "negative"),
        denied="positive",
    ),
    _organ(
        "Pleural Effusion",
        r"\bpleural spaces?\b",
        (_CLEAR, "negative"),
    ),
    _organ(
        "Mediastinal Shift",
        r"\btrachea\b|\btracheal air column|\bmediastin(?:um|al structures)\b",
        (r"(?<!of )(?<!from )(?<!of the )(?<!from the )\bmidline\b|\bcentral(?:ly)?\b"
         r"|not (?:deviated|displaced|shifted)", "negative"),
        denied="positive",
    ),
)  # fmt: skip
"""In the order of ``db.findings.ALL_FINDINGS``, with heart before mediastinum."""

NORMAL_IMAGE = re.compile(
    r"^(?:\W*\d?\W*)(?:(?:essentially|grossly|otherwise|impression:?) )*(?:normal|unremarkable"
    r"|negative),? (?:\w+[ /-]){0,6}?(?:chest(?! (?:wall|tube))|views of the chest|stud(?:y|ies)"
    r"|exam\w*|radiographs?|films?|x-?rays?)\b|\b(?:chest|study|exam\w*|radiographs?|films?"
    r"|x-?rays?)(?: (?:is|are|appears?))?(?: (?:otherwise|essentially))? (?:within normal"
    r"|normal\b|unremarkable|negative(?! for))|^\W*(?:normal|negative|unremarkable|no acute"
    r"|clear)\W*$|\bnad\b|\b(?:no|without|negative for)(?: (?:radiographic|evidence|of|for"
    r"|definite|any|signs?|x-ray|findings?|significant|acute|active|new|visible|convincing|plain"
    r"|film|or|focal|other))* (?:acute |active )?(?:(?:cardiac|heart|lung|pleural),? (?:or"
    r"|and) )?(?:cardio-? ?pulmonary|intra-?thoracic|thoracic|chest|pulmonary"
    r"|cardio-?thoracic)(?: or \w+)?(?: (?:radiographic|disease))? (?:abnormalit\w+|disease"
    r"|process\w*|findings?|pathology|patholog\w+|illness|changes?)\b|\bno (?:(?:evidence of"
    r"|radiographic|definite|significant) )*(?:acute|active) (?:radiographic )?(?:findings?"
    r"|abnormalit\w+|disease|process\w*|pathology)\b(?!.{0,40}\b(?:abdomen|bon\w+|osseous|spine"
    r"|skelet\w+|rib\w*)\b)|^\W*(?:normal|unremarkable) for age\W*$|(?:^"
    r"|[,;] ?)otherwise (?:negative|normal|unremarkable)(?=\W*$)|^\W*no (?:significant "
    r"|definite )?(?:acute )?abnormalit\w+\W*$"
)
"""Statements that the whole image is normal or shows nothing acute."""


@dataclass(frozen=True, slots=True)
class OrganState:
    """What a sentence says of one organ."""

    span: Span
    state: State
    """A positive one is subject to the cues of the sentence, a normal organ is not."""


def read_organs(plain: str) -> list[OrganState]:
    """What the sentence says of its organs, once each time that one is named."""
    return [
        told
        for organ in ORGANS
        for subject in organ.subject.finditer(plain)
        if (told := _organ_state(organ, subject, plain))
    ]


def _organ_state(organ: Organ, subject: re.Match[str], plain: str) -> OrganState | None:
    before = _COORDINATED.sub(" ", plain[max(0, subject.start() - 80) : subject.start()])
    if organ.finding == "Mediastinal Shift" and before.endswith("midline "):
        return OrganState(Span(organ.finding, subject.start(), subject.end()), "negative")
    if organ.finding == "Cardiomegaly" and _BORDERLINE.search(before):
        return OrganState(Span(organ.finding, subject.start(), subject.end()), "uncertain")
    if organ.finding != "Mediastinal Shift" and _BEFORE.search(before):
        return OrganState(Span(organ.finding, subject.start(), subject.end()), "negative")
    chain = _CHAIN.match(plain, subject.end())
    first = chain.end() if chain else subject.end()
    value = _VALUE.match(plain, first)
    first = value.end() if value else first
    stop = _END.search(plain, first)
    last = min(stop.start() if stop else len(plain), first + 90)
    found = [
        (match.start(), number, match.end(), state)
        for number, (pattern, state) in enumerate(organ.predicates)
        if (match := pattern.search(plain, first, last))
    ]
    if not found:
        return None
    start, _, end, state = min(found)
    if state == "negative":
        if denial := _NOT_CALLED.search(plain, first, start):
            start, state = denial.start(), organ.denied
        elif _NOT_SAID.search(plain[: subject.start()]):
            start, state = subject.start(), organ.denied
    return OrganState(Span(organ.finding, start, end), state)
