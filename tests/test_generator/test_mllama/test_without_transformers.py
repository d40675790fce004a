"""Own weights, vision encoder, tokenizer and tiles against those of transformers, bit by bit."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import MllamaConfig, MllamaForConditionalGeneration, MllamaProcessor

from generator.mllama.processor import PromptProcessor
from generator.mllama.quantization import dequantize
from generator.mllama.vision.tiles import Tiling
from generator.mllama.vision.tower import VisionTower
from generator.mllama.weights.modules import build_modules, is_known
from generator.mllama.weights.shape import MllamaShape
from generator.mllama.weights.stored import read_weights
from generator.prompts import messages
from tests.conftest import ROOT
from tests.support.models.mllama_models import SENTENCES, write_adapter, write_mllama

SHIPPED = ROOT / "pretrained" / "generator"


@pytest.fixture(scope="module", params=[False, True], ids=["float32", "nf4"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mllama(tmp_path_factory.mktemp("mllama"), nf4=request.param)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    model: Any = MllamaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    return (
        dequantize(model, torch.float32)
        if model.config.to_dict().get("quantization_config")
        else model
    )


@pytest.fixture(scope="module")
def ours(folder: Path) -> Any:
    return read_weights(folder, MllamaShape.read(folder))


def test_stored_weights_are_those_that_transformers_reads(ours: Any, theirs: Any) -> None:
    expected, got = theirs.state_dict(), ours.state_dict()
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[name], expected[name]) for name in expected)


def test_positions_are_rotated_as_by_transformers(ours: Any, theirs: Any) -> None:
    places = torch.arange(900)[None]
    for kind in (torch.float32, torch.bfloat16):
        hidden = torch.zeros(1, dtype=kind)
        expected = theirs.model.language_model.rotary_emb(hidden, places)
        got = ours.model.language_model.rotary_emb(hidden, places)
        assert all(torch.equal(one, other) for one, other in zip(got, expected, strict=True))


@pytest.mark.parametrize("sizes", [[(28, 28)], [(28, 56)], [(40, 90), (28, 28), (90, 31)]])
def test_the_vision_encoder_gives_what_transformers_gives(
    folder: Path, ours: Any, theirs: Any, sizes: list[tuple[int, int]]
) -> None:
    images = [noise(*size) for size in sizes]
    given = Tiling.read(folder).pixels(images)
    arguments = (given.values, given.aspect_ratio_ids, given.aspect_ratio_mask)
    with torch.inference_mode():
        expected = theirs.model.vision_model(
            pixel_values=arguments[0],
            aspect_ratio_ids=arguments[1],
            aspect_ratio_mask=arguments[2],
        ).last_hidden_state
    for model in (ours, theirs):
        tower = VisionTower(model.model.vision_model, model.config.vision_config)
        got = tower.encode(*(one[:, 0] for one in arguments))
        assert torch.equal(got, expected[:, 0])


@pytest.mark.parametrize(
    "size", [(224, 448), (448, 224), (100, 90), (500, 500), (300, 701), (30, 400), (225, 225)]
)
@pytest.mark.parametrize("tiles", [2, 4])
def test_tiles_are_those_of_transformers(size: tuple[int, int], tiles: int) -> None:
    theirs: Any = MllamaProcessor.from_pretrained(SHIPPED).image_processor
    theirs.max_image_tiles = tiles
    expected = theirs([[noise(*size)]], return_tensors="pt")
    stored = Tiling.read(SHIPPED)
    ours = Tiling(side=stored.side, tiles=tiles, mean=stored.mean, std=stored.std)
    got = ours.pixels([noise(*size)])
    assert torch.equal(got.values, expected["pixel_values"])
    assert torch.equal(got.aspect_ratio_ids, expected["aspect_ratio_ids"])
    assert torch.equal(got.aspect_ratio_mask, expected["aspect_ratio_mask"])


@pytest.mark.parametrize("image", [True, False])
def test_prompts_have_the_tokens_that_transformers_gives(folder: Path, image: bool) -> None:
    for place in (folder, SHIPPED):
        ours, theirs = PromptProcessor.read(place), MllamaProcessor.from_pretrained(place)
        tokenizer: Any = theirs.tokenizer
        for text in (*SENTENCES, "[12] 3.5 cm \u2013 caf\u00e9 <|eot_id|> \n\n  two", ""):
            turns = messages(text, image=image)
            rendered = ours.render(turns)
            assert rendered == theirs.apply_chat_template(turns, add_generation_prompt=True)
            tokens = ours.encode(rendered)
            assert tokens == tokenizer.encode(rendered, add_special_tokens=False)
            assert ours.decode(tokens) == tokenizer.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        special = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
        assert sorted(ours.special) == sorted(special)
        assert ours.end == tokenizer.eos_token_id


def test_defaults_are_those_of_transformers(tmp_path: Path) -> None:
    config = MllamaConfig()
    with torch.device("meta"):
        expected = MllamaForConditionalGeneration(config).state_dict()
    (tmp_path / "config.json").write_text('{"model_type": "mllama"}')
    shape = MllamaShape.read(tmp_path)
    got = build_modules(shape).state_dict()
    assert {name: one.shape for name, one in got.items()} == {
        name: one.shape for name, one in expected.items()
    }
    assert is_known(shape)


def test_a_model_with_an_adapter_is_loaded_without_what_takes_seconds(tmp_path: Path) -> None:
    folder = write_mllama(tmp_path / "base", nf4=True)
    write_adapter(tmp_path / "adapter", folder)
    script = (
        "import sys; from generator.mllama.load import load_model; "
        "model = load_model(*sys.argv[1:], device='cpu'); "
        "slow = {'transformers', 'peft', 'bitsandbytes', 'torchvision', 'huggingface_hub', "
        "'torch._dynamo', 'sympy'}; print(sorted(slow & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), str(tmp_path / "adapter")],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["[]"]


def noise(height: int, width: int) -> Image.Image:
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, 3))
    return Image.fromarray(pixels.astype(np.uint8))
