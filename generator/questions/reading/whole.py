"""Questions on the X-ray as a whole or on a region: modality, normal or not, what is seen.

asks_whole("Is everything OK in there?")        # "normal"
asks_whole("Give me a list of what is present")     # "what"
region_of("How does the heart look?")       # "heart"

Such a question may use no other words than those of X-rays and of talk: "Is everything OK with my
bank account?" is none.
"""

import re
from collections.abc import Mapping
from typing import Literal

from db.labels import State
from generator.questions.reading.vocabulary import (
    APPEARANCE,
    CONTENTLESS,
    IMAGE_WORDS,
    OF_READING,
    ORGANS,
    has_any,
    strange_words,
    words_of,
)

_MODALITY = re.compile(
    r"\bmodality\b|\b(?:which|what) (?:imaging )?technique\b|\bhow was (?:this|the) (?:image"
    r"|picture"
    r"|scan|film|study) (?:taken|made|acquired)|\b(?:what|which) (?:kind|type|sort) of (?:image"
    r"|imaging|scan|picture|study|exam\w*|film|x-?ray)|\b(?:is|was) (?:this|it|that|the image)(?:"
    r" image| study| scan| picture)? (?:really |actually )?(?:an?|from an?) (?:[\w-]+ ){0,2}?(?:ct"
    r"|mri?|mr|pet|ultrasound|x-?ray|cxr|scan|radiograph|mammogra\w+|photo\w*|cat scan)\b"
    r"|\bwhat(?: am i (?:looking at|seeing)|(?:'?s| is) this(?: image| picture)?)(?: here)?\W*$"
    r"|\b(?:ct"
    r"|mri|x-?ray"
    r"|ultrasound|radiograph) or (?:an? )?(?:ct|mri|x-?ray|ultrasound|radiograph)\b"
)
_PART = (
    r"(?:chest|thorax|lungs?|heart|ribs?|abdomen|belly|stomach|pelvis|skull|head|brain|neck"
    r"|spine|arm"
    r"|leg|knee|hand|foot|hip|shoulder|back|breast)"
)
_ANATOMY = re.compile(
    r"\b(?:which|what) (?:(?:[\w-]+ ){0,4}?organs?\b|body part|part of the body|anatom\w+|region"
    r" of the body|organ"
    r" system|structures?|body region|area of the body|system)\b|\b(?:is|was) (?:this|it)(?: image"
    r"| an image| a picture| a study| x-?ray| film| an x-?ray)* (?:(?:of|the|my|his|her|a|an) )*"
    rf"(?P<part>{_PART})\b(?! (?:x|film|radiograph|view|normal|clear|ok|fine|image|scan))"
)
_ORIENTATION = re.compile(
    r"\b(?:which|what) (?:side|half|part)\b.*\b(?:patient|his|her|my|person|body)(?:['’]?s)?"
    r" (?:own )?(?:left|right)\b(?! (?:lung|side (?:is )?(?:abnormal|affected)|base|lobe))"
    r"|\b(?:which|what) side (?:of \w+ )?(?:is|am i looking at)\b.*\bleft\b.*\bright\b(?=\W*$)"
    r"|\bis (?:the )?(?:left|right) (?:side )?(?:of (?:the|this) (?:image|picture|film|x-?ray) )"
    r"(?:the |my |his |her )?(?:patient['’]?s )?(?:left|right)\b"
    r"|\bwhich (?:side )?is (?:the )?(?:left|right)(?: side)?(?: and which.*| (?:on|in) (?:the"
    r"|this)"
    r" (?:image|picture|film|x-?ray))?\W*$"
)
_BESIDE_HEART = re.compile(
    r"\b(?:behind|beside|around|near|above|below|next to|left of|right of) (?:the|my|his"
    r"|her) heart\b"
)
"""Lung that is told by the heart."""
_WHAT = re.compile(
    r"\b(?:what|what'?s|which|list|name|describe|summari[sz]e|sum up|tell me|give|report|read"
    r"|interpret"
    r"|explain|walk"
    r"|comment|show me|review|assess|evaluate)\b|^\W*(?:the )?(?:\w+ )?(?:findings|impression"
    r"|summary|overview"
    r"|diagnos[ie]s|d?dx|read|report|interpretation|opinion|thoughts|conclusion)\W*(?:please"
    r"|pls)?\W*$"
    r"|\b(?:findings|impression|d?dx|thoughts)\W*$|\b(?:summary|overview|diagnosis)\b"
)
_OPEN_TALK = re.compile(
    r"\b(?:see|seeing|find|found|anything|everything|nothing|something|show|shows|dealing|going"
    r"|happening"
    r"|look|looks|seen|tell|say|going on|explain|understand|picture|image|x-?ray|film|chest|scan)\b"
)
"""What is asked where all words are of talk: "what are we dealing with"."""
_SOUND = (
    r"(?:normal\w*|healthy|unremarkable|fine|okay|ok|alright|good|clear|clean|wnl|nad|within(?:"
    r" \w+)?"
    r" limits|all right)"
)
_ABNORMAL = (
    r"(?:abnormal\w*|wrong|bad|patholog\w*|disease[sd]?|findings?|unusual|suspicious|acute|active"
    r"|weird|odd|strange|worry\w*|worried|concern\w*|problems?|trouble|issues?|remarkable"
    r"|significant|anything|something|nothing|any|off|out of the ordinary|damaged?|illness"
    r"|sick|urgent|critical|emergent"
    r"|life[ -]threatening|dangerous|serious|alarming|red flags?|of note|stands? out|noteworthy)"
)
_NORMAL = re.compile(rf"\b(?:{_SOUND}|{_ABNORMAL})\b")
_IS_ABNORMAL = re.compile(rf"\b{_ABNORMAL}\b")
_DENIED = re.compile(r"\b(?:no|not|nothing|without|free|none)\b")
_WELL = re.compile(
    r"\b(?:normal|clear|unremarkable|intact|healthy|fine|okay|ok|alright|good|well aerated|aerated"
    r"|expanded|right size|as it should be|within(?: \w+)? limits|wnl|sharp|clean)\b"
)

