from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor, MllamaForConditionalGeneration

from db.errors import UserError
from finetune.adapter.backends import (
    Trainable,
    answer_loss,
    check_bits,
    load_base,
    load_processor,
    load_trainable,
    start_backend,
    target_modules,
)
from finetune.adapter.collator import Collator, ImageCache, Rendering
from finetune.adapter.config import TrainConfig
from finetune.adapter.memory import MemoryEstimate, check_memory, estimate_memory
from generator.mllama.checkpoint import read_config
from tests.support.models.mllama_models import drawn_canvas, write_mllama
from tests.support.models.training import CONFIG, QUESTION, REPORT, quiet, tiny_base

pytestmark = quiet
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory)


@pytest.fixture(scope="module")
def nf4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory, nf4=True)


def batch_for(base: Path) -> dict[str, torch.Tensor]:
    processor = AutoProcessor.from_pretrained(base)
    rendering = Rendering(processor)
    images = ImageCache(processor, lambda number: drawn_canvas(number + 1))
    return Collator(processor, images, pad_id=rendering.pad_id)(
        [
            rendering.tokenise(REPORT, "The heart is enlarged. [1]", image=0),
            rendering.tokenise(QUESTION, "no", image=1),
        ]
    )


def gradients(trainable: Trainable, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    answer_loss(trainable, batch).backward()  # type: ignore[no-untyped-call]
    found = [weight.grad for weight in trainable.weights.values()]
    assert all(gradient is not None for gradient in found)
    return [gradient for gradient in found if gradient is not None]


def test_the_loss_is_that_of_the_whole_model_and_checkpointing_changes_no_gradient(
    base: Path,
) -> None:
    batch = batch_for(base)
    plain = load_trainable(str(base), CONFIG, CPU)
    with torch.no_grad():
        assert answer_loss(plain, batch) == pytest.approx(
            float(plain.model(**batch).loss), rel=1e-5
        )
    saving = load_trainable(str(base), replace(CONFIG, checkpointing=True), CPU)
    for a, b in zip(gradients(plain, batch), gradients(saving, batch), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("vision", [True, False])
def test_only_a_vision_encoder_that_is_trained_has_a_backward_pass(
    base: Path, nf4: Path, vision: bool
) -> None:
    for folder, bits in ((base, "none"), (nf4, "4")):
        config = replace(CONFIG, checkpointing=True, vision=vision, bits=bits)
        trainable = load_trainable(str(folder), config, CPU)
        seen: list[bool] = []
        projector = trainable.model.get_submodule("base_model.model.model.multi_modal_projector")
        projector.register_forward_hook(lambda m, args, out, to=seen: to.append(out.requires_grad))
        gradients(trainable, batch_for(folder))
        assert seen == [vision]


def test_the_adapter_alone_is_trained_in_float32_and_drawn_with_the_seed(base: Path) -> None:
    trainable = load_trainable(str(base), replace(CONFIG, precision="bfloat16"), CPU)
    assert all("lora_" in name for name in trainable.weights)
    assert {weight.dtype for weight in trainable.weights.values()} == {torch.float32}
    frozen = {w.dtype for w in trainable.model.parameters() if not w.requires_grad}
    assert frozen == {torch.bfloat16}
    first, again, other = (
        load_trainable(str(base), replace(CONFIG, seed=seed), CPU).weights for seed in (0, 0, 1)
    )
    assert all(torch.equal(weight, first[name]) for name, weight in again.items())
    drawn = next(name for name in other if "lora_A" in name)
    assert not torch.equal(other[drawn], again[drawn])
    # bfloat16 throughout: no activation is cast to the adapter's float32 and back
    seen: set[torch.dtype] = set()
    for name, module in trainable.model.named_modules():
        if name.endswith("lora_A.default"):
            module.register_forward_hook(lambda m, args, out: seen.add(args[0].dtype))
    answer_loss(trainable, batch_for(base))
    assert seen == {torch.bfloat16}


def test_a_checkpoint_stored_in_four_bits_is_trained_in_them_or_on_the_same_values(
    nf4: Path,
) -> None:
    batch = batch_for(nf4)
    four, none = (
        load_trainable(str(nf4), replace(CONFIG, bits=bits), CPU) for bits in ("4", "none")
    )
    kinds = [{type(m).__name__ for m in t.model.modules()} for t in (four, none)]
    assert "Linear4bit" in kinds[0] and "Linear4bit" not in kinds[1]
    with torch.no_grad():
        losses = [float(answer_loss(trainable, batch)) for trainable in (four, none)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert all(float(g.abs().sum()) >= 0 for g in gradients(four, batch))


def test_values_stored_in_four_bits_are_right_where_rows_are_not_whole_blocks(
    tmp_path: Path,
) -> None:
    plain = MllamaForConditionalGeneration.from_pretrained(write_mllama(tmp_path / "a", mlp=96))
    stored = write_mllama(tmp_path / "b", mlp=96, nf4=True)
    values = load_base(str(stored), CONFIG, CPU).state_dict()
    for name, value in plain.state_dict().items():
        similarity = torch.cosine_similarity(value.flatten(), values[name].flatten(), dim=0)
        assert value.shape == values[name].shape and float(similarity) > 0.99, name


def test_plain_weights_are_quantized_as_asked(base: Path) -> None:
    model = load_base(str(base), replace(CONFIG, bits="4"), CPU)
    assert "Linear4bit" in {type(module).__name__ for module in model.modules()}


def test_in_eight_bits_no_linear_layer_is_given_more_than_three_dimensions(base: Path) -> None:
    """The most that bitsandbytes multiplies on a GPU."""
    trainable = load_trainable(str(base), replace(CONFIG, bits="8"), CPU)
    given: dict[str, int] = {}
    for name, module in trainable.model.named_modules():
        if type(module).__name__ == "Linear8bitLt":
            module.register_forward_pre_hook(
                lambda _, args, name=name: given.update({name: args[0].ndim})
            )
    gradients(trainable, batch_for(base))
    assert len(given) > 20 and max(given.values()) <= 3


def test_bits_that_a_stored_checkpoint_cannot_give_are_refused(nf4: Path) -> None:
    config = read_config(nf4)
    with pytest.raises(UserError, match="stored with 4 bits: use --bits 4 or none"):
        check_bits("it", config, replace(CONFIG, bits="8"))
    with pytest.raises(UserError, match=r"cannot dequantize .* --backend peft"):
        check_bits("it", config, TrainConfig(backend="unsloth", bits="none"))
    check_bits("it", config, replace(CONFIG, bits="4"))


@pytest.mark.parametrize(
    ("off", "left"),
    [
        (["vision"], {"language_model"}),
        (["language"], {"vision_model"}),
        (["attention"], {"fc1", "fc2", "gate_proj", "up_proj", "down_proj"}),
        (["mlp"], {"q_proj", "k_proj", "v_proj", "o_proj"}),
    ],
)
def test_parts_of_the_model_can_be_left_alone(base: Path, off: list[str], left: set[str]) -> None:
    config = replace(CONFIG, **dict.fromkeys(off, False))  # type: ignore[arg-type]
    weights = load_trainable(str(base), config, CPU).weights
    assert weights
    for name in weights:
        assert left & set(name.split(".")), name


def test_neither_the_output_layer_nor_the_projector_is_adapted(base: Path) -> None:
    import re

    model = MllamaForConditionalGeneration(read_config(base))
    chosen = [n for n, _ in model.named_modules() if re.fullmatch(target_modules(CONFIG), n)]
    assert not any("lm_head" in name or "projector" in name for name in chosen)
    assert len(chosen) == 4 * 7 + 3 * 6  # text layers, vision layers


def test_unsloth_without_a_gpu_says_what_to_do() -> None:
    with pytest.raises(UserError, match="use --backend peft"):
        start_backend(TrainConfig(backend="unsloth"))


def test_a_model_without_a_processor_or_chat_template_is_refused(
    base: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_bytes((base / "config.json").read_bytes())
    with pytest.raises(UserError, match="has no processor"):
        load_processor(str(tmp_path))
    for path in base.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(UserError, match="no chat template"):
        load_processor(str(tmp_path))


def test_memory_is_reckoned_from_shapes_and_grows_with_what_takes_it(base: Path) -> None:
    config = read_config(base)
    plain = estimate_memory(config, CONFIG, tokens=64, examples=2)
    model = load_base(str(base), CONFIG, CPU)
    assert plain.base == sum(w.numel() * 4 for w in model.parameters())
    weights = load_trainable(str(base), CONFIG, CPU).weights.values()
    assert plain.adapter == sum(w.numel() for w in weights) * 16
    four = estimate_memory(config, replace(CONFIG, bits="4"), tokens=64, examples=2)
    saving = estimate_memory(config, replace(CONFIG, checkpointing=True), tokens=64, examples=2)
    assert four.base < plain.base and saving.activations < plain.activations
    longer = estimate_memory(config, CONFIG, tokens=128, examples=2)
    assert longer.activations > plain.activations
    assert "about" in str(plain)


def test_a_gpu_that_is_too_small_is_refused_before_anything_is_loaded() -> None:
    estimate = MemoryEstimate(base=20 << 30, adapter=1 << 30, activations=1 << 30)
    with pytest.raises(UserError, match=r"16\.0 GB free .* take 21\.0 GB: .* --bits 4"):
        check_memory(estimate, 16 << 30)
    check_memory(estimate, 24 << 30)
    check_memory(estimate, None)
