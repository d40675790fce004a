"""The tables of docs/results.md: what an evaluation measured, and nothing else."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.outputs.names import EXTRACTIVE, SERVED, WITH_RETRIEVAL, WITHOUT_RETRIEVAL
from evaluation.provenance import machine
from evaluation.scores import score
from generator.assessment.calibration import Calibration
from generator.prompts import Prompt
from results import labellers
from results.make_tables import BEGIN, END, FIGURES, PAGE, main, read_json, with_table
from results.tables import figure, machine_line, plain_command
from tests.support.evaluations import Bench
from tests.support.models.scripted_model import ScriptedModel

EMPTY = f"# Title\n\n{BEGIN}\nold\n{END}\n\nThe end.\n"
RUN = {
    "date": "2026-01-02T03:04:05+00:00",
    "command": "python -m evaluation model --model m --data-dir /away/openi --split val",
    "machine": {"processor": "Drawn CPU", "cores": 3, "memory_gb": 8, "gpu": None},
}


def says(prompt: Prompt) -> str:
    if prompt.task == "ask":
        return "Yes. [1]"
    return "Findings: The heart is enlarged. [1] The lungs are clear. Impression: Normal. [2]"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """``evaluation.json`` of a drawn split."""
    folder = tmp_path_factory.mktemp("results")
    bench = Bench.make(folder)
    outputs = bench.write(ScriptedModel(says), folder / "outputs.jsonl", tasks=("report", "ask"))
    outputs.about = replace(outputs.about, computed="Drawn GPU, none")
    scores = score(
        outputs,
        bench.references(outputs),
        bench.retriever.index.manifest,
        calibration=Calibration(),
        resamples=20,
    )
    found: dict[str, Any] = json.loads(json.dumps({"run": RUN, **scores.document()}))
    [grounding] = [one for one in found["tables"] if one["title"] == "Grounding"]
    grounding["rows"]["precision, numbers exchanged"][WITH_RETRIEVAL]["interval"]["value"] = 0.123
    judged = {"interval": {"value": 0.91, "low": 0.8, "high": 1.0}, "count": [91, 100]}
    table = {"title": "Citations judged by reading", "rows": {"agreement": {"pairs": judged}}}
    found["tables"].append({**table, "notes": []})
    return found


@pytest.fixture
def place(tmp_path: Path, document: dict[str, Any]) -> Path:
    (tmp_path / "results.md").write_text(EMPTY)
    (tmp_path / "val.json").write_text(json.dumps(document))
    return tmp_path


def run(place: Path, *more: str) -> int:
    here = ["--figures", str(place / "results.json"), "--page", str(place / "results.md")]
    return main([*here, *more])


def table(place: Path, corner: str) -> dict[str, dict[str, list[float]]]:
    """The numbers of one table, by row and column."""
    lines = iter((place / "results.md").read_text().splitlines())
    head = next(line for line in lines if line.startswith(f"| {corner} |"))
    columns = [cell.strip() for cell in head.split("|")[2:-1]]
    assert set(next(lines)) == {"|", "-"}
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        name, *cells = [cell.strip() for cell in line.split("|")[1:-1]]
        numbers = [[float(n) for n in re.findall(r"[-+]?\d*\.\d+", cell)] for cell in cells]
        rows[name.strip("*")] = dict(zip(columns, numbers, strict=True))
    return rows


def test_the_table_holds_the_figures_of_the_evaluation(
    place: Path, document: dict[str, Any]
) -> None:
    assert run(place, "--val", str(place / "val.json")) == 0
    whole = document["subsets"][0]
    shown = table(place, "reports")
    assert (
        {SERVED, WITH_RETRIEVAL, WITHOUT_RETRIEVAL, EXTRACTIVE}
        <= shown.keys()
        == whole["figures"].keys()
    )
    for system, cells in shown.items():
        for metric in ("CIDEr", "ROUGE-L", "label micro-F1"):
            wanted = whole["figures"][system].get(metric)
            numbers = [] if wanted is None else [wanted[k] for k in ("value", "low", "high")]
            assert cells[metric] == pytest.approx(numbers, abs=6e-4), (system, metric)
    paired = table(place, f"{SERVED} minus")[WITHOUT_RETRIEVAL]["CIDEr"]
    assert paired[0] == pytest.approx(
        whole["differences"][WITHOUT_RETRIEVAL]["CIDEr"]["value"], abs=6e-4
    )
    cited = table(place, "citations, before any repair")["numbers whose case says the sentence"]
    assert cited["numbers exchanged"][0] == 0.123 != cited["as written"][0]
    judged = table(place, "citations judged by reading")
    assert judged == {"agreement": {"pairs": [0.91, 0.8, 1.0]}}
    [asked] = [one for one in document["tables"] if one["title"] == "Questions: made from reports"]
    right = table(place, "questions made from reports")[WITH_RETRIEVAL]["closed accuracy"]
    wanted = asked["rows"]["closed accuracy"][WITH_RETRIEVAL]["interval"]
    assert right == pytest.approx([wanted[k] for k in ("value", "low", "high")], abs=6e-4)


def test_the_page_says_where_figures_come_from(place: Path, document: dict[str, Any]) -> None:
    run(place, "--val", str(place / "val.json"))
    text = (place / "results.md").read_text()
    assert text.startswith("# Title\n") and text.endswith("\n\nThe end.\n") and "old" not in text
    assert "answered on Drawn GPU (quantization none), scored on Drawn CPU, 3 cores, 2026" in text
    assert document["about"]["weights_sha256"][:12] in text
    assert "`python -m evaluation model --model m --data-dir openi --split val`" in text
    kept = (place / "results.json").read_text()
    assert "enlarged" not in kept and "lungs" not in kept and "/away" not in kept


def test_the_committed_figures_alone_give_the_same_table(place: Path) -> None:
    run(place, "--val", str(place / "val.json"))
    first = (place / "results.md").read_text()
    (place / "results.md").write_text(EMPTY)
    assert run(place) == 0
    assert (place / "results.md").read_text() == first


def test_vqa_rad_follows_the_splits(place: Path) -> None:
    cell = {"interval": {"value": 0.61, "low": 0.5, "high": 0.7, "dropped": 0}, "count": None}
    less = {"interval": {"value": -0.02, "low": -0.1, "high": 0.05, "dropped": 0}, "count": None}
    figures = {
        **RUN,
        "prepared": {"prompt_version": "prompts-0", "images": 7},
        "folds": [{"computed": "Drawn GPU, none", "weights_sha256": "a" * 64}],
        "table": {
            "rows": {
                "closed accuracy": {WITH_RETRIEVAL: cell, WITHOUT_RETRIEVAL: cell},
                f"closed accuracy: {WITH_RETRIEVAL} minus": {WITHOUT_RETRIEVAL: less},
            }
        },
    }
    (place / "vqa.json").write_text(json.dumps(figures))
    assert run(place, "--vqa-rad", str(place / "vqa.json")) == 0
    assert table(place, "questions of VQA-RAD")[WITH_RETRIEVAL]["closed accuracy"] == [
        0.61,
        0.5,
        0.7,
    ]
    minus = table(place, f"{WITH_RETRIEVAL} minus")[WITHOUT_RETRIEVAL]["closed accuracy"]
    assert minus == [-0.02, -0.1, 0.05]
    assert run(place, "--val", str(place / "val.json")) == 0
    assert table(place, "questions of VQA-RAD")[WITH_RETRIEVAL]["closed accuracy"] == [
        0.61,
        0.5,
        0.7,
    ]


def test_mismatched_figures_are_refused_and_nothing_is_written(
    place: Path, document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    val = str(place / "val.json")
    other = {**document["about"], "split": "test", "weights_sha256": "b" * 64}
    (place / "test.json").write_text(json.dumps({**document, "about": other}))
    old = {key: value for key, value in document.items() if key != "run"}
    (place / "old.json").write_text(json.dumps(old))
    (place / "bare.md").write_text("no marks")
    for more, message in (
        (("--test", val), "this is an evaluation of val, not test"),
        (("--val", val, "--test", str(place / "test.json")), "val is of weights 5c5c"),
        (("--val", str(place / "old.json")), "'run' is missing"),
        (("--val", str(place / "results.md")), "cannot be read as JSON"),
        (("--vqa-rad", val), "holds no figures of VQA-RAD"),
        (("--val", val, "--page", str(place / "bare.md")), f"the page needs {BEGIN}"),
    ):
        assert run(place, *more) == 1
        assert message in capsys.readouterr().err
    assert (place / "results.md").read_text() == EMPTY
    assert not (place / "results.json").exists()


def test_numbers_have_three_decimals_and_no_leading_zero() -> None:
    assert figure([0.5071, 0.336, 1.0372]) == ".507 [.336, 1.037]"
    assert figure([-0.0119, -0.054, 0.034], signed=True) == "-.012 [-.054, +.034]"
    assert figure([0.02, -0.01, 0.05, 0.031], signed=True) == "+.020 [-.010, +.050] p .031"
    assert figure([0.02, 0.01, 0.05, 0.0001], signed=True) == "+.020 [+.010, +.050] p <.001"
    assert figure(None) == "" and figure([None, None, None]) == "-"
    assert plain_command("python x --data ../shared/openi 'a b'") == "python x --data openi 'a b'"


def test_the_machine_is_this_one() -> None:
    found = machine(gpu=False)
    assert found["cores"] >= 1 and found["processor"] and found["gpu"] is None
    assert machine_line({**found, "gpu": "Drawn GPU"}).endswith("cores, Drawn GPU")


def test_the_committed_page_holds_what_the_committed_figures_give() -> None:
    page = PAGE.read_text(encoding="utf-8")
    figures = read_json(FIGURES) if FIGURES.is_file() else {}
    assert with_table(page, figures) == page


AGREED = {"labeller": "rules-8", "split": "val", "studies": 9, "mean F1": 0.5, "No Finding": 0.25}


def tell_versions(place: Path, *more: str) -> int:
    here = ["--figures", str(place / "versions.json"), "--page", str(place / "results.md")]
    return labellers.main([*here, *more])


def test_labeller_versions_stand_side_by_side(place: Path, document: dict[str, Any]) -> None:
    page = place / "results.md"
    page.write_text(f"Before.\n{labellers.BEGIN}\nZebra\n{labellers.END}\nAfter.\n")
    document = {**document, "about": {**document["about"], "labeller": "rules-9"}}
    (place / "val.json").write_text(json.dumps(document))
    (place / "agreed.json").write_text(json.dumps(AGREED))
    given = ["--evaluation", str(place / "val.json"), "--agreement", str(place / "agreed.json")]
    assert tell_versions(place, *given) == 0
    text = page.read_text()
    assert text.startswith("Before.\n") and text.endswith("After.\n") and "Zebra" not in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == "| | `rules-8` | `rules-9` |"
    assert "| mean F1 of six common findings against these labels | .500 |  |" in lines
    wanted = document["subsets"][0]["figures"][SERVED]["CIDEr"]
    shown = figure([wanted[key] for key in ("value", "low", "high")])
    assert f"| report as served: CIDEr |  | {shown} |" in lines
    page.write_text(text.replace(shown, "lost"))
    assert tell_versions(place) == 0 and page.read_text() == text


def test_an_agreement_of_another_split_or_form_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file, said in (
        ({**AGREED, "split": "train"}, "is on train, not val"),
        ({}, "no agreement"),
    ):
        (place / "agreed.json").write_text(json.dumps(file))
        assert tell_versions(place, "--agreement", str(place / "agreed.json")) == 1
        assert said in capsys.readouterr().err


def test_the_table_of_versions_on_the_page_is_that_of_the_committed_figures() -> None:
    page = PAGE.read_text(encoding="utf-8")
    table = labellers.table(read_json(labellers.FIGURES))
    assert f"{labellers.BEGIN}\n\n{table}\n\n{labellers.END}" in page
