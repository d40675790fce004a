"""Figures in the documentation are those that were measured and committed."""

import json
import re

import pytest

from results.tables import figure
from tests.conftest import ROOT

RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
INTERVAL = re.compile(r"[+-]?\d?\.\d{3} \[[+-]?\d?\.\d{3}, [+-]?\d?\.\d{3}\]")


@pytest.mark.parametrize("page", ["README.md", "docs/goals.md"])
def test_every_figure_with_an_interval_is_one_of_the_results(page: str) -> None:
    figures = INTERVAL.findall((ROOT / page).read_text(encoding="utf-8"))
    assert len(figures) > 4
    assert not [figure for figure in figures if figure not in RESULTS]


def test_the_agreement_with_a_reader_is_that_of_the_filled_forms() -> None:
    page = (ROOT / "docs" / "citation-benchmark.md").read_text(encoding="utf-8")
    read = json.loads((ROOT / "results" / "citation_readings.json").read_text(encoding="utf-8"))
    assert f"`{read['about']['forms']['labeller']}`: agreement" in page
    for row in ("the check agrees with A", "kappa of the check and A"):
        interval = read["tables"][0]["rows"][row]["all"]["interval"]
        shown = figure([interval[name] for name in ("value", "low", "high")])
        assert shown in " ".join(page.split()), row


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
