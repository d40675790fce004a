"""The wording of a sentence: whether it can be reused, whether it repeats another, and its
particulars (side, place, degree, kind).

Reports are composed from sentences about other patients. Details of one patient must not be carried
over: measurements, dates, people, comparisons, advice.
"""

import re
from functools import lru_cache

from indexer.reports.labeller import mentions
from indexer.reports.labelling.vocabulary import BETWEEN_PLACES, COMPARISONS
from indexer.reports.sentences import has_redaction, refers_to_prior

_OF_ONE_PATIENT = re.compile(
    r"""
    \d | \? | \b(\w+)\ \1\b
    | \b(?: cm | mm | millimet | centimet | am | pm )\b
    # people and messages
    | \bdr\b | doctor | physician | radiolog(?:ist|y) | dictat | discuss | notif | telephon
    | communicat | transcri | electronic | critical\ result | primordial | verbal
    # advice
    | recommend | advis(?:e|able) | suggested | correlat | follow[\s-]?up | consider | repeat
    | further | would\ be | could\ be\ (?:helpful|obtained) | clinical(?:ly)? | please | if\ there
    # the patient's story and the examination
    | \bpatient | \bhistory | symptom | \bpain\b | \btrauma\b | year[\s-]old | \bthis\b | \bthese\b
    | \bsuch\b | \bviews?\b | \bprojection | radiographs?\ of | examination | technique | exposure
    | lordotic | \bct\b | tomogra | ultraso | \bmri\b | \blateral\ (?:film|image|view)
    | limited | obscur | suboptimal | portable | incompletely
    # earlier images
    | \bprior | \bprevious | \binterval\b | \bcompar | \bsince\b | unchanged | \bstable | \bagain\b
    | redemonstrat | \bno\ longer\b | \bnew(?:ly)?\b | \bcurrent | \bremain | persist | \bnow\b
    | increas | decreas | improv | \bcleared | \bclearing | worse | progress | resol[uv] | \bolder\b
    # sentences that lean on another
    | otherwise | except | other\ than | apart\ from | aside\ from | \babove | \bbelow\b | describ
    | mentioned | as\ noted | \balso\b | \bas\ well\b | \bdifferential | \bdue\ to\b
    # a question asked of that patient alone, or another part of the body
    | tubercul | metasta | malignan | cancer | sarcoid | silico | asbesto | preoperative | screening
    | \bfoot | midfoot | calcan | plantar | \bfem(?:ur|oral) | tibia | \bknee | \bankle | \bwrist
    | \bhands?\b | finger | \belbow | \bhips?\b | pelvi | lumbar
    """,
    re.VERBOSE | re.IGNORECASE,
)

_MAX_CHARS = 300

_ENUMERATION = re.compile(r"^\s*(?:[-*•]+|\(?[0-9a-z][.)]|\#)\s+", re.IGNORECASE)

_EMPTY_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and any appear appears are as at be both by definite definitely demonstrate "
        "demonstrated demonstrates evidence evident for gross grossly has have identified in is it "
        "noted of on or overall present seen show shown shows suggest that the there to visible "
        "visualized was were with within without limit",
    )
)
_SYNONYMS = {"limits": "normal", "unremarkable": "normal", "enlarged": "large"}