_BEYOND_NORMAL = re.compile(r"\b(?:than|above|beyond|over) (?:(?:what|is|the|upper) )*normal\b")
"""Normal as what something exceeds: "bigger than normal"."""

REGIONS: Mapping[str, tuple[re.Pattern[str], tuple[str, ...]]] = {
    "heart": (re.compile(r"\b(?:heart|cardiac|cardio-?thoracic|ctr)\b"), ("Cardiomegaly",)),
    "mediastinum": (
        re.compile(r"\b(?:mediastin\w+|cardiomediastin\w+)\b"),
        ("Enlarged Cardiomediastinum", "Cardiomegaly"),
    ),
    "lungs": (
        re.compile(r"\b(?:lungs?|lung fields?|parenchyma|airspaces?|lobes?)\b"),
        ("Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis"),
    ),
    "pleura": (
        re.compile(r"\b(?:pleura\w*|(?:costophrenic|cp) angles?)\b"),
        ("Pleural Effusion", "Pneumothorax", "Pleural Other"),
    ),
    "bones": (
        re.compile(r"\b(?:bones?|bony|ribs?|skelet\w+|osseous|clavicles?)\b"),
        ("Fracture",),
    ),
}
"""What is asked about as a whole, and the findings that make it abnormal."""


def names_organ(text: str) -> bool:
    return has_any(text, ORGANS) or region_of(text) != ""


def is_of_xrays(text: str) -> bool:
    """Whether a text names an organ of the chest, or what radiographs show."""
    return names_organ(text) or has_any(text, APPEARANCE)


def asks_where(text: str) -> bool:
    """Whether the place of an abnormality is asked: "which side is abnormal"."""
    return bool(
        re.search(
            r"\bwhere\b|\b(?:which|what) (?:\w+ )?(?:side|level|part|zone|location)\b|\blocation"
            r" of\b",
            text,
        )
    )


def asks_orientation(text: str) -> bool:
    """Whether a text in lower case asks which side of the image is the patient's left."""
    return bool(_ORIENTATION.search(text))


def asks_place_of_organ(text: str) -> bool:
    """Whether a text in lower case asks where something lies, and not where it is abnormal."""
    return bool(re.match(r"\W*(?:and |so )?where\b", text)) and not called_abnormal(text)


def called_abnormal(text: str) -> bool:
    return bool(_IS_ABNORMAL.search(text))


def region_of(text: str) -> str:
    """The region that a text in lower case names; empty for none."""
    text = _BESIDE_HEART.sub("lung", text)
    return next((name for name, (words, _) in REGIONS.items() if words.search(text)), "")


def called_well(text: str) -> bool:
    """Whether it asks if something is as it should be: "are the lungs clear"."""
    return bool(_WELL.search(_BEYOND_NORMAL.sub("", text)))


def without_well(text: str) -> str:
    return _WELL.sub("", text)


def is_modality(text: str) -> bool:
    """Whether it asks how the image was made, and not how it looks: "is this a normal X-ray"."""
    return bool(_MODALITY.search(text)) and not _NORMAL.search(text)


def anatomy_of(text: str) -> str | None:
    """The part of the body that is asked about, empty where none is; None for another question."""
    found = _ANATOMY.search(text)
    return (found["part"] or "") if found else None


def asks_whole(text: str, *, yes_no: bool) -> Literal["normal", "what"] | None:
    """Whether a text in lower case asks if the image is normal, or what it shows.

    None if it does neither, or is about something else.
    """
    if names_organ(text):
        return None
    strange = strange_words(text)
    most = 3 if has_any(text, OF_READING) else 2 if has_any(text, IMAGE_WORDS) else 0
    if len(strange) > most:
        return None
    if (yes_no or not _WHAT.search(text)) and _NORMAL.search(text):
        return "normal"
    if not strange and set(words_of(text)) <= CONTENTLESS and not _OPEN_TALK.search(text):
        return None
    if yes_no:
        return "normal" if not strange or _NORMAL.search(text) else None
    return "what" if not strange or _WHAT.search(text) else None


def wanted_state(text: str) -> State:
    """The state of No Finding to which "yes" is the answer."""
    abnormal = bool(
        _IS_ABNORMAL.search(re.sub(rf"\b(?:findings?|results?)\b(?=.*\b{_SOUND})", "", text))
    )
    return "negative" if abnormal != bool(_DENIED.search(text)) else "positive"
