"""The small base model learns, goes on where it stopped, and is shipped in four bits."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoProcessor, MllamaForConditionalGeneration

from db.errors import MismatchError, NotFoundError, UserError
from finetune.examples.folder import ExampleFolder
from generator.mllama.checkpoint import UNQUANTIZED_MODULES
from recipes.small_mllama.__main__ import main
from recipes.small_mllama.batches import Tiles
from recipes.small_mllama.config import SmallMllamaConfig
from recipes.small_mllama.cut import cut, load_cut
from recipes.small_mllama.quantise import load_quantised, quantise
from recipes.small_mllama.source import SourceWeights
from recipes.small_mllama.trainer import CHECKPOINT, LOG, SmallMllamaTrainer
from recipes.small_mllama.vision import train_vision_encoder
from tests.support.models.mllama_models import write_mllama
from tests.support.models.tiny_base import CUT, SENTENCES, draw_pack, write_encoder, write_llama
from tests.support.models.training import check_recorded

CONFIG = SmallMllamaConfig(
    epochs=6,
    tokens=1600,
    longest=400,
    lr=3e-3,
    new_lr=3e-3,
    vision_lr=1e-3,
    distil_epochs=12,
    distil_seconds=0.0,
    distil_batch=5,
    log_every=4,
    val_every=8,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models as small as these lose time with more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def initial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    llama = write_llama(folder / "tiny.gguf")
    cut(SourceWeights.read(llama.path), SENTENCES, CUT, folder / "cut")
    return folder / "cut"


@pytest.fixture(scope="module")
def pack() -> ExampleFolder:
    return draw_pack()


def make_trainer(
    config: SmallMllamaConfig, initial: Path, pack: ExampleFolder, out_dir: Path
) -> SmallMllamaTrainer:
    model, processor = load_cut(initial)
    out_dir.mkdir(exist_ok=True)
    tiles = Tiles(pack, processor, torch.device("cpu"))
    return SmallMllamaTrainer(config, model, processor, pack, out_dir, tiles=tiles)


@pytest.fixture(scope="module")
def trained(initial: Path, pack: ExampleFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out_dir = tmp_path_factory.mktemp("run")
    make_trainer(CONFIG, initial, pack, out_dir).train()
    return out_dir


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_training_teaches_answers_and_opens_gates(trained: Path) -> None:
    lines = read_lines(trained / LOG)
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    assert lines[-1]["progress"] == 1.0
    assert {"val_report", "val_classify"} <= set(lines[-1])
    model = MllamaForConditionalGeneration.from_pretrained(trained / "model")
    gates = [v for n, v in model.named_parameters() if n.endswith("_gate")]
    assert gates
    assert all(float(gate.detach().abs()) > 1e-3 for gate in gates)


def test_the_loss_is_that_of_the_answers_alone(
    initial: Path, pack: ExampleFolder, tmp_path: Path
) -> None:
    trainer = make_trainer(CONFIG, initial, pack, tmp_path)
    with torch.no_grad():
        for name, value in trainer.model.named_parameters():
            if name.endswith("_gate"):
                value.fill_(0.5)
    ours = trainer.validate()
    model, processor = trainer.model, trainer.processor
    for example in pack.val:
        text = processor.apply_chat_template(
            [
                {
                    "role": "user",
                    "content": [{"type": "image"}, {"type": "text", "text": example.prompt}],
                }
            ],
            add_generation_prompt=True,
        )
        inputs = processor(
            images=[[pack.canvas(example.canvas or 0)]],
            text=[text],
            add_special_tokens=False,
            return_tensors="pt",
        )
        answer = processor.tokenizer(
            example.answer + "<|eot_id|>", add_special_tokens=False, return_tensors="pt"
        )["input_ids"]
        length = inputs["input_ids"].shape[1]
        inputs["input_ids"] = torch.cat([inputs["input_ids"], answer], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        mask = inputs["cross_attention_mask"]
        more = mask[:, -1:].expand(-1, answer.shape[1], -1, -1)
        inputs["cross_attention_mask"] = torch.cat([mask, more], dim=1)
        labels = inputs["input_ids"].clone()
        labels[:, :length] = -100
        with torch.no_grad():
            loss = float(model(**inputs, labels=labels).loss)
        assert ours[f"val_{example.task}"] == pytest.approx(loss, abs=1e-4)


def test_both_stages_train_as_recorded(initial: Path, pack: ExampleFolder, tmp_path: Path) -> None:
    config = replace(CONFIG, prompt_weight=0.2)
    model, processor = load_cut(initial)
    tiles = Tiles(pack, processor, torch.device("cpu"))
    train_vision_encoder(model, write_encoder(tmp_path / "encoder"), tiles, pack, config, tmp_path)
    SmallMllamaTrainer(config, model, processor, pack, tmp_path, tiles=tiles).train()
    check_recorded("vision", tmp_path / "distil.jsonl")
    check_recorded("small_mllama", tmp_path / LOG)


def test_an_interrupted_run_ends_as_if_it_had_not_been(
    initial: Path, pack: ExampleFolder, tmp_path: Path
) -> None:
    config = replace(CONFIG, epochs=2, log_every=3, save_seconds=0.0)
    make_trainer(config, initial, pack, tmp_path / "whole").train()
    broken = tmp_path / "broken"

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_trainer(config, initial, pack, broken).train(stop)
    assert not make_trainer(config, initial, pack, broken).train(pause_after=1e-9)
    assert (broken / CHECKPOINT).is_file()
    with pytest.raises(MismatchError, match="other settings"):
        make_trainer(replace(config, lr=1e-5), initial, pack, broken).train()
    make_trainer(config, initial, pack, broken).train()
    assert not (broken / CHECKPOINT).exists()
    first, second = (
        MllamaForConditionalGeneration.from_pretrained(folder / "model").state_dict()
        for folder in (tmp_path / "whole", broken)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_time_ends_a_run_too(initial: Path, pack: ExampleFolder, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=10_000, max_seconds=1.0)
    make_trainer(config, initial, pack, tmp_path).train()
    last = read_lines(tmp_path / LOG)[-1]
    assert last["progress"] == 1.0
    assert last["step"] < config.epochs, "fewer steps than one per epoch"


def test_prompts_can_weigh_in(initial: Path, pack: ExampleFolder, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1, prompt_weight=0.2)
    make_trainer(config, initial, pack, tmp_path / "a").train()
    make_trainer(replace(config, prompt_weight=0.0), initial, pack, tmp_path / "b").train()
    first, second = (
        MllamaForConditionalGeneration.from_pretrained(tmp_path / name / "model").state_dict()
        for name in ("a", "b")
    )
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_too_long_examples_are_left_out_and_counted(
    initial: Path, pack: ExampleFolder, tmp_path: Path
) -> None:
    lengths = sorted(
        len(e.ids) for e in make_trainer(CONFIG, initial, pack, tmp_path).train_set.examples
    )
    config = replace(CONFIG, longest=lengths[-2])
    trainer = make_trainer(config, initial, pack, tmp_path)
    assert trainer.left_out == sum(length > lengths[-2] for length in lengths) > 0
    with pytest.raises(UserError, match="has at most 5 tokens"):
        make_trainer(replace(CONFIG, longest=5), initial, pack, tmp_path)


def test_the_vision_encoder_learns_the_encoder_outputs(
    initial: Path, pack: ExampleFolder, tmp_path: Path
) -> None:
    encoder = write_encoder(tmp_path / "encoder")
    model, processor = load_cut(initial)
    tiles = Tiles(pack, processor, torch.device("cpu"))
    out = tmp_path / "run"
    out.mkdir()
    config = replace(CONFIG, distil_epochs=20, log_every=10, val_every=10)
    train_vision_encoder(model, encoder, tiles, pack, config, out)
    lines = read_lines(out / "distil.jsonl")
    assert lines[-1]["progress"] == 1.0
    for name in ("val_dense", "val_pooled"):
        assert lines[-1][name] < lines[0][name]
    again, _ = load_cut(initial)
    train_vision_encoder(again, encoder, tiles, pack, config, out)
    assert read_lines(out / "distil.jsonl") == lines
    first, second = (m.model.vision_model.state_dict() for m in (model, again))
    assert all(torch.equal(first[name], second[name]) for name in first)
    (encoder / "heads.safetensors").unlink()
    with pytest.raises(NotFoundError, match="name a trained encoder"):
        train_vision_encoder(again, encoder, tiles, pack, config, tmp_path)


def test_four_bits_say_nearly_the_same(trained: Path, tmp_path: Path) -> None:
    quantise(trained / "model", tmp_path / "shipped")
    plain = MllamaForConditionalGeneration.from_pretrained(trained / "model", dtype=torch.float32)
    packed = MllamaForConditionalGeneration.from_pretrained(tmp_path / "shipped")
    small = load_quantised(tmp_path / "shipped")
    values = small.state_dict()
    changed = 0
    for name, value in plain.state_dict().items():
        if torch.equal(value, values[name]):
            continue
        changed += 1
        similarity = torch.nn.functional.cosine_similarity(
            value.flatten(), values[name].flatten(), 0
        )
        assert float(similarity) > 0.99, name
    layers = sum(isinstance(module, torch.nn.Linear) for module in plain.modules())
    assert changed == layers - len(UNQUANTIZED_MODULES)
    processor = AutoProcessor.from_pretrained(tmp_path / "shipped")
    ids = processor.tokenizer(SENTENCES[0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        wanted, got = packed(input_ids=ids).logits, small(input_ids=ids).logits
    assert torch.allclose(wanted.float(), got, atol=0.05 * float(got.abs().max()))
    size, half = (
        sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        for folder in (tmp_path / "shipped", trained / "model")
    )
    assert size < 0.8 * half
    with pytest.raises(NotFoundError, match="train one first"):
        quantise(tmp_path, tmp_path / "nothing")


def test_widths_that_processors_read_differently_are_not_stored_in_four_bits(
    tmp_path: Path,
) -> None:
    base = write_mllama(tmp_path / "model", mlp=96)
    with pytest.raises(UserError, match=r"down_proj has 96 inputs, which is no multiple of 64"):
        quantise(base, tmp_path / "shipped")
    assert not (tmp_path / "shipped").exists()


def test_the_command_goes_all_the_way(
    pack: ExampleFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    llama, encoder = write_llama(tmp_path / "tiny.gguf"), write_encoder(tmp_path / "encoder")
    pack.save(tmp_path / "pack")
    shape = [f"{name}={value}" for name, value in vars(CUT).items()]
    stages = ["distil_epochs=1", "distil_batch=2", "tokens=1600", "longest=400"]
    made = ["--corpus", str(tmp_path / "pack"), "--gguf", str(llama.path)]
    assert main([*made, "--cut", str(tmp_path / "cut"), "--set", *shape]) == 0
    train = ["--initial", str(tmp_path / "cut"), "--pack", str(tmp_path / "pack")]
    train += ["--teacher", str(encoder), "--out", str(tmp_path / "run"), "--epochs", "1"]
    assert main([*train, "--quantise", str(tmp_path / "shipped"), "--set", *stages]) == 0
    assert (tmp_path / "shipped" / "processor_config.json").is_file()
    assert load_quantised(tmp_path / "shipped").config.model_type == "mllama"
    assert main([*train, "--set", *stages]) == 1
    assert "is not empty: add --resume" in capsys.readouterr().err
    before = sorted((tmp_path / "run").rglob("*"))
    assert main([*train, "--resume", "--set", *stages]) == 1
    assert "has ended: its model is in" in capsys.readouterr().err
    assert sorted((tmp_path / "run").rglob("*")) == before
    assert main([]) == 1
    assert "name one of --cut, --initial and --trained" in capsys.readouterr().err
