"""Stored reports as ReXrank takes them."""

import json
from pathlib import Path

import pytest

from evaluation.__main__ import main
from evaluation.outputs.names import EXTRACTIVE
from evaluation.outputs.no_model import NoModel
from tests.support.evaluations import HELD_OUT, Bench


def test_reports_are_exported_without_citations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench.make(tmp_path)
    outputs = bench.open(tmp_path / "outputs.jsonl")
    bench.write(NoModel("0" * 64), outputs.path, tasks=())
    data = ["--source", "jsonl", "--data-dir", str(tmp_path / "studies.jsonl"), "--split", "val"]
    given = ["--outputs", str(outputs.path), "--index", str(tmp_path / "index"), *data]
    named = ["export", "--format", "rexrank", "--out", str(tmp_path / "r.json"), "--system"]
    assert main([*named, EXTRACTIVE, *given]) == 0
    found = json.loads((tmp_path / "r.json").read_text())
    assert len(found) == HELD_OUT
    study_id, case = next(iter(bench.cases.items()))
    entry = found[study_id]
    assert entry["findings"] == case.findings and entry["subject_id"] == case.patient_id
    assert entry["context"] == "<context>Indication: Drawn to be tried.</context>"
    assert entry["model_prediction"].startswith("Findings: ") and "[" not in json.dumps(entry)
    capsys.readouterr()
    assert main([*named, "with retrieval", *given]) == 1
    assert "has no reports of 'with retrieval': name one of constant" in capsys.readouterr().err
