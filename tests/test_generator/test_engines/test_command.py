"""The command line and Python with a model that another server runs."""

import json
import warnings
from pathlib import Path

import pytest

from db.errors import UserError
from generator.__main__ import main
from generator.engines import server as requests
from grounded_cxr.generators import load_generator
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.fakes import ReportEncoder, write_studies
from tests.support.service.model_server import failed, model_server, repeated, streamed, text_of

ENCODER = ReportEncoder({"Cardiomegaly": 0.8})
TEXT = "Findings: The heart is enlarged. [4] Impression: Cardiomegaly. [1][4]"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PAUSES", (0.01,))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("index")
    build(JsonLines(write_studies(root, 8)), ENCODER, root / "index")
    return root


def run(root: Path, *more: str) -> int:
    return main(
        ["report", str(root / "index"), str(root / "2.png"), *more],
        open_retriever=lambda path: Retriever.open(path, ENCODER),
    )


def test_a_report_says_who_wrote_it_and_what_was_sent_where(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with model_server(repeated(lambda: streamed(TEXT))) as (address, chats):
        assert run(root, "--model", address, "--indication", "dyspnea", "--json") == 0
        out, said = capsys.readouterr()
        assert run(root, "--model", address, "--indication", "dyspnea", "--send-indication") == 0
        assert "and the indication; no patient or study id" in capsys.readouterr().err
    made = json.loads(out)
    assert made["generator"].startswith(f"{address}, prompts-")
    assert made["statements"][0]["text"] == "The heart is enlarged."
    assert made["notes"][0] == "the indication was not sent to the model server"
    assert said.startswith("note: the model server http://127.0.0.1:")
    assert "the question, and not the indication" in said
    assert ["dyspnea" in text_of(one) for one in chats] == [False, True]


def test_what_cannot_be_asked_is_one_sentence(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with model_server(failed(404)) as (address, chats):
        server = address.partition("#")[0]
        for model, said in (
            (f"{server}#other", "has no model 'other': name Drawn/VL-1B"),
            (f"{server}?tile=9#other", "'tile' is no setting of a model server"),
            ("openai+http://127.0.0.1:1/v1#a", "cannot be reached"),
            ("openai+https://models.example/v1#a", "say --allow-remote-model"),
        ):
            assert run(root, "--model", model) == 1
            out, err = capsys.readouterr()
            assert out == "" and err.startswith("error: ") and err.count("\n") == 1
            assert said in err
        assert run(root, "--model", "openai+http://m.example/v1#a", "--allow-remote-model") == 1
        assert "is not encrypted" in capsys.readouterr().err
        assert run(root, "--model", address, "--adapter", "runs/adapter") == 1
        assert "name one after '#'" in capsys.readouterr().err
    assert len(chats) == 1  # whether the model is there though not listed


def test_a_server_that_fails_meanwhile_leaves_an_extractive_report(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with model_server(failed(503)) as (address, _):
        assert run(root, "--model", address) == 0
    out = capsys.readouterr().out
    assert out.startswith("WARNING: Written without the language model: the model server http://")
    assert "FINDINGS" in out and "CITED CASES" in out


def test_python_takes_an_address_where_it_takes_a_model(root: Path) -> None:
    retriever = Retriever.open(root / "index", ENCODER)
    with model_server(repeated(lambda: streamed(TEXT))) as (address, _):
        generator = load_generator(address)
        with pytest.warns(UserWarning, match="is sent one picture of each study"):
            report = generator.report(retriever, root / "2.png")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            caption = generator.caption(retriever, root / "2.png")
    assert report.generation.generator.startswith(address) and report.cited_cases
    assert caption.statements
    with pytest.raises(UserError, match=r"models\.example"):
        load_generator("openai+https://models.example/v1#a")
