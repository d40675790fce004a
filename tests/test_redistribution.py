"""No sentence of the Open-I reports is passed on in this repository."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from indexer.sources.openi import packaged_reports, read_reports
from tests.conftest import ROOT, tracked_files

RUN = 12
"""Words in a row that count as taken from a report."""
STANDARD = 5
"""Runs in more reports than this are nobody's: the field's standard sentences."""


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def runs(text: str) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + RUN]) for i in range(len(found) - RUN + 1)}


@pytest.fixture(scope="module")
def report_runs() -> dict[tuple[str, ...], int]:
    """Runs of words to the number of reports that hold them, standard ones left out."""
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    for sections in read_reports(packaged_reports()).values():
        for run in set().union(*(runs(text) for text in sections.values())):
            counts[run] += 1
    return {run: count for run, count in counts.items() if count <= STANDARD}


def shared(text: str, report_runs: dict[tuple[str, ...], int]) -> list[str]:
    return [" ".join(run) for run in runs(text) if run in report_runs]


def test_no_tracked_text_shares_a_run_of_words_with_a_report(
    report_runs: dict[tuple[str, ...], int],
) -> None:
    taken = {}
    for path in tracked_files():
        try:
            found = shared(path.read_text(encoding="utf-8"), report_runs)
        except UnicodeDecodeError:
            continue
        if found:
            taken[str(path.relative_to(ROOT))] = found[:2]
    assert not taken


def test_a_copied_report_is_found(report_runs: dict[tuple[str, ...], int]) -> None:
    for sections in read_reports(packaged_reports()).values():
        if any(run in report_runs for run in runs(sections["findings"])):
            quoted = f"# {sections['findings'].upper()}\n"
            assert shared(quoted, report_runs)
            return
    pytest.fail("the archive holds no report that is anybody's own")


def test_the_archive_is_found_without_importing_its_package() -> None:
    import sys

    packaged_reports()
    assert "torchxrayvision" not in sys.modules
    assert isinstance(packaged_reports(), Path)
