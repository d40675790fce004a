"""Grades of the page's blinded review, and how far readers agree."""

import json
from pathlib import Path
from typing import Any

import pytest

from db.errors import UserError
from evaluation.__main__ import main
from evaluation.readers.grades import FORMAT, grade_tables, read_grades


def a_rating(reader: str, item: int, report: str, sentences: list[str], **more: Any) -> str:
    row = {
        "format": FORMAT,
        "file_sha256": "f" * 64,
        "reader": reader,
        "item": item,
        "study": f"s{item // 2}",
        "system": "AB"[item % 2],
        "patient": None,
        "report": report,
        "sentences": sentences,
        "seconds": 10.0 + item,
        "place": 0,
    }
    return json.dumps({**row, **more})


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two readers of two studies by two systems; they differ on one report and one sentence."""
    fine, minor, major = "acceptable", "minor", "major"
    return [
        write(
            tmp_path / "anna.jsonl",
            a_rating("Anna", 0, fine, [fine, fine]),
            a_rating("Anna", 1, major, [major]),
            a_rating("Anna", 2, fine, [fine]),
            a_rating("Anna", 3, minor, [minor, fine]),
        ),
        write(
            tmp_path / "ben.jsonl",
            a_rating("Ben", 0, minor, [fine, minor]),
            a_rating("Ben", 1, major, [major]),
            a_rating("Ben", 2, fine, [fine]),
            a_rating("Ben", 3, minor, [minor, fine]),
        ),
    ]


def test_reports_and_sentences_are_counted_by_system(files: list[Path]) -> None:
    table, _ = grade_tables(files, kind="other people", resamples=100)
    a, b = table.rows["A"], table.rows["B"]
    assert a["reports acceptable"].interval.value == pytest.approx(3 / 4)
    assert a["reports minor"].interval.value == pytest.approx(1 / 4)
    assert a["sentences acceptable"].interval.value == pytest.approx(5 / 6)
    assert b["reports major"].interval.value == pytest.approx(1 / 2)
    assert b["seconds"].interval.value == pytest.approx(12.0)
    assert "Anna, Ben (other people)" in table.notes[0]


def test_two_readers_agree_so_far(files: list[Path]) -> None:
    _, table = grade_tables(files, kind="other people", resamples=100)
    cells = table.rows["Anna and Ben"]
    assert cells["reports, same grade"].interval.value == pytest.approx(3 / 4)
    assert cells["sentences, same grade"].interval.value == pytest.approx(5 / 6)
    assert cells["reports, weighted kappa"].interval.value == pytest.approx(0.8)
    assert cells["reports, kappa of major"].interval.value == pytest.approx(1.0)


def test_the_command_prints_and_writes_them(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["ratings", *map(str, files), "--readers-are", "radiologists"]
    assert main([*named, "--resamples", "100", "--out", str(tmp_path / "out")]) == 0
    assert "Agreement of Anna and Ben" in capsys.readouterr().out
    written = json.loads((tmp_path / "out" / "ratings.json").read_text())
    assert written["about"]["readers are"] == "radiologists" and len(written["tables"]) == 2
    assert main([*named, "--reader", "A", str(tmp_path)]) != 0
    assert "name their reader" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 1: invalid JSON"),
        (a_rating("Anna", 0, "fair", []), "line 1 is no rating"),
        (a_rating("Anna", 0, "minor", [], format="other"), "line 1 is no rating"),
        ("", "there is no rating"),
    ],
)
def test_what_is_no_rating_is_refused(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_grades([write(tmp_path / "a.jsonl", line)])


def test_two_ratings_of_one_report_and_other_reports_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "a.jsonl", a_rating("Anna", 0, "minor", []))
    with pytest.raises(UserError, match="two ratings of report 0"):
        read_grades([one, one])
    other = write(tmp_path / "b.jsonl", a_rating("Ben", 0, "minor", [], file_sha256="0" * 64))
    with pytest.raises(UserError, match="different files"):
        read_grades([one, other])


@pytest.mark.parametrize("change", [{"sentences": []}, {"study": "s9"}, {"system": "B"}])
def test_a_file_changed_by_hand_gets_one_sentence(tmp_path: Path, change: dict[str, Any]) -> None:
    one = write(tmp_path / "a.jsonl", a_rating("Anna", 0, "minor", ["minor"]))
    row = json.loads(a_rating("Ben", 0, "minor", ["minor"]))
    other = write(tmp_path / "b.jsonl", json.dumps({**row, **change}))
    with pytest.raises(UserError, match=r"report 0 has study .*: one file was changed by hand"):
        grade_tables([one, other], kind="other people", resamples=20)
