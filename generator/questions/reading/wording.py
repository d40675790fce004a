"""A question in the words of a report: abbreviations and the words of lay people replaced.

in_report_words("Is there water on the lungs?")     # "is there pleural effusion?"
as_report("Has the lung dropped?")                  # a statement that the labeller can read

The rows are read in order, the more exact before the more general. A clause that says of an organ
what makes it abnormal ("the heart is big") becomes "there cardiomegaly": it asks whether the
finding is there, where a noun ("the big heart") takes it for granted.
"""

import re
from functools import lru_cache

from generator.grounding.answers import as_statement
from generator.questions.reading.effects import as_findings
from generator.questions.reading.spelling import respell
from indexer.reports.spelling import plain_characters

_DET = r"(?:(?:the|his|her|my|their|your|that|this|an?|any|some|one|either|both|left|right|of) )*"
_LUNG = rf"{_DET}lungs?"
_OF_LUNG = r"(?:(?:the|his|her|my|their|your|a|either|both|one|of|lung) )*"
_IS = r"(?:is|are|look|looks|looking|appear|appears|seem|seems|has|have|got|been|gone|went|was|'s)"
_VERY = r"(?:(?:too|very|abnormally|a bit|slightly|mildly|rather|so|really|all|quite|partly) )*"
_PALE = r"(?:white|whitish|gr[ae]y|gr[ae]yish|cloudy|hazy|fuzzy|dense|patchy|blotchy|misty|bright)"
_BIG = (
    r"(?:big(?:ger)?|large[r]?|enlarged|oversized|dilated|swollen|bulky|increased|huge|massive"
    r"|stretched|overgrown|bloated|wide)"
)
_BROKEN = r"(?:broken|cracked|crushed|squashed|fractured|snapped|busted|shattered)"
_BONE = (
    r"(?:ribs?|bones?|clavicles?|collar ?bones?|sternum|breast ?bone|vertebrae?|spine|scapula"
    r"|shoulders?|shoulder blades?)"
)
_HEART = r"(?:heart|cardiac)(?: (?:silhouette|shadow|size|contour|outline))?"