_PARTICULARS: tuple[tuple[str, str], ...] = (
    ("left", r"\bleft|\bbilateral|\bbibasilar|\bbibasal|\bbiapical|\bboth\b"),
    ("right", r"\bright|\bbilateral|\bbibasilar|\bbibasal|\bbiapical|\bboth\b"),
    ("upper", r"\bupper\b|\bapical|\bapex|\bapices|biapical|suprahilar"),
    ("middle", r"\bmiddle\b|\bmid\b|lingula"),
    ("lower", r"\blower\b|\bbas(?:e|es|al|ilar)\b|\bbibas|costophrenic|infrahilar|retrocardiac"),
    ("hilar", r"hil(?:ar|um|a)\b"),
    (
        "mild",
        r"\bmild|\bminimal|\bsmall|\bslight|\btiny|\btrace|\bborderline|upper\ limits|\bsubtle",
    ),
    ("moderate", r"\bmoderate"),
    (
        "severe",
        r"\bsevere|\blarge\b|\bmarked|\bmassive|\bextensive|\bsignificant|\bmajor|\bgross\b",
    ),
    ("acute", r"\bacute|\bactive"),
    ("old", r"\bold\b|\bhealed|\bremote|\bchronic"),
    ("focal", r"\bfocal|\blobar"),
    ("diffuse", r"\bdiffuse|\bscattered|\bmultiple|\bnumerous|throughout"),
    ("calcified", r"calcifi|granulom"),
    ("interstitial", r"interstiti|reticul"),
    ("patchy", r"\bpatchy|\bhazy|ground.glass"),
    ("linear", r"\blinear|\bstreak|\bband|platelike|plate-like|discoid|subsegmental"),
    ("nodule", r"nodul"),
    ("mass", r"\bmass"),
    ("scar", r"scar|fibro"),
    ("rib", r"\bribs?\b"),
    ("clavicle", r"clavic"),
    ("vertebra", r"vertebra|compression|wedg"),
    ("pacemaker", r"\bpace|\bpacing|defibrillat|\baicd\b|\bicd\b"),
    ("catheter", r"cathet|\bpicc\b|\bport\b|\bcentral\ (?:venous|line)"),
    ("tube", r"\btubes?\b|endotracheal|nasogastric|tracheostomy"),
    ("sternotomy", r"sternotomy|sternal"),
    ("clips", r"\bclips?\b|\bsutures?\b|staples"),
    ("valve", r"\bvalve"),
    ("hardware", r"hardware|fixation|\bfusion|\bscrew|\brods?\b|prosthe|arthroplast"),
)
_COMPILED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _PARTICULARS)

SIDES = frozenset({"left", "right"})

_SIDE = re.compile(
    r"\b(?:left|right)(?:-sided|\ssided)?\s(?=(?:[a-z-]+\s){0,2}?(?:lung|lobe|base|basilar|basal"
    r"|mid-?lung|mid-?zone|zone|apex|apical|perihilar|infrahilar|suprahilar|juxtahilar|pleural"
    r"|effusion|pneumothorax|costophrenic|hemithora|hemidiaphragm|ribs?\b|clavic|atelect|opacit"
    r"|retrocardiac|subclavian|chest|shoulder))",
    re.IGNORECASE,
)
_SIDED_PLACE = re.compile(r"\bmiddle lobe|lingula", re.IGNORECASE)


