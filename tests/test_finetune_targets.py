"""What a model is trained to answer: told from what it is shown, cited where a case says it."""

import pytest

from db.cases import Case
from finetune.targets import caption_answer, report_answer, report_targets
from generator.citations import CitationCheck, Written, parse_answer
from tests.cases import a_case, a_retrieval, shown

OWN = a_case(
    0,
    "The heart is enlarged. There is a small left pleural effusion. The lungs are clear.",
    "Cardiomegaly. Unchanged since the prior film.",
)
CASES = (
    "The heart is enlarged. The lungs are clear.",
    "There is a small left pleural effusion. Heart size is normal.",
    "There is a large right pleural effusion.",
    a_case(4, "The cardiac silhouette is enlarged.", "Cardiomegaly."),
)


def told(case: Case, reports: tuple[str | Case, ...], seen: tuple[str, ...] = ()) -> str:
    retrieval = a_retrieval(reports, dict.fromkeys(seen, 0.9))
    return report_answer(case, shown(retrieval), retrieval)


def test_sentences_of_the_report_are_cited_from_cases_that_say_them() -> None:
    assert told(OWN, CASES) == (
        "Findings: The heart is enlarged. [1][4] There is a small left pleural effusion. [2] "
        "The lungs are clear. [1] Impression: Cardiomegaly. [1][4]"
    )


@pytest.mark.parametrize("seen", [(), ("Cardiomegaly", "Pleural Effusion"), ("Fracture",)])
def test_every_cited_number_is_one_that_the_citation_check_keeps(seen: tuple[str, ...]) -> None:
    own = (
        OWN,
        a_case(9, "There is a moderate left effusion. Mild cardiomegaly.", "Enlarged heart."),
        a_case(8, "No pleural effusion or pneumothorax. The heart is normal in size."),
        a_case(7, "There is an old rib fracture. The heart is large."),
    )
    retrieval = a_retrieval(CASES, dict.fromkeys(seen, 0.9))
    context = shown(retrieval)
    check = CitationCheck(context, retrieval)
    cited = 0
    for case in own:
        for target in report_targets(case, context, retrieval):
            sentence = Written(section=target.section, text=target.text)
            assert set(target.numbers) <= check.supporters(sentence).keys(), str(target)
            cited += len(target.numbers)
        for sentence in parse_answer(report_answer(case, context, retrieval)):
            assert set(sentence.numbers) <= check.supporters(sentence).keys()
    assert cited >= 6


def test_what_nothing_in_the_prompt_can_tell_is_dropped() -> None:
    case = a_case(0, "The heart is enlarged. There is an acute displaced rib fracture.")
    assert told(case, CASES) == "Findings: The heart is enlarged. [1][4]"
    assert told(case, ()) == ""


def test_a_finding_that_the_film_shows_is_told_without_a_case() -> None:
    case = a_case(0, "The heart is enlarged. There is an acute displaced rib fracture.")
    answer = told(case, CASES, seen=("Fracture",))
    assert "There is an acute displaced rib fracture." in answer
    assert "fracture. [" not in answer


def test_a_seen_finding_in_words_that_hold_of_one_patient_is_told_plainly() -> None:
    case = a_case(0, "The lungs are clear. A 4 mm displaced rib fracture is new.")
    assert told(case, CASES, seen=("Fracture",)).startswith("Findings: Fracture.")
    lent = (*CASES, "There is a rib fracture.")
    assert "There is a rib fracture. [5]" in told(case, lent, seen=("Fracture",))


def test_what_the_film_shows_and_the_report_does_not_name_is_not_told() -> None:
    case = a_case(0, "The lungs are clear.")
    assert told(case, CASES, seen=("Cardiomegaly",)) == "Findings: The lungs are clear. [1]"


def test_a_sentence_on_change_is_never_an_answer() -> None:
    case = a_case(0, "The effusion has increased. The heart is enlarged.", "Unchanged heart.")
    for seen in ((), ("Cardiomegaly", "Pleural Effusion")):
        answer = told(case, (*CASES, "The effusion has increased."), seen)
        assert "increased" not in answer
        assert "nchanged" not in answer


def test_a_case_on_the_other_side_is_not_cited() -> None:
    case = a_case(0, "There is a small right pleural effusion.")
    answer = told(case, ("There is a small left pleural effusion.",), seen=("Pleural Effusion",))
    assert answer == "Findings: There is a small right pleural effusion."


def test_at_most_two_cases_are_cited_and_nothing_is_said_twice() -> None:
    case = a_case(0, "The heart is enlarged. The heart is enlarged.")
    assert told(case, ("The heart is enlarged.",) * 4) == (
        "Findings: The heart is enlarged. [1][2]"
    )


def test_a_caption_says_what_is_present_before_what_is_not() -> None:
    retrieval = a_retrieval(CASES)
    context = shown(retrieval)
    assert caption_answer(OWN, context, retrieval) == "Cardiomegaly. [1][4]"
    clear = a_case(0, "The lungs are clear. There is a small left pleural effusion.")
    assert caption_answer(clear, context, retrieval) == (
        "There is a small left pleural effusion. [2]"
    )
    assert caption_answer(a_case(0, "A walrus sits there."), context, retrieval) == ""
