import json
import os
import tarfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.labels import NO_FINDING, OBSERVATIONS, STATES, State
from indexer.reports.labeller import LABELLER_VERSION, label_report, label_sentence
from indexer.reports.sentences import split_sentences
from tests.conftest import ROOT

SENTENCES: list[tuple[str, dict[str, State]]] = [
    (row["text"], row["labels"])
    for row in map(
        json.loads,
        (ROOT / "tests" / "data" / "label_sentences.jsonl").read_text().splitlines(),
    )
]
DATA = Path(os.environ.get("CXR_DATA", ROOT.parent / "shared" / "data"))


def macro_f1(outputs: list[dict[str, State]]) -> tuple[float, dict[str, float]]:
    """Mean over the states of F1, micro over observations; and F1 by observation and state."""
    rows: dict[str, float] = {}
    scores = []
    for state in STATES:
        total = Counter[str]()
        for name in OBSERVATIONS:
            one = Counter[str]()
            for output, (_, labels) in zip(outputs, SENTENCES, strict=True):
                ours, theirs = output.get(name) == state, labels.get(name) == state
                one["both"] += ours and theirs
                one["named"] += ours + theirs
            total += one
            if one["named"]:
                rows[f"{name} {state}"] = 2 * one["both"] / one["named"]
        scores.append(2 * total["both"] / total["named"])
    return sum(scores) / len(scores), rows


def test_the_sentences_hold_every_observation_often_enough() -> None:
    assert len(SENTENCES) >= 300
    assert len({text for text, _ in SENTENCES}) == len(SENTENCES)
    named = Counter(name for _, labels in SENTENCES for name in labels)
    assert all(named[name] >= 15 for name in OBSERVATIONS)
    states = {(name, state) for _, labels in SENTENCES for name, state in labels.items()}
    assert states == {(name, state) for name in OBSERVATIONS[1:] for state in STATES} | {
        (NO_FINDING, "positive")
    }


def test_macro_f1_over_the_states_is_at_least_95(capsys: pytest.CaptureFixture[str]) -> None:
    score, rows = macro_f1([label_sentence(text) for text, _ in SENTENCES])
    worst = ", ".join(
        f"{name} {f1:.2f}" for name, f1 in sorted(rows.items(), key=lambda r: r[1])[:8]
    )
    assert score >= 0.95, f"macro F1 {score:.3f}; lowest: {worst}"


def test_the_score_falls_below_95_when_negation_or_doubt_is_ignored() -> None:
    blunt: list[dict[str, State]] = [
        dict.fromkeys(label_sentence(text), "positive") for text, _ in SENTENCES
    ]
    assert macro_f1(blunt)[0] < 0.5
    sure: list[dict[str, State]] = [
        {
            name: "positive" if state == "uncertain" else state
            for name, state in label_sentence(text).items()
        }
        for text, _ in SENTENCES
    ]
    assert macro_f1(sure)[0] < 0.95


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("No change in the effusion.", {"Pleural Effusion": "positive"}),
        (
            "No consolidation to suggest pneumonia.",
            {"Consolidation": "negative", "Pneumonia": "negative"},
        ),
        (
            "No pneumothorax, hazy opacity in the right base.",
            {"Lung Opacity": "positive", "Pneumothorax": "negative"},
        ),
        ("Degenerative endplate changes and platelike density.", {}),
        (
            "Platelike atelectasis without pneumonia.",
            {"Pneumonia": "negative", "Atelectasis": "positive"},
        ),
        ("If there is concern for fracture, rib views may help.", {}),
        ("Bilateral breast prostheses.", {}),
        ("A rounded nodule which may be a granuloma versus a scar.", {"Lung Lesion": "positive"}),
        ("NO EFFUSION.", {"Pleural Effusion": "negative"}),
        ("Lungs are clear with no\n  effusion", {"Pleural Effusion": "negative"}),
        ("", {}),
    ],
)
def test_difficult_sentences_from_practice(text: str, labels: dict[str, State]) -> None:
    ours = label_sentence(text)
    assert {name: ours.get(name) for name in labels} == labels
    assert bool(ours) == bool(labels)


@pytest.mark.parametrize(
    "sentences",
    [
        ["No edema.", "Pulmonary vascular congestion."],
        ["Pulmonary vascular congestion.", "There is no edema."],
        ["Pulmonary vascular congestion without edema."],
    ],
)
def test_congestion_makes_edema_uncertain_even_where_edema_is_denied(sentences: list[str]) -> None:
    """CheXpert labeler: congestion is a doubtful mention, and doubt prevails over denial."""
    assert label_report(sentences)["Edema"] == "uncertain"


def test_edema_that_is_seen_prevails_over_congestion() -> None:
    assert label_report(["Vascular congestion.", "Mild edema."])["Edema"] == "positive"
    assert label_report(["No congestion.", "No edema."])["Edema"] == "negative"


def test_labels_come_in_the_order_of_the_observations() -> None:
    labels = list(label_sentence("PICC, rib fracture, effusion and cardiomegaly."))
    assert labels == ["Cardiomegaly", "Pleural Effusion", "Fracture", "Support Devices"]


def test_a_report_takes_the_strongest_state_of_its_sentences() -> None:
    assert label_report(["No effusion.", "Possible effusion."]) == {"Pleural Effusion": "uncertain"}
    assert label_report(["Small effusion.", "Possible effusion.", "No effusion."]) == {
        "Pleural Effusion": "positive"
    }


def test_no_finding_needs_a_report_that_says_something_and_names_nothing() -> None:
    assert label_report(["Heart size is normal."])[NO_FINDING] == "positive"
    assert label_report(["No acute abnormality.", "PICC in place."])[NO_FINDING] == "positive"
    assert NO_FINDING not in label_report(["No acute abnormality.", "Possible effusion."])
    assert label_report(["PICC in place."]) == {"Support Devices": "positive"}
    assert label_report(["XXXX.", ""]) == {}


def test_changing_returned_labels_does_not_affect_later_ones() -> None:
    label_sentence("Small effusion.").clear()
    assert label_sentence("Small effusion.") == {"Pleural Effusion": "positive"}


def test_the_version_names_the_rules() -> None:
    assert LABELLER_VERSION.startswith("rules-")


@settings(deadline=None)
@given(st.lists(st.sampled_from([text for text, _ in SENTENCES]), max_size=6))
def test_a_report_never_loses_or_invents_a_finding(sentences: list[str]) -> None:
    report = label_report(sentences)
    said = {name for text in sentences for name in label_sentence(text)}
    assert set(report) - {NO_FINDING} == said - {NO_FINDING}


@pytest.mark.skipif(not (DATA / "openi").is_dir(), reason="needs the Open-I reports")
def test_the_archive_is_labelled() -> None:
    with tarfile.open(DATA / "openi" / "NLMCXR_reports.tgz") as archive:
        texts = [
            " ".join(element.text or "" for element in ElementTree.parse(file).iter("AbstractText"))
            for number, member in enumerate(archive)
            if number % 8 == 0
            and member.name.endswith(".xml")
            and (file := archive.extractfile(member))
        ]
    reports = [label_report(split_sentences(text)) for text in texts]
    assert sum("Cardiomegaly" in labels for labels in reports) > 1000 / 8
