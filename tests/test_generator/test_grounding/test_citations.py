"""Citations of a model: read from any text, and kept only where the cited report says it."""

from functools import partial

import pytest

from generator.grounding.citations import (
    MOST_FOUND,
    CheckedStatements,
    CitationCheck,
    check_citations,
    contradiction,
    image_support,
)
from generator.grounding.written import WrittenSentence, parse_cited_sentences
from tests.support.cases import a_retrieval, shown
from tests.support.growth import ended_after, steps

REPORTS = (
    "The heart is enlarged. The lungs are clear.",
    "There is a small left pleural effusion. Heart size is normal.",
    "There is a large right pleural effusion.",
    "The cardiac silhouette is enlarged.",
)


def grounded(
    text: str, reports: tuple[str, ...] = REPORTS, scores: dict[str, float] | None = None
) -> CheckedStatements:
    retrieval = a_retrieval(reports, scores)
    return check_citations(parse_cited_sentences(text), shown(retrieval), retrieval)


def parsed(text: str) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(one.section, one.text, one.numbers) for one in parse_cited_sentences(text)]


def test_a_report_is_read_into_sections_sentences_and_numbers() -> None:
    text = (
        "Findings: The heart is enlarged. [1][4] The lungs are clear. [1] "
        "Impression: Cardiomegaly. [4]"
    )
    assert parsed(text) == [
        ("findings", "The heart is enlarged.", (1, 4)),
        ("findings", "The lungs are clear.", (1,)),
        ("impression", "Cardiomegaly.", (4,)),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("[1]", []),
        ("Findings: Impression: ", []),
        (" . [1] , ;", []),
        ("No titles. [2]", [("findings", "No titles.", (2,))]),
        ("IMPRESSION : Fine.", [("impression", "Fine.", ())]),
        ("Before [1]. The end [2].", [("findings", "Before", (1,)), ("findings", "The end", (2,))]),
        ("Twice. [1][1] [2], [1]", [("findings", "Twice.", (1, 2))]),
        ("A list. [1, 3]", [("findings", "A list.", (1, 3))]),
        ("A range. [2-4]", [("findings", "A range.", (2, 3, 4))]),
        ("A range – in words. [1 to 3]", [("findings", "A range – in words.", (1, 2, 3))]),
        ("Between. [1]-[3] End.", [("findings", "Between.", (1, 2, 3)), ("findings", "End.", ())]),
        ("A list; so. [1;3]", [("findings", "A list; so.", (1, 3))]),
        ("And. [1, 2 and 5]", [("findings", "And.", (1, 2, 5))]),
        ("Both. [2] and [4]. Next.", [("findings", "Both.", (2, 4)), ("findings", "Next.", ())]),
        ("Round ([1], [3]). Next.", [("findings", "Round", (1, 3)), ("findings", "Next.", ())]),
        ("Spaced. [ 2 ]", [("findings", "Spaced.", (2,))]),
        ("Named. [case 2] [Cases 3, 4]", [("findings", "Named.", (2, 3, 4))]),
        ("The heart [1] and aorta are large. [2]",
         [("findings", "The heart and aorta are large.", (1, 2))]),
        ("Backwards. [3-1]", [("findings", "Backwards.", (3, 1))]),
        ("Endless. [1-999999]", [("findings", "Endless.", (1, 999999))]),
        ("Far too much. [1234]", [("findings", "Far too much.", (1234,))]),
        ("The heart [1] is enlarged. [2]", [("findings", "The heart is enlarged.", (1, 2))]),
        ("One. Two. [3]", [("findings", "One.", ()), ("findings", "Two.", (3,))]),
        ("A [note] stays. [1", [("findings", "A [note] stays.", ()), ("findings", "[1", ())]),
        ("Odd ]][[ marks [2]", [("findings", "Odd ]][[ marks", (2,))]),
        ("[1] First", [("findings", "First", ())]),
        ("**Findings:**\n- **Large** heart [1].\n2. Clear. [2]\n\n### IMPRESSION\n* Fine. [3]",
         [("findings", "Large heart", (1,)), ("findings", "Clear.", (2,)),
          ("impression", "Fine.", (3,))]),
        ("<b>Wide.</b>【2】［3］", [("findings", "Wide.", (2, 3))]),
        ("No mark. [-1][1.5][1e3]", [("findings", "No mark.", ())]),
        ('{"findings": "Large heart. [1]", "impression": "Fine [2]"}',
         [("findings", "Large heart.", (1,)), ("impression", "Fine", (2,))]),
    ],
)  # fmt: skip
def test_any_text_is_read(text: str, expected: list[tuple[str, str, tuple[int, ...]]]) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "]",
        "[1",
        "[1]",
        "[1-",
        "[1] and ",
        "([1]) ",
        "[1]-",
        "[1,",
        "[1 ",
        "[1][a]",
        "a [1] ",
        "a. ",
        "findings:",
        "{, ",
        "\n# ",
        "*",
        "impression ",
    ],
)
def test_work_grows_with_the_length_alone(unit: str) -> None:
    short, long = (
        steps(partial(parse_cited_sentences, unit * 400)),
        steps(partial(parse_cited_sentences, unit * 3200)),
    )
    assert long < 10 * short + 1_000
    with ended_after(10):
        parse_cited_sentences(unit * 20_000)