_CHANGE = re.compile(
    r"""
    \b(?: larger | smaller | bigger | greater\ than\ before | re-?accumul\w+ | re-?expan(?:ded|sion)
    | residual | development\ of | developed | developing | appearance\ of\ new
    | (?:has|have)\ (?:\w+\ ){0,2}?(?:enlarged|shrunk|grown|appeared|disappeared|gone)
    | better\ (?:aerated|expanded|inflated|seen) | (?:improved|better)\ aeration | re-?aerat\w+
    | today(?:['’]?s)? | tonight | yesterday | overnight | this\ morning | (?:days?|weeks?)\ ago
    | (?:more|less)\ (?:prominent|conspicuous|extensive|dense|pronounced|marked|apparent|confluent)
    | removal\ of | (?:was|were|been|is|are)\ (?:\w+\ )?(?:removed|withdrawn|extubated|exchanged
        |repositioned|retracted) | extubat\w+ | reintubat\w+ | waxing | waning
    | gone | come\ down | (?:gone|come)\ up | grown | growing | regress\w* | recurr\w+ | latest
    | continu(?:es?|ing|ed) | follow(?:ing|s)\ (?:removal|placement|drainage|thoracentesis) | then
    | post-?\ ?(?:thoracentesis|extubation|removal|drainage) | without\ change | unaltered | ongoing
    )\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
_WITHIN_IMAGE = re.compile(
    r"\b(?:larger|smaller|bigger) than (?:normal|average|usual|expected)\b", re.IGNORECASE
)
"""A comparison with what is usual."""


@lru_cache(maxsize=1 << 15)
def compares_with_prior(text: str) -> bool:
    """Whether a sentence compares with an earlier image and so cannot be reused."""
    plain = BETWEEN_PLACES.sub(" ", text.lower())
    if refers_to_prior(text) or _CHANGE.search(_WITHIN_IMAGE.sub(" ", plain)):
        return True
    may_compare = any(pattern.search(plain) for _, pattern in COMPARISONS)
    return may_compare and any(one.comparison for one in mentions(text))


@lru_cache(maxsize=1 << 15)
def is_usable(text: str) -> bool:
    """Whether a sentence can be reused for another patient, regardless of its labels."""
    if len(text) > _MAX_CHARS:
        return False
    size = len(re.findall(r"[A-Za-z]+", text))
    return (
        1 <= size <= 25
        and text.count("(") == text.count(")")
        and ":" not in text
        and not has_redaction(text)
        and not _OF_ONE_PATIENT.search(_ENUMERATION.sub("", text))
        and not compares_with_prior(text)
    )


_STORY = re.compile(
    r"""
    \b(?: stigmata | sequelae? | status[\s-]post | s/p | p\.?o\. | known | secondary\ to | owing\ to
    | related\ to | attributable\ to | (?:due|owing)\ to | in\ the\ setting\ of | history\ of
    | post-?\ ?(?:surgical|operative|traumatic|radiation|infectious|treatment|procedural)
    | (?:recent|remote|previous|prior)\ (?:fall|surgery|trauma|infection|injury|radiation|resection)
    | after\ (?:a\ )?(?:fall|surgery|trauma|radiation|resection|biopsy|treatment)
    | (?:from|consistent\ with|compatible\ with|reflecting|representing)\ (?:\w+\ ){0,2}?
      (?:surgery|fall|trauma|cirrhosis|liver\ disease|radiation|resection|mastectomy|thoracotomy)
    | liver\ disease | cirrhosis | mastectomy | lobectomy | pneumonectomy | lumpectomy
    )\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""A cause, or what happened to a patient before."""


@lru_cache(maxsize=1 << 15)
def tells_a_story(text: str) -> bool:
    """Whether a sentence tells the cause of a finding or a history: that of one patient, unless
    several cases share it."""
    return bool(_STORY.search(text))


_CONVERSATION = re.compile(
    r"\bI(?:['’](?:m|ll|ve)| (?:am|have|will|would)| apologi[sz]e)\b"
    r"|\bI (?:can|do)(?:not| not|n['’]t|['’]t)?\b"
    r"|\b(?:you|your|sorry|apologies)\b"
    r"|\bas an? (?:AI|language|large language)\b"
    r"|^(?:sure|certainly|of course|okay|note)\b"
    r"|\b(?:here|below|following) (?:is|are)\b"
    r"|\b(?:prior|provided|given|similar|retrieved) cases?\b"
    r"|\b(?:this|the) (?:report|analysis|response|description|answer)\b"
    r"|\b(?:consult|seek|contact)\b.{0,60}\b(?:radiologist|physician|doctor|professional|provider)"
    r"|\bmedical advice\b|\bresearch use only\b|\bnot for clinical use\b",
    re.IGNORECASE,
)


def is_conversation(text: str) -> bool:
    """Whether a sentence speaks to its reader, of its writer or of its sources, as assistants do;
    it may still state a finding."""
    return bool(_CONVERSATION.search(text))


def tidy(text: str) -> str:
    """Normalise a sentence for print: no list number, single spaces, a capital, a full stop."""
    words = " ".join(_ENUMERATION.sub("", text).split()).rstrip(" .,;")
    return words[:1].upper() + words[1:] + "." if words else ""


def without_side(text: str) -> str | None:
    """Remove the side from a sentence; None if it would no longer make sense."""
    if _SIDED_PLACE.search(text):
        return None
    bare = " ".join(_SIDE.sub("", text).split())
    return None if re.search(r"\b(?:left|right)", bare, re.IGNORECASE) else bare


def content_words(text: str) -> frozenset[str]:
    """Return the content words in lower case without plural endings."""
    words = re.findall(r"[a-z]+", text.lower())
    kept = {_SYNONYMS.get(word) or _singular(word) for word in words}
    return frozenset(kept - _EMPTY_WORDS)


def particulars(text: str) -> frozenset[str]:
    """Return the side, place, degree, age and kind that the sentence names."""
    return frozenset(name for name, pattern in _COMPILED if pattern.search(text))


def overlap(a: frozenset[str], b: frozenset[str]) -> float:
    """Jaccard index of two sets of content words, in 0..1."""
    return len(a & b) / len(a | b) if a or b else 1.0


def near_duplicates(a: frozenset[str], b: frozenset[str]) -> bool:
    """Whether two sets of content words are nearly equal, or one nearly contains the other."""
    smaller = min(len(a), len(b))
    return smaller == 0 or overlap(a, b) >= 0.7 or len(a & b) / smaller >= 0.85


def _singular(word: str) -> str:
    for plural, single in (("thoraces", "thorax"), ("ities", "ity"), ("ies", "y")):
        if word.endswith(plural):
            return word[: -len(plural)] + single
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
