"""``python -m evaluation`` with a tiny Llama that was never trained."""

import importlib
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from db.errors import UserError
from evaluation.__main__ import main
from evaluation.outputs.prompts import read_prompts
from evaluation.provenance import machine
from generator.assessment.calibration import Calibration
from generator.mllama.checkpoint import base_sha256
from generator.prompts import PROMPT_VERSION
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.evaluations import HELD_OUT, write_split
from tests.support.fakes import ReportEncoder
from tests.support.models.mllama_models import write_adapter, write_mllama
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


def run(root: Path, verb: str, *more: object, split: str = "val") -> int:
    return main(
        [
            *(verb, "--index", str(root / "index"), "--source", "jsonl", "--split", split),
            *("--data-dir", str(root / "data" / "studies.jsonl"), *map(str, more)),
        ],
        open_retriever=lambda path: Retriever.open(path, ENCODER),
    )


def test_a_model_is_evaluated_calibrated_and_scored_again(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
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
    assert run(root, "model", *model, *few) == 0
    table = capsys.readouterr().out
    assert "== Questions: VQA-RAD ==" in table and "== Classification: AUC-ROC ==" in table
    assert f"without outputs: {HELD_OUT - 3} studies of the split" in table
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        *("outputs.jsonl", "sentences.jsonl", "evaluation.json", "evaluation.txt"),
        *("roc.png", "reliability.png", "report.html"),
    }
    made = json.loads((tmp_path / "out" / "evaluation.json").read_text())["run"]
    assert made["machine"] == machine(gpu=False)
    assert made["command"].startswith("python -m evaluation model") and made["date"][:2] == "20"
    outputs = ("--outputs", tmp_path / "out" / "outputs.jsonl", "--resamples", 20)
    assert run(root, "model", *outputs) == 0
    assert capsys.readouterr().out == table
    assert run(root, "calibrate", *outputs[:2]) == 1
    assert "3 studies are too few to calibrate on: 20 are needed" in capsys.readouterr().err
    assert not (root / "model" / "calibration.json").exists()
    monkeypatch.setattr("evaluation.classification.calibration.MIN_STUDIES", 3)
    monkeypatch.setattr("evaluation.classification.calibration.MIN_NAMED", 1)
    assert run(root, "calibrate", *outputs[:2]) == 0
    calibration = Calibration.read(root / "model" / "calibration.json")
    assert calibration.fitted_on.startswith("3 studies, val of local")
    assert run(root, "calibrate", *outputs[:2]) == 0
    kept = root / "model" / "calibration.json.before"
    assert Calibration.read(kept) == calibration and str(kept) in capsys.readouterr().out
    kept.write_text("the first")
    assert run(root, "calibrate", *outputs[:2]) == 0
    assert kept.read_text() == "the first"
    assert kept.with_name("calibration.json.before-2").is_file()
    capsys.readouterr()
    assert run(root, "model", *outputs, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    [note] = {table["notes"][0] for table in document["tables"] if "Classif" in table["title"]}
    assert calibration.fitted_on in note


def test_an_index_is_calibrated_without_a_model_and_every_task_reads_it(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "index" / "calibration.json"
    assert run(root, "calibrate", "--limit", 3) == 1
    assert "too few to calibrate on" in capsys.readouterr().err
    monkeypatch.setattr("evaluation.classification.calibration.MIN_STUDIES", 3)
    monkeypatch.setattr("evaluation.classification.calibrate.MIN_STUDIES", 3)
    monkeypatch.setattr("evaluation.classification.calibration.MIN_NAMED", 1)
    assert run(root, "calibrate") == 0
    printed = capsys.readouterr().out
    assert [line.split(":")[0].strip() for line in printed.splitlines()[1:]] == [
        "high",
        "balanced",
        "specific",
    ]
    calibration = Calibration.read(path)
    assert calibration.language_model == 0
    assert calibration.encoder_sha256 == ENCODER.spec.weights_sha256
    retriever = Retriever.open(root / "index", ENCODER)
    assert Calibration.find(retriever.index, root / "model") == calibration
    path.unlink()


def test_weights_are_measured_on_test_once(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    model = (*MODEL, root / "model", "--tasks", "report")
    test = (*model, "--conditions", "with retrieval", "--out", tmp_path / "out", "--test-log", log)
    again = ("--outputs", tmp_path / "out" / "outputs.jsonl", "--test-log", log, "--resamples", 20)
    assert run(root, "model", *test, "--limit", 3, split="test") == 1
    assert "the test split is measured once and whole" in capsys.readouterr().err
    assert run(root, "model", *test, "--resamples", 20, split="test") == 0
    [line] = log.read_text().splitlines()
    entry = json.loads(line)
    assert entry["model"] == str(root / "model") and entry["again"] is None
    assert "Grounding" in entry["figures"] and "CIDEr" in entry["figures"]["with retrieval"]
    assert run(root, "model", *again, split="test") == 1
    assert "give a reason with --again" in capsys.readouterr().err
    assert run(root, "model", *again, "--again", "a drawn reason", split="test") == 0
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
    assert run(root, "model", *few, "--write-prompts", tmp_path / "prompts") == 0
    [said] = capsys.readouterr().out.splitlines()
    assert said.endswith(f"prompts are in {tmp_path / 'prompts'}")
    there = ("--device", "cpu", "--prompts", str(tmp_path / "prompts"))
    answers = tmp_path / "answers"
    assert main(["answer", *there, "--model", str(root / "model"), "--out", str(answers)]) == 0
    assert run(root, "model", *few, "--answers", answers, "--out", tmp_path / "out") == 0
    assert "computed: cpu, auto" in capsys.readouterr().out


def test_another_machine_can_be_asked_what_calibration_needs(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts"
    assert (
        run(root, "calibrate", *MODEL, root / "model", "--limit", 2, "--write-prompts", prompts)
        == 0
    )
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
    root: Path, more: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, "model", *more) == 1
    assert re.search(message, capsys.readouterr().err)


def test_an_adapter_of_another_encoder_is_refused_before_it_is_asked(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
        assert run(root, "model", *model, *more) == 1
        assert "label scores of another encoder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and not (tmp_path / "prompts").exists()


@pytest.mark.parametrize(
    ("command", "replacement"),
    [
        (("retriever", "evaluate", "data/my index"), "evaluation retrieval 'data/my index'"),
        (("finetune", "evaluate", "--split", "val"), "evaluation model --split val"),
        (("finetune", "answer"), "evaluation answer"),
        (("finetune", "calibrate"), "evaluation calibrate"),
    ],
)
def test_a_former_command_prints_the_one_that_replaces_it(
    command: tuple[str, ...], replacement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    package, *given = command
    assert importlib.import_module(f"{package}.__main__").main(given) == 2
    assert capsys.readouterr().err.endswith(f" has moved: run\n  python -m {replacement}\n")


@pytest.mark.parametrize(("device", "expected"), [("auto", {}), ("cuda", {"device": "cuda"})])
def test_the_encoder_of_an_evaluation_runs_on_a_gpu_only_where_that_is_named(
    root: Path, tmp_path: Path, device: str, expected: dict[str, str]
) -> None:
    asked: list[dict[str, str]] = []

    def open_retriever(path: Path, **options: str) -> Retriever:
        asked.append(options)
        raise UserError("the index is opened no further")

    data = ["--source", "jsonl", "--data-dir", str(root / "data" / "studies.jsonl")]
    model = ["--model", str(root / "model"), "--out", str(tmp_path), "--device", device]
    argv = ["model", "--index", str(root / "index"), "--split", "val", *data, *model]
    assert main(argv, open_retriever=open_retriever) == 1
    assert asked == [expected]
