"""Kills, full disks and read-only mounts, in short: ``tests/robustness/index_durability.py`` does
more."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("verbs", "options"),
    [
        (("build", "add", "remove", "merge"), ("--kills", "1", "--full-disks", "1")),
        (("add",), ("--kills", "0", "--full-disks", "1", "--no-mount")),
    ],
    ids=["mounted", "without the right to mount"],
)
def test_an_interrupted_change_leaves_an_index_that_answers_and_can_be_completed(
    verbs: tuple[str, ...], options: tuple[str, ...]
) -> None:
    chosen = [part for verb in verbs for part in ("--verb", verb)]
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.robustness.index_durability",
            "--seed",
            "1",
            *options,
            *chosen,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "defect" not in result.stderr
    for verb in verbs:
        for kind in ("kills", "full disk", "read-only"):
            assert f"{verb}: {kind}: " in result.stdout
