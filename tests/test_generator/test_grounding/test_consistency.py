"""What a language model wrote, made to agree with the assessment."""

from collections.abc import Sequence
from dataclasses import replace

from db.app.generation import Statement
from generator.assessment.assess import assess
from generator.assessment.calibration import Calibration
from generator.grounding.consistency import ConsistentStatements, make_consistent
from indexer.reports.labeller import label_sentence
from tests.support.cases import a_retrieval, shown

CERTAIN = Calibration(knn=0.0, label_head=1.0)
NORMAL = "Heart size is normal. The lungs are clear."


def consistent(present: Sequence[str], *findings: str) -> ConsistentStatements:
    """With one case in the context, which names an effusion."""
    retrieval = a_retrieval(
        ["Small left pleural effusion. Heart size is normal."], dict.fromkeys(present, 0.9)
    )
    written = [
        Statement(section="findings", text=text, labels=label_sentence(text)) for text in findings
    ]
    return make_consistent(
        written, shown(retrieval), retrieval, assess(retrieval, {}, calibration=CERTAIN)
    )


def test_an_omitted_finding_is_added_and_summed_up_in_another_wording() -> None:
    made = consistent(["Pleural Effusion"], "Heart size is normal.")
    assert [(one.section, one.text) for one in made.statements] == [
        ("findings", "Heart size is normal."),
        ("findings", "There is a pleural effusion."),
        ("impression", "Pleural effusion."),
    ]
    assert all(len(one.citations) == 1 for one in made.statements[1:])


def test_an_impression_by_rule_does_not_repeat_what_the_model_wrote() -> None:
    made = consistent(["Pleural Effusion"], "Pleural effusion.")
    assert [one.text for one in made.statements] == [
        "Pleural effusion.",
        "There is a pleural effusion.",
    ]


def with_cases(present: str, shown_first: int, *reports: str) -> ConsistentStatements:
    """Of these hits the model was shown the first ones, and wrote of none."""
    retrieval = a_retrieval(list(reports), {present: 0.9})
    context = shown(replace(retrieval, hits=retrieval.hits[:shown_first]))
    written = [Statement(section="findings", text=text, labels={}) for text in ("Normal bones.",)]
    return make_consistent(written, context, retrieval, assess(retrieval, {}, calibration=CERTAIN))


def test_an_added_finding_cites_only_the_shown_cases_that_say_it() -> None:
    said = ("No pleural effusion.", "Large left pleural effusion.", "Possible pleural effusion.")
    made = with_cases("Pleural Effusion", 3, *said, "Right pleural effusion.")
    added = [one for one in made.statements if one.added_by_rule]
    assert [[c.number for c in one.citations] for one in added] == [[2], [2]]
    assert [hit.rank for hit in made.hits] == [1, 2, 3]
    assert not any("not shown" in note for note in made.notes)


def test_where_no_shown_case_says_it_the_best_ranked_other_hit_is_cited_and_noted() -> None:
    others = ("Possible effusion.", "Small right pleural effusion.", "Left pleural effusion.")
    made = with_cases("Pleural Effusion", 2, NORMAL, "No pleural effusion.", *others)
    added = [one for one in made.statements if one.added_by_rule]
    assert [one.text for one in added] == ["There is a pleural effusion.", "Pleural effusion."]
    assert [(c.number, c.study_id) for one in added for c in one.citations] == [(3, "s4")] * 2
    assert [(hit.rank, hit.case.study_id) for hit in made.hits] == [(1, "s1"), (2, "s2"), (3, "s4")]
    assert "found by the citation check, not shown to the model: case 3" in made.notes


def test_a_finding_that_cases_only_suspect_is_added_in_doubt() -> None:
    made = with_cases("Pneumonia", 1, NORMAL, "Findings may represent pneumonia.")
    added = [one for one in made.statements if one.added_by_rule]
    assert [one.text for one in added] == ["There may be pneumonia.", "Possible pneumonia."]
    assert all(one.grounded and one.labels == {"Pneumonia": "uncertain"} for one in added)


def test_congestion_is_what_is_said_of_an_edema_that_no_case_has() -> None:
    made = with_cases("Edema", 1, "Pulmonary vascular congestion.")
    added = [one for one in made.statements if one.added_by_rule]
    assert [one.text for one in added] == ["There is vascular congestion.", "Vascular congestion."]
    assert all(one.grounded for one in added)


def test_a_finding_that_no_hit_says_rests_on_the_image() -> None:
    made = with_cases("Fracture", 1, NORMAL, "No fracture is seen.")
    added = [one for one in made.statements if one.added_by_rule]
    assert [str(one) for one in added] == [
        "There is a fracture. [image only] (added by rule)",
        "Fracture. [image only] (added by rule)",
    ]
    assert len(made.hits) == 1


def test_a_sentence_of_the_model_without_support_cites_another_hit_that_says_it() -> None:
    retrieval = a_retrieval(
        [NORMAL, "Left effusion.", "Right effusion."], {"Pleural Effusion": 0.9}
    )
    context = shown(replace(retrieval, hits=retrieval.hits[:1]))
    text = "There is a right pleural effusion."
    written = Statement(section="findings", text=text, labels={"Pleural Effusion": "positive"})
    made = make_consistent(
        [written], context, retrieval, assess(retrieval, {}, calibration=CERTAIN)
    )
    (first, *_) = made.statements
    assert [(c.number, c.study_id, c.quote) for c in first.citations] == [
        (2, "s3", "Right effusion.")
    ]
    assert first.citations_added and not first.added_by_rule
    assert [hit.case.study_id for hit in made.hits] == ["s1", "s3"]
    assert "found by the citation check, not shown to the model: case 2" in made.notes
