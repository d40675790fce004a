"""The exchange with RadEval, on a stand-in for its package."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from db.errors import UserError
from evaluation.__main__ import main
from evaluation.metrics.radeval import SEMB_SCORE, radeval_scores
from evaluation.outputs.names import EXTRACTIVE, NORMAL
from evaluation.retrieval.systems import NORMAL_REPORT
from tests.support.evaluations import Bench

STAND_IN = """
class RadEval:
    def __init__(self, metrics, per_sample, show_progress):
        (self.name,) = metrics
        if self.name == "green":
            raise OSError("no weights here\\nand a second line")
        assert per_sample and not show_progress

    def __call__(self, refs, hyps):
        print("packages print this")
        if self.name == "bleu":
            return {"bleu": [len(a) / 10 + len(b) for a, b in zip(refs, hyps)]}
        return {"rouge1": [1.0] * len(refs), "rougeL": [0.5] * len(refs), "labels": ["a"]}
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python that finds the stand-in, and nothing of this project."""
    (tmp_path / "radeval.py").write_text(STAND_IN)
    info = tmp_path / "radeval-2.2.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: radeval\nVersion: 2.2.1\n")
    path = tmp_path / "python"
    run = f'PYTHONPATH={shlex.quote(str(tmp_path))} exec {shlex.quote(sys.executable)} "$@"'
    path.write_text(f"#!/bin/sh\n{run}\n")
    path.chmod(0o755)
    return path


def test_scores_come_back_by_metric_and_system_and_what_is_missing_is_named(python: Path) -> None:
    systems = {"ours": ["abc", "é"], "other": ["", "ab"]}
    found = radeval_scores(python, ["1234567890", "12345"], systems, ["bleu", "rouge", "green"])
    assert found.version == "2.2.1"
    assert set(found.scores) == {"bleu", "rouge1", "rougeL"}
    assert np.allclose(found.scores["bleu"]["ours"], [4.0, 1.5])
    assert np.allclose(found.scores["bleu"]["other"], [1.0, 2.5])
    assert found.missing == {"green": "OSError: no weights here", SEMB_SCORE: "RadEval has none"}


def test_an_environment_without_radeval_is_one_sentence(python: Path, tmp_path: Path) -> None:
    (tmp_path / "radeval.py").unlink()
    with pytest.raises(UserError, match=r"No module named 'radeval'.*: install radeval into its"):
        radeval_scores(python, ["a"], {"ours": ["a"]}, ["bleu"])
    with pytest.raises(UserError, match=r"cannot be run .*: name the Python of an environment"):
        radeval_scores(tmp_path / "no-python", ["a"], {"ours": ["a"]}, ["bleu"])


def test_an_evaluation_has_their_table_and_names_what_is_missing(
    python: Path, tmp_path: Path
) -> None:
    bench = Bench.make(tmp_path / "data")
    task = ["--index", tmp_path / "data" / "index", "--source", "jsonl", "--split", "val"]
    task += ["--data-dir", tmp_path / "data" / "studies.jsonl", "--resamples", 20]
    given = ["--model", "none", "--metrics-python", python, "--out", tmp_path / "out"]
    assert (
        main(
            ["model", *map(str, [*given, *task])],
            open_retriever=lambda path: bench.retriever,
        )
        == 0
    )
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    [table] = [one for one in document["tables"] if one["title"] == "Metrics of RadEval"]
    wanted = np.mean([len(one.findings) / 10 + len(NORMAL_REPORT) for one in bench.studies])
    assert np.isclose(table["rows"]["bleu"][NORMAL]["interval"]["value"], wanted)
    assert table["rows"]["rougeL"][EXTRACTIVE]["interval"]["value"] == 0.5
    text = (tmp_path / "out" / "evaluation.txt").read_text()
    assert "green: not computed, OSError: no weights here" in text
    assert "METEOR: not computed, it needs Java" in text
    assert "CheXbert F1: not computed" not in text  # the package was asked


@pytest.mark.parametrize(
    "answer", ["", "[]", '{"version": "1", "scores": {"a": {"ours": [1, 2]}}}']
)
def test_another_answer_is_refused(answer: str, tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\ncat > /dev/null\necho '{answer}'\n")
    path.chmod(0o755)
    assert subprocess.run([path], input="", capture_output=True, text=True, check=True)
    with pytest.raises(UserError, match="answered something else than scores"):
        radeval_scores(path, ["a"], {"ours": ["a"]}, ["bleu"])
