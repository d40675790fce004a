"""What a model is asked for an evaluation, and that a run which is killed loses little."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from db.errors import MismatchError, NotFoundError, UserError
from db.labels import OBSERVATIONS
from evaluation.outputs.names import (
    BASELINES,
    EXTRACTIVE,
    IMAGE_FINDINGS_WITHHELD,
    IMAGE_ONLY,
    NEAREST,
    WITH_INDICATION,
    WITH_RETRIEVAL,
    WITHOUT_RETRIEVAL,
)
from evaluation.outputs.rows import Outputs, ReportRow
from evaluation.outputs.writer import BATCH
from generator.prompts import Prompt
from tests.support.evaluations import ABOUT, HELD_OUT, Bench
from tests.support.models.scripted_model import ScriptedModel


def answer(prompt: Prompt) -> str:
    if prompt.task == "ask":
        return "Yes. [1]"
    return "Findings: The heart is enlarged. [1][2] Impression: Cardiomegaly. [1]"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench.make(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def model() -> ScriptedModel:
    return ScriptedModel(answer)


@pytest.fixture(scope="module")
def outputs(
    bench: Bench, model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> Outputs:
    return bench.write(model, tmp_path_factory.mktemp("out") / "outputs.jsonl")


def test_every_condition_shows_its_part_of_the_prompt(
    outputs: Outputs, model: ScriptedModel
) -> None:
    reports = [prompt.text for prompt in model.prompts if prompt.task == "report"]
    assert len(reports) == 5 * HELD_OUT
    alone = [text for text in reports if "Film:" not in text]
    assert len(alone) == HELD_OUT
    assert all(text.startswith("Prior cases: none\n\nWrite the") for text in alone)
    hinted = [text for text in reports if text.startswith("Prior cases: none\n\nFilm:")]
    assert len(hinted) == HELD_OUT
    asked = [text for text in reports if "Indication: Drawn to be tried." in text]
    assert len(asked) == HELD_OUT and all("[1]" in text.split("Film:")[0] for text in asked)
    assert all(prompt.image is not None for prompt in model.prompts)


def test_withheld_contexts_name_no_image_finding(bench: Bench, outputs: Outputs) -> None:
    references = bench.references(outputs)
    named = [
        {
            name
            for hit in references.hits(row.context)
            for name, state in hit.case.labels.items()
            if state == "positive"
        }
        for row in outputs.reports[IMAGE_FINDINGS_WITHHELD].values()
    ]
    assert len(named) == HELD_OUT and not any("Cardiomegaly" in names for names in named)
    assert any(names - {"No Finding"} for names in named)


def test_outputs_say_what_was_shown_and_written(bench: Bench, outputs: Outputs) -> None:
    again = Outputs.read(outputs.path)
    assert again.reports == outputs.reports and again.answers == outputs.answers
    assert set(again.reports) == {
        WITH_RETRIEVAL,
        WITHOUT_RETRIEVAL,
        IMAGE_ONLY,
        WITH_INDICATION,
        IMAGE_FINDINGS_WITHHELD,
        *BASELINES,
    }
    assert all(len(rows) == HELD_OUT for rows in again.reports.values())
    row = again.reports[WITH_RETRIEVAL][bench.studies[0].study_id]
    assert row.text == "Findings: The heart is enlarged. [1][2] Impression: Cardiomegaly. [1]"
    shown = bench.references(again).hits(row.context)
    assert [hit.rank for hit in shown] == list(range(1, len(shown) + 1)) and len(shown) > 1
    assert not again.reports[WITHOUT_RETRIEVAL][bench.studies[0].study_id].context
    assert set(again.classes[WITH_RETRIEVAL][bench.studies[0].study_id].probabilities) == set(
        OBSERVATIONS
    )
    assert again.images[bench.studies[0].study_id].sees
    extractive = again.reports[EXTRACTIVE][bench.studies[0].study_id].text
    assert extractive.startswith("Findings: ") and "] Impression: " in extractive


def test_the_nearest_case_is_the_first_hit(bench: Bench, outputs: Outputs) -> None:
    references = bench.references(outputs)
    for study_id, row in outputs.reports[NEAREST].items():
        first = outputs.images[study_id].hits[0][0]
        assert row.context == (first,) and row.text == references.indexed[first].findings


def test_a_killed_run_asks_only_for_what_is_missing(
    bench: Bench, outputs: Outputs, tmp_path: Path
) -> None:
    path = tmp_path / "outputs.jsonl"
    with pytest.raises(KeyboardInterrupt):
        bench.write(ScriptedModel(answer, fails_at=2 * BATCH), path)
    with path.open("a") as stream:
        stream.write('{"kind": "report", "system": "with retr')  # the line it was at
    model = ScriptedModel(answer)
    rest = bench.write(model, path)
    reports = sum(prompt.task == "report" for prompt in model.prompts)
    assert reports == 5 * HELD_OUT - (BATCH + HELD_OUT % BATCH)
    assert Outputs.read(path).reports == outputs.reports == rest.reports
    assert rest.answers == outputs.answers and rest.classes == outputs.classes
    quiet = ScriptedModel(answer)
    bench.write(quiet, path)
    assert not quiet.prompts


def test_nothing_remains_of_an_unfinished_line(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "outputs.jsonl"
    bench.open(path)
    with path.open("a") as stream:
        stream.write('{"kind": "report", "text": "' + "drawn " * 1000)
    outputs = bench.open(path)
    row = ReportRow(system=WITH_RETRIEVAL, study_id="7", text="Drawn.", context=("local/s1",))
    outputs.append([row])
    outputs.append([replace(row, study_id="8")])
    assert list(Outputs.read(path).reports[WITH_RETRIEVAL]) == ["7", "8"]
    assert path.read_text().endswith("}\n")


def test_outputs_of_other_weights_are_not_added_to(bench: Bench, outputs: Outputs) -> None:
    other = replace(outputs.about, weights_sha256="0" * 64)
    with pytest.raises(MismatchError, match=r"another run \(weights_sha256 '5c5c"):
        Outputs.open(outputs.path, other)
    renamed = replace(outputs.about, model="the same, elsewhere")
    assert Outputs.open(outputs.path, renamed).about.model == "scripted"


def test_scoring_refuses_another_index(bench: Bench, tmp_path: Path) -> None:
    outputs = Outputs.open(tmp_path / "o.jsonl", replace(ABOUT, index_fingerprint="abc"))
    with pytest.raises(MismatchError, match="was made with index abc, not"):
        bench.references(outputs)
    empty = bench.open(tmp_path / "empty.jsonl")
    with pytest.raises(UserError, match="has no study of split 'val'"):
        bench.references(empty)


@pytest.mark.parametrize(
    "line", ["{", '{"kind": "other"}', '{"kind": "film", "study_id": "1"}', "[]"]
)
def test_a_line_that_is_no_output_is_named(bench: Bench, tmp_path: Path, line: str) -> None:
    path = tmp_path / "outputs.jsonl"
    bench.open(path)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(UserError, match="line 2 is no output"):
        Outputs.read(path)


def test_rows_written_under_former_names_are_read(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "outputs.jsonl"
    bench.open(path)
    study = {"study_id": "1", "label_scores": None, "label_thresholds": None, "votes": {}}
    report = {"kind": "report", "study_id": "1", "text": "Clear."}
    lines = [
        {"kind": "film", **study, "hits": [["local/2", 0.5]]},
        {**report, "system": "film alone"},
        {**report, "system": "what the film shows withheld"},
        {**report, "system": "with retrieval"},
    ]
    with path.open("a") as stream:
        stream.write("".join(json.dumps(line) + "\n" for line in lines))
    outputs = Outputs.read(path)
    assert outputs.images["1"].hits == (("local/2", 0.5),)
    assert outputs.reports.keys() == {IMAGE_ONLY, IMAGE_FINDINGS_WITHHELD, WITH_RETRIEVAL}


def test_files_that_hold_no_outputs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "outputs.jsonl"
    with pytest.raises(NotFoundError, match="does not exist"):
        Outputs.read(path)
    for text in (
        "",
        "words\n",
        "{}\n",
        json.dumps({**ABOUT.__dict__, "format_version": 99}) + "\n",
    ):
        path.write_text(text)
        with pytest.raises(UserError, match="no outputs that this version reads"):
            Outputs.read(path)
