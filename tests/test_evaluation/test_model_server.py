"""``python -m evaluation`` with a model that another server runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.__main__ import main
from generator.engines import server as requests
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.evaluations import write_split
from tests.support.fakes import ReportEncoder
from tests.support.pacs import Asked
from tests.support.service.model_server import (
    body_of,
    completion,
    failed,
    model_server,
    streamed,
    text_of,
)

ENCODER = ReportEncoder({"Cardiomegaly": 0.8})
SHORT = ("--limit", 2, "--resamples", 20, "--max-new-tokens", 8)
CONDITIONS = ("--conditions", "with retrieval")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluate")
    build(JsonLines(write_split(root / "data"), split="train"), ENCODER, root / "index")
    return root


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PAUSES", (0.01,))


def run(root: Path, verb: str, *more: object) -> int:
    return main(
        [
            *(verb, "--index", str(root / "index"), "--source", "jsonl", "--split", "val"),
            *("--data-dir", str(root / "data" / "studies.jsonl"), *map(str, more)),
        ],
        open_retriever=lambda path: Retriever.open(path, ENCODER),
    )


def says(asked: Asked) -> Any:
    if body_of(asked).get("stream"):
        return streamed("Findings: The heart is enlarged. [1] Impression: Cardiomegaly. [1]")
    return completion(*["yes"] * 8)


def test_a_run_stops_where_the_server_does_and_goes_on_from_there(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    works = False

    def moody(asked: Asked) -> Any:
        return says(asked) if works or body_of(asked).get("stream") else failed(503)

    with model_server(moody) as (address, chats):
        command = ("model", "--model", address, *CONDITIONS, *SHORT, "--out", tmp_path)
        asked = ("--tasks", "report", "classify")
        assert run(root, *command, *asked) == 1
        said = capsys.readouterr().err
        assert "error: the model server" in said and "is busy or broken (status 503)" in said
        assert "is sent one picture of each study" in said
        written = [one for one in chats if body_of(one).get("stream")]
        works = True
        assert run(root, *command, *asked) == 0
        assert [one for one in chats if body_of(one).get("stream")] == written
    out, said = capsys.readouterr()
    assert "shares of 8 drawn answers" in said
    assert f"computed: at {address.removeprefix('openai+').partition('#')[0]}" in out
    lines = [json.loads(line) for line in (tmp_path / "outputs.jsonl").read_text().splitlines()]
    assert lines[0]["model"] == address
    assert len([one for one in lines if one.get("system") == "with retrieval"]) == 4


def test_the_indication_is_a_condition_only_where_it_may_be_sent(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with model_server(says) as (address, chats):
        command = ("model", "--model", address, *SHORT, "--tasks", "report", "--out", tmp_path)
        condition = ("--conditions", "with retrieval", "with retrieval and indication")
        assert run(root, *command, *condition) == 1
        assert "say --send-indication" in capsys.readouterr().err and not chats
        assert run(root, *command, *condition, "--send-indication") == 0
    texts = [text_of(one) for one in chats]
    assert ["Indication:" in text for text in texts].count(True) == 2 == len(texts) - 2


def test_a_model_on_a_server_is_not_calibrated(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.classification.calibration.MIN_STUDIES", 2)
    monkeypatch.setattr("evaluation.classification.calibrate.MIN_STUDIES", 2)
    address = "openai+http://127.0.0.1:9/v1#drawn"
    assert run(root, "calibrate", "--model", address, "--out", tmp_path) == 1
    assert "calibrate the index, without --model" in capsys.readouterr().err


def test_prompts_for_another_machine_can_be_answered_by_its_server(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts, answers = tmp_path / "prompts", tmp_path / "answers"
    with model_server(says) as (address, _):
        few = ("model", "--model", address, *CONDITIONS, *SHORT, "--tasks", "report")
        assert run(root, *few, "--write-prompts", prompts) == 0
        there = ("answer", "--prompts", prompts, "--model", address, "--out", answers)
        assert main([*map(str, there)]) == 0
        assert run(root, *few, "--answers", answers, "--out", tmp_path / "out") == 0
    assert "computed: at http://127.0.0.1" in capsys.readouterr().out
    assert main([*map(str, (*there[:-1], tmp_path / "x", "--quantization", "nf4"))]) == 1
    assert "the server chooses the quantization" in capsys.readouterr().err
