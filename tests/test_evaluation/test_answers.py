"""Answers to questions: what is exact, what shares words, what a constant answer gets."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from db.errors import UserError
from evaluation.answers.questions import report_questions, vqa_rad_questions
from evaluation.answers.scores import (
    MAJORITY,
    NO_RIGHT,
    YES_RIGHT,
    answer_table,
    by_group,
    is_exact,
    is_right,
    majority,
    token_f1,
)
from evaluation.outputs.names import SERVED
from evaluation.outputs.rows import AnswerRow
from generator.grounding.answers import is_yes
from tests.support.evaluations import Bench


def row(
    number: int, reference: str, text: str, *, group: str = "", closed: bool = True
) -> AnswerRow:
    return AnswerRow(
        system="ours",
        questions="drawn",
        question_id=str(number),
        group=group or f"g{number}",
        question="Is it?",
        reference=reference,
        closed=closed,
        text=text,
    )


@pytest.mark.parametrize(
    ("reference", "text", "exact", "f1"),
    [
        ("Yes. [2]", "yes", True, 1.0),
        ("Left lower lobe.", "The left lower lobe. [1][3]", True, 1.0),
        ("Left lower lobe.", "left upper lobe", False, 2 / 3),
        ("No.", "Yes.", False, 0.0),
        ("No.", "", False, 0.0),
        ("mild mild", "mild", False, 2 / 3),
    ],
)
def test_marks_case_and_citations_do_not_count(
    reference: str, text: str, exact: bool, f1: float
) -> None:
    one = row(0, reference, text)
    assert is_exact(one) == exact and token_f1(one) == pytest.approx(f1)


def test_a_closed_answer_is_right_by_its_yes_or_no() -> None:
    assert is_right(row(0, "Yes. [1]", "Yes, there is an effusion."))
    assert not is_right(row(0, "yes", "maybe"))
    assert is_right(row(0, "PA", "pa.")) and not is_right(row(0, "PA", "AP"))


def test_the_table_counts_closed_questions_and_resamples_studies() -> None:
    ours = [
        *(row(n, "Yes.", "Yes.", group="a") for n in range(2)),
        *(row(n, "No.", "Yes.", group="b") for n in range(2, 5)),
        row(5, "Left.", "left", group="b", closed=False),
    ]
    table = answer_table("drawn", {"ours": ours, MAJORITY: majority(ours)}, resamples=100)
    closed = table.rows["closed accuracy"]
    assert closed["ours"].count == (2, 5) and closed[MAJORITY].count == (3, 5)
    assert table.rows["exact match"]["ours"].count == (3, 6)
    difference = table.rows["exact match: ours minus"][MAJORITY].interval
    assert difference.value == pytest.approx(-1 / 6)
    assert (difference.low, difference.high) == (-0.75, 1)  # all of one study or of the other
    assert "6 questions on 2 studies or images, 5 closed" in table.notes[0]


def test_questions_on_studies_of_one_patient_are_resampled_together() -> None:
    rows = [row(n, "Yes.", "Yes." if n < 2 else "No.", group=f"s{n}") for n in range(4)]
    patients = {"s0": "a", "s1": "a", "s2": "b", "s3": None}
    table = answer_table("drawn", {"ours": rows}, patients=patients, resamples=500)
    apart = answer_table("drawn", {"ours": rows}, resamples=500)
    shares = [one.rows["closed accuracy"]["ours"].interval for one in (table, apart)]
    assert shares[0].value == shares[1].value == 0.5
    assert shares[0] != shares[1]


def test_systems_that_were_asked_other_questions_are_not_compared() -> None:
    with pytest.raises(UserError, match="'ours' and 'theirs' did not answer the same questions"):
        answer_table("drawn", {"ours": [row(0, "a", "a")], "theirs": [row(1, "a", "a")]})


def test_the_majority_is_that_of_the_fold() -> None:
    rows = [row(n, "yes" if n < 3 else "no", "", group=f"g{n}") for n in range(6)]
    folds = {f"g{n}": int(n >= 3) for n in range(6)}
    assert sum(is_right(one) for one in majority(rows)) == 3
    assert all(is_right(one) for one in majority(rows, folds))


def test_folds_keep_the_questions_of_an_image_together() -> None:
    rows = [row(n, "a", "a", group=f"g{n % 7}") for n in range(21)]
    folds = by_group(rows, 5)
    assert set(folds.values()) == set(range(5)) and len(folds) == 7
    assert folds == by_group(list(reversed(rows)), 5)
    with pytest.raises(UserError, match="7 images cannot be put into 8 folds"):
        by_group(rows, 8)


def test_made_questions_are_the_same_on_every_call(tmp_path: Path) -> None:
    bench = Bench.make(tmp_path)
    questions = report_questions(bench.cases.values())
    assert questions == report_questions(bench.cases.values())
    assert len(questions) > len(bench.cases)
    assert all(one.closed == (is_yes(one.answer) is not None) for one in questions)
    assert not any("[" in one.answer for one in questions)
    one = next(iter(bench.cases.values()))
    assert report_questions([one]) == [q for q in questions if q.group == one.study_id]


def test_questions_on_images_are_read_as_published(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").touch()
    rows = [
        {"qid": 7, "image_name": "1.jpg", "question": "How many?", "answer": 2},
        {"qid": 8, "image_name": "1.jpg", "question": "Is it?", "answer": "yes"},
    ]
    rows[0]["answer_type"], rows[1]["answer_type"] = "OPEN", "CLOSED"
    (tmp_path / "train.json").write_text(json.dumps(rows))
    first, second = vqa_rad_questions(tmp_path)
    assert (first.answer, first.closed, second.closed) == ("2", False, True)
    assert first.group == second.group == "1.jpg"


@pytest.mark.parametrize("name", ["../1.jpg", "2.jpg", ""])
def test_an_image_that_is_not_in_the_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "1.jpg").touch()
    question = {"qid": 7, "image_name": name, "question": "q", "answer": "a", "answer_type": "OPEN"}
    (tmp_path / "train.json").write_text(json.dumps([question]))
    with pytest.raises(UserError, match="of question 7 is not there"):
        vqa_rad_questions(tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", "[{}]"])
def test_a_file_without_such_questions_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        vqa_rad_questions(tmp_path)
    (tmp_path / "train.json").write_text(text)
    with pytest.raises(UserError, match="does not hold the questions"):
        vqa_rad_questions(tmp_path)


def test_answers_are_counted_by_what_the_reference_says_and_served_ones_by_yes_and_no() -> None:
    ours = [
        row(0, "Yes.", "Yes."),
        row(1, "Yes.", "No."),
        *(row(n, "No.", "No.") for n in range(2, 5)),
        row(5, "Left.", "left", closed=False),
    ]
    texts = ["Perhaps: edema is only possible (0.3).", "No, ...", "No.", "No.", "Yes, ...", "Left."]
    served = [replace(one, system=SERVED, text=text) for one, text in zip(ours, texts, strict=True)]
    table = answer_table("drawn", {"ours": ours, SERVED: served, MAJORITY: majority(ours)})
    assert table.rows[YES_RIGHT][SERVED].count == (1, 2)
    assert table.rows[NO_RIGHT][SERVED].count == (2, 3)
    assert table.rows[NO_RIGHT]["ours"].count == table.rows[NO_RIGHT][MAJORITY].count == (3, 3)
    assert SERVED not in table.rows["exact match"]
    assert list(table.rows[f"{YES_RIGHT}: {SERVED} minus"]) == [MAJORITY]
