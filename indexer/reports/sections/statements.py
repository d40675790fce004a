"""What a line speaks of where its heading does not tell: the image, the history, the technique.

states_finding("The heart is enlarged.")            # True
asks("Rule out pneumothorax.")                      # True
describes_technique("PA and lateral views of the chest were obtained.")   # True
"""

import re

_SEEN = re.compile(
    r"\b(?:lungs?|lobes?|lobar|heart|cardiac|cardio\w+|mediastin\w+|hil(?:a|um|ar)|pleura\w*|aort\w+"
    r"|diaphragm\w*|hemidiaphragm\w*|costophrenic|bon(?:e|es|y)|osseous|ribs?|spine|vasculature|bases?"
    r"|vascularity|trachea\w*|airspaces?|air-?space|effusions?|pneumothora\w+|pneumonia|opaci\w+|edema"
    r"|consolidat\w+|infiltrat\w+|atelecta\w+|nodul\w+|mass(?:es)?|fractur\w+|tubes?|catheters?|picc"
    r"|lines?|pacemaker|pacer|cardiomegaly|emphysem\w*|fibrosis|scarring|granuloma\w*|scoliosis|thorax"
    r"|hemithorax|markings|congestion|cardiopulmonary|thoracic|soft tissues?|silhouette"
    r"|interstiti\w+"
    r"|hernia|calcifi\w+|degenerative|sternotomy|hyperinflat\w*|volumes?|copd|chf|oedema|abnormalit\w+"
    r"|lunge\w*|herz\w*|zwerchfell\w*|erguss|ergüsse|infiltrate?|stauung\w*|verschattung\w*|skelett"
    r"|poumons?|coeur|cœur|plèvre\w*|pleur\w+|epanchement\w*|épanchement\w*|opacités?|coupoles|médiastin"
    r"|pulmon\w*|pulmón|corazón|corazon|derrame|neumot[oó]rax|silueta|cardiomegalia|infiltrados?"
    r"|polmon\w*|cuore|versament\w*|pneumotorace|ombra|addensament\w*|cardiac[aoi]"
    r"|long\w*|hart\w*|pleuravocht|infiltraten|pulm[oõ]\w+|coraç[aã]o|pneumot[oó]rax)\b",
    re.IGNORECASE,
)
_SAID = re.compile(
    r"\b(?:is|are|was|were|has|have|had|shows?|demonstrates?|appears?|remains?|no|without|there|clear"
    r"|normal|unremarkable|seen|noted|enlarged|intact|stable|unchanged|within|again|mild|moderate"
    r"|severe|small|large|left|right|bilateral|increased|decreased|new|interval|projects?|terminates?"
    r"|ist|sind|kein\w*|nicht|unauffällig|regelrecht|vergrößert|est|sont|pas|absence|sans|normale?s?"
    r"|es|son|sin|está|están|conservad\w+|sono|non|nei limiti|è|zijn|geen|niet|é|são|sem|não)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\?|\b(?:rule[ -]?out|r/o|r\.o\.|evaluat\w+|eval|assess\w*|please|query|question of"
    r"|looking for"
    r"|exclude|concern(?:ed|s)? for|confirm|check|verify|work-?up)\b",
    re.IGNORECASE,
)
_PATIENT = re.compile(
    r"\b(?:\d{1,3}[- ]?(?:year|yr|y|month|mo|week|day)s?[- /]?o(?:ld)?\b|y/?o|yo|\d{1,3} ?(?:[mf]"
    r"|male"
    r"|female)|history|hx|h/o|s/p|status[- ]post|presents?|presenting|complain\w*|c/o|patient with"
    r"|cough\w*|fever\w*|chest pain|shortness of breath|sob|dyspn\w+|hypoxi\w+|smoker|trauma|mvc"
    r"|mva"
    r"|pre-?op\w*|post-?op\w*|admi(?:tted|ssion)|sepsis|weakness|chills|syncope|dizziness|man|woman"
    r"|pt|patient'?s?|denies|states|nonsmoker|conditions|male|female|gentleman"
    r"|lady|fell|fall|wheez\w+|altered mental status|leukocytosis"
    r"|intubated)\b",
    re.IGNORECASE,
)
_TECHNIQUE = re.compile(
    r"\b(?:views?|projections?|radiographs?|images?|films?|exposures?|radiography|technique|kvp?|mas"
    r"|upright|supine|portable|semi-?erect|inspiration|obtained|acquired|performed|submitted|provided"
    r"|aufnahmen?|strahlengang|incidences?|proyecci\w+|proiezion\w+|incid[eê]ncia\w*|opname\w*)\b",
    re.IGNORECASE,
)
_STUDY = re.compile(
    r"\W*(?:none\b|no (?:prior|previous|comparison|relevant|old)|(?:prior|previous|earlier"
    r"|comparison"
    r"|outside|multiple|recent|most recent|last|reference|same[- ]day|available)\b"
    r"|(?:chest )?(?:ct|cta"
    r"|mri?|cxr|x-?rays?|radiographs?|films?|stud(?:y|ies)|exam\w*|portable|pa|ap|plain|pet)\b"
    r"|chest (?:x-?ray|radiograph|film|ct|pa|ap|portable|exam)|comparison\b|compared? (?:is|was)\b"
    r"|\d|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? \d|today|yesterday|dated"
    r"|from)",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"\b(?:(?:has|have) (?:\w+ )?(?:increased|decreased|resolved|improved|worsened|developed"
    r"|cleared"
    r"|progressed|enlarged|not changed|changed|been)|(?:is|are) (?:now |again |un|stable|new|no"
    r"|not|larger"
    r"|smaller|clear|increased|decreased|normal|seen|present|noted)|there (?:is|are|has|have)"
    r"|(?:remains?|persists?))",
    re.IGNORECASE,
)
_ADVICE = re.compile(
    r"\b(?:recommend\w*|follow[- ]?up|repeat|suggest\w*|advis\w*|consider|correlat\w+|should"
    r"|further"
    r"|obtain|mri?|ct|if (?:clinical|there|symptom)|consult\w*|refer\w*|weeks?|months?|biopsy"
    r"|pet)\b",
    re.IGNORECASE,
)


