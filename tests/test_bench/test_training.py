"""The training benches: examples of one length, the exit code, an adapter beside itself."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import MllamaForConditionalGeneration

from bench.training import processes
from bench.training.adapter_agreement import main as agreement
from bench.training.examples import BenchExamples
from bench.training.random_model import write_model
from bench.training.speed import judge, read_rows
from finetune.__main__ import main
from finetune.adapter.backends import load_processor
from finetune.adapter.collator import Rendering
from finetune.examples.folder import Example, ExampleFolder, encode_canvas
from generator.prompts import PROMPT_VERSION
from tests.support.models.mllama_models import drawn_canvas
from tests.support.models.training import REPORT, SETTINGS, quiet, tiny_base

pytestmark = quiet
IMAGES = 3


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every image with a report of its own, in both parts."""
    folder = tmp_path_factory.mktemp("bench") / "pack"
    files = [np.frombuffer(encode_canvas(drawn_canvas(2, n)), np.uint8) for n in range(IMAGES)]
    made = [
        Example(
            task="report",
            study_id=f"s{number}",
            prompt=REPORT,
            answer="Findings: The heart is enlarged. [1]" + " No pneumothorax." * number,
            canvas=number,
        )
        for number in range(IMAGES)
    ]
    ExampleFolder(
        train=made,
        val=made,
        about={"prompt_version": PROMPT_VERSION},
        canvas_data=np.concatenate(files),
        canvas_ends=np.cumsum([len(file) for file in files]),
    ).save(folder)
    return folder


def test_prompts_are_joined_and_cut_to_one_length_and_keep_image_and_answer(
    base: Path, pack: Path
) -> None:
    given = BenchExamples.read(pack)
    rendering = Rendering(load_processor(str(base)))
    made = given.tokens(rendering, 4, 300)
    image = rendering.processor.image_token_id
    for number, tokens in enumerate(made):
        alone = rendering.tokenise(*given.pairs[number % IMAGES], image=0)
        answer = alone.ids[alone.prompt_length :]
        assert len(tokens) == 300 and tokens.ids.count(image) == 1
        assert tokens.ids[tokens.prompt_length :] == answer
    assert given.canvas(1, 28).size == (56, 28)


def test_passing_needs_speed_memory_no_waiting_and_equal_losses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = {
        "plain": {"step": 3.0, "peak_gb": 19.0, "losses": [3.0, 2.0]},
        "plain-nockpt": {"step": 2.1, "peak_gb": 40.0, "losses": [3.0, 2.004]},
    }
    fused = {"step": 1.2, "peak_gb": 9.0, "waiting": 0.05, "losses": [3.0, 2.009]}
    best = {"step": 1.0, "peak_gb": 9.0, "waiting": 0.05, "losses": [3.1, 2.1]}
    assert judge({**plain, "fused": fused, "fused-real": best}) == 0
    assert "fused-real: 2.10 times as fast as plain-nockpt" in capsys.readouterr().out
    for worse in (
        {"step": 1.1},  # the quicker of the plain ones counts
        {"peak_gb": 12.5},
        {"waiting": 0.1},
    ):
        assert judge({**plain, "fused": fused, "fused-real": {**best, **worse}}) == 1
    apart = {**fused, "losses": [3.0, 2.02]}
    assert judge({**plain, "fused": apart, "fused-real": best}) == 1
    assert judge(plain) == 1


def test_what_was_measured_on_another_card_is_not_compared(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    assert read_rows(path, "one") == {}
    path.write_text(json.dumps({"machine": "one", "rows": {"plain": {"step": 2.0}}}))
    assert read_rows(path, "one") == {"plain": {"step": 2.0}}
    assert read_rows(path, "other") == {}


def test_random_weights_in_4_bits_are_those_in_bfloat16(tmp_path: Path) -> None:
    write_model(tmp_path, "tiny", BenchExamples.read(None).texts())
    whole: Any
    quantized: Any
    whole, quantized = (
        MllamaForConditionalGeneration.from_pretrained(tmp_path / name)
        for name in ("bfloat16", "nf4")
    )
    assert any(type(module).__name__ == "Linear4bit" for module in quantized.modules())
    assert torch.equal(whole.lm_head.weight, quantized.lm_head.weight)
    name = "model.language_model.layers.0.mlp.gate_proj.weight"
    found, wanted = (
        model.get_parameter(name).detach().float() for model in (quantized.dequantize(), whole)
    )
    assert 0 < float((found - wanted).abs().max()) < 0.2 * float(wanted.abs().max())


def test_an_adapter_agrees_with_itself_and_not_with_another_answer(
    base: Path, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "adapter"
    given = ["--base", str(base), "--device", "cpu", "--examples", str(pack)]
    settings = [*SETTINGS, "max_steps=1", "sample_tokens=0", "eval_examples=0"]
    assert main(["train", *given, "--out", str(out), "--set", *settings]) == 0
    asked = [*given, "--adapter", str(out), "--images", str(IMAGES)]
    tokens = tmp_path / "tokens.json"
    assert agreement(["tokens", *asked, "--out", str(tokens)]) == 0
    compare = ["compare", *asked, "--new-tokens", "6", str(tokens)]
    assert agreement(compare) == 0
    printed = capsys.readouterr().out
    assert "100.00% of" in printed and "3 of 3 identical" in printed
    text = tokens.read_text()
    altered = text.index("[[") + 2
    tokens.write_text(text[:altered] + "9" + text[altered:])
    assert agreement(compare) == 1


def test_one_process_is_not_compared_with_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert processes.main(["--shape", "tiny", "--processes", "1"]) == 1
    assert "two processes or more" in capsys.readouterr().err


def test_processes_are_compared_by_steps_and_by_the_loss_of_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: dict[int, dict[str, Any]] = {
        1: {"step": 1.9, "losses": [3.0, 1.0]},
        2: {"step": 1.0, "losses": [3.5, 1.0005]},
    }
    monkeypatch.setattr(processes, "write_model", lambda *_: None)
    monkeypatch.setattr(processes, "started", lambda _, __, count: rows[count])
    out = tmp_path / "figures.json"
    given = ["--shape", "tiny", "--processes", "2", "--out", str(out)]
    assert processes.main(given) == 0
    assert json.loads(out.read_text())["times_as_fast"] == 1.9
    rows[2]["losses"][-1] = 1.002
    assert processes.main(given) == 1
