"""Sets that people labelled are read right, and `bench.index.reading` counts what is not."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from bench.index.reading.__main__ import SETS, main
from bench.index.reading.labels import Row, observations
from bench.index.reading.score import ReadingScore, read_rows, score
from db.errors import UserError
from db.findings import FINDING
from db.labels import State
from evaluation.grounding.leaderboard import AGREED, KAPPA, READ_BY, READ_PAIRS
from indexer.reports.labeller import LABELLER_VERSION
from tests.conftest import ROOT

STATES: tuple[State, ...] = get_args(State)


@pytest.fixture(scope="module")
def project_sets() -> ReadingScore:
    return score(row for path in sorted(SETS.glob("*.jsonl")) for row in read_rows(path))


@pytest.mark.parametrize("state", STATES)
def test_findings_and_observations_are_read_as_by_a_person(
    project_sets: ReadingScore, state: State
) -> None:
    for labels in (project_sets.findings, project_sets.observations):
        assert labels.pooled(state) >= 0.95 and labels.mean(state) >= 0.95, labels.errors


def test_attributes_are_read_as_by_a_person(project_sets: ReadingScore) -> None:
    assert project_sets.attributes.accuracy >= 0.95, project_sets.attributes.errors


def test_no_word_of_a_section_is_lost_or_misplaced(project_sets: ReadingScore) -> None:
    found = project_sets.sections
    assert (found.lost, found.misplaced) == (0, 0), found.errors
    assert found.equal >= 0.98 * found.sections, found.errors
    assert project_sets.right_languages == project_sets.languages > 0


def test_the_citation_check_errs_on_few_pairs(project_sets: ReadingScore) -> None:
    pairs = project_sets.pairs
    assert pairs.accepted_share <= 0.03 and pairs.refused_share <= 0.06, pairs.errors


def test_the_agreement_that_the_citation_benchmark_states_is_that_of_these_rules() -> None:
    pairs = score(read_rows(SETS / "held_back" / "citation_pairs.jsonl")).pairs
    false, accepted = pairs.false.total(), pairs.accepted.total()
    total = pairs.true + false
    agreed = total - accepted - pairs.refused
    said_true = pairs.true - pairs.refused + accepted
    chance = (said_true * pairs.true + (total - said_true) * false) / total**2
    kappa = (agreed / total - chance) / (1 - chance)
    assert (LABELLER_VERSION, total, agreed) == (READ_BY, READ_PAIRS, AGREED)
    assert pytest.approx(kappa, abs=5e-4) == KAPPA


@pytest.mark.parametrize("state", ["positive", "negative"])
def test_the_sets_name_every_finding_at_least_five_times_in_both_states(state: str) -> None:
    rows = [row for path in SETS.glob("sentences_*.jsonl") for row in read_rows(path)]
    for name in FINDING:
        assert sum(row["findings"].get(name) == state for row in rows) >= 5, name


def sentence(text: str, **findings: str | None) -> Row:
    return {
        "text": text,
        "findings": {name.replace("_", " "): state for name, state in findings.items()},
        "no_finding": False,
    }


def test_pooled_and_mean_f1_of_three_labels_two_of_them_right() -> None:
    found = score(
        [
            sentence("Small effusion.", Pleural_Effusion="positive"),
            sentence("Effusion and a nodule.", Pleural_Effusion="positive"),
        ]
    ).findings
    assert found.pooled("positive") == pytest.approx(2 * 2 / (3 + 2))
    assert found.mean("positive") == pytest.approx((1 + 0) / 2)
    assert found.errors == ["Nodule: positive, writer - | Effusion and a nodule."]


def test_a_label_that_is_left_open_is_neither_right_nor_wrong() -> None:
    found = score(
        [sentence("Nodule and small effusion.", Nodule=None, Pleural_Effusion="positive")]
    )
    assert set(found.findings.counts) == {"Pleural Effusion"}
    assert set(found.observations.counts) == {"Pleural Effusion"}


@pytest.mark.parametrize(
    ("findings", "rolled"),
    [
        ({"Nodule": "negative", "Mass": "positive"}, {"Lung Lesion": "positive"}),
        ({"Vascular Congestion": "positive"}, {"Edema": "uncertain"}),
        ({"Vascular Congestion": "positive", "Edema": "negative"}, {"Edema": "uncertain"}),
        ({"Nodule": None, "Mass": "negative"}, {"Lung Lesion": None}),
        ({"Scoliosis": "positive"}, {}),
    ],
)
def test_findings_of_a_writer_roll_up(findings: Any, rolled: Any) -> None:
    assert observations({"findings": findings, "no_finding": False}) == rolled


def test_attributes_count_right_wrong_and_added() -> None:
    row = sentence("Small left effusion at the base.", Pleural_Effusion="positive")
    attributes = {"Pleural Effusion": {"side": ["right"], "degree": ["mild"]}}
    found = score([{**row, "attributes": attributes}]).attributes
    assert found.accuracy == 0.5
    assert (found.right["degree"], found.right["side"]) == (1, 0)
    assert found.added["location"] == 1


def test_words_of_a_section_count_as_lost_or_misplaced() -> None:
    report = {
        "report": "FINDINGS: Clear lungs.\nIMPRESSION: Normal.",
        "sections": {"findings": "Clear lungs. Two nodules.", "indication": "Normal."},
        "findings": None,
    }
    found = score([report])
    assert (found.sections.words, found.sections.lost, found.sections.misplaced) == (5, 2, 1)
    noted = score([{**report, "note": "both readings are right"}])
    assert (noted.sections.words, noted.noted_sections.lost) == (0, 2)


def test_wrong_decisions_on_pairs_are_counted_by_cause() -> None:
    case = "Small left effusion."
    found = score(
        [
            {"sentence": "Left effusion.", "case": case, "holds": False, "false_by": "side"},
            {"sentence": "Right effusion.", "case": case, "holds": False, "false_by": "side"},
            {"sentence": "Right effusion.", "case": case, "holds": True, "false_by": None},
        ]
    ).pairs
    assert (found.accepted, found.false["side"]) == ({"side": 1}, 2)
    assert (found.accepted_share, found.refused_share) == (0.5, 1)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: invalid JSON"),
        ('{"text": "Clear."}', "line 2: neither a sentence"),
        (json.dumps(sentence("x", Effusio="positive")), "line 2: no finding is called Effusio"),
    ],
)
def test_a_line_that_cannot_be_scored_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(f"{json.dumps(sentence('Clear.'))}\n{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=said):
        read_rows(path)


def test_one_file_of_each_kind_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = {"sentence": "Left effusion.", "case": "Right effusion.", "holds": False}
    for name, row in (("a", sentence("Nodule.", Mass="positive")), ("b", pair)):
        (tmp_path / name).write_text(json.dumps(row), encoding="utf-8")
    assert main([str(tmp_path / "a"), str(tmp_path / "b"), "--errors"]) == 0
    printed = capsys.readouterr().out
    assert "1 sentences, 0 reports" in printed and "false accepted 0.0% (0 of 1)" in printed
    assert "Mass: -, writer positive | Nodule." in printed


def test_the_page_of_conventions_has_the_findings_as_they_are() -> None:
    page = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
    for one in FINDING.values():
        precludes = "yes" if one.precludes_no_finding else "no"
        row = (one.name, one.definition, one.parent or "", precludes, one.source)
        assert f"| {' | '.join(row)} |" in page