def states_finding(text: str) -> bool:
    """Whether it says of the image what is or is not there, without asking."""
    return bool(_SEEN.search(text) and _SAID.search(text)) and not asks(text)


def names_finding(text: str) -> bool:
    """Whether it names an organ or a finding at all."""
    return _SEEN.search(text) is not None


def asks(text: str) -> bool:
    """Whether it asks something of the reader of the image."""
    return _ASKS.search(text) is not None


def tells_history(text: str) -> bool:
    """Whether it speaks of the patient: age, complaints, earlier disease, or what is asked."""
    return _PATIENT.search(text) is not None or asks(text)


def describes_technique(text: str) -> bool:
    """Whether it says how the images were made."""
    return _TECHNIQUE.search(text) is not None


_STUDY_OF = re.compile(
    r"\b(?:films?|radiographs?|x-?rays?|cxr|ct|mri|stud(?:y|ies)|exam\w*|images?|views?|series)\b"
    r".{0,25}\b(?:from|dated|of|on|performed|obtained|taken)\b",
    re.IGNORECASE,
)


def names_study(text: str) -> bool:
    """Whether it begins with an earlier study or its date, as a comparison does, and goes on to
    say nothing of the present one."""
    named = _STUDY.match(text) or _STUDY_OF.search(text[:60])
    return named is not None and not _CHANGE.search(text)


def advises(text: str) -> bool:
    """Whether it says what to do next."""
    return _ADVICE.search(text) is not None


_NOTHING = frozenset(
    phrase.strip()
    for phrase in """
    nan|none|null|n/a|na|n.a|nil|nat|not available|not applicable|unavailable|unknown|missing
    undefined
    no report|no text|no data|<na>|#n/a|tbd|pending|blank|empty
    no findings|not provided|not given|none given|none provided|no findings reported|report pending
    no report available|report not available|-nan|1.#ind|1.#qnan|-1.#ind|-1.#qnan|#n/a n/a|#na
    to follow|not reported
    not specified|not recorded|not dictated|text not available|no impression|no dictation
    """.replace("\n", "|").split("|")
)
_CELLS = frozenset(
    "nan|none|null|n/a|na|nat|<na>|#n/a|#na|-nan|1.#ind|1.#qnan|-1.#ind|-1.#qnan|#n/a n/a|undefined"
    "|missing".split("|")
)


def says_nothing(text: str) -> bool:
    """Whether a section or a report has no content: "nan", "N/A", ".", "None."."""
    plain = " ".join(text.lower().split()).strip(" .,;:-_*\"'()[]=")
    return plain in _NOTHING or not any(char.isalnum() for char in plain)


def is_missing(cell: str) -> bool:
    """Whether a cell of a table is what programs write for no value."""
    return cell.strip().lower() in _CELLS or not cell.strip()
