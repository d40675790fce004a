"""The exchange with RadEval, on a stand-in for its package."""

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from db.errors import UserError
from evaluation.metrics.radeval import SEMB_SCORE, radeval_scores

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
