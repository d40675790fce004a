"""Kills of a training run of two processes, the short form of robustness/training_kills.py."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.models.training import tiny_base, write_pack


def test_a_run_of_two_processes_that_was_killed_ends_like_one_left_alone(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import subprocess
    import sys

    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.robustness.training_kills import run\n"
        "from tests.support.models.training import SETTINGS\n"
        "base, pack, folder = map(Path, sys.argv[1:])\n"
        "settings = [*SETTINGS, 'dropout=0.1']\n"
        "outcome = run(base, pack, folder, settings=settings, kills=3)\n"
        "assert outcome.kills == 3 and not outcome.wrong, outcome\n"
    )
    base, pack = tiny_base(tmp_path_factory), write_pack(tmp_path / "pack")
    subprocess.run(
        [sys.executable, "-c", script, str(base), str(pack), str(tmp_path)],
        cwd=ROOT,
        timeout=600,
        check=True,
    )
