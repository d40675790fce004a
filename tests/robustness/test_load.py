"""Many clients at once, the short form of tests/robustness/load.py."""

import argparse
import asyncio
import os
import re
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.pipeline.backends import BackendRequest, ExtractiveBackend, Output
from generator.grounding.report import GroundedReport
from tests.robustness.load import closed, open_loop
from tests.support.service.services import a_png, an_app, free_port, serving, write_report

Measure = Callable[[argparse.Namespace, Sequence[bytes]], Coroutine[None, None, int]]
IMAGES = [a_png(seed, size=(64, 64)) for seed in range(12)]


def asked(address: str, **parts: Any) -> argparse.Namespace:
    given = {"path": "/reports", "case": None, "question": "", "key": None}
    given |= {"clients": 8, "seconds": 0.8, "sample": 6, "rate": 40.0, "pid": os.getpid()}
    return argparse.Namespace(address=address, **(given | parts))


class Numbering(ExtractiveBackend):
    """Says which image it writes about; ``shuffled`` gives each the text of another's."""

    def __init__(self, *, shuffled: bool = False, seconds: float = 0.05) -> None:
        super().__init__(write_report)
        self.shuffled = shuffled
        self.seconds = seconds

    def write(self, writings: Sequence[BackendRequest]) -> Iterator[tuple[int, Output]]:
        time.sleep(self.seconds)  # others come meanwhile, and are written about together
        made = [self._numbered(writing) for writing in writings]
        if self.shuffled:
            made = made[1:] + made[:1]
        yield from enumerate(made)

    def _numbered(self, writing: BackendRequest) -> GroundedReport:
        report = write_report(writing.retrieval)
        own = replace(report.statements[-1], text=f"Image {writing.images[0].sha256[:8]}.")
        return replace(report, statements=(*report.statements[:-1], own))


@pytest.mark.parametrize(("shuffled", "wrong"), [(False, 0), (True, 1)])
def test_no_text_is_lost_or_given_to_another_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shuffled: bool, wrong: int
) -> None:
    """And where they are, the measurement says so."""
    with serving(an_app(tmp_path, backend=Numbering(shuffled=shuffled))) as address:
        assert asyncio.run(closed(asked(address), IMAGES)) == wrong
    printed = capsys.readouterr().out
    assert "'201'" not in printed and "201:" in printed and "lost 0" in printed
    assert ("mixed up 0" in printed) is not shuffled
    assert re.search(r"^0\.\d+ s of the server's processor time an answer$", printed, re.MULTILINE)


def test_at_more_than_the_capacity_the_excess_is_refused_in_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = an_app(tmp_path, backend=Numbering(seconds=0.5), capacity=2)
    with serving(app) as address:
        assert asyncio.run(open_loop(asked(address, rate=10.0), IMAGES)) == 0
    printed = capsys.readouterr().out
    assert "503:" in printed and "refused late or without Retry-After: 0" in printed


class Failing(ExtractiveBackend):
    """Comes to nothing the first time."""

    def __init__(self) -> None:
        super().__init__(write_report)
        self.failed = False

    def write(self, writings: Sequence[BackendRequest]) -> Iterator[tuple[int, Output]]:
        if not self.failed:
            self.failed = True
            raise RuntimeError("no words come")
        return super().write(writings)


@pytest.mark.parametrize("measure", [closed, open_loop])
def test_a_request_that_fails_fails_the_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], measure: Measure
) -> None:
    with serving(an_app(tmp_path, backend=Failing())) as address:
        wanted = asked(address, clients=2, seconds=0.5, rate=10.0, sample=1)
        assert asyncio.run(measure(wanted, IMAGES)) == 1
    printed = capsys.readouterr().out
    assert "500: " in printed and "201: " in printed


def test_a_broken_connection_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    wanted = asked(nobody, clients=2, seconds=0.1, rate=20.0, sample=1)
    assert asyncio.run(open_loop(wanted, IMAGES)) == 1
    assert "answers {0: 2}" in capsys.readouterr().out
