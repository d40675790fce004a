"""Questions whose answers a report gives."""

import random

from db.index.store import Case
from db.labels import FINDINGS, named
from evaluation.answers.report_questions import cited, draw_question, presence_question
from generator.context.build import Context
from generator.grounding.answers import claimed_labels, is_yes
from tests.support.cases import a_case, a_retrieval, shown

NORMAL = a_case(1, "The lungs are clear. Heart size is normal.", "No acute disease.")
ILL = a_case(2, "There is a mild left pleural effusion. No pneumothorax.", "Cardiomegaly.")
CONTEXT = shown(a_retrieval([ILL, NORMAL]))
EMPTY = shown(a_retrieval([]))


def drawn(case: Case, context: Context = CONTEXT, times: int = 400) -> set[tuple[str, str]]:
    found = [draw_question(case, context, random.Random(seed)) for seed in range(times)]
    return {one for one in found if one is not None}


def test_the_same_draw_asks_the_same() -> None:
    first, again = (draw_question(ILL, CONTEXT, random.Random(5)) for _ in range(2))
    assert first == again
    assert len(drawn(ILL)) > 10


def test_presence_is_asked_only_of_findings_that_the_report_mentions() -> None:
    asked = set()
    for question, answer in drawn(ILL):
        yes = is_yes(answer)
        claimed = claimed_labels(question, answer)
        if yes is None or "No Finding" in claimed:
            continue
        (name,) = claimed
        asked.add(name)
        assert yes == (name in named(ILL.labels))
    assert asked == {"Pleural Effusion", "Pneumothorax", "Cardiomegaly"}


def test_a_normal_study_has_none_of_the_findings() -> None:
    answers = {
        name: answer
        for question, answer in drawn(NORMAL, times=1500)
        for name in claimed_labels(question, "Yes.")
        if name in FINDINGS and is_yes(answer) is not None
    }
    assert answers.keys() == set(FINDINGS)
    assert {is_yes(answer) for answer in answers.values()} == {False}


def test_side_and_degree_are_those_of_the_one_sentence() -> None:
    answers = dict(drawn(ILL))
    assert answers["Where is the pleural effusion?"] == "Left. [1]"
    assert answers["How large is the pleural effusion?"] == "Mild. [1]"
    assert "Where is the cardiomegaly?" not in answers


def test_without_cases_answers_have_no_citations() -> None:
    found = drawn(ILL, EMPTY)
    assert found
    assert not any("[" in answer for _, answer in found)


def test_a_report_that_answers_nothing_is_not_asked() -> None:
    assert draw_question(a_case(3, "A walrus sits there."), EMPTY, random.Random(0)) is None


def test_wordings_vary_and_at_most_two_cases_are_cited() -> None:
    wordings = {presence_question("Cardiomegaly", random.Random(seed)) for seed in range(60)}
    assert {"Is the heart enlarged?", "Is there cardiomegaly?"} <= wordings
    assert cited("Yes.", [5, 2, 9]) == "Yes. [2][5]"
    assert cited("Yes.", []) == "Yes."
