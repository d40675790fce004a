"""Figures in the documentation are those that were measured and committed."""

import json
import re

import pytest

from results import citation_readings
from results.tables import figure
from tests.conftest import ROOT

RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
INTERVAL = re.compile(r"[+-]?\d?\.\d{3} \[[+-]?\d?\.\d{3}, [+-]?\d?\.\d{3}\]")


@pytest.mark.parametrize("page", ["README.md", "docs/goals.md"])
def test_every_figure_with_an_interval_is_one_of_the_results(page: str) -> None:
    figures = INTERVAL.findall((ROOT / page).read_text(encoding="utf-8"))
    assert len(figures) > 4
    assert not [figure for figure in figures if figure not in RESULTS]


def test_the_agreement_with_readers_is_that_of_the_filled_forms() -> None:
    page = (ROOT / "docs" / "citation-benchmark.md").read_text(encoding="utf-8")
    readings = json.loads(citation_readings.READINGS.read_text(encoding="utf-8"))
    assert f"`{readings['about']['labeller']}`: agreement" in page
    block = page.partition(citation_readings.BEGIN)[2].partition(citation_readings.END)[0]
    assert block == f"\n\n{citation_readings.written(readings)}\n\n"
    limits = " ".join(page.partition("## Limits")[2].split())
    for row, cells in readings["tables"]["Sentences and the reports they cite, as read"].items():
        if "check and" in row or "agrees" in row:
            assert row == "kappa of A and B" or figure(cells["all"]) in limits, row
    for table in citation_readings.tables(readings, resamples=20):
        for row, figures in table.rows.items():
            for column, one in figures.items():
                kept = readings["tables"][table.title][row][column][0]
                assert kept == pytest.approx(one.interval.value, nan_ok=True) or kept is None


def test_the_retrieval_table_is_the_last_retrieval_run_of_the_test_log() -> None:
    log = (ROOT / "results" / "test_log.jsonl").read_text().splitlines()
    runs = [json.loads(line)["figures"] for line in log]
    figures = [run for run in runs if "random cases" in run][-1]
    systems = {
        "a random case": "random cases",
        "nearest case, ImageNet features": "nearest case by imagenet, both",
        "**nearest case**, both views": "nearest case by pretrained/encoder, both",
        "label head, both views": "label head of pretrained/encoder, both",
    }
    header = next(line for line in RESULTS.splitlines() if line.startswith("| system"))
    metrics = [cell.strip() for cell in header.strip("| ").split("|")][1:]
    for name, system in systems.items():
        line = next(line for line in RESULTS.splitlines() if line.startswith(f"| {name} |"))
        cells = [cell.strip() for cell in line.split("|")[2:-1]]
        for metric, cell in zip(metrics, cells, strict=True):
            shown = [float(number) for number in re.findall(r"\d*\.\d+", cell)]
            assert shown == pytest.approx(figures[system].get(metric, []), abs=6e-4), (name, metric)
