"""The leaderboard of docs/citation-benchmark.md: made by one command, and nothing else."""

from pathlib import Path

import pytest

from evaluation.outputs.names import EXTRACTIVE, SERVED
from generator.prompts import Prompt
from results import common_studies
from results.citation_leaderboard import BEGIN, END, FIGURES, PAGE, main, tables
from results.make_tables import read_json
from results.tables import figure
from tests.support.evaluations import HELD_OUT, Bench
from tests.support.models.scripted_model import ScriptedModel

EMPTY = f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n"


def says(prompt: Prompt) -> str:
    return "Findings: The heart is enlarged. [1] Impression: Cardiomegaly. [2]"


@pytest.fixture
def place(tmp_path: Path) -> list[str]:
    (tmp_path / "page.md").write_text(EMPTY)
    return ["--figures", str(tmp_path / "kept.json"), "--page", str(tmp_path / "page.md")]


def test_one_command_writes_twelve_systems_scores_them_and_tells_them_on_the_page(
    tmp_path: Path, place: list[str]
) -> None:
    bench = Bench.make(tmp_path)
    outputs = bench.write(ScriptedModel(says), tmp_path / "outputs.jsonl", tasks=("report",))
    data = ["--source", "jsonl", "--data-dir", str(tmp_path / "studies.jsonl")]
    made = [*place, "--work", str(tmp_path), "--outputs", str(outputs.path), *data]
    assert main(made, open_retriever=lambda path: bench.retriever) == 0
    kept = read_json(tmp_path / "kept.json")
    scored = read_json(tmp_path / "scores" / "leaderboard.json")["tables"]
    text = (tmp_path / "page.md").read_text()
    assert text.startswith("Before.\n") and text.endswith("After.\n") and "\nold\n" not in text
    assert f"{HELD_OUT} studies" in text
    for table in scored:
        assert len(table["rows"]) == 12
        for measure, cell in table["rows"][SERVED].items():
            stored = kept["tables"][table["title"]][SERVED][measure]
            wanted = [cell["interval"][name] for name in ("value", "low", "high")]
            assert stored[:3] == pytest.approx(wanted, abs=1e-6, nan_ok=True)
            assert figure(stored) in text
    said = (tmp_path / "kept.json").read_text()
    assert "enlarged" not in said and str(tmp_path) not in said
    (tmp_path / "page.md").write_text(EMPTY)
    assert main(place) == 0 and (tmp_path / "page.md").read_text() == text


def test_a_failed_step_leaves_figures_and_page_as_they_were(
    tmp_path: Path, place: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "index").mkdir()
    assert main([*place, "--work", str(tmp_path), "--outputs", str(tmp_path / "none")]) == 1
    assert "the leaderboard stays as it was" in capsys.readouterr().err
    assert main([*place, "--data-dir", "openi"]) == 1
    assert "with --work" in capsys.readouterr().err
    assert (tmp_path / "page.md").read_text() == EMPTY
    assert not (tmp_path / "kept.json").exists()


def test_the_committed_page_holds_what_the_committed_figures_give() -> None:
    text = f"\n{tables(read_json(FIGURES))}\n\n" if FIGURES.is_file() else ""
    assert f"{BEGIN}\n{text}{END}" in PAGE.read_text(encoding="utf-8")


def test_models_are_scored_on_the_studies_that_all_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench.make(tmp_path)
    whole = bench.write(ScriptedModel(says), tmp_path / "outputs.jsonl", tasks=("report",))
    some = tmp_path / "some.jsonl"
    lines = whole.path.read_text().splitlines(keepends=True)
    some.write_text("".join(line for line in lines if '"study_id": "s24"' not in line))
    page, kept = tmp_path / "page.md", tmp_path / "kept.json"
    page.write_text(f"Before.\n{common_studies.BEGIN}\nold\n{common_studies.END}\n")
    place = ["--page", str(page), "--figures", str(kept)]
    named = ["--outputs", "whole", str(whole.path), "--outputs", "slow", str(some)]
    assert common_studies.main([*place, *named]) == 1
    assert "name the --index" in capsys.readouterr().err and not kept.exists()
    data = ["--source", "jsonl", "--data-dir", str(tmp_path / "studies.jsonl")]
    made = ["--index", str(tmp_path / "index"), "--work", str(tmp_path / "work"), *data, *named]
    assert common_studies.main([*place, *made], open_retriever=lambda path: bench.retriever) == 0
    figures, text = read_json(kept), page.read_text()
    assert figures["about"]["studies"] == HELD_OUT - 1
    assert {"whole", "slow", "slow, as served", EXTRACTIVE} <= figures["tables"]["Copying"].keys()
    assert f"{HELD_OUT - 1} of the {HELD_OUT} studies" in text and "| slow, as served |" in text
    assert "enlarged" not in kept.read_text() and str(tmp_path) not in kept.read_text()
    page.write_text(f"Before.\n{common_studies.BEGIN}\nold\n{common_studies.END}\n")
    assert common_studies.main(place) == 0 and page.read_text() == text


def test_the_page_holds_what_the_figures_of_common_studies_give() -> None:
    text = (
        f"\n{common_studies.tables(read_json(common_studies.FIGURES))}\n\n"
        if common_studies.FIGURES.is_file()
        else ""
    )
    assert f"{common_studies.BEGIN}\n{text}{common_studies.END}" in common_studies.PAGE.read_text(
        encoding="utf-8"
    )
