"""Word labels of a data set as sentences, for studies that have labels and no report.

    sentence_of_label("Effusion")                              # "Pleural effusion."
    sentences_of_labels({"Edema": "uncertain"})            # "Possible pulmonary edema."

Wherever the words allow it, the project's own labeller reads the 14 observations from the sentence,
so a label means the same as those words in a report. A label that is not one of the 14 (hernia,
scoliosis) keeps its words and sets none of them. Labels that a data set does not list give no
sentence: unmentioned is never negative.
"""

from collections.abc import Iterable

from db.errors import UserError
from db.labels import NO_FINDING, OBSERVATIONS, Labels, State, named
from indexer.reports.labeller import label_sentence
from indexer.sources.records import LabelSentence

CHEXPERT_STATES: dict[str, State | None] = {
    "1": "positive",
    "0": "negative",
    "-1": "uncertain",
    "": None,
}
"""The meaning of a cell in a CheXpert table, without ``.0``; None is unmentioned."""

_OBSERVATION_WORDS = {
    "Enlarged Cardiomediastinum": "enlarged cardiomediastinal silhouette",
    "Edema": "pulmonary edema",
    "Pleural Other": "other pleural abnormality",
}
_WORDS = {
    "No Finding": "no finding",  # none of the listed findings, which is not the same as normal
    "No finding": "no finding",
    # ChestX-ray14
    "Effusion": "pleural effusion",
    "Fibrosis": "pulmonary fibrosis",
    "Infiltration": "lung infiltration",
    "Mass": "lung mass",
    "Nodule": "lung nodule",
    "Pleural_Thickening": "pleural thickening",
    # VinDr-CXR
    "COPD": "chronic obstructive pulmonary disease",
    "Enlarged PA": "enlarged pulmonary artery",
    "ILD": "interstitial lung disease",
    "Nodule/Mass": "lung nodule or mass",
    "Other disease": "other disease",
    "Other diseases": "other disease",
    # PadChest
    "COPD signs": "signs of chronic obstructive pulmonary disease",
    "NSG tube": "nasogastric tube",
    "bullas": "bullae",
    "dai": "implanted defibrillator",
    "heart insufficiency": "heart failure",
    "pectum carinatum": "pectus carinatum",
    "pectum excavatum": "pectus excavatum",
    "pneumoperitoneo": "pneumoperitoneum",
}
_MEANING: dict[str, Labels] = {
    "no finding": {NO_FINDING: "positive"},
    "alveolar pattern": {"Lung Opacity": "positive"},
    "aortic endoprosthesis": {"Support Devices": "positive"},
    "bone metastasis": {},
    "endoprosthesis": {"Support Devices": "positive"},
    "implanted defibrillator": {"Support Devices": "positive"},
}
"""Labels of words that the labeller does not know, or would read too much into."""

_DEGREES: dict[State, str] = {"positive": "", "negative": "no ", "uncertain": "possible "}


def sentence_of_label(
    name: str, state: State = "positive", where: Iterable[str] = ()
) -> LabelSentence:
    """Word one label as a sentence; ``where`` lists places in the chest, set in brackets."""
    words = _WORDS.get(name, name.replace("_", " ").lower())
    places = ", ".join(where)
    text = f"{_DEGREES[state]}{words}{f' ({places})' if places else ''}."
    text = text[:1].upper() + text[1:]
    meaning = _MEANING.get(words)
    if meaning is None:
        meaning = label_sentence(f"{_DEGREES[state]}{words}.")
    elif state != "positive":
        meaning = dict.fromkeys((set(meaning) - {NO_FINDING}), state)
    return LabelSentence(text=text, labels=meaning)


def sentences_of_labels(labels: Labels) -> tuple[LabelSentence, ...]:
    """Word each of the 14 observations in ``labels`` as a sentence, in their usual order.

    No Finding gives a sentence only if it is positive.
    """
    sentences = []
    for observation in OBSERVATIONS:
        state = labels.get(observation)
        if state is None or (observation == NO_FINDING and state != "positive"):
            continue
        words = _OBSERVATION_WORDS.get(observation, observation.lower())
        text = f"{_DEGREES[state]}{words}."
        sentences.append(
            LabelSentence(text=text[:1].upper() + text[1:], labels={observation: state})
        )
    return tuple(sentences)


def labels_of_sentences(sentences: Iterable[LabelSentence]) -> Labels:
    """Merge the labels of label sentences, in the order of ``OBSERVATIONS``.

    Positive overrides uncertain, which overrides negative; any finding overrides No Finding.
    """
    merged: dict[str, State] = {}
    rank: tuple[State, ...] = ("negative", "uncertain", "positive")
    for sentence in sentences:
        for name, state in sentence.labels.items():
            if name not in merged or rank.index(state) > rank.index(merged[name]):
                merged[name] = state
    if named(merged) - {"Support Devices"}:
        merged.pop(NO_FINDING, None)
    return {name: merged[name] for name in OBSERVATIONS if name in merged}


def chexpert_labels(row: dict[str, str], where: str) -> Labels | None:
    """Read the labels in a row of a CheXpert table (cells 1, 0, -1 or empty); None without columns.

    Raises UserError, naming ``where`` and the cell, for any other value.
    """
    present = [name for name in OBSERVATIONS if name in row]
    if not present:
        return None
    labels: dict[str, State] = {}
    for name in present:
        cell = row[name].strip()
        plain = cell[:-2] if cell.endswith(".0") else cell
        if plain not in CHEXPERT_STATES:
            raise UserError(f"{where}: '{cell[:40]}' under '{name}' is not 1, 0, -1 or empty")
        state = CHEXPERT_STATES[plain]
        if state is not None and not (name == NO_FINDING and state != "positive"):
            labels[name] = state
    return labels
