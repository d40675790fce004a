"""How the observations are worded where no case words them.

bare_sentence("Pleural Effusion")       # "There is a pleural effusion."
denial("Pleural Effusion")              # "No pleural effusion is seen."
listed(["Cardiomegaly", "Edema"])       # "cardiomegaly and edema"
"""

from collections.abc import Sequence

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


def bare_sentence(name: str) -> str:
    """State a finding without side, place or degree."""
    return _BARE.get(name, f"There is {name.lower()}.")


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
