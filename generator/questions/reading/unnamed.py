"""Questions on something on the image that no rule knows by name.

asks_degree("is it severe")         # True
asks_for_something("is there tree-in-bud")      # True
"""

import re

from generator.questions.reading.vocabulary import strange_words
from generator.questions.reading.whole import names_organ

_DEGREE = (
    r"(?:severe|severity|serious|mild|moderate|minor|major|extensive|widespread|extent|advanced"
    r"|unilateral|bilateral|focal|diffuse|localised|localized|multiple|solitary|single|multifocal"
    r"|acute|chronic|affected|involved|worse|same|different|symmetric\w*|asymmetr\w*|equal"
    r"|differ|match(?:es)?|whiter|darker|denser|smaller|larger|bigger|hazier|lighter)"
)
_ASKS_DEGREE = re.compile(
    rf"\b{_DEGREE}\b|\bhow (?:bad|much|far|many|big|large|long)\b"
    r"|\b(?:left|right|both|one|either|each) (?:\w+ )?(?:sides?|lungs?)\b"
    r"|\bleft or (?:the )?right\b"
    r"|\bright or (?:the )?left\b"
)
_HALF = (
    r"(?:(?:left|right|both|either|one|two|each|other|which|what) (?:of (?:the |my |his "
    r"|her )?)?(?:\w+ )?"
    r"(?:sides?|lungs?|half|halves|hila|hilum|hemi\w+|bases?|apices|apex|diaphragms?|domes?)"
    r"|(?:sides|hila|lungs|apices|bases|hemidiaphragms|clavicles|halves))"
)
_COMPARES_SIDES = re.compile(
    rf"\b{_HALF}\b.*\b(?:than|as \w+ as|compared?|same|alike|equal\w*|different|differ\w*|match\w*"
    r"|symmetr\w*|asymmetr\w*|versus|vs|more|less|like (?:the )?(?:left|right|other))\b"
    rf"|\b(?:compare|contrast|differences?|differ\w*|asymmetr\w*|symmetr\w*|same)\b.*\b{_HALF}\b"
)
_LOOKS = re.compile(
    r"\b(?:e[ck]g|monitor(?:ing)?|telemetry|cardiac) (?:leads?|wires?|pads?|stickers?)\b"
    r"|\b(?:whit(?:e|ish)|dark(?:ish)?|black(?:ish)?|bright|gr[ae]y(?:ish)?|light|pale|dense|hazy"
    r"|cloudy|round(?:ed)?|long|thin|curved|oval|triangular)"
    r"(?: [a-z]+)?"
    r" (?:areas?|patch(?:es)?|spots?|things?|bits?|regions?|parts?|lines?|bands?|blobs?|zones?"
    r"|stuff"
    r"|streaks?|stripes?|marks?|circles?|rings?|shapes?|dots?|strips?|objects?|structures?"
    r"|triangles?)\b"
)
"""What a picture shows, in the words of those who cannot name it."""
_EXISTS = re.compile(
    r"^(?!\W*how many\b).*\b(?:is|are|was|were) there\b(?! (?:hope|a point|any point"
    r"|any chance|a chance|a cure|a way))"
    r"|\b(?:any|some|the|no) (?:signs?|evidence|hints?|suggestion|indication|traces?"
    r"|features?) of\b"
    r"|\b(?:do|can|could|did) (?:you|we|anyone) (?:\w+ )?(?:see|spot|detect|identify|notice|find"
    r"|make out)\b(?! (?:that|why|how|my|your))|\b(?:does|do|did|would) (?:it|this|that|they"
    r"|the (?:image|x-?ray|film|picture|chest))"
    r" (?:\w+ )?(?:look like|show|suggest|indicate|demonstrate|reveal|represent|resemble)\b"
    r"|^\W*(?:look|check|search) for\b|^\W*any [\w-]+(?: [\w-]+){0,2}\W*$"
)
_STATE = re.compile(
    r"^\W*(?:is|are|does|do) (?:the|my|his|her|their|this|both"
    r"|either) (?:[\w-]+ ){1,4}?(?:(?:look|looks"
    r"|appear|appears|seem|seems) )?(?:normal|abnormal|preserved|enlarged|dilated|obscured|elevated"
    r"|displaced|dislocated|effaced|thickened|widened|intact|unremarkable|calcified|visible|seen"
    r"|visuali[sz]ed|prominent|tortuous|narrowed|deviated|blunted|flattened|obliterated)\W*$"
)
_EVERYDAY = re.compile(
    r"\b(?:god|mars|moon|space|aliens?|trains?|bus|flights?|hotels?|shops?|stores?|money|jobs?"
    r"|parking"
    r"|toilet|bathroom|coffee|lunch|dinner|breakfast|pharmacy|cafe\w*|machine|apps?|websites?"
    r"|podcasts?"
    r"|discount|insurance|lawyers?|party|holiday|school|course|traffic|war|music|dogs?|cats?"
    r"|cars?|phone"
    r"|internet|computer|software|books?|class|rain|snow|sun|remed(?:y|ies)|cures?|ways? to"
    r"|point in"
    r"|chance|hope|future|market|economy|tax|vote|planets?|country|city|town|king|queen|language"
    r"|words?"
    r"|side effects?|nearby|near (?:here|me)|outside|online|for sale|in the world|alternatives?)\b"
)
"""What is there elsewhere than on an image."""


def asks_degree(text: str) -> bool:
    """Whether a degree or a side is asked of what is there: "is it severe"."""
    rest = _ASKS_DEGREE.sub(" ", text)
    return rest != text and not names_organ(rest) and not strange_words(rest)


def compares_sides(text: str) -> bool:
    """Whether a text in lower case compares the left with the right: "is one lung smaller"."""
    return bool(_COMPARES_SIDES.search(text))


def is_of_looks(text: str) -> bool:
    """Whether a text in lower case names something by its looks: "the dark area at the top"."""
    return bool(_LOOKS.search(text))


def asks_how_bad(text: str) -> bool:
    """Whether nothing is asked but the degree: "how bad is it"."""
    return bool(re.match(r"\W*how (?:bad|severe|extensive|far|much)\b", text)) and asks_degree(text)


def asks_for_something(text: str) -> bool:
    """Whether a text in lower case asks if something is there, or how something of it looks."""
    if is_of_looks(text):
        return True
    return bool(_EXISTS.search(text) or _STATE.search(text)) and not _EVERYDAY.search(text)
