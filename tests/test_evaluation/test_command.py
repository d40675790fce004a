"""``python -m finetune evaluate`` and ``calibrate``, with a tiny Llama that was never trained."""

import argparse
import json
from pathlib import Path

import pytest
from PIL import Image

from db.errors import UserError
from evaluation.command import add_calibrate_to, add_to
from evaluation.machine import machine
from evaluation.outputs.prompts import read_prompts
from evaluation.run import calibrate_model, evaluate_model
from finetune.__main__ import main
from generator.calibration import Calibration
from generator.mllama.checkpoint import base_sha256
from generator.prompts import PROMPT_VERSION
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.evaluations import HELD_OUT, write_split
from tests.support.fakes import ReportEncoder
from tests.support.mllama_models import write_adapter, write_mllama
from tests.support.radiographs import draw_radiograph

MODEL = ("--device", "cpu", "--max-new-tokens", 8, "--model")
ENCODER = ReportEncoder({"Cardiomegaly": 0.8})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluate")
    path = write_split(root / "data")
    build(JsonLines(path, split="train"), ENCODER, root / "index")
    write_mllama(root / "model")
    return root


def run(root: Path, verb: str, *more: object, split: str = "val") -> None:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers()
    add_to(verbs)
    add_calibrate_to(verbs)
    arguments = parser.parse_args(
        [
            *(verb, "--index", str(root / "index"), "--source", "jsonl", "--split", split),
            *("--data-dir", str(root / "data" / "studies.jsonl"), *map(str, more)),
        ]
    )
    command = {"evaluate": evaluate_model, "calibrate": calibrate_model}[verb]
    command(arguments, open_retriever=lambda path: Retriever.open(path, ENCODER))


def test_a_model_is_evaluated_calibrated_and_scored_again(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vqa" / "images").mkdir(parents=True)
    questions = []
    for number in range(5):
        name = f"{number}.png"
        Image.fromarray(draw_radiograph(number, size=(80, 60))).save(
            tmp_path / "vqa" / "images" / name
        )
        questions.append(
            {"qid": number, "image_name": name, "question": "Is it drawn?", "answer": "yes"}
            | {"answer_type": "CLOSED"}
        )
    (tmp_path / "vqa" / "train.json").write_text(json.dumps(questions))
    few = ("--limit", 3, "--resamples", 20, "--out", tmp_path / "out")
    model = (*MODEL, root / "model", "--vqa-rad", tmp_path / "vqa")
    run(root, "evaluate", *model, *few)
    table = capsys.readouterr().out
    assert "== Questions: VQA-RAD ==" in table and "== Classification: AUC-ROC ==" in table
    assert f"{HELD_OUT - 3} studies of the split are not in the outputs" in table
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        *("outputs.jsonl", "sentences.jsonl", "evaluation.json", "evaluation.txt"),
        *("roc.png", "reliability.png"),
    }
    made = json.loads((tmp_path / "out" / "evaluation.json").read_text())["run"]
    assert made["machine"] == machine(gpu=False)
    assert made["command"].startswith("python -m finetune") and made["date"][:2] == "20"
    outputs = ("--outputs", tmp_path / "out" / "outputs.jsonl", "--resamples", 20)
    run(root, "evaluate", *outputs)
    assert capsys.readouterr().out == table
    run(root, "calibrate", *outputs[:2])
    calibration = Calibration.read(root / "model" / "calibration.json")
    assert calibration.fitted_on.startswith("3 studies, val of local")
    run(root, "calibrate", *outputs[:2])
    kept = root / "model" / "calibration.json.before"
    assert Calibration.read(kept) == calibration and str(kept) in capsys.readouterr().out
    run(root, "evaluate", *outputs, "--json")
    document = json.loads(capsys.readouterr().out)
    [note] = {table["notes"][0] for table in document["tables"] if "Classif" in table["title"]}
    assert calibration.fitted_on in note


def test_weights_meet_the_test_split_once(root: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    model = (*MODEL, root / "model", "--tasks", "report")
    test = (*model, "--conditions", "with retrieval", "--out", tmp_path / "out", "--test-log", log)
    again = ("--outputs", tmp_path / "out" / "outputs.jsonl", "--test-log", log, "--resamples", 20)
    with pytest.raises(UserError, match="the test split is met once and whole"):
        run(root, "evaluate", *test, "--limit", 3, split="test")
    run(root, "evaluate", *test, "--resamples", 20, split="test")
    [line] = log.read_text().splitlines()
    entry = json.loads(line)
    assert entry["model"] == str(root / "model") and entry["again"] is None
    assert "Grounding" in entry["figures"] and "CIDEr" in entry["figures"]["with retrieval"]
    with pytest.raises(UserError, match="give a reason with --again"):
        run(root, "evaluate", *again, split="test")
    run(root, "evaluate", *again, "--again", "a drawn reason", split="test")
    assert json.loads(log.read_text().splitlines()[1])["again"] == "a drawn reason"


def test_another_machine_can_answer(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = (
        *MODEL,
        root / "model",
        "--limit",
        2,
        "--conditions",
        "with retrieval",
        "--resamples",
        20,
    )
    run(root, "evaluate", *few, "--write-prompts", tmp_path / "prompts")
    [said] = capsys.readouterr().out.splitlines()
    assert said.endswith(f"prompts are in {tmp_path / 'prompts'}")
    there = ("--device", "cpu", "--prompts", str(tmp_path / "prompts"))
    answers = tmp_path / "answers"
    assert main(["answer", *there, "--model", str(root / "model"), "--out", str(answers)]) == 0
    run(root, "evaluate", *few, "--answers", answers, "--out", tmp_path / "out")
    assert "computed: cpu, auto" in capsys.readouterr().out


def test_another_machine_can_be_asked_what_calibration_needs(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts"
    run(root, "calibrate", *MODEL, root / "model", "--limit", 2, "--write-prompts", prompts)
    assert capsys.readouterr().out == f"28 prompts are in {prompts}\n"
    assert {line["task"] for line in read_prompts(prompts)} == {"classify"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "name a --model to write outputs, or --outputs"),
        (("--model", "m", "--outputs", "o"), "name a --model to write outputs, or --outputs"),
        (("--model", "m"), "name a directory for what the model writes with --out"),
        (("--outputs", "none.jsonl"), "none.jsonl does not exist: make it with --model"),
        (("--model", "m", "--out", "o", "--resamples", "0"), "at least one resample, got 0"),
        (("--model", "m", "--out", "o", "--source", "openi"), "has no splits .* --split-file"),
    ],
)
def test_what_cannot_be_evaluated_says_what_to_do(
    root: Path, more: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run(root, "evaluate", *more)


def test_an_adapter_of_another_encoder_is_refused_before_it_is_asked(
    root: Path, tmp_path: Path
) -> None:
    record = {
        "base_model": "model",
        "base_sha256": base_sha256(root / "model"),
        "prompt_version": PROMPT_VERSION,
        "index_fingerprint": "f" * 64,
        "encoder_sha256": "e" * 64,
    }
    adapter = write_adapter(tmp_path / "adapter", root / "model", record=record)
    model = (*MODEL, root / "model", "--adapter", adapter)
    for more in (("--out", tmp_path / "out"), ("--write-prompts", tmp_path / "prompts")):
        with pytest.raises(UserError, match="label scores of another encoder"):
            run(root, "evaluate", *model, *more)
    assert not (tmp_path / "out").exists() and not (tmp_path / "prompts").exists()