def test_a_citation_whose_report_says_it_is_kept_with_its_quote() -> None:
    (statement,) = grounded("The heart is enlarged. [1][4]").statements
    assert [(c.number, c.study_id, c.quote) for c in statement.citations] == [
        (1, "s1", "The heart is enlarged."),
        (4, "s4", "The cardiac silhouette is enlarged."),
    ]
    assert (statement.removed_citations, statement.citations_added) == ((), False)
    assert statement.case_support == 1.0
    assert statement.citations[0].index_fingerprint == "f" * 64
    assert statement.citations[0].score == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (0, "no case has this number"),
        (5, "no case has this number"),
        (999, "no case has this number"),
        (2, "case 2 denies it (cardiomegaly)"),
        (3, "case 3 does not mention cardiomegaly"),
    ],
)
def test_a_citation_that_does_not_stand_is_removed_and_recorded(number: int, reason: str) -> None:
    (statement,) = grounded(f"The heart is enlarged. [1][{number}]").statements
    assert [citation.number for citation in statement.citations] == [1]
    assert [(one.number, one.reason) for one in statement.removed_citations] == [(number, reason)]
    assert not statement.citations_added


@pytest.mark.parametrize(
    "sentence",
    [
        "There is a small right pleural effusion.",  # the side is another
        "There is a large left pleural effusion.",  # the degree is another
        "There is no pleural effusion.",
        "There is a small left pleural effusion and a pneumothorax.",
    ],
)
def test_a_report_with_another_side_degree_or_state_does_not_say_it(sentence: str) -> None:
    (statement,) = grounded(f"{sentence} [2]").statements
    assert [one.number for one in statement.removed_citations] == [2]
    assert statement.citations == ()
    assert not statement.grounded
    assert statement.case_support == 0.0
    assert str(statement).endswith("[image only]")


def test_a_sentence_whose_citations_all_fail_gets_those_that_would_stand() -> None:
    (statement,) = grounded("The heart is enlarged. [2][9]").statements
    assert [citation.number for citation in statement.citations] == [1, 4]
    assert statement.citations_added
    assert [one.number for one in statement.removed_citations] == [2, 9]


def test_a_sentence_without_citations_gets_at_most_the_nearest_in_wording() -> None:
    reports = ("The cardiac silhouette is enlarged.", *["The heart is enlarged."] * 3)
    (statement,) = grounded("The heart is enlarged.", reports).statements
    assert [citation.number for citation in statement.citations] == [2, 3]
    assert len(statement.citations) == MOST_FOUND
    assert statement.citations_added


def test_what_no_case_says_is_left_to_the_image() -> None:
    (statement,) = grounded("There is a displaced rib fracture.").statements
    assert (statement.citations, statement.citations_added, statement.removed_citations) == (
        (),
        False,
        (),
    )


@pytest.mark.parametrize(
    "sentence",
    [
        *("The effusion has increased.", "Unchanged cardiomegaly.", "New left effusion."),
        *("The effusion is larger.", "Removal of the chest tube.", "Residual effusion."),
        *("The right effusion has enlarged.", "Better aerated lungs.", "No effusion today."),
    ],
)
def test_a_sentence_on_change_is_refused_with_a_note(sentence: str) -> None:
    found = grounded(f"The heart is enlarged. [1] {sentence} [2]")
    assert [one.text for one in found.statements] == ["The heart is enlarged."]
    assert found.notes == (
        f"left out because the model was shown no earlier image to compare with: “{sentence}”",
    )


@pytest.mark.parametrize(
    "sentence",
    [
        "I'm sorry, but I can't assist with that request.",
        "Here is the report based on the provided cases:",
        "Please consult a radiologist for a definitive diagnosis.",
        "As an AI, I cannot interpret medical images.",
        "Note: This report was generated automatically.",
        "Sure! Below are the findings.",
        "Research use only, not for clinical use.",
    ],
)
def test_what_an_assistant_says_to_its_reader_is_left_out_with_a_note(sentence: str) -> None:
    found = grounded(f"{sentence} [2] The heart is enlarged. [1]")
    assert [(one.text, one.grounded) for one in found.statements] == [
        ("The heart is enlarged.", True)
    ]
    assert found.notes[0].startswith("left out because it says nothing of the image: “")


@pytest.mark.parametrize(
    "sentence",
    [
        "I see an enlarged heart.",
        "You can see clear lungs.",
        "Type I fracture.",
    ],
)
def test_a_finding_is_kept_whoever_is_spoken_to(sentence: str) -> None:
    (statement,) = grounded(sentence).statements
    assert statement.text == sentence


