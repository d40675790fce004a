"""One assessment: states by operating point, and what contradicts them."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from db.app.generation import OodCheck, Statement
from db.errors import UserError
from db.index.case import Section
from db.labels import FINDINGS, NO_FINDING, OBSERVATIONS, State
from generator.assessment.assess import Assessment, assess
from generator.assessment.calibration import Calibration
from generator.assessment.situation import study_warnings, technical, text_warnings
from generator.assessment.wording import bare_sentence, denial, listed, wordings
from indexer.images.radiograph import SEVERAL_STUDIES
from indexer.reports.labeller import label_sentence
from retriever.knn_votes import Vote
from retriever.results import Retrieval, View
from tests.support.cases import a_retrieval

POINTS = {"high": 0.2, "balanced": 0.4, "specific": 0.6}
BY_LABEL_HEAD = Calibration(knn=0.0, label_head=1.0, operating_points=POINTS)
VOTES = {
    name: Vote(probability=0.1, low=0.05, high=0.3, supporting_ranks=()) for name in OBSERVATIONS
}
REPORTS = ("The heart is enlarged. No pleural effusion.", "No acute cardiopulmonary disease.")


def retrieved(scores: Mapping[str, float], *views: View) -> Retrieval:
    return replace(a_retrieval(REPORTS, scores), views=views)


def assessed(scores: Mapping[str, float], sensitivity: str = "balanced") -> Assessment:
    return assess(
        retrieved(scores),
        VOTES,
        calibration=BY_LABEL_HEAD,
        sensitivity=sensitivity,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("probability", "sensitivity", "state"),
    [
        (0.5, "balanced", "present"),
        (0.5, "specific", "possible"),
        (0.5, "high", "present"),
        (0.3, "balanced", "possible"),
        (0.3, "specific", "absent"),
        (0.3, "high", "present"),
        (0.1, "balanced", "absent"),
        (0.15, "high", "absent"),
    ],
)
def test_the_sensitivity_picks_the_operating_point(
    probability: float, sensitivity: str, state: str
) -> None:
    assert assessed({"Edema": probability}, sensitivity)["Edema"].state == state


def test_higher_sensitivity_never_finds_less() -> None:
    scores = dict(zip(FINDINGS, (place / 20 for place in range(1, 14)), strict=True))
    specific, balanced, high = (
        set(assessed(scores, one).present) for one in ("specific", "balanced", "high")
    )
    assert specific < balanced < high


def test_an_unknown_sensitivity_is_refused() -> None:
    with pytest.raises(UserError, match="high, balanced, specific"):
        assessed({}, "low")


@pytest.mark.parametrize(
    ("scores", "state"),
    [
        ({}, "present"),
        ({"Edema": 0.3}, "possible"),
        ({"Edema": 0.5}, "absent"),
        ({"Support Devices": 0.9}, "present"),
    ],
)
def test_no_finding_follows_from_the_findings(scores: dict[str, float], state: str) -> None:
    found = assessed(scores)
    assert found[NO_FINDING].state == state
    assert found.is_normal == (state != "absent")


@pytest.mark.parametrize(
    ("labels", "wrong"),
    [
        ({"Edema": "positive"}, ("Edema",)),
        ({"Edema": "negative"}, ()),
        ({"Cardiomegaly": "positive", "Edema": "uncertain"}, ("Edema",)),
        ({"Cardiomegaly": "negative"}, ("Cardiomegaly",)),
        ({"Fracture": "positive"}, ()),
        ({"Fracture": "uncertain"}, ()),
        ({"Fracture": "negative"}, ("Fracture",)),
        ({NO_FINDING: "positive"}, (NO_FINDING,)),
        ({NO_FINDING: "negative"}, ()),
    ],
)
def test_what_a_text_may_not_say(labels: dict[str, State], wrong: tuple[str, ...]) -> None:
    """Cardiomegaly is present, a fracture possible, all others absent."""
    assert assessed({"Cardiomegaly": 0.8, "Fracture": 0.3}).contradicted(labels) == wrong


def test_the_range_spans_the_interval_of_the_vote_and_the_single_views() -> None:
    both = Calibration(knn=0.5, label_head=0.5)
    views = [
        View(is_frontal=True, label_scores=dict.fromkeys(OBSERVATIONS, 0.5)),
        View(is_frontal=False, label_scores=dict.fromkeys(OBSERVATIONS, 0.02)),
    ]
    one = assess(retrieved({}, *views), VOTES, calibration=both)["Edema"]
    assert one.probability == pytest.approx(0.1)
    low = both.probability("Edema", knn=0.05, label_head=0.02)
    high = both.probability("Edema", knn=0.3, label_head=0.5)
    assert (one.low, one.high) == (low, high)
    assert low < one.probability < high


def test_a_lateral_view_alone_leaves_heart_mediastinum_and_pneumothorax_open() -> None:
    lateral = View(is_frontal=False, label_scores=None)
    frontal = View(is_frontal=True, label_scores=None)
    alone = assess(retrieved({"Cardiomegaly": 0.9}, lateral), VOTES, calibration=BY_LABEL_HEAD)
    names = {one.name for one in alone.observations if one.state == "not assessable"}
    assert names == {"Cardiomegaly", "Enlarged Cardiomediastinum", "Pneumothorax"}
    assert alone.contradicted({"Cardiomegaly": "positive"}) == ("Cardiomegaly",)
    assert alone.contradicted({"Cardiomegaly": "negative"}) == ("Cardiomegaly",)
    both = assess(
        retrieved({"Cardiomegaly": 0.9}, lateral, frontal), VOTES, calibration=BY_LABEL_HEAD
    )
    assert both.present == ("Cardiomegaly",)


def test_without_votes_and_label_scores_nothing_is_assessable() -> None:
    nothing = assess(a_retrieval(REPORTS), {})
    assert {nothing[name].state for name in FINDINGS} == {"not assessable"}


def test_the_cases_for_and_against_are_named_by_their_rank() -> None:
    found = assessed({}).with_cases(a_retrieval(REPORTS).hits)
    assert (found["Cardiomegaly"].cases, found["Cardiomegaly"].cases_against) == ((1,), (2,))
    assert (found["Pleural Effusion"].cases, found["Pleural Effusion"].cases_against) == (
        (),
        (1, 2),
    )
    assert (found[NO_FINDING].cases, found[NO_FINDING].cases_against) == ((2,), (1,))


@pytest.mark.parametrize("name", FINDINGS)
def test_the_words_for_an_observation_are_read_as_what_they_say(name: str) -> None:
    assert label_sentence(bare_sentence(name)) == {name: "positive"}
    assert label_sentence(bare_sentence(name, "impression")) == {name: "positive"}
    assert label_sentence(denial(name)).get(name) == "negative"


@pytest.mark.parametrize("name", FINDINGS)
@pytest.mark.parametrize("section", ["findings", "impression"])
def test_a_finding_is_worded_for_certain_first_and_then_in_doubt(
    name: str, section: Section
) -> None:
    certain, *doubtful = wordings(name, section)
    assert certain == bare_sentence(name, section)
    assert doubtful
    assert all(label_sentence(text) == {name: "uncertain"} for text in doubtful)
    assert doubtful[0] not in wordings(name, section, beside=doubtful)


def test_a_bare_sentence_is_not_one_that_is_said_already() -> None:
    there, phrase = "There is a pleural effusion.", "Pleural effusion."
    assert bare_sentence("Pleural Effusion", "impression") == phrase
    assert bare_sentence("Pleural Effusion", beside=["THERE IS a pleural effusion"]) == phrase
    assert bare_sentence("Pleural Effusion", "impression", beside=[phrase]) == there
    assert bare_sentence("Pleural Effusion", beside=["No pleural effusion."]) == there


def test_names_are_listed_as_in_a_sentence() -> None:
    assert listed(["Edema"]) == "edema"
    assert listed(["Cardiomegaly", "Edema", "Pleural Other"]) == (
        "cardiomegaly, edema and pleural thickening"
    )


def test_what_a_reader_must_know_comes_in_whole_sentences() -> None:
    ood = OodCheck(in_distribution=False, score=-9, threshold=-2, reason="it is a cat")
    lateral = View(is_frontal=False, label_scores={**dict.fromkeys(OBSERVATIONS, 0.05)})
    other = replace(lateral, label_scores={**dict.fromkeys(OBSERVATIONS, 0.05), "Edema": 0.9})
    found = replace(
        retrieved({}, lateral, other),
        ood=ood,
        notes=(SEVERAL_STUDIES, "mid-tones balanced", "text burned into the image"),
    )
    assert study_warnings(found) == (
        "Do not rely on this: it is a cat.",
        "No frontal view was given: mediastinal widening, cardiomegaly and pneumothorax cannot be "
        "assessed.",
        "Images of different studies by their headers: check that they belong together.",
        "The views contradict each other: image 2 shows edema (label score 0.90), image 1 does "
        "not (0.05).",
    )
    assert study_warnings(retrieved({})) == ()
    assert technical(found.notes) == (("text burned into the image",), ("mid-tones balanced",))


def test_a_present_finding_without_a_case_and_a_missing_impression_are_warned_of() -> None:
    found = assessed({"Edema": 0.5})
    alone = Statement(section="findings", text="There is edema.", labels={"Edema": "positive"})
    assert text_warnings([alone], found.present, found) == (
        "Present, but no prior case says so: edema (0.50).",
        "The report has no impression.",
    )
    assert text_warnings([], found.present, found) == (
        "Nothing is stated: no sentence could be written that holds for this study.",
    )
