"""How the observations are worded where no case words them.

bare_sentence("Pleural Effusion")       # "There is a pleural effusion."
bare_sentence("Pleural Effusion", "impression")     # "Pleural effusion."
wordings("Pleural Effusion")            # the same, then "There may be a pleural effusion."
surest_supported("Pleural Effusion", "findings", supporters)    # the first that has supporters
denial("Pleural Effusion")              # "No pleural effusion is seen."
listed(["Cardiomegaly", "Edema"])       # "cardiomegaly and edema"
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from db.index.case import Section

_BARE = {
    "Enlarged Cardiomediastinum": "The mediastinum is enlarged.",
    "Lung Lesion": "There is a lung lesion.",
    "Lung Opacity": "There is a lung opacity.",
    "Pneumothorax": "There is a pneumothorax.",
    "Pleural Effusion": "There is a pleural effusion.",
    "Pleural Other": "There is pleural thickening.",
    "Fracture": "There is a fracture.",
    "Support Devices": "There are support devices.",
}
"""The other findings read ``There is pneumonia.``"""

_NOUNS = {
    "Enlarged Cardiomediastinum": "mediastinal widening",
    "Pleural Other": "pleural thickening",
}
"""The other findings are their own names in lower case."""


_WEAKER = {"Edema": ("There is vascular congestion.", "Vascular congestion.")}
"""What is short of a finding, for the findings and for the impression: the labeller reads it as the
finding in doubt."""


def wordings(name: str, section: Section, *, beside: Collection[str] = ()) -> tuple[str, ...]:
    """The sentences that may state a finding, the surest first: for certain, then in doubt.

    None has the words of a sentence in ``beside``, but for the first where both its forms are said.
    """
    certain = bare_sentence(name, section, beside=beside)
    stated = _BARE.get(name, f"There is {name.lower()}.")
    doubtful = [
        re.sub(r"^(There|The \w+) (?:is|are)\b", r"\1 may be", stated),
        f"Possible {noun(name)}.",
    ]
    groups = [doubtful, list(_WEAKER.get(name, ()))]
    said = {same_words(text) for text in beside}
    found = [certain]
    for forms in groups:
        if section == "impression":
            forms.reverse()
        found += [form for form in forms if same_words(form) not in said][:1]
    return tuple(found)


Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Worded(Generic[Found]):
    """A wording of a finding, and what supports it."""

    text: str
    place: int
    """Among `wordings`: 0 for the surest."""
    support: Found


def surest_supported(
    name: str,
    section: Section,
    support: Callable[[str], Found | None],
    *,
    beside: Collection[str] = (),
) -> Worded[Found] | None:
    """The surest of `wordings` that ``support`` finds something for; None where it finds nothing.

    ``support`` returns None, or something that is false, for a sentence that nothing supports.
    """
    for place, text in enumerate(wordings(name, section, beside=beside)):
        if found := support(text):
            return Worded(text=text, place=place, support=found)
    return None


def bare_sentence(name: str, section: Section = "findings", *, beside: Collection[str] = ()) -> str:
    """State a finding without side, place or degree: a sentence, in an impression a phrase.

    The other of the two where one of the sentences in ``beside`` has the same words.
    """
    forms = [_BARE.get(name, f"There is {name.lower()}."), f"{noun(name).capitalize()}."]
    if section == "impression":
        forms.reverse()
    said = {same_words(text) for text in beside}
    return next((form for form in forms if same_words(form) not in said), forms[0])


def same_words(text: str) -> str:
    """The words of a text: two sentences with equal words are one sentence said twice."""
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def noun(name: str) -> str:
    """The finding within a sentence."""
    return _NOUNS.get(name, name.lower())


def denial(name: str) -> str:
    if name == "Support Devices":
        return "No support devices are seen."
    return f"No {noun(name)} is seen."


def listed(names: Sequence[str]) -> str:
    """Their nouns, joined as in a sentence."""
    words = [noun(name) for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
