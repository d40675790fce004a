"""The vision tower without its mask against transformers' own."""

import warnings
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import MllamaForConditionalGeneration, MllamaProcessor

from generator.mllama.vision.attention import _Attention, attend_without_mask
from tests.support.models.mllama_models import drawn_canvas, write_mllama

TEXT = "<|begin_of_text|>{}<|image|>Write the findings.{}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mllama(tmp_path_factory.mktemp("mllama"))


def a_model(folder: Path) -> MllamaForConditionalGeneration:
    return MllamaForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="sdpa"
    ).train()


def a_batch(folder: Path, tiles: list[int]) -> dict[str, Tensor]:
    """Prompts of different lengths, an image of so many tiles each."""
    processor = MllamaProcessor.from_pretrained(folder)
    processor.tokenizer.padding_side = "right"
    return dict(
        processor(
            images=[[drawn_canvas(count, seed=9 * row)] for row, count in enumerate(tiles)],
            text=[TEXT.format("x " * row, " large heart" * row) for row in range(len(tiles))],
            padding=True,
            add_special_tokens=False,
            return_tensors="pt",
        )
    )


def gradients(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The logits of what is no padding, and how each weight bears on them."""
    logits = model(**batch).logits[batch["attention_mask"].bool()]
    logits.square().mean().backward()
    return logits, {n: w.grad for n, w in model.named_parameters() if w.grad is not None}


def no_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no layer may go the way of transformers."""
    whole = _Attention.__init__

    def forbidding(self: _Attention, masked: object, *rest: object) -> None:
        def never(*args: object, **given: object) -> None:
            raise AssertionError("attended under the mask")

        whole(self, never, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(_Attention, "__init__", forbidding)


@pytest.mark.parametrize("tiles", [[1, 1], [2, 2], [1, 2, 1]])
def test_logits_and_gradients_are_those_of_the_mask(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tiles: list[int]
) -> None:
    batch = a_batch(folder, tiles)
    wanted, wanted_gradients = gradients(a_model(folder), batch)
    no_mask(monkeypatch)
    model = a_model(folder)
    attend_without_mask(model)
    found, found_gradients = gradients(model, batch)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert found_gradients.keys() == wanted_gradients.keys()
    for name, gradient in wanted_gradients.items():
        size = float(gradient.abs().max())
        torch.testing.assert_close(found_gradients[name], gradient, rtol=0, atol=1e-4 * size)


def test_lora_on_the_vision_encoder_is_trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_mask(monkeypatch)
    lora = LoraConfig(r=2, target_modules=r".*vision_model.*(q|o)_proj")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        model = get_peft_model(a_model(folder), lora)
    attend_without_mask(model)
    _, found = gradients(model, a_batch(folder, [2, 1]))
    trained = [name for name, gradient in found.items() if gradient.abs().max() > 0]
    assert any("q_proj.lora_B" in name for name in trained)
    assert any("o_proj.lora_B" in name for name in trained)


def test_several_images_in_a_prompt_go_on_under_the_mask(folder: Path) -> None:
    processor = MllamaProcessor.from_pretrained(folder)
    batch = dict(
        processor(
            images=[[drawn_canvas(1), drawn_canvas(2, seed=5)]],
            text=["<|begin_of_text|><|image|><|image|>Compare."],
            add_special_tokens=False,
            return_tensors="pt",
        )
    )
    model = a_model(folder)
    with torch.no_grad():
        wanted = model(**batch).logits
        attend_without_mask(model)
        assert torch.equal(model(**batch).logits, wanted)


def test_another_architecture_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear has no vision tower"):
        attend_without_mask(nn.Linear(1, 1))
