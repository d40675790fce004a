"""Kills of a training run of two processes, the short form of robustness/training_kills.py."""

from pathlib import Path

import pytest

from tests.support.models.training import tiny_base, write_pack
from tests.support.warm_python import WarmPython

SCRIPT = """
import sys
from pathlib import Path
from tests.robustness.training_kills import run
from tests.support.models.training import SETTINGS
base, pack, folder = map(Path, sys.argv[1:])
outcome = run(base, pack, folder, settings=[*SETTINGS, "dropout=0.1"], kills=3)
assert outcome.kills == 3 and not outcome.wrong, outcome
"""


def test_a_run_of_two_processes_that_was_killed_ends_like_one_left_alone(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, warm_python: WarmPython
) -> None:
    base, pack = tiny_base(tmp_path_factory), write_pack(tmp_path / "pack")
    code, said = warm_python.run("-c", SCRIPT, str(base), str(pack), str(tmp_path))
    assert code == 0, said
