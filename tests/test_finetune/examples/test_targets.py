"""What a model is trained to answer: told from what it is shown, cited where a case says it."""

import pytest

from db.index.store import Case
from db.labels import FINDINGS
from finetune.examples.targets import caption_answer, report_answer, report_targets
from generator.assessment.wording import bare_sentence
from generator.context.build import write_context
from generator.grounding.citations import CitationCheck
from generator.grounding.written import WrittenSentence, parse_cited_sentences
from indexer.reports.labeller import label_sentence
from tests.support.cases import a_case, a_retrieval, shown, words

OWN = a_case(
    0,
    "The heart is enlarged. There is a small left pleural effusion. The lungs are clear.",
    "Cardiomegaly. Unchanged since the prior image.",
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


def unread(case: Case, reports: tuple[str | Case, ...]) -> str:
    """The answer where the prompt says nothing of the image."""
    retrieval = a_retrieval(reports)
    return report_answer(case, shown(retrieval), retrieval)


def test_without_image_findings_the_first_case_is_reused_and_others_supply_the_rest() -> None:
    assert unread(OWN, CASES) == (
        "Findings: The heart is enlarged. [1] The lungs are clear. [1] There is a small left "
        "pleural effusion. [2] Impression: Cardiomegaly. [4]"
    )


def test_an_image_finding_that_the_closest_case_lacks_comes_from_the_case_named_for_it() -> None:
    assert told(OWN, CASES, seen=("Cardiomegaly", "Pleural Effusion")) == (
        "Findings: The cardiac silhouette is enlarged. [4] There is a small left pleural effusion. "
        "[2] Impression: Cardiomegaly. [4]"
    )
    assert told(OWN, CASES, seen=("Cardiomegaly",)) == (
        "Findings: The cardiac silhouette is enlarged. [4] Impression: Cardiomegaly. [4]"
    )


def test_the_reused_case_has_the_findings_of_the_image() -> None:
    cases = (
        "There is a small pneumothorax. The lungs are clear.",
        "Cardiac size is large. No effusion.",
        "The heart is enlarged. The pleural spaces are clear.",
    )
    case = a_case(0, "The heart is enlarged.")
    assert told(case, cases, seen=("Cardiomegaly",)) == (
        "Findings: Cardiac size is large. [2] No effusion. [2]"
    )
    assert told(case, cases[1:], seen=("Cardiomegaly", "Fracture")).startswith(
        "Findings: Cardiac size is large. [1]"
    )


def test_what_the_report_contradicts_is_not_taken_over() -> None:
    cases = ("There is a large left pleural effusion. The heart is enlarged. The lungs are clear.",)
    normal = a_case(0, "The heart is normal in size. The lungs are clear.")
    assert told(normal, cases) == "Findings: The lungs are clear. [1]"
    right = a_case(0, "There is a large right pleural effusion. The lungs are clear.")
    assert "left" not in told(right, cases, seen=("Pleural Effusion",))
    large = a_case(0, "The heart is enlarged.")
    assert "normal" not in told(large, ("The heart is normal in size. The lungs are clear.",))


def test_only_sentences_that_are_shown_are_taken_over() -> None:
    retrieval = a_retrieval(["The heart is enlarged. The lungs are clear. The bones are intact."])
    context = write_context(retrieval.hits, None, count_tokens=words, max_tokens=14)
    assert "bones" not in context.text
    case = a_case(0, "The heart is enlarged. The bones are intact.")
    assert report_answer(case, context, retrieval) == (
        "Findings: The heart is enlarged. [1] The lungs are clear. [1]"
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
            sentence = WrittenSentence(section=target.section, text=target.text)
            assert set(target.numbers) <= check.supporters(sentence).keys(), str(target)
            cited += len(target.numbers)
        for sentence in parse_cited_sentences(report_answer(case, context, retrieval)):
            assert set(sentence.numbers) <= check.supporters(sentence).keys()
    assert cited >= 6


def test_what_nothing_in_the_prompt_can_tell_is_dropped() -> None:
    case = a_case(0, "The heart is enlarged. There is an acute displaced rib fracture.")
    answer = told(case, CASES[:1])
    assert answer == "Findings: The heart is enlarged. [1] The lungs are clear. [1]"
    assert unread(case, CASES[:1]) == answer
    assert told(case, ()) == ""


def test_an_image_finding_that_no_case_has_is_stated_in_a_bare_sentence() -> None:
    case = a_case(0, "The lungs are clear. A 4 mm displaced rib fracture is new.")
    assert told(case, CASES[:3], seen=("Fracture",)) == (
        "Findings: The lungs are clear. [1] There is a fracture."
    )
    lent = (*CASES, "There is a rib fracture.")
    assert told(case, lent, seen=("Fracture",)).startswith("Findings: There is a rib fracture. [5]")


def test_a_bare_sentence_says_no_more_than_the_case_that_it_cites() -> None:
    case = a_case(0, "The lungs are clear at the right. Left base pneumonia with an opacity.")
    doubtful = (*CASES[:1], "Probable right base pneumonia. Scarring at the right base.")
    told_so = told(case, doubtful, seen=("Pneumonia", "Lung Opacity"))
    assert "There may be pneumonia. [2]" in told_so
    assert "There is a lung opacity." in told_so and "There is a lung opacity. [" not in told_so
    certain = (*doubtful, "There is a pneumonia of the right upper lobe.")
    assert "There is pneumonia. [3]" in told(case, certain, seen=("Pneumonia", "Lung Opacity"))


@pytest.mark.parametrize("name", FINDINGS)
def test_a_bare_sentence_is_labelled_with_its_finding_alone(name: str) -> None:
    assert label_sentence(bare_sentence(name)) == {name: "positive"}


def test_without_cases_the_own_report_is_reused_as_far_as_the_image_shows_it() -> None:
    case = a_case(0, "The heart is enlarged. There is an acute displaced rib fracture.")
    assert told(case, (), seen=("Fracture",)) == (
        "Findings: There is an acute displaced rib fracture."
    )


def test_an_image_finding_that_the_report_does_not_name_is_not_a_target() -> None:
    case = a_case(0, "The lungs are clear.")
    assert told(case, CASES[:1], seen=("Cardiomegaly",)) == "Findings: The lungs are clear. [1]"


def test_a_sentence_on_change_is_never_an_answer() -> None:
    case = a_case(0, "The effusion has increased. The heart is enlarged.", "Unchanged heart.")
    for seen in ((), ("Cardiomegaly", "Pleural Effusion")):
        answer = told(case, (*CASES, "The effusion has increased."), seen)
        assert "increased" not in answer
        assert "nchanged" not in answer


def test_a_case_on_the_other_side_is_cited_for_the_finding_alone() -> None:
    case = a_case(0, "There is a small right pleural effusion.")
    answer = told(case, ("There is a small left pleural effusion.",), seen=("Pleural Effusion",))
    assert answer == "Findings: There is a pleural effusion. [1]"


def test_one_case_is_cited_and_nothing_is_said_twice() -> None:
    case = a_case(0, "The heart is enlarged. The heart is enlarged.")
    assert told(case, ("The heart is enlarged.",) * 4) == ("Findings: The heart is enlarged. [1]")


def test_a_caption_says_what_is_present_before_what_is_not() -> None:
    retrieval = a_retrieval(CASES)
    context = shown(retrieval)
    assert caption_answer(OWN, context, retrieval) == "Cardiomegaly. [4]"
    clear = a_case(0, "The lungs are clear. There is a small left pleural effusion.")
    assert caption_answer(clear, context, retrieval) == (
        "There is a small left pleural effusion. [2]"
    )
    other = a_retrieval(CASES[2:3])
    assert caption_answer(a_case(0, "A walrus sits there."), shown(other), other) == ""
