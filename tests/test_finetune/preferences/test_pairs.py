"""Which answers become pairs: better reports before worse ones, own images before foreign cases."""

from dataclasses import replace

import pytest

from db.errors import UserError
from finetune.preferences.options import PairOptions
from finetune.preferences.pairs import make_pair
from finetune.preferences.prompts import AskedStudy, prompts_of
from finetune.preferences.rewards import RewardWeights, Score, score_report
from tests.support.cases import a_case, words
from tests.support.models.training_studies import a_training_study

LARGE, EFFUSION = "The heart is enlarged.", "There is a small left pleural effusion."
CLEAR = "The lungs are clear."

STUDIES = [
    a_training_study(1, LARGE, [f"{LARGE} {CLEAR}", CLEAR], scores={"Cardiomegaly": 0.9}),
    a_training_study(2, EFFUSION, [EFFUSION, "Left pleural effusion. The heart is normal."]),
    a_training_study(3, CLEAR, [CLEAR, "No pneumothorax. The lungs are clear bilaterally."]),
]
OPTIONS = PairOptions(exchanged=1.0)


def asked(kind: str, number: int, options: PairOptions = OPTIONS) -> AskedStudy:
    made = prompts_of(STUDIES, options, count_tokens=words)
    [one] = [o for o in made if o.kind == kind and o.study is STUDIES[number - 1]]
    return one


def score(text: str, number: int = 1) -> Score:
    one = asked("reward", number)
    return score_report(text, one.study.case, one.check, RewardWeights())


def test_an_answer_is_scored_by_findings_citations_and_length() -> None:
    good = score(f"Findings: {LARGE} [1]")
    assert good.label_f1 == good.support == good.length == good.reward == 1
    assert score("Findings: Normal heart size. [1]").label_f1 == 0
    assert score(f"Findings: {LARGE} [2]").support == 0
    assert score(f"Findings: {LARGE}").support == 0  # a shown case says it
    assert score(f"Findings: {LARGE} [1][2]").support == 0.5
    assert score("Findings: There is a pneumothorax.").support == 1  # and none says that
    assert score(f"Findings: {LARGE} [1] {CLEAR} [1]").length == 0.5
    both = score(f"Findings: {LARGE} [1] {EFFUSION}")
    assert both.label_f1 == pytest.approx(2 / 3) and good.reward > both.reward
    assert score(f"Findings: {CLEAR} [1]", 3).label_f1 == 1  # neither names a finding


def test_the_weights_are_those_of_a_mean() -> None:
    one, text = asked("reward", 1), f"Findings: {LARGE} [1] {CLEAR} [1]"
    found = score_report(text, one.study.case, one.check, RewardWeights(label_f1=0, length=0))
    assert found.reward == found.support
    halves = RewardWeights(label_f1=1, support=0, length=1)
    assert score_report(text, one.study.case, one.check, halves).reward == pytest.approx(0.75)
    for wrong in ({"label_f1": -1.0}, {"length": float("nan")}, dict.fromkeys(vars(halves), 0.0)):
        with pytest.raises(UserError, match="weights of a reward"):
            RewardWeights(**wrong)


def test_the_best_whole_answer_is_chosen_and_the_worst_rejected() -> None:
    good, middle, bad = (
        f"Findings: {LARGE} [1]",
        f"Findings: {LARGE} [1] {EFFUSION} [2]",
        f"Findings: {EFFUSION} [2]",
    )
    pair = make_pair(asked("reward", 1), [bad, good, middle, " "], OPTIONS)
    assert pair is not None and (pair.answer, pair.rejected) == (good, bad)
    assert pair.scores["chosen"]["origin"] == "sample 1"
    assert pair.scores["chosen"]["reward"] > pair.scores["rejected"]["reward"]
    assert pair.study_id == "s1" and pair.patient_id == "p1" and pair.kind == "reward"
    cut_off = make_pair(asked("reward", 1), [bad, good[:-6], middle], OPTIONS)
    assert cut_off is not None and cut_off.answer == middle


def test_answers_that_hardly_differ_are_no_pair() -> None:
    one, text = asked("reward", 1), f"Findings: {LARGE} [1]"
    assert make_pair(one, [text, text], OPTIONS) is None
    assert make_pair(one, [text, f"{text} {CLEAR} [1]"], replace(OPTIONS, least_margin=0.5)) is None
    assert make_pair(one, [text, ""], OPTIONS) is None


