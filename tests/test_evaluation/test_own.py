"""A user's own table, from rows to an HTML report with one command."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation.__main__ import main
from evaluation.layout import WIDTH
from tests.support.fakes import ReportEncoder, write_studies

STUDIES = 40

Table = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """40 studies, 3 without their image, 2 patients with two studies, no column for the split."""
    encoder = ReportEncoder({"Cardiomegaly": 0.8})
    monkeypatch.setattr("evaluation.own.load_encoder", lambda name, **_: encoder)

    def write(**columns: list[str]) -> Path:
        folder = tmp_path / "data"
        rows = [json.loads(one) for one in write_studies(folder, STUDIES).read_text().splitlines()]
        for number, row in enumerate(rows):
            row["patient_id"] = f"p{number - 1 if number in (5, 9) else number}"
            row.update({name: values[number] for name, values in columns.items()})
        for number in (2, 11, 30):
            (folder / rows[number]["image"]).unlink()
        with (tmp_path / "studies.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "image": f"data/{row['image']}"} for row in rows)
        return tmp_path / "studies.csv"

    return write


def test_a_fresh_table_ends_in_a_report_with_one_command(
    table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "own"
    named = ["--split-by", "patient:0.3", "--out", str(out)]
    assert main(["own", str(table()), *named, "--resamples", "20"]) == 0
    shown = capsys.readouterr()
    assert max(map(len, (out / "evaluation.txt").read_text().splitlines())) <= WIDTH
    built, left_out = shown.out.splitlines()[:6], shown.err
    counted = [line for line in (*built, *left_out.splitlines()) if "images missing" in line
               or "image missing" in line]  # fmt: skip
    assert sum(int(line.split(" image")[0].rsplit(" ", 1)[1]) for line in counted) == 3
    page = (out / "report.html").read_text()
    assert "data: studies.csv" in page and "train: 40 rows" in page and "val: 40 rows" in page
    for part in ("ROC curves", "Reliability", "coverage", "worst studies", "<blockquote>"):
        assert part in page
    assert page.count("data:image/png") == 2 and page.count("data:image/jpeg") >= 1
    assert "http" not in page.replace("data:", "")
    outputs = [json.loads(line) for line in (out / "outputs.jsonl").read_text().splitlines()[1:]]
    held = {row["study_id"] for row in outputs if row["kind"] == "study"}
    assert len({"s4", "s5"} & held) in (0, 2) and len({"s8", "s9"} & held) in (0, 2)


def test_a_table_without_splits_says_how_to_name_one_and_leaves_nothing(
    table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["own", str(table()), "--out", str(tmp_path / "own")]) == 1
    error = capsys.readouterr().err
    assert "--split-file" in error and "--split-by patient:0.2" in error
    assert not (tmp_path / "own").exists()


def test_a_patient_on_both_sides_is_named_with_all_studies_and_nothing_is_left(
    table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = ["train"] * 30 + ["val"] * 10
    splits[5] = splits[9] = "val"  # the other studies of patients p4 and p8 are indexed
    assert main(["own", str(table(split=splits)), "--out", str(tmp_path / "own")]) == 1
    error = capsys.readouterr().err
    assert "patient p4 has s5 in split 'val' and s4 in the index" in error
    assert "patient p8 has s9 in split 'val' and s8 in the index" in error
    assert not (tmp_path / "own").exists()
