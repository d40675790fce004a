"""Contradictions between texts of one study, and questions that a writer made of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.generation.asked_studies import Asked, measure, read_asked
from bench.generation.contradictions import contradictions
from bench.generation.normal_images import equal_point, point_of, rate
from bench.generation.questions import CALIBRATION, invented
from db.errors import UserError
from generator.assessment.assess import assess

RETRIEVAL = invented(["Cardiomegaly"], [])
ASSESSMENT = assess(RETRIEVAL, {}, calibration=CALIBRATION)


def asked(text: str, kind: str) -> Asked:
    return Asked(study="1", text=text, kind=kind)  # type: ignore[arg-type]


def test_questions_are_counted_by_kind_and_the_wrong_ones_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    questions = [
        asked("Who won the World Cup?", "off-topic"),
        asked("Is the left chest tube in place?", "false-premise"),
        asked("Is there an effusion?", "false-premise"),
        asked("Is the heart enlarged?", "in-scope"),
    ]
    assert measure(questions, {"1": (ASSESSMENT, RETRIEVAL)}) == 1
    printed = capsys.readouterr().out.split("without one")[0]
    assert "off-topic: 1 of 1" in printed
    assert "false-premise: 1 of 2" in printed
    assert "1: Is there an effusion? -> No, no pleural effusion is seen" in printed
    assert "in-scope: 0 of 1" in printed
    assert measure([*questions[:2], questions[3]], {"1": (ASSESSMENT, RETRIEVAL)}) == 0


def test_a_file_of_questions_names_the_line_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    row = {"study": "1", "text": "Is there an effusion?", "kind": "in-scope"}
    path.write_text(f"{json.dumps(row)}\n\n")
    assert read_asked(path) == [asked("Is there an effusion?", "in-scope")]
    path.write_text(f"{json.dumps(row)}\n{json.dumps(row | {'kind': 'odd'})}\n")
    with pytest.raises(UserError, match="line 2: unknown kind"):
        read_asked(path)


def test_an_observation_stated_in_one_text_and_denied_in_another_is_counted() -> None:
    texts = {
        "report": {"Edema": "positive", "Fracture": "negative"},
        "caption": {"Edema": "negative"},
        "Is there a fracture?": {"Fracture": "uncertain"},
        "classify": {"Cardiomegaly": "positive"},
    }
    assert contradictions(texts) == [  # type: ignore[arg-type]
        ("Edema", "report", "caption"),
        ("Fracture", "Is there a fracture?", "report"),
    ]


def test_texts_that_agree_or_leave_out_do_not_contradict() -> None:
    texts = {"report": {"Edema": "positive"}, "ask": {"Edema": "uncertain"}, "caption": {}}
    assert contradictions(texts) == []  # type: ignore[arg-type]


def test_a_point_is_the_lowest_that_is_specific_enough_and_rates_are_weighted() -> None:
    named = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0]], np.bool_)
    normal = np.array([True, True, False, False])
    assert point_of({"named": named, "normal": normal}) == 2
    weights = np.array([[1.0, 1.0, 1.0, 3.0]])
    assert rate(named, ~normal, weights, np.array([2.0])) == pytest.approx([0.25])
    assert rate(named, ~normal, weights, np.array([1.5])) == pytest.approx([0.625])
    at = equal_point(named, normal, weights)  # .5 of the normal at 1, all at 2
    assert at == pytest.approx([1.4])
    assert 1 - rate(named, normal, weights, at) == pytest.approx([0.7])