def test_a_context_of_a_study_is_the_one_that_is_served() -> None:
    one = asked("reward", 1)
    assert one.prompt.text.startswith("Prior cases:\n[1] (Cardiomegaly) Findings: The heart")
    assert "Film: Cardiomegaly [1]\nClosest case: [1]" in one.prompt.text
    assert one.prompt.image is not None and one.prompt.image.mode == "RGB"
    assert not one.foreign


def test_an_exchanged_context_has_the_cases_of_another_image_alone() -> None:
    one = asked("over-reliance", 1)
    assert one.foreign == {"Pleural Effusion"}
    assert "effusion" in one.prompt.text and LARGE not in one.prompt.text
    assert "Film: Cardiomegaly\n" in one.prompt.text  # no case words it
    shown = {hit.case.study_id for hit in one.context.hits}
    assert shown <= {hit.case.study_id for hit in STUDIES[1].retrieval.hits}


def test_the_answer_that_follows_its_image_is_chosen_and_the_copy_rejected() -> None:
    one = asked("over-reliance", 1)
    own, copy = f"Findings: {LARGE}", f"Findings: {EFFUSION} [1]"
    pair = make_pair(one, [copy, own], OPTIONS)
    assert pair is not None and (pair.answer, pair.rejected) == (own, copy)
    assert pair.scores["rejected"]["copied"] == ("Pleural Effusion",)


def test_what_the_model_did_not_write_is_made_of_the_report_and_of_the_context() -> None:
    one = asked("over-reliance", 1)
    pair = make_pair(one, [], OPTIONS)
    assert pair is not None and pair.answer == "Findings: There is cardiomegaly."
    assert pair.rejected == f"Findings: {EFFUSION} [1]"
    origins = {side: scored["origin"] for side, scored in pair.scores.items()}
    assert origins == {"chosen": "target", "rejected": "copied case"}


def test_an_answer_that_copies_is_never_chosen_however_good_it_is() -> None:
    one = asked("over-reliance", 1)
    good, copy = f"Findings: {LARGE} {EFFUSION} [1]", f"Findings: {EFFUSION} [1]"
    assert make_pair(one, [good, copy, "Findings: No pneumothorax."], OPTIONS) is None
    pair = make_pair(one, [good, f"Findings: {LARGE}"], OPTIONS)
    assert pair is not None and pair.rejected == good


def test_a_case_whose_finding_is_not_shown_is_nothing_to_reject() -> None:
    unsaid = "The left pleural effusion has increased since the prior examination."
    studies = [STUDIES[0], a_training_study(5, CLEAR, [f"{unsaid} {CLEAR}"])]
    made = prompts_of(studies, OPTIONS, count_tokens=words)
    [one] = [o for o in made if o.kind == "over-reliance" and o.study is STUDIES[0]]
    assert one.foreign == {"Pleural Effusion"} and "effusion" not in one.prompt.text
    assert make_pair(one, [f"Findings: {LARGE}"], OPTIONS) is None


def test_no_case_of_the_study_itself_its_patient_or_its_words_is_exchanged_in() -> None:
    own = a_training_study(1, LARGE, [CLEAR], patient_id="p1")
    sibling = a_case(900, f"{EFFUSION} Of the same patient.", patient_id="p1")
    twin = a_case(901, LARGE)
    fair = f"There is a right pneumothorax. {LARGE}"
    other = a_training_study(2, EFFUSION, [own.case, sibling, twin, fair])
    made = prompts_of([own, other], OPTIONS, count_tokens=words)
    [one] = [o for o in made if o.kind == "over-reliance" and o.study is own]
    assert [hit.case.findings for hit in one.context.hits] == [fair]
    assert one.foreign == {"Pneumothorax"}
    assert [hit.rank for hit in one.context.hits] == [1]


def test_prompts_are_the_same_from_the_same_seed() -> None:
    half = replace(OPTIONS, exchanged=0.5)
    first = [one.prompt.text for one in prompts_of(STUDIES, half, count_tokens=words)]
    assert first == [one.prompt.text for one in prompts_of(STUDIES, half, count_tokens=words)]
    assert len(list(prompts_of(STUDIES, replace(OPTIONS, exchanged=0), count_tokens=words))) == 3
    unread = [a_training_study(4, "", [CLEAR], impression="Normal.")]
    assert not list(prompts_of(unread, OPTIONS, count_tokens=words))


@pytest.mark.parametrize(
    "wrong",
    [{"samples": 1}, {"temperature": 0.0}, {"exchanged": 1.1}, {"max_new_tokens": 0}],
)
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError):
        PairOptions(**wrong)  # type: ignore[arg-type]
