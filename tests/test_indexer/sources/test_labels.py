"""Label sentences: what a data set without reports is made to say, and nothing beyond."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from db.errors import UserError
from db.index.store import Case, CaseStore
from db.labels import NO_FINDING, OBSERVATIONS, STATES, Labels
from indexer.ingest.studies import report_text, to_case
from indexer.reports.labeller import label_report, label_sentence
from indexer.sources.label_words import (
    chexpert_labels,
    labels_of_sentences,
    sentence_of_label,
    sentences_of_labels,
)
from indexer.sources.records import ImageRecord, StudyRecord
from tests.support.radiographs import draw_radiograph

ANY_LABELS = st.dictionaries(st.sampled_from(OBSERVATIONS), st.sampled_from(STATES))


def without_negative_no_finding(labels: Labels) -> dict[str, str]:
    return {n: s for n, s in labels.items() if n != NO_FINDING or s == "positive"}


@given(ANY_LABELS)
def test_labels_survive_being_worded_as_sentences(labels: Labels) -> None:
    sentences = sentences_of_labels(labels)
    kept = without_negative_no_finding(labels)
    assert [list(sentence.labels.items()) for sentence in sentences] == [
        [(name, kept[name])] for name in OBSERVATIONS if name in kept
    ]
    again = labels_of_sentences(sentences)
    if NO_FINDING in kept and NO_FINDING not in again:  # it gave way to a finding
        assert set(kept.values()) - {"negative"}
        del kept[NO_FINDING]
    assert again == kept


@given(ANY_LABELS)
def test_the_labeller_reads_nothing_else_in_a_label_sentence(labels: Labels) -> None:
    for sentence in sentences_of_labels(labels):
        assert label_sentence(sentence.text).items() <= sentence.labels.items()


@given(st.dictionaries(st.sampled_from(OBSERVATIONS), st.sampled_from(["1.0", "0", "-1.0", ""])))
def test_an_empty_cell_is_unmentioned_and_never_negative(row: dict[str, str]) -> None:
    labels = chexpert_labels(row, "row") or {}
    words = {"1.0": "positive", "0": "negative", "-1.0": "uncertain"}
    assert labels == without_negative_no_finding({n: words[c] for n, c in row.items() if c})
    text = " ".join(sentence.text for sentence in sentences_of_labels(labels))
    mentioned = label_report(s.text for s in sentences_of_labels(labels)).keys() - {NO_FINDING}
    assert mentioned <= {name for name, cell in row.items() if cell}, text


def test_an_invalid_label_cell_is_named() -> None:
    with pytest.raises(UserError, match=r"train\.csv, line 3: '2' under 'Edema'"):
        chexpert_labels({"Edema": "2"}, "train.csv, line 3")
    assert chexpert_labels({"Path": "a"}, "train.csv, line 3") is None


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("Effusion", "Pleural effusion.", {"Pleural Effusion": "positive"}),
        ("Pleural_Thickening", "Pleural thickening.", {"Pleural Other": "positive"}),
        ("Hernia", "Hernia.", {}),
        ("No Finding", "No finding.", {NO_FINDING: "positive"}),
        ("Nodule/Mass", "Lung nodule or mass.", {"Lung Lesion": "positive"}),
        ("heart insufficiency", "Heart failure.", {"Edema": "positive"}),
        ("bone metastasis", "Bone metastasis.", {}),
    ],
)
def test_labels_of_other_data_sets_are_mapped_to_the_14_observations(
    name: str, text: str, labels: Labels
) -> None:
    sentence = sentence_of_label(name)
    assert (sentence.text, sentence.labels) == (text, labels)


def test_a_label_sentence_can_be_uncertain_and_have_a_location() -> None:
    sentence = sentence_of_label("Mass", "uncertain", where=("left", "apical"))
    assert sentence.text == "Possible lung mass (left, apical)."
    assert sentence.labels == {"Lung Lesion": "uncertain"}
    assert sentence_of_label("No Finding", "uncertain").labels == {}


def labelled_study(tmp_path: Path) -> StudyRecord:
    image = tmp_path / "film.png"
    Image.fromarray(draw_radiograph(1, size=(96, 80))).save(image)
    labels: Labels = {"Edema": "uncertain", "Fracture": "negative"}
    return StudyRecord(
        study_id="s1",
        images=(ImageRecord(path=image),),
        label_sentences=sentences_of_labels(labels),
        labels=labels,
    )


def test_label_sentences_stay_marked_in_the_index(tmp_path: Path) -> None:
    record = labelled_study(tmp_path)
    case = to_case(record, "x", 0, images=())
    with CaseStore.create(tmp_path / "cases.sqlite") as store:
        store.add([case])
        [kept] = store.get([0])
    assert {sentence.section for sentence in kept.sentences} == {"labels"}
    assert (kept.findings, kept.impression) == ("", "")
    assert kept.report == "Possible pulmonary edema. No fracture." == report_text(record)
    assert kept.labels == {"Edema": "uncertain", "Fracture": "negative"}


def test_a_report_is_never_mixed_with_labels_in_words(tmp_path: Path) -> None:
    case: Case = to_case(
        StudyRecord(study_id="s", findings="Clear lungs.", labels={"Edema": "negative"}),
        "x",
        0,
        images=(),
    )
    assert case.report == "Clear lungs."
    assert [sentence.section for sentence in case.sentences] == ["findings"]
