"""Questions: what is answered from the assessment, corrected, or declined."""

from dataclasses import replace

import pytest

from db.labels import OBSERVATIONS
from generator.assessment.assess import assess
from generator.assessment.calibration import Calibration
from generator.questions.decide import DecidedAnswer, decide
from generator.questions.parse import parse
from indexer.reports.labeller import label_sentence
from retriever.results import View
from tests.conftest import ROOT
from tests.support.cases import a_retrieval

FILES = ROOT / "tests" / "data" / "questions"
SCORES = {"Cardiomegaly": 0.8, "Lung Opacity": 0.7, "Atelectasis": 0.3}
"""The first two are present, atelectasis is possible, all others are absent with 0.10."""
RETRIEVAL = replace(
    a_retrieval(
        [
            "Patchy opacity in the right lower lobe. The heart is enlarged.",
            "Right basilar opacity. No pleural effusion.",
            "The lungs are clear. Heart size is normal. No pneumothorax.",
        ],
        SCORES,
    ),
    views=tuple(View(is_frontal=one, label_scores=None) for one in (True, False)),
)
ASSESSMENT = assess(
    RETRIEVAL,
    {},
    calibration=Calibration(
        knn=0.0,
        label_head=1.0,
        operating_points={"high": 0.2, "balanced": 0.4, "specific": 0.9},
    ),
)


def answered(question: str) -> DecidedAnswer | None:
    return decide(question, ASSESSMENT, RETRIEVAL)


def text_of(question: str) -> str:
    found = answered(question)
    assert found is not None, question
    return found.text


def lines(name: str) -> list[str]:
    return (FILES / name).read_text(encoding="utf-8").splitlines()


def test_off_topic_and_false_premises_are_declined_or_corrected() -> None:
    asked = lines("declined.txt")
    assert len(asked) == 100
    passed = [one for one in asked if (found := answered(one)) is None or not found.declined]
    assert len(passed) <= 2, passed


def test_questions_on_the_image_are_not_declined() -> None:
    asked = lines("in_scope.txt")
    assert len(asked) == 100
    declined = [one for one in asked if (found := answered(one)) is not None and found.declined]
    assert len(declined) <= 1, declined


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is the heart enlarged?", "Yes, cardiomegaly is seen (0.80)."),
        ("Is the heart size normal?", "No, cardiomegaly is seen (0.80)."),
        ("Isn't the heart enlarged?", "Yes, cardiomegaly is seen (0.80)."),
        ("Is there an effusion?", "No, no pleural effusion is seen (0.10)."),
        ("Is there no effusion?", "Yes, no pleural effusion is seen (0.10)."),
        ("Is there atelectasis?", "No, atelectasis is only possible (0.30)."),
        (
            "Is there an effusion or cardiomegaly?",
            "Yes, cardiomegaly is seen (0.80). No pleural effusion is seen (0.10).",
        ),
        (
            "Is there an effusion and cardiomegaly?",
            "No, cardiomegaly is seen (0.80). No pleural effusion is seen (0.10).",
        ),
        (
            "Is there an effusion? Is the heart enlarged?",
            "No, no pleural effusion is seen (0.10). Yes, cardiomegaly is seen (0.80).",
        ),
        ("Is the film normal?", "No, cardiomegaly (0.80) and lung opacity (0.70) are seen."),
        ("Is there any abnormality?", "Yes, cardiomegaly (0.80) and lung opacity (0.70) are seen."),
        ("What is abnormal?", "Cardiomegaly, lung opacity."),
        ("Which side is the effusion on?", "No pleural effusion is seen (0.10)."),
        ("How large is the pneumothorax?", "No pneumothorax is seen (0.10)."),
        ("What modality is this?", "This is a chest X-ray."),
        ("Is this a CT scan?", "No, this is a chest X-ray."),
        ("Is this an image of the brain?", "No, this is a chest X-ray."),
        ("What organs are shown?", "The chest: heart, lungs, pleura, mediastinum and ribs."),
        ("Which views are shown?", "Frontal and lateral."),
        ("Is there a lung opacity on the right?", "Yes, lung opacity is seen (0.70)."),
        (
            "Is there a lung opacity on the left?",
            "No, lung opacity is seen (0.70), but the similar cases have it on the right.",
        ),
        ("How should this be treated?", "This describes the chest X-ray and gives no advice on "
         "treatment."),
        ("Should the chest X-ray be repeated?", "This describes the chest X-ray and gives no "
         "advice on follow-up or further tests."),
        ("Has the opacity grown since the last film?", "There is no earlier image to compare "
         "with."),
    ],
)  # fmt: skip
def test_an_answer_agrees_with_the_assessment(question: str, answer: str) -> None:
    assert text_of(question) == answer


@pytest.mark.parametrize(
    "question",
    ["Where is the lung opacity?", "How severe is the cardiomegaly?", "Is the aorta tortuous?"],
)
def test_side_degree_and_other_findings_are_left_to_a_model(question: str) -> None:
    assert answered(question) is None


@pytest.mark.parametrize("name", OBSERVATIONS[1:])
def test_the_labels_of_an_answer_are_those_that_its_text_says(name: str) -> None:
    found = answered(f"Is there {name.lower()}?")
    assert found is not None
    assert set(found.labels) == {name}
    read = label_sentence(found.text)
    assert (read.get(name) == "negative") == (found.labels[name] == "negative"), read


@pytest.mark.parametrize("question", ["?", "", "   ", "((((", "is", "a" * 300, "é" * 50])
def test_any_text_is_parsed(question: str) -> None:
    assert parse(question).kind in ("other", "declined")


def test_a_finding_that_no_hit_names_is_no_premise_either() -> None:
    assert text_of("How severe is the scoliosis?") == "No similar case names scoliosis."
    named = replace(RETRIEVAL, hits=a_retrieval(["Mild scoliosis."]).hits)
    assert decide("How severe is the scoliosis?", ASSESSMENT, named) is None
