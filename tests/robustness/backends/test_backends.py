"""What training promises holds through each backend."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.conftest import ROOT
from tests.robustness.backends.checks import GROUPS
from tests.support.warm_python import WarmPython

COUNT = sum(len(group) for group in GROUPS.values())
ALL = f"{COUNT} of {COUNT} checks hold"


def test_training_through_peft_keeps_what_it_promises(warm_python: WarmPython) -> None:
    given = ("--backend", "peft", "--device", "cpu")
    code, said = warm_python.run("-m", "tests.robustness.backends", *given)
    assert code == 0 and said.splitlines()[-1] == ALL, said


@pytest.mark.gpu
@pytest.mark.skipif(find_spec("unsloth") is None, reason="unsloth is not installed")
@pytest.mark.parametrize("how", [["--eager", "--side-by-side"], ["--group", "runs"]])
def test_training_through_unsloth_keeps_what_it_promises(how: list[str]) -> None:
    command = [sys.executable, "-m", "tests.robustness.backends", "--backend", "unsloth", *how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout and "checks hold" in done.stdout