def test_a_sentence_that_two_sentences_of_a_case_say_quotes_both() -> None:
    (statement,) = grounded("The heart is enlarged with clear lungs. [1]").statements
    assert [(one.number, one.quote) for one in statement.citations] == [
        (1, "The heart is enlarged."),
        (1, "The lungs are clear."),
    ]
    assert str(statement) == "The heart is enlarged with clear lungs. [1]"


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("Left pleural effusion.", "case 1 says right, not left (pleural effusion)"),
        ("Right lower lobe atelectasis.", "case 1 says left, not right (atelectasis)"),
        ("Large right effusion.", "case 1 gives no degree (pleural effusion)"),
        ("Possible right effusion.", "case 1 is in no doubt about it (pleural effusion)"),
        ("Right pneumothorax.", "case 1 does not mention pneumothorax"),
    ],
)
def test_the_reason_of_a_removed_citation_names_what_differs(sentence: str, reason: str) -> None:
    reports = ("Right pleural effusion and left lower lobe atelectasis.",)
    (statement,) = grounded(f"{sentence} [1]", reports).statements
    assert [one.reason for one in statement.removed_citations] == [reason]


def test_a_sentence_is_said_once_a_section() -> None:
    found = grounded(
        "Findings: The heart is enlarged. [1] the heart is Enlarged. [4] "
        "Impression: The heart is enlarged. [4] The heart is enlarged."
    )
    assert [(s.section, [c.number for c in s.citations]) for s in found.statements] == [
        ("findings", [1]),
        ("impression", [4]),
    ]


def test_without_hits_every_citation_is_removed() -> None:
    (statement,) = grounded("The heart is enlarged. [1]", ()).statements
    assert [one.reason for one in statement.removed_citations] == ["no case has this number"]
    assert statement.citations == ()


def test_every_kept_citation_is_one_that_the_check_itself_gives() -> None:
    retrieval = a_retrieval(REPORTS)
    check = CitationCheck(shown(retrieval), retrieval)
    for sentence in " ".join(REPORTS).split(". "):
        (statement,) = grounded(f"{sentence}. [1][2][3][4]").statements
        written = WrittenSentence(section="findings", text=statement.text)
        supporters = check.supporters(written)
        assert {citation.number for citation in statement.citations} == supporters.keys()
        assert {one.number for one in statement.removed_citations} == {
            1,
            2,
            3,
            4,
        } - supporters.keys()


def test_image_support_is_the_least_probability_of_what_is_stated() -> None:
    scores = {"Cardiomegaly": 0.9, "Pleural Effusion": 0.3, "Edema": 0.2}
    assert image_support({"Cardiomegaly": "positive"}, scores) == 0.9
    assert image_support({"Edema": "negative"}, scores) == 0.8
    assert (
        image_support({"Cardiomegaly": "positive", "Pleural Effusion": "uncertain"}, scores) == 0.3
    )
    assert image_support({}, scores) is None
    assert image_support({"Cardiomegaly": "positive"}, None) is None


@pytest.mark.parametrize(
    ("labels", "scores", "said"),
    [
        ({"Cardiomegaly": "negative"}, {"Cardiomegaly": 0.7}, "score for Cardiomegaly is 0.70"),
        ({"Cardiomegaly": "negative"}, {"Cardiomegaly": 0.4}, None),
        ({"Edema": "positive"}, {"Edema": 0.05}, "score for Edema is only 0.05"),
        ({"Cardiomegaly": "positive"}, {"Cardiomegaly": 0.2}, None),
        ({"Cardiomegaly": "uncertain"}, {"Cardiomegaly": 0.01}, None),
        ({"No Finding": "positive"}, {"Edema": 0.6}, "score for Edema is 0.60"),
        ({"No Finding": "positive"}, {"Support Devices": 0.9}, None),
        ({}, {"Edema": 0.9}, None),
    ],
)  # fmt: skip
def test_a_contradiction_names_the_classifier_score(
    labels: dict[str, str], scores: dict[str, float], said: str | None
) -> None:
    found = contradiction(labels, a_retrieval([], scores))  # type: ignore[arg-type]
    assert found == (said and f"classifier {said}")


def test_without_label_scores_nothing_contradicts_a_statement() -> None:
    assert contradiction({"Cardiomegaly": "negative"}, a_retrieval([])) is None


def test_statements_carry_labels_and_their_support_in_the_image() -> None:
    found = grounded("The lungs are clear. [1] No cardiomegaly.", scores={"Cardiomegaly": 0.8})
    clear, heart = found.statements
    assert clear.labels == {"Lung Opacity": "negative"}
    assert clear.image_support == pytest.approx(0.9)
    assert clear.contradiction is None
    assert heart.image_support == pytest.approx(0.2)
    assert heart.contradiction == "classifier score for Cardiomegaly is 0.80"


def test_a_cause_or_history_is_said_only_where_several_cases_share_it() -> None:
    story = "Left rib fractures, status post fall."
    written = f"Findings: {story} [1] The lungs are clear. [2]"
    alone = grounded(written, reports=(story, "Left rib fracture. The lungs are clear."))
    assert [one.text for one in alone.statements] == ["The lungs are clear."]
    (note,) = alone.notes
    assert note.startswith("left out because it tells a cause or a history") and story in note
    shared = grounded(written, reports=(story, f"{story} The lungs are clear."))
    assert [one.text for one in shared.statements] == [story, "The lungs are clear."]
    assert shared.notes == ()
