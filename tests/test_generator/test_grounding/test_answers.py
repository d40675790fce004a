"""Answers to questions: their citations stand only where the cited report bears them out."""

import random

import pytest

from db.app.generation import Statement
from db.labels import OBSERVATIONS
from evaluation.answers.report_questions import draw_question, presence_question
from generator.grounding.answers import check_answer, claimed_labels, is_yes
from generator.prompts import observation_question
from tests.support.cases import a_case, a_retrieval, shown

REPORTS = (
    a_case(1, "The heart is enlarged. No pleural effusion.", "Cardiomegaly."),
    a_case(2, "There is a small left pleural effusion. Heart size is normal."),
    a_case(3, "There is a large right pleural effusion."),
    a_case(4, "The lungs are clear. Heart size is normal.", "No acute disease."),
)


def answered(question: str, written: str, scores: dict[str, float] | None = None) -> Statement:
    retrieval = a_retrieval(REPORTS, scores)
    return check_answer(question, written, shown(retrieval), retrieval)


def kept(question: str, answer: str) -> list[int]:
    found = answered(question, f"{answer} [1][2][3][4]")
    numbers = [citation.number for citation in found.citations]
    assert sorted([*numbers, *(one.number for one in found.removed_citations)]) == [1, 2, 3, 4]
    assert all(one.reason.startswith(f"case {one.number} ") for one in found.removed_citations)
    return numbers


@pytest.mark.parametrize(
    ("question", "answer", "numbers"),
    [
        ("Is the heart enlarged?", "Yes.", [1]),
        ("Is the heart enlarged?", "No.", [2, 4]),
        ("Is the heart size normal?", "Yes.", [2, 4]),
        ("Is the heart size normal?", "No.", [1]),
        ("Is there a pleural effusion?", "Yes, there is.", [2, 3]),
        ("Is there a pleural effusion?", "No.", [1, 4]),  # a normal image has none
        ("Is there fluid in the pleural space?", "Yes.", [2, 3]),
        ("Is the film normal?", "Yes.", [4]),
        ("Is the film normal?", "No.", [1, 2, 3]),
        ("Is there any abnormality?", "Yes.", [1, 2, 3]),
        ("Is there any abnormality?", "No.", [4]),
        ("Is the film abnormal?", "No.", [4]),
    ],
)
def test_yes_and_no_are_borne_out_by_the_labels(
    question: str, answer: str, numbers: list[int]
) -> None:
    assert kept(question, answer) == numbers


@pytest.mark.parametrize(
    ("question", "answer", "numbers"),
    [
        ("Where is the pleural effusion?", "Left.", [2]),
        ("Which side is the pleural effusion on?", "The right side.", [3]),
        ("How large is the pleural effusion?", "Small.", [2]),
        ("Where is the pleural effusion?", "Left upper.", []),
        ("What is abnormal?", "Cardiomegaly.", [1]),
        ("What is abnormal?", "A large right pleural effusion.", [3]),
        ("What is abnormal?", "A large left pleural effusion.", []),
        ("How is the heart?", "The heart is not enlarged.", [2, 4]),
        ("What does the film show?", "No acute disease.", [4]),
        ("What is seen?", "A walrus.", []),
    ],
)
def test_other_answers_are_borne_out_by_finding_state_and_particulars(
    question: str, answer: str, numbers: list[int]
) -> None:
    assert kept(question, answer) == numbers


NEIGHBOURS = (
    a_case(1, "Right pleural effusion and left lower lobe atelectasis. No pneumothorax."),
    a_case(2, "Small left effusion. The heart is normal in size."),
    a_case(3, "Possible left effusion. Normal heart."),
)


@pytest.mark.parametrize(
    ("question", "answer", "numbers"),
    [
        ("Is there a left pleural effusion?", "Yes.", [2, 3]),
        ("Is there a left pleural effusion?", "No.", []),
        ("Is there a right pleural effusion?", "Yes.", [1]),
        ("Is there a left pneumothorax?", "No.", [1]),
        ("Is there a pleural effusion?", "Yes, on the right.", [1]),
        ("Is there a pleural effusion?", "Yes, a small left effusion.", [2]),
        ("Which side is the pleural effusion on?", "Left.", [2, 3]),
        ("Where is the atelectasis?", "Left lower lobe.", [1]),
        ("Where is the atelectasis?", "Right lower lobe.", []),
        ("What is abnormal?", "Left pleural effusion.", [2]),
    ],
)
def test_a_side_is_that_of_the_finding_in_question(
    question: str, answer: str, numbers: list[int]
) -> None:
    retrieval = a_retrieval(NEIGHBOURS)
    found = check_answer(question, f"{answer} [1][2][3]", shown(retrieval), retrieval)
    assert [citation.number for citation in found.citations] == numbers


def test_a_yes_to_a_question_that_names_nothing_is_not_borne_out() -> None:
    assert kept("Is the patient a walrus?", "Yes.") == []


def test_a_citation_quotes_the_sentence_on_the_finding() -> None:
    (citation,) = answered("Is the heart enlarged?", "Yes. [1]").citations
    assert (citation.study_id, citation.quote) == ("s1", "The heart is enlarged.")
    assert citation.quote in REPORTS[0].report


def test_numbers_without_a_case_are_removed_and_the_text_has_no_marks() -> None:
    found = answered("Is the heart enlarged?", "Yes [0][7], [1].")
    assert found.text == "Yes"
    assert [(one.number, one.reason) for one in found.removed_citations] == [
        (0, "no case has this number"),
        (7, "no case has this number"),
    ]
    assert [citation.number for citation in found.citations] == [1]
    assert str(found) == "Yes [1]"


def test_an_answer_without_citations_rests_on_the_image() -> None:
    assert str(answered("Where?", "Left lower lobe.")) == "Left lower lobe. [image only]"
    assert str(answered("Where?", "")).strip() == "[image only]"


def test_image_support_is_that_of_what_is_claimed() -> None:
    scores = {"Cardiomegaly": 0.8, "No Finding": 0.3}
    assert answered("Is the heart enlarged?", "Yes.", scores).image_support == 0.8
    assert answered("Is the heart enlarged?", "No.", scores).image_support == pytest.approx(0.2)
    assert answered("Is there any abnormality?", "Yes.", scores).image_support == pytest.approx(0.7)
    assert answered("Who?", "Nobody.", scores).image_support is None
    assert answered("Is the heart enlarged?", "Yes.").image_support is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [("Yes. [1]", True), (" **NO**", False), ("Nobody", None), ("", None), ("?", None)],
)
def test_yes_and_no_are_recognised_by_the_first_word(answer: str, said: bool | None) -> None:
    assert is_yes(answer) is said


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_every_question_that_is_trained_or_served_is_read_as_its_observation(name: str) -> None:
    forms = {presence_question(name, random.Random(seed)) for seed in range(60)}
    assert len(forms) >= 2
    for question in (*forms, observation_question(name)):
        assert claimed_labels(question, "Yes.") == {name: "positive"}, question
        assert claimed_labels(question, "No.") == {name: "negative"}, question


def test_what_is_trained_to_be_cited_is_not_removed() -> None:
    retrieval = a_retrieval(REPORTS)
    context = shown(retrieval)
    draw = random.Random(1)
    asked: set[str] = set()
    for _ in range(300):
        found = draw_question(draw.choice(REPORTS), context, draw)
        assert found is not None
        question, answer = found
        asked.add(question)
        checked = check_answer(question, answer, context, retrieval)
        assert checked.removed_citations == (), found
        assert ("[" in answer) == bool(checked.citations)
    assert len(asked) > 20
