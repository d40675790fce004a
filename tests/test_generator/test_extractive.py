"""The extractive report: what the hits agree on, cited, and nothing that contradicts it."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.app.generation import OodCheck
from db.errors import UserError
from db.index.store import Case
from db.labels import FINDINGS, NO_FINDING, OBSERVATIONS
from generator.assessment.assess import assess
from generator.assessment.calibration import Calibration
from generator.extractive import EXTRACTIVE_VERSION, ExtractiveConfig, write_report
from generator.grounding.report import GroundedReport
from indexer.ingest.studies import to_case
from indexer.reports.labeller import label_sentence
from indexer.reports.sentences import has_redaction, refers_to_prior
from indexer.sources.records import StudyRecord
from retriever.results import Hit, Retrieval


def case(number: int, findings: str, impression: str = "") -> Case:
    record = StudyRecord(study_id=f"s{number}", findings=findings, impression=impression)
    return to_case(record, "demo", number, images=())


def retrieval(*reports: str | tuple[str, str]) -> Retrieval:
    pairs = [(one, "") if isinstance(one, str) else one for one in reports]
    return Retrieval(
        hits=tuple(
            Hit(rank=rank, score=1 - rank / 100, case=case(rank, findings, impression))
            for rank, (findings, impression) in enumerate(pairs, start=1)
        ),
        index_fingerprint="f" * 64,
        source="demo",
        images_sha256=("0" * 64,),
    )


def write(
    *reports: str | tuple[str, str], config: ExtractiveConfig | None = None
) -> GroundedReport:
    return write_report(retrieval(*reports), config or ExtractiveConfig())


def texts(report: GroundedReport) -> list[str]:
    return [statement.text for statement in report.statements]


NORMAL = (
    "Heart size is normal. The lungs are clear. No pleural effusion or pneumothorax.",
    "No acute cardiopulmonary disease.",
)
LARGE_HEART = ("The heart is enlarged. No effusion. No pneumothorax.", "Cardiomegaly.")


def test_normal_hits_give_a_normal_report_in_the_usual_order() -> None:
    report = write(NORMAL, NORMAL, NORMAL)
    assert texts(report) == [
        "Heart size is normal.",
        "The lungs are clear.",
        "No pleural effusion or pneumothorax.",
        "No acute cardiopulmonary disease.",
    ]
    assert report.generator == EXTRACTIVE_VERSION
    assert report.index_fingerprint == "f" * 64


def test_every_statement_cites_the_hits_that_say_it_with_their_own_words() -> None:
    report = write("The heart is enlarged.", "There is cardiomegaly.", "The lungs are clear.")
    heart = report.statements[0]
    assert [(c.number, c.study_id, c.quote) for c in heart.citations] == [
        (1, "s1", "The heart is enlarged."),
        (2, "s2", "There is cardiomegaly."),
    ]


def test_a_present_finding_keeps_out_what_denies_it() -> None:
    report = write(LARGE_HEART, LARGE_HEART, NORMAL, NORMAL, config=ExtractiveConfig())
    assert any(s.labels.get("Cardiomegaly") == "positive" for s in report.statements)
    assert "Heart size is normal." not in texts(report)
    assert "No acute cardiopulmonary disease." not in texts(report)


def test_a_finding_of_one_hit_in_many_is_not_reported() -> None:
    report = write(NORMAL, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL, LARGE_HEART)
    assert "Heart size is normal." in texts(report)
    assert not any(s.labels.get("Cardiomegaly") == "positive" for s in report.statements)


def test_nearer_hits_count_more() -> None:
    config = ExtractiveConfig(positive_share=0.5, rank_decay=1.0)
    first = write(LARGE_HEART, NORMAL, NORMAL, config=config)
    last = write(NORMAL, NORMAL, LARGE_HEART, config=config)
    assert any(s.labels.get("Cardiomegaly") == "positive" for s in first.statements)
    assert not any(s.labels.get("Cardiomegaly") == "positive" for s in last.statements)


@pytest.mark.parametrize(
    ("finding", "denial"),
    [
        ("There is a small right pneumothorax.", "No acute abnormality."),
        ("There is a left lung nodule.", "The lungs are clear."),
        ("There is right lower lobe pneumonia.", "No focal airspace opacity."),
        ("There is a rib fracture.", "The bony structures are unremarkable."),
        ("There is pulmonary edema.", "Normal chest."),
        ("The aorta is tortuous.", "The mediastinum is normal."),
    ],
)
def test_no_region_is_called_normal_beside_its_finding(finding: str, denial: str) -> None:
    report = write(f"{finding} {denial}", f"{finding} {denial}", f"{finding} {denial}")
    assert finding in texts(report)
    assert denial not in texts(report)


def test_nothing_is_said_twice_in_other_words() -> None:
    report = write(
        "Heart size is normal. No pneumothorax.",
        "Normal heart size. There is no pneumothorax.",
        "The heart is normal in size. No evidence of pneumothorax.",
    )
    assert len(report.statements) == 2


def test_airspace_disease_is_denied_once_whatever_it_is_called() -> None:
    report = write(*["The lungs are clear. There is no focal consolidation."] * 3)
    assert len(report.section("findings")) == 1


def test_a_claim_is_not_repeated_beside_a_further_one() -> None:
    report = write(
        *["No pneumothorax. No pleural effusion."] * 3,
        *["Neither fracture nor pneumothorax is seen, and no acute bony abnormality."] * 2,
    )
    said = [s for s in report.section("findings") if "Pneumothorax" in s.labels]
    assert len(said) == 1


def test_a_finding_that_the_hits_do_not_agree_on_does_not_slip_in() -> None:
    report = write(
        "Cardiomegaly with pulmonary edema.",
        "Mild cardiomegaly.",
        "Moderate cardiomegaly.",
        config=ExtractiveConfig(positive_share=0.5),
    )
    assert not any("Edema" in s.labels for s in report.statements)


def test_a_finding_has_one_state_in_findings_and_impression() -> None:
    report = write(*[("The heart is enlarged.", "Borderline cardiomegaly.")] * 2)
    assert {s.labels["Cardiomegaly"] for s in report.statements} == {"positive"}


def test_a_sentence_that_contradicts_itself_is_not_used() -> None:
    report = write(*["Clear lungs, right basilar opacity. Heart size is normal."] * 2)
    assert texts(report) == ["Heart size is normal."]


def test_a_region_called_normal_is_supported_by_a_quote_that_names_it() -> None:
    report = write("Heart and mediastinum are normal.", "The mediastinum is normal.")
    both = [s for s in report.statements if "Heart" in s.text]
    assert all([c.number for c in s.citations] == [1] for s in both)


def test_a_redacted_sentence_is_not_quoted() -> None:
    report = write("Cardiomegaly is present.", "XXXX cardiomegaly.")
    assert [c.number for c in report.statements[0].citations] == [1]


def test_the_wording_of_most_hits_is_taken() -> None:
    report = write(
        "The bony thorax shows an old healed rib fracture.",
        "There is a rib fracture.",
        "Rib fracture is seen.",
        "A rib fracture is noted.",
    )
    assert "old" not in report.statements[0].text


def test_the_state_that_most_hits_give_is_taken() -> None:
    report = write(
        "Possible cardiomegaly.",
        "The cardiac silhouette is enlarged.",
        "There is cardiomegaly.",
        "Enlarged heart noted.",
    )
    assert report.statements[0].labels == {"Cardiomegaly": "positive"}


def test_a_sentence_that_many_hits_say_is_preferred_to_a_particular_one() -> None:
    report = write(
        "Severe cardiomegaly.",
        "There is cardiomegaly.",
        "Cardiomegaly is present.",
        "Cardiomegaly.",
    )
    (heart,) = report.section("findings")
    assert "severe" not in heart.text.lower()
    assert {c.number for c in heart.citations} == {1, 2, 3, 4}


def test_a_particular_statement_is_not_supported_by_a_general_quote() -> None:
    report = write("Left lower lobe opacity.", "Left lower lobe opacity.", "Opacity, unchanged.")
    assert report.statements[0].text == "Left lower lobe opacity."
    assert [c.number for c in report.statements[0].citations] == [1, 2]


def test_a_side_on_which_hits_disagree_is_left_out() -> None:
    report = write("There is a left pleural effusion.", "There is a right pleural effusion.")
    (effusion,) = report.section("findings")
    assert effusion.text == "There is a pleural effusion."
    assert {c.quote for c in effusion.citations} == {
        "There is a left pleural effusion.",
        "There is a right pleural effusion.",
    }


def test_a_side_on_which_hits_agree_is_kept() -> None:
    report = write("There is a left pleural effusion.", "There is a left pleural effusion.")
    assert texts(report)[0] == "There is a left pleural effusion."


@pytest.mark.parametrize(
    "unfit",
    [
        "The cardiomegaly is unchanged from the prior study.",
        "XXXX cardiomegaly is seen.",
        "The heart is enlarged, 17 cm across.",
        "Cardiomegaly, discussed with Dr. Miller.",
        "Cardiomegaly, echocardiography is recommended.",
        "Cardiomegaly?",
        "The patient has cardiomegaly.",
        "Cardiomegaly" + " and very large indeed" * 5000 + ".",
    ],
)
def test_a_sentence_that_holds_of_one_patient_alone_is_not_carried_over(unfit: str) -> None:
    report = write(unfit, f"{unfit} The lungs are clear.", f"The lungs are clear. {unfit}")
    assert "cardiomegaly" not in report.text.lower()
    assert "enlarged" not in report.text.lower()


def test_hits_that_only_compare_give_no_statement_and_say_why() -> None:
    report = write("Cardiomegaly, unchanged from the prior film.")
    assert report.statements == ()
    assert report.warnings == (
        "Nothing is stated: no sentence could be written that holds for this study.",
    )


def test_a_finding_that_no_sentence_can_say_is_warned_of() -> None:
    report = write("Cardiomegaly, unchanged.", "Cardiomegaly, unchanged. No pneumothorax.")
    assert report.warnings[0] == "Present, but no prior case says so: cardiomegaly."
    assert "Cardiomegaly" not in report.text


def test_a_comparison_may_be_quoted_as_support() -> None:
    report = write("Cardiomegaly is present.", "Stable cardiomegaly.")
    assert [c.quote for c in report.statements[0].citations] == [
        "Cardiomegaly is present.",
        "Stable cardiomegaly.",
    ]


def test_the_impression_sums_up_in_other_words() -> None:
    report = write(LARGE_HEART, LARGE_HEART)
    assert [s.text for s in report.section("impression")] == ["Cardiomegaly."]
    assert len(set(texts(report))) == len(report.statements)


def test_no_hit_is_refused_with_one_sentence() -> None:
    with pytest.raises(UserError, match="no prior case passes"):
        write()


def test_one_hit_is_enough() -> None:
    report = write(NORMAL)
    assert len(report.statements) >= 3
    assert {c.number for s in report.statements for c in s.citations} == {1}


def test_hits_with_an_impression_only_give_a_report() -> None:
    report = write(*[("", "Heart size is normal. The lungs are clear. No effusion.")] * 3)
    assert len(report.statements) >= 3
    assert all(s.grounded for s in report.statements)


def test_three_statements_are_written_even_where_hits_agree_in_little() -> None:
    report = write(
        "Heart size is normal.",
        "The pulmonary vasculature is normal.",
        "No pneumothorax.",
        "Bony structures are intact.",
        "The lungs are clear.",
        "The mediastinum is unremarkable.",
        config=ExtractiveConfig(agreement_share=0.9),
    )
    assert len(report.statements) >= 3


def test_hits_of_which_nothing_is_understood_still_give_a_report() -> None:
    report = write("Gasless upper quadrant.", "Ring artefact at the edge.")
    assert report.statements
    assert all(s.grounded for s in report.statements)


def test_the_label_head_can_outvote_the_hits_but_needs_a_case_to_cite() -> None:
    found = retrieval(NORMAL, NORMAL, NORMAL, NORMAL, LARGE_HEART)
    scores = {**dict.fromkeys(FINDINGS, 0.0), "Cardiomegaly": 0.9, "Edema": 0.9}
    scored = replace(found, label_scores=scores)
    config = ExtractiveConfig(positive_share=0.4, label_score_weight=0.5)
    named = {n for s in write_report(scored, config).statements for n in s.labels}
    report = write_report(scored, config)
    assert any(s.labels.get("Cardiomegaly") == "positive" for s in report.statements)
    assert "Edema" not in named
    without = write_report(found, config)
    assert not any(s.labels.get("Cardiomegaly") == "positive" for s in without.statements)
    assert report.label_scores == scores


def test_the_first_line_warns_of_an_image_unlike_the_index() -> None:
    ood = OodCheck(in_distribution=False, score=-9.0, threshold=-1.0, reason="not a chest image")
    report = write_report(replace(retrieval(NORMAL), ood=ood))
    assert report.warnings == ("Do not rely on this: not a chest image.",)
    assert str(report).startswith("Do not rely on this")


def assessed(present: Sequence[str], *reports: str | tuple[str, str]) -> GroundedReport:
    """The report where the label head alone decides that these findings are present."""
    scores = {name: 0.9 if name in present else 0.1 for name in OBSERVATIONS}
    found = replace(retrieval(*reports), label_scores=scores)
    certain = Calibration(knn=0.0, label_head=1.0)
    return write_report(found, assessment=assess(found, {}, calibration=certain))


@pytest.mark.parametrize("name", FINDINGS)
def test_a_finding_that_no_hit_words_is_said_in_findings_and_impression_in_two_wordings(
    name: str,
) -> None:
    report = assessed([name], NORMAL, NORMAL)
    said = [s for s in report.statements if s.labels.get(name) == "positive"]
    assert {s.section for s in said} == {"findings", "impression"}
    assert all(s.added_by_rule for s in said)
    assert len({s.text for s in said}) == 2


@pytest.mark.parametrize(
    "whole", ["COPD with no acute disease.", "Emphysema without acute abnormality of the chest."]
)
def test_the_chest_is_not_called_free_of_acute_disease_beside_a_finding(whole: str) -> None:
    opacity = ("Right basilar opacity. Emphysema.", whole)
    beside = assessed(["Lung Opacity"], opacity, opacity)
    assert whole not in texts(beside)
    assert "Right basilar opacity." in texts(beside)
    alone = ("Heart size is normal.", whole)
    assert whole in texts(assessed([], alone, alone))


def test_a_finding_is_not_summed_up_in_the_words_of_the_hit_that_found_it() -> None:
    for worded in ("There is a pleural effusion.", "Pleural effusion."):
        report = assessed(["Pleural Effusion"], worded, worded)
        assert len(texts(report)) == len(set(texts(report))) == 2


@pytest.mark.parametrize("wrong", [{"positive_share": 1.5}, {"rank_decay": -1}])
def test_a_config_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        ExtractiveConfig(**wrong)  # type: ignore[arg-type]


SENTENCES = (
    "Heart size is normal.",
    "The heart is enlarged.",
    "Mild cardiomegaly, stable.",
    "The cardiomediastinal silhouette is unremarkable.",
    "Widened mediastinum.",
    "The lungs are clear.",
    "Patchy left basilar opacity, atelectasis or pneumonia.",
    "Right lower lobe consolidation.",
    "No focal consolidation, effusion or pneumothorax.",
    "Small right pleural effusion.",
    "Left pleural effusion with XXXX atelectasis.",
    "There is a tiny left pneumothorax.",
    "Possible pulmonary edema.",
    "Old right rib fracture.",
    "No acute bony abnormality.",
    "A pacemaker is in place.",
    "Degenerative changes of the spine.",
    "No acute cardiopulmonary abnormality.",
    "Normal chest.",
    "Hyperinflated but clear lungs.",
)
PARTS = st.lists(st.sampled_from(SENTENCES), max_size=5).map(" ".join)
REPORTS = st.lists(st.tuples(PARTS, PARTS), min_size=1, max_size=8)


@given(REPORTS)
def test_whatever_the_hits_say_the_report_keeps_its_promises(
    reports: Sequence[tuple[str, str]],
) -> None:
    found = retrieval(*reports)
    report = write_report(found)
    plain = [re.sub(r"\W+", " ", text.lower()) for text in texts(report)]
    assert len(set(plain)) == len(plain)
    states: dict[str, set[str]] = {}
    for statement in report.statements:
        assert statement.grounded
        assert not refers_to_prior(statement.text)
        assert not has_redaction(statement.text)
        for name, state in label_sentence(statement.text).items():
            states.setdefault(name, set()).add(state)
        for citation in statement.citations:
            quoted = found.hits[citation.number - 1].case
            assert citation.quote in quoted.report
        for number in {one.number for one in statement.citations}:
            quotes = [one.quote for one in statement.citations if one.number == number]
            said = {pair for quote in quotes for pair in label_sentence(quote).items()}
            assert said >= set(statement.labels.items())
    assert all(len(one) == 1 for one in states.values())
    present = {n for n, one in states.items() if one & {"positive", "uncertain"}}
    if NO_FINDING in present:
        assert present <= {NO_FINDING, "Support Devices"}
    if "Lung Opacity" in present or "Consolidation" in present:
        assert "lungs are clear" not in report.text
    assert report.statements or "Nothing is stated" in report.warnings[0]


@pytest.mark.parametrize(
    "story",
    [
        "The heart is enlarged, with stigmata of liver disease.",
        "Cardiomegaly secondary to valve disease.",
        "Cardiomegaly in the setting of renal failure.",
    ],
)
def test_a_cause_is_carried_over_only_where_several_hits_tell_it(story: str) -> None:
    assert story not in texts(write(story, ("The heart is enlarged.", "Cardiomegaly.")))
    assert story in texts(write(story, story))
