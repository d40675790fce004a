"""Training on pairs: TRL's loss, the same run after a stop, an adapter like any other."""

import json
import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from db.errors import UserError
from finetune.__main__ import main
from finetune.adapter.backends import IGNORED, Trainable, load_processor, load_trainable
from finetune.adapter.config import TrainConfig
from finetune.export.adapter_files import WEIGHTS
from finetune.export.merge import merge_adapter
from finetune.preferences.config import PreferenceConfig
from finetune.preferences.loss import PreferenceLoss
from finetune.preferences.pair_file import PairFile
from finetune.preferences.trainer import PairCollator, PairSet, PreferenceTrainer
from finetune.training.checkpoint import Checkpoint
from finetune.training.devices import Devices
from finetune.training.log import read_log
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.load import load_model
from generator.prompts import Prompt
from generator.vision_language import DecodingOptions
from tests.support.models.mllama_models import drawn_canvas
from tests.support.models.training import (
    REPORT,
    SETTINGS,
    quiet,
    tiny_base,
    write_pack,
    write_pair_file,
)
from tests.support.warm_python import WarmPython

pytestmark = quiet
CPU = torch.device("cpu")
PREFERENCE = [*SETTINGS, "lr=0.002"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair_file(tmp_path_factory.mktemp("data") / "pairs")


@pytest.fixture(scope="module")
def initial(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of plain training, from which preference training starts."""
    folder = tmp_path_factory.mktemp("initial")
    given = ["train", "--base", str(base), "--examples", str(write_pack(folder / "pack"))]
    out = folder / "adapter"
    settings = [*SETTINGS, "max_steps=1", "eval_examples=0"]
    assert main([*given, "--out", str(out), "--device", "cpu", "--set", *settings]) == 0
    return out


def command(base: Path, pairs: Path, out: Path, *more: str) -> list[str]:
    given = ["prefer", "--base", str(base), "--pairs", str(pairs), "--out", str(out)]
    return [*given, "--device", "cpu", *more, "--set", *PREFERENCE]


@pytest.fixture(scope="module")
def finished(
    base: Path, pairs: Path, initial: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run that was left alone."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "left-alone"
    assert main(command(base, pairs, out, "--initial", str(initial))) == 0
    return out


def config_of(*settings: str) -> PreferenceConfig:
    config = PreferenceConfig.of([*PREFERENCE, *settings])
    return config.resolved(gpu=False, bfloat16=False, unsloth=False)


def loaded(base: Path, pairs: Path, config: PreferenceConfig) -> tuple[PairSet, Trainable]:
    processor = load_processor(str(base))
    data = PairSet.make(PairFile.load(pairs), processor, config, torch.float32)
    return data, load_trainable(str(base), config, CPU)


def log_probs(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Of the labelled tokens of each row, by the model's own logits."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    with torch.no_grad():
        logits = model(**inputs).logits[:, :-1].float()
    labels = batch["labels"][:, 1:]
    kept = labels != IGNORED
    each = functional.log_softmax(logits, -1).gather(2, labels.clamp(min=0)[..., None])[..., 0]
    return (each * kept).sum(1)


def test_the_loss_is_dpo_against_the_adapter_that_it_starts_from(base: Path, pairs: Path) -> None:
    config = config_of("beta=0.3")
    data, trainable = loaded(base, pairs, config)
    for weight in trainable.weights.values():
        weight.data.normal_(0, 0.1)
    batch = PairCollator(data.collate)(data.train[:3])
    before = log_probs(trainable.model, batch)
    loss = PreferenceLoss(trainable, data.rendering.processor, Path())
    first, measured = loss(batch)
    assert float(first.detach()) == pytest.approx(math.log(2)) and float(measured["margin"]) == 0
    for weight in trainable.weights.values():
        weight.data.mul_(1.5)
    chosen, rejected = (log_probs(trainable.model, batch) - before).chunk(2)
    margins = 0.3 * (chosen - rejected)
    found, measured = loss(batch)
    assert float(found.detach()) == pytest.approx(float(-functional.logsigmoid(margins).mean()))
    assert float(measured["margin"]) == pytest.approx(float(margins.mean()), rel=1e-4)
    assert float(measured["accuracy"]) == pytest.approx(float((margins > 0).float().mean()))
    found.backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None for weight in trainable.weights.values())


def test_what_transformers_gives_up_is_not_said_at_every_pass(base: Path, pairs: Path) -> None:
    data, trainable = loaded(base, pairs, config_of())
    batch = PairCollator(data.collate)(data.train[:2])
    loss = PreferenceLoss(trainable, data.rendering.processor, Path())
    said = "`hidden_state` is deprecated and will be removed in version v5.20 for `MllamaLayer`."

    def warn(*_: object) -> None:
        warnings.warn(said, FutureWarning, stacklevel=2)

    hook = trainable.model.register_forward_pre_hook(warn)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        loss(batch)
    hook.remove()
    assert not heard


def test_a_row_is_the_same_whatever_it_is_padded_to(base: Path, pairs: Path) -> None:
    data, trainable = loaded(base, pairs, config_of())
    collate = PairCollator(data.collate)
    loss = PreferenceLoss(trainable, data.rendering.processor, Path())
    for weight in trainable.weights.values():
        weight.data.normal_(0, 0.1)
    some = sorted(data.train, key=len)[:: len(data.train) - 1]  # the shortest and the longest
    together = float(loss(collate(some))[0].detach())
    apart = [float(loss(collate([one]))[0].detach()) for one in some]
    assert together == pytest.approx(sum(apart) / 2, rel=1e-4)


def test_the_loss_falls_and_the_margin_rises(finished: Path) -> None:
    lines = read_log(finished / "run/log.jsonl")
    steps = [line for line in lines if "loss" in line]
    assert steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert steps[-1]["loss"] < steps[0]["loss"] - 0.01
    assert steps[-1]["margin"] > steps[0]["margin"] and steps[-1]["accuracy"] == 1
    scored = [line for line in lines if "val_loss" in line]
    assert [line["step"] for line in scored] == [3, 6]
    assert all({"val_margin", "val_accuracy", "sample"} <= line.keys() for line in scored)
    assert (finished / "run/curves.png").is_file()


def test_the_adapter_is_recorded_like_any_other(
    finished: Path, base: Path, pairs: Path, initial: Path
) -> None:
    record = AdapterRecord.load(finished)
    assert record.strategy == "findings" and record.encoder_sha256 == "e" * 64
    assert record.data_sha256 == PairFile.load(pairs).about["data_sha256"]
    assert record.config["beta"] == 0.1 and "trl" in record.packages
    assert TrainConfig.recorded(record.config).rank == 2
    assert {path.name for path in initial.iterdir()} == {path.name for path in finished.iterdir()}
    assert json.loads((finished / "adapter_config.json").read_text())["r"] == 2
    assert load_file(finished / WEIGHTS).keys() == load_file(initial / WEIGHTS).keys()


def test_the_adapter_is_loaded_and_answers_as_the_merged_weights_do(
    finished: Path, base: Path, tmp_path: Path
) -> None:
    merge_adapter(finished, tmp_path / "merged", CPU)
    prompt = Prompt(task="report", text=REPORT, image=drawn_canvas(1, 3))
    short = DecodingOptions(max_new_tokens=8)
    [said] = load_model(str(base), str(finished), device="cpu").generate([prompt], short)
    merged = load_model(str(tmp_path / "merged"), device="cpu")
    assert said and merged.generate([prompt], short) == [said]
    [plain] = load_model(str(base), device="cpu").generate([prompt], short)
    assert said != plain


def test_the_chosen_answer_becomes_likelier_than_the_rejected_one(
    finished: Path, base: Path, initial: Path
) -> None:
    prompt = Prompt(task="report", text=REPORT, image=drawn_canvas(1, 4))
    answers = ["Findings: The heart is enlarged. [1]", "Findings: No pneumothorax."]
    ahead = []
    for adapter in (initial, finished):
        model = load_model(str(base), str(adapter), device="cpu")
        [[chosen, rejected]] = model.loglikelihood([prompt], answers).tolist()
        ahead.append(chosen - rejected)
    assert ahead[1] > ahead[0] + 1


def test_a_run_that_was_stopped_and_resumed_ends_like_one_left_alone(
    finished: Path,
    base: Path,
    pairs: Path,
    initial: Path,
    tmp_path: Path,
    warm_python: WarmPython,
) -> None:
    out, output = tmp_path / "stopped", tmp_path / "output.txt"
    given = [*command(base, pairs, out, "--initial", str(initial)), "save_every=1000"]
    script = (
        "import sys, time\n"
        "from finetune.__main__ import main\n"
        "from finetune.preferences.trainer import PreferenceTrainer\n"
        "PreferenceTrainer.stepped = lambda self: time.sleep(0.5)\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    child = warm_python.start("-c", script, *given, output=output)
    log = out / "run/log.jsonl"
    ended = None
    while ended is None and not (log.is_file() and '"step": 2' in log.read_text()):
        time.sleep(0.02)
        ended = child.poll()
    assert ended is None, output.read_text()
    child.end()
    said = output.read_text()
    assert "stopped by SIGTERM at step" in said
    found = Checkpoint.load(out / "run/checkpoint.pt")
    assert found is not None and 2 <= found.step < 6
    again = command(base, pairs, out, "--initial", str(initial), "--resume")
    assert main([*again, "save_every=1000"]) == 0
    assert (out / WEIGHTS).read_bytes() == (finished / WEIGHTS).read_bytes()
    steps = [[line["loss"] for line in read_log(one / "run/log.jsonl")] for one in (out, finished)]
    assert steps[0] == steps[1] and len(steps[0]) == 6


def test_a_run_is_not_resumed_as_another(
    finished: Path,
    base: Path,
    pairs: Path,
    initial: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def said(*arguments: str) -> str:
        assert main([*arguments]) == 1
        return capsys.readouterr().err.splitlines()[-1]

    again = command(base, pairs, finished, "--initial", str(initial), "--resume")
    assert "another config: beta 0.1 then, 0.2 now" in said(*again, "beta=0.2")
    assert "another start adapter" in said(*command(base, pairs, finished, "--resume"))
    other = write_pair_file(tmp_path / "other", pairs=13)
    moved = command(base, other, finished, "--initial", str(initial), "--resume")
    assert "another data set" in said(*moved)
    assert "add --resume" in said(*command(base, pairs, finished, "--initial", str(initial)))


def test_a_loss_that_is_nan_stops_the_run(base: Path, pairs: Path, tmp_path: Path) -> None:
    config = config_of("eval_every=1")
    data, trainable = loaded(base, pairs, config)
    record = AdapterRecord(base_model=str(base), base_sha256="", config=vars(config))
    run = PreferenceTrainer(
        trainable,
        replace(data, sample=None),
        tmp_path,
        record,
        devices=Devices(device=CPU),
        show=lambda line: None,
    )
    whole, made = run.collate, 0

    def collate(some: Any) -> dict[str, Tensor]:
        nonlocal made
        made += 1
        batch = whole(some)
        if made > 8 and "pixel_values" in batch:
            batch["pixel_values"] = batch["pixel_values"] * float("nan")
        return batch

    run.collate = collate
    with pytest.raises(UserError, match=r"NaN or infinite at step .* is kept"):
        run.train()
    assert all(torch.isfinite(one).all() for one in load_file(tmp_path / WEIGHTS).values())


def test_a_dry_run_shows_one_pair_of_each_kind_and_the_memory(
    base: Path, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["prefer", "--base", str(base), "--pairs", str(pairs), "--device", "cpu", "--dry-run"]
    assert main([*given, "--set", *PREFERENCE]) == 0
    shown = capsys.readouterr().out
    assert "(reward)" in shown and "(over-reliance)" in shown
    assert shown.count(">>> chosen: Findings: The heart is enlarged. [1]<|eot_id|>") == 3
    assert shown.count(">>> rejected: Findings: No pneumothorax.") == 3
    assert "9 training and 3 validation examples" in shown and "memory: about" in shown


def test_pairs_of_prompts_of_another_version_are_refused(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_pair_file(tmp_path / "pairs")
    about = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(about | {"prompt_version": "prompts-0"}))
    assert main(command(base, path, tmp_path / "out")) == 1
    assert "prompts of version 'prompts-0'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["beta=0"], "beta cannot be 0.0"),
        (["beta=nan"], "beta cannot be nan"),
        (["loss=dpo"], "use sigmoid, ipo, hinge, robust"),
        (["label_smoothing=0.1"], "belongs to loss=robust"),
        (["loss=robust", "label_smoothing=0.5"], "below 0.5"),
        (["dropout=0.1"], "leave dropout at 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: list[str], named: str) -> None:
    with pytest.raises(UserError, match=named):
        PreferenceConfig.of(settings)


@pytest.mark.parametrize("settings", [["loss=ipo"], ["loss=robust", "label_smoothing=0.1"]])
def test_other_losses_of_trl_are_trained_with(base: Path, pairs: Path, settings: list[str]) -> None:
    data, trainable = loaded(base, pairs, config_of(*settings))
    loss = PreferenceLoss(trainable, data.rendering.processor, Path())
    found, _ = loss(PairCollator(data.collate)(data.train[:2]))
    wanted = {"ipo": 25.0, "robust": math.log(2)}[settings[0].partition("=")[2]]
    assert float(found.detach()) == pytest.approx(wanted)