_ROWS: tuple[tuple[str, str], ...] = (
    # "which hilum is the enlarged one" as "which hilum is enlarged"
    (r"which (?:one )?(?:of )?(?:the |his |her |my |their )?(?P<part>(?!one\b)\w+(?: \w+)?) "
     r"(?P<verb>is|are) the (?P<how>\w+) ones?", r"which \g<part> \g<verb> \g<how>"),
    # organs, and marks of shorthand
    (r"tickers?", "heart"),
    (r"wind ?pipe", "trachea"),
    (r"in the (?:middle|cent(?:re|er))(?= *(?:\?|$|here|still|on))", "midline"),
    (r"collar ?bones?", "clavicle"),
    (r"breast ?bone", "sternum"),
    (r"back ?bone", "spine"),
    (r"r ?/ ?o(?= |$)|query", "rule out"),
    (r"w ?/ ?o(?= )", "without"),
    (r"(?P<what>(?:the|his|her|my) [\w ]{2,30}), (?P<is>is|are|does|do|has|have) (?:it|they)",
     r"\g<is> \g<what>"),
    (r"if(?= (?:there(?: is| are|'s)|you see|it shows|this shows)\b)", ""),
    (r"neg(?:ative)? for", "free of"),
    (r"pneumo[ -]thorax", "pneumothorax"),
    (r"ptx|pnx|pneumo(?!\w)", "pneumothorax"),
    (r"pna", "pneumonia"),
    (r"atx", "atelectasis"),
    (r"eff(?:s|us)?", "effusion"),
    (r"opac(?:s)?", "opacity"),
    (r"c[ch]f|(?:congestive )?(?:heart|cardiac) failure|failing heart|heart (?:is )?failing"
     r"|decompensat\w+|in failure", "pulmonary edema"),
    (r"(?:chest|thoracic|pleural) cavity", "pleural space"),
    (r"out of (?:place|position|alignment)", "displaced"),
    # pneumothorax
    (rf"(?:collapsed|deflated|popped|punctured|burst|dropped) {_OF_LUNG}lungs?", "pneumothorax"),
    (rf"{_LUNG} (?:{_IS} )*(?:half |partly |fully |completely |still )*(?:collapsed"
     r"|down|deflated|popped|punctured|burst|dropped|come down|fallen in|caved in)",
     "there pneumothorax"),
    (r"(?:rim|sliver|pocket|crescent|strip|collection|bubble|band|rind|cap|pool|line) of "
     r"(?:\w+ )?(?:air|gas)(?! bronch)", "pneumothorax"),
    (r"(?:air|gas) (?:\w+ )?(?:around|outside|between|along|beside|surrounding|trapped|leaking"
     rf"|escaping|next to|over) (?:from |against )?{_OF_LUNG}(?:lungs?|pleura\w*|chest wall|ribs)",
     "pneumothorax"),
    (r"(?:(?:apical|pleural|extrapulmonary|intrapleural) (?:air|gas|lucency)|air leak"
     r"|(?:air|gas) in the pleura\w*(?: space| cavity)?)", "pneumothorax"),
    (r"(?<=the )air(?= (?:extend|go|reach|spread|come|collect|track|take))", "pneumothorax"),
    (r"deep sulcus(?: sign)?|(?:visceral )?pleural (?:line|edge)", "pneumothorax"),
    # edema before effusion: swollen lungs, not fluid around them
    (rf"swelling (?:of|in|inside|on) {_LUNG}|lung swelling|lung congestion|congestion (?:of|in|on)"
     rf" {_LUNG}|(?:swollen|wet|waterlogged|congested|soggy) lungs?", "pulmonary edema"),
    (rf"{_LUNG} (?:{_IS} )*{_VERY}(?:swollen|wet|waterlogged|congested|soggy)",
     "there pulmonary edema"),
    (r"(?:fluid|volume|water)[ -]?overload(?:ed)?|overloaded", "pulmonary edema"),
    # effusion
    (r"(?:fluid|water|liquid|blood|pus)(?: (?!or |and )[\w-]+){0,2}? (?:in|on|round|around|at"
     r"|outside|under|beneath|behind|surrounding|between|along|over|inside|by|above|near)"
     rf" {_OF_LUNG}(?:lungs?|chest|pleura\w*(?: space| cavity)?|bases?|lining|hemithorax)",
     "pleural effusion"),
    (r"(?:sub-?pulmonic|pleural|loculated|layering|trapped|intrapleural|interlobar"
     r"|fissural|drainable) (?:fluid|collections?)|fluid (?:collections?|build-?up|accumulation"
     r"|levels?|layer)|build-?up of fluid", "pleural effusion"),
    (r"(?<!cerebrospinal )(?<!spinal )(?<!amniotic )fluid", "pleural effusion"),
    (r"(?<!pleural )(?<!pericardial )effusions?", "pleural effusion"),
    # opacity
    (rf"(?:{_PALE}[ -]+(?:\w+ )?)+(?:patch(?:es)?|areas?|blobs?|regions?|shadows?|stuff|bits?|haze"
     r"|clouds?|zones?|marks?|streaks?|thing|smudges?|splotch(?:es)?|blotch(?:es)?|opacit\w+)",
     "lung opacity"),
    (r"(?<!heart )(?<!cardiac )(?<!breast )(?<!nipple )shadow(?:s|ing)?|haz(?:e|iness)|cloudiness"
     r"|clouding|white-? ?out|whiteness|smudges?|blotch(?:es)?|patch(?:es)?|patchiness",
     "lung opacity"),
    (r"(?:white|hazy|cloudy|foggy) lungs?", "lung opacity"),
    (rf"{_LUNG} (?:{_IS} )*{_VERY}(?:white|hazy|cloudy|foggy)", "there lung opacity"),
    # lesion
    (r"(?:lung |pulmonary |bronchial )?(?:cancers?|cancerous|tumou?rs?|malignan\w+|carcinomas?"
     r"|growths?|lumps?|(?<!bone )(?<!rib )(?<!bony )(?<!skeletal )(?<!lytic )lesions?"
     r"|(?<!on the )(?<!you )(?<!can )(?<!to )(?<!we )(?<!i )(?:(?:dark|white|black|bright|small"
     r"|round"
     r"|grey|little|tiny|pale|light) )*spots?)", "lung mass"),
    (r"(?:lung |pulmonary )?abscess(?:es)?|holes? in (?:the |his |her |my )?(?:\w+ )?lungs?",
     "cavity"),
    # pneumonia
    (r"inflammat(?:ion|ory)(?: process\w*| changes?| disease| infiltrates?)?"
     r"(?: (?:in|of) (?:the |my |his |her )?(?:lungs?|chest))?", "infiltrate"),
    (r"(?:chest|lung|respiratory|pulmonary|airway) (?:tract )?infections?|infections? (?:in|of)"
     rf" (?:{_LUNG}|(?:the |my |his |her )?chest)|infected (?:lungs?|chest)|lrti", "pneumonia"),
    (rf"{_DET}(?:lungs?|chest) (?:{_IS} )*{_VERY}infected", "there pneumonia"),
    (r"infections?|infected", "pneumonia"),
    # atelectasis
    (r"partial(?:ly)? collapsed?|airless|not fully expanded|under-?expanded", "atelectasis"),
    # heart and mediastinum
    (rf"{_BIG} (?:\w+ )?{_HEART}|enlargement of (?:the )?(?:{_HEART}|ventricles?|chambers?)"
     rf"|(?:heart|cardiac|ventricular|chamber|lv) (?:enlargement|dilatation|dilation)",
     "cardiomegaly"),
    (rf"{_DET}{_HEART} (?:(?:{_IS}|to be) )*{_VERY}(?:{_BIG}|above normal)"
     rf"|{_BIG}, {_DET}heart|{_DET}(?:(?:width|diameter|size) of {_DET})?heart (?:is |be )?"
     r"(?:more|greater|wider|larger|bigger|exceeds?|exceeding)(?: than| more than)? (?:half|50 ?%)",
     "there cardiomegaly"),
    (r"(?:widened|wide|widening of(?: the)?|broad(?:ened)?|enlarged) (?:\w+ )?mediastin\w+",
     "enlarged cardiomediastinum"),
    (r"mediastin\w+ (?:swelling|widening|enlargement|bulge)", "enlarged cardiomediastinum"),
    (rf"{_DET}mediastin\w+ (?:{_IS} )*{_VERY}(?:widened|wide|enlarged|widening|broad(?:ened)?)",
     "there enlarged cardiomediastinum"),
    (r"(?:the )?(?:ctr|cardio-?thoracic ratio) (?:is )?(?:>|above|over|greater|more|increased"
     r"|raised|high\w*)"
     r"(?: than)?(?: ?[\d./]+)?", "there cardiomegaly"),
    (rf"{_BIG} (?:\w+ )?hil(?:um|a|us)", "hilar enlargement"),
    (rf"{_DET}hil(?:um|a|us) (?:{_IS} )*{_VERY}{_BIG}", "there hilar enlargement"),
    # pleura
    (r"thick\w* (?:of )?(?:the )?(?:lining|pleura\w*)|pleural (?:other|peel|rind)|(?:pleural"
     r" )?plaques?",
     "pleural thickening"),
    (rf"{_DET}(?:lining|pleura) (?:{_IS} )*{_VERY}thick\w*", "there pleural thickening"),
    # bones
    (rf"{_BROKEN} (?:\w+ )?{_BONE}|(?:cracks?|breaks?) in (?:\w+ ){{0,2}}{_BONE}"
     rf"|{_BONE} (?:cracks?|breaks?|snaps?)", "fracture"),
    (rf"{_BONE} (?:did|do|have|has) (?:the )?\w+ (?:break|broken?|crack(?:ed)?|fracture)"
     rf"|(?:break|broke|broken"
     rf"|crack|cracked) (?:\w+ ){{0,2}}?{_BONE}", "fracture"),
    (rf"(?:anything|something|everything) (?:{_IS} )*{_BROKEN}", "there fracture"),
    (rf"{_BROKEN} ones?", "fracture"),
    (r"(?<=the )breaks?|(?<= a )breaks?|(?<=any )breaks?", "fracture"),
    (rf"{_DET}{_BONE} (?:(?:{_IS}|that|which) )*{_BROKEN}", "there fracture"),
    # devices
    (r"(?:hardware|medical devices?|support devices?|foreign (?:bod(?:y|ies)|objects?)|implants?"
     r"|gadgets?|metal(?:lic)?(?: (?:objects?|things?|bits?|work))?|lines? or tubes?"
     r"|tubes? or lines?|tubes|(?<!kerley )(?<!pleural )(?<!fracture )(?<!white )lines|devices?)"
     r"(?: left inside)?|(?:left|leave) (?:anything|something) (?:inside|in|behind)",
     "support devices"),
    (r"(?:swallow|inhal|aspirat)(?:ed|e|ing)? (?:something|anything|an? (?:coin|battery|toy|button"
     r"|pin|bone|tooth|object))", "support devices"),
    (r"the line(?= |$|\?)|line tips?", "the central line"),
    (r"intubated", "an endotracheal tube"),
    (r"breathing tubes?", "endotracheal tube"),
    (r"pace ?maker", "pacemaker"),
    # findings outside the 14 observations
    (r"over-?(?:inflat|expand)\w+|air trapping|too much air", "hyperinflation"),
    (r"(?:curv\w+|crooked|bent|twisted) (?:of )?(?:the )?(?:\w+ )?spine|spinal curvature",
     "scoliosis"),
    (rf"{_DET}(?:spine|back) (?:{_IS} )*{_VERY}(?:curved|crooked|bent|twisted)",
     "there scoliosis"),
    (r"hunch(?:ed|ing)?[ -]?back(?:ed)?|hump[ -]?back(?:ed)?|(?:hunched|rounded) spine",
     "kyphosis"),
    (r"barrel[ -](?:shaped )?chest(?:ed)?"
     r"|(?:the |his |her |my )?chest (?:\w+ )?barrel(?:[ -]shaped)?", "hyperinflation"),
    (rf"{_DET}(?:spine|back|back ?bone) (?:(?:{_IS}|all|still|nice and) )*straight",
     "free of scoliosis"),
    (r"(?:raised|elevated|high) (?:\w+ )?(?:(?:side|dome) of (?:the )?)?(?:hemi)?diaphragms?",
     "elevated hemidiaphragm"),
    (r"(?:(?:one|left|right|either) (?:side|dome|half"
     rf"|leaf) of )?{_DET}(?:hemi)?diaphragms? (?:{_IS} )*{_VERY}"
     r"(?:raised|elevated|high(?:er)?|pushed up|lifted)",
     "there elevated hemidiaphragm"),
    (r"(?:free )?(?:air|gas) (?:under|below|beneath) the (?:hemi)?diaphragms?", "free air"),
)  # fmt: skip
_TERMS = tuple((re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])"), term) for pattern, term in _ROWS)
_THERE_TWICE = re.compile(r"\bthere there\b")
_AN = re.compile(r"\ban (?=[b-df-hj-np-tv-z])")


@lru_cache(maxsize=1 << 12)
def in_report_words(question: str) -> str:
    """The question in lower case, spelt right, in the terms of reports."""
    text = as_findings(spelt(question).lower())
    for pattern, term in _TERMS:
        text = pattern.sub(term, text)
    return _AN.sub("a ", _THERE_TWICE.sub("there", text))


def spelt(question: str) -> str:
    """The question in plain characters, spelt right."""
    return respell(" ".join(plain_characters(question).split()))


def as_report(question: str) -> str:
    """The question as a statement in the words of a report."""
    return as_statement(in_report_words(question).rstrip("? ").strip())
