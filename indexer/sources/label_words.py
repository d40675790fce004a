"""Labels of a data set -> label sentences, for studies that have labels and no report.

    sentence_of_label("Effusion")                              # "Pleural effusion."
    sentences_of_labels({"Edema": "uncertain"})            # "Possible pulmonary edema."

What such a sentence says of the 14 observations is read by the project's own labeller wherever the
words allow it, so a label means in an index what the same words in a report mean. A label that is
none of the 14 (hernia, scoliosis) keeps its words and says nothing of them. What a data set does
not list is not turned into a sentence: unmentioned is never negative.
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
"""What a cell of a CheXpert table means, its ``.0`` taken off; None: the report does not say."""

_OBSERVATION_WORDS = {
    "Enlarged Cardiomediastinum": "enlarged cardiomediastinal silhouette",
    "Edema": "pulmonary edema",
    "Pleural Other": "other pleural abnormality",
}
_WORDS = {
    "No Finding": "no finding",  # of those that the data set lists: not a normal image
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
"""Where the labeller does not know the words, or reads more into them than they say."""

_DEGREES: dict[State, str] = {"positive": "", "negative": "no ", "uncertain": "possible "}


def sentence_of_label(
    name: str, state: State = "positive", where: Iterable[str] = ()
) -> LabelSentence:
    """One label in words; ``where`` are places in the chest, set in brackets."""
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
    """A sentence for each of the 14 observations that ``labels`` has, in their order.

    No Finding is said where it is positive; that it is not says nothing by itself.
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
    """The labels of a study from its label sentences, in the order of ``OBSERVATIONS``.

    Positive goes before uncertain and that before negative; No Finding gives way to a finding.
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
    """The labels in a row of a CheXpert table (1, 0, -1 or empty a cell); None without columns.

    Raises UserError that names ``where`` and the cell for another value.
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
