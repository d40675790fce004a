"""Our decoding against ``generate`` of transformers, on a tiny model with random weights."""

import gc
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import MllamaForConditionalGeneration, MllamaProcessor

from generator.mllama.decoding.decoder import Decoder
from generator.mllama.decoding.layer import HalfLinear
from generator.mllama.decoding.token_tree import build_tree
from generator.mllama.vision.encoder import EncodedImage, Pixels
from generator.prompts import Prompt, messages
from tests.support.models.mllama_models import image_prompt, write_mllama

TEXTS = (
    "Describe this film.",
    "Is there edema? Answer yes or no.",
    "Prior cases:\n[1] The heart is enlarged. [2] Small effusion.\n\nWrite the findings.",
)
STEPS = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mllama(tmp_path_factory.mktemp("mllama"))


@pytest.fixture(scope="module")
def processor(folder: Path) -> Any:
    return MllamaProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def decoder(folder: Path) -> Decoder:
    return Decoder(model_of(folder))


def model_of(folder: Path) -> Any:
    return MllamaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


def rendered(processor: Any, prompts: Sequence[Prompt]) -> list[str]:
    return [
        processor.apply_chat_template(
            messages(prompt.text, image=prompt.image is not None), add_generation_prompt=True
        )
        for prompt in prompts
    ]


def rows_of(processor: Any, prompts: Sequence[Prompt]) -> list[list[int]]:
    return [
        processor.tokenizer.encode(text, add_special_tokens=False)
        for text in rendered(processor, prompts)
    ]


def encode(decoder: Decoder, processor: Any, prompts: Sequence[Prompt]) -> EncodedImage | None:
    if prompts[0].image is None:
        return None
    read = processor.image_processor([[prompt.image] for prompt in prompts], return_tensors="pt")
    return decoder.encode_image(
        Pixels(
            values=read["pixel_values"],
            aspect_ratio_ids=read["aspect_ratio_ids"],
            aspect_ratio_mask=read["aspect_ratio_mask"],
        )
    )


def inputs_of(processor: Any, prompts: Sequence[Prompt]) -> Any:
    images = None if prompts[0].image is None else [[prompt.image] for prompt in prompts]
    return processor(
        images=images,
        text=rendered(processor, prompts),
        add_special_tokens=False,
        padding=True,
        return_tensors="pt",
    )


def by_transformers(decoder: Decoder, processor: Any, prompts: Sequence[Prompt]) -> list[list[int]]:
    inputs = inputs_of(processor, prompts)
    tokens = decoder.model.generate(
        **inputs, max_new_tokens=STEPS, min_new_tokens=STEPS, do_sample=False
    )
    answers: list[list[int]] = tokens[:, inputs["input_ids"].shape[1] :].tolist()
    return answers


def by_us(decoder: Decoder, processor: Any, prompts: Sequence[Prompt]) -> list[list[int]]:
    ends = decoder.model.generation_config.eos_token_id
    state, logits = decoder.prefill(
        rows_of(processor, prompts), encode(decoder, processor, prompts), room=STEPS
    )
    steps = []
    for _ in range(STEPS):
        logits = logits.index_fill(
            1, torch.tensor(ends, device=logits.device), -torch.inf
        )  # as min_new_tokens does
        steps.append(logits.argmax(dim=-1))
        logits = decoder.decode_step(state, steps[-1])
    answers: list[list[int]] = torch.stack(steps, dim=1).tolist()
    return answers


@pytest.mark.parametrize(
    "tiles", [(0,), (1,), (2,), (0, 0, 0), (1, 1, 1), (2, 2, 2), (2, 1, 2), (1, 2, 1)]
)
def test_greedy_tokens_are_those_of_transformers(
    decoder: Decoder, processor: Any, tiles: tuple[int, ...]
) -> None:
    prompts = [
        image_prompt(text, tiles=count, seed=seed)
        for seed, (text, count) in enumerate(zip(TEXTS, tiles, strict=False))
    ]
    expected = by_transformers(decoder, processor, prompts)
    assert by_us(decoder, processor, prompts) == expected
    assert len({tuple(answer) for answer in expected}) == len(expected)


@pytest.mark.parametrize("tiles", [0, 1, 2])
def test_logits_are_those_of_transformers(decoder: Decoder, processor: Any, tiles: int) -> None:
    prompts = [image_prompt(TEXTS[0], tiles=tiles)]
    with torch.no_grad():
        expected = decoder.model(**inputs_of(processor, prompts)).logits[:, -1]
    _, logits = decoder.prefill(
        rows_of(processor, prompts), encode(decoder, processor, prompts), room=0
    )
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tiles", [(2,), (1, 1, 1), (2, 1, 2)])
def test_a_step_of_fixed_shape_gives_the_same_tokens(
    folder: Path, processor: Any, tiles: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Without a GPU nothing can be recorded, but the same is computed, and it is said."""
    recording = Decoder(model_of(folder), records=True)
    prompts = [image_prompt(text, tiles=n) for text, n in zip(TEXTS, tiles, strict=False)]
    expected = by_transformers(recording, processor, prompts)
    assert by_us(recording, processor, prompts) == expected
    assert {record.message.split(":")[0] for record in caplog.records} == {
        "decoding continues without a CUDA graph"
    }


def test_caches_of_recorded_steps_are_freed_with_their_state(folder: Path) -> None:
    """Without waiting for the garbage collector: they may fill a GPU."""
    recording = Decoder(model_of(folder), records=True)
    state, logits = recording.prefill([[5, 6, 7]], None, room=4)
    for _ in range(3):
        logits = recording.decode_step(state, logits.argmax(dim=-1))
    cache = weakref.ref(state.keys[0])
    gc.collect()
    gc.disable()
    try:
        del state
        assert cache() is None
    finally:
        gc.enable()


def test_rows_that_are_kept_go_on_in_steps_of_fixed_shape(
    decoder: Decoder, folder: Path, processor: Any
) -> None:
    expected, got = (
        after_some_left(one, processor)
        for one in (decoder, Decoder(model_of(folder), records=True))
    )
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def after_some_left(decoder: Decoder, processor: Any) -> torch.Tensor:
    prompts = [
        image_prompt(text, tiles=n, seed=n) for text, n in zip(TEXTS, (2, 1, 2), strict=True)
    ]
    state, logits = decoder.prefill(
        rows_of(processor, prompts), encode(decoder, processor, prompts), room=8
    )
    for _ in range(3):
        logits = decoder.decode_step(state, logits.argmax(dim=-1))
    kept = torch.tensor([2, 0], device=decoder.device)
    state.keep_rows(kept)
    logits = logits[kept]
    for _ in range(3):
        logits = decoder.decode_step(state, logits.argmax(dim=-1))
    return logits.cpu()


@pytest.mark.gpu
@pytest.mark.parametrize("tiles", [(2,), (1, 1, 1), (2, 1, 2)])
def test_recorded_steps_give_the_same_tokens(
    folder: Path, processor: Any, tiles: tuple[int, ...]
) -> None:
    model = model_of(folder).to("cuda")
    prompts = [image_prompt(text, tiles=n) for text, n in zip(TEXTS, tiles, strict=False)]
    one_by_one, recorded = (Decoder(model, records=records) for records in (False, True))
    assert by_us(recorded, processor, prompts) == by_us(one_by_one, processor, prompts)
    torch.testing.assert_close(
        after_some_left(recorded, processor),
        after_some_left(one_by_one, processor),
        rtol=1e-3,
        atol=1e-3,
    )
    state, logits = recorded.prefill(
        rows_of(processor, prompts), encode(recorded, processor, prompts), room=4
    )
    recorded.decode_step(state, recorded.decode_step(state, logits.argmax(dim=-1)).argmax(dim=-1))
    assert state.recorded is not None and state.recorded.recorded


@pytest.mark.gpu
def test_steps_are_recorded_by_several_threads_at_once(
    folder: Path, processor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = Decoder(model_of(folder).to("cuda"), records=True)
    asked = [[image_prompt(TEXTS[n % 3], tiles=1 + n % 2, seed=n)] for n in range(24)]
    expected = [by_us(recorded, processor, prompts) for prompts in asked]
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = list(pool.map(lambda prompts: by_us(recorded, processor, prompts), asked))
    assert answers == expected
    assert not caplog.records


def test_the_image_changes_the_logits(decoder: Decoder, processor: Any) -> None:
    answers = by_us(
        decoder, processor, [image_prompt(TEXTS[0], tiles=2, seed=seed) for seed in (0, 5)]
    )
    assert answers[0] != answers[1]


def test_rows_that_are_kept_go_on_as_before(decoder: Decoder, processor: Any) -> None:
    prompts = [
        image_prompt(text, tiles=n, seed=n) for text, n in zip(TEXTS, (2, 1, 2), strict=True)
    ]
    rows, image = rows_of(processor, prompts), encode(decoder, processor, prompts)
    state, logits = decoder.prefill(rows, image, room=8)
    tokens = logits.argmax(dim=-1)
    whole = decoder.decode_step(state, tokens)
    state, _ = decoder.prefill(rows, image, room=8)
    kept = torch.tensor([2, 0])
    state.keep_rows(kept)
    part = decoder.decode_step(state, tokens[kept])
    torch.testing.assert_close(part, whole[kept], rtol=1e-4, atol=1e-4)


def test_a_tree_gives_the_logits_of_its_sequences(decoder: Decoder, processor: Any) -> None:
    prompt = image_prompt(TEXTS[2], tiles=2)
    (row,) = rows_of(processor, [prompt])
    image = encode(decoder, processor, [prompt])
    sequences = [[*row, 5, 6], [*row, 5, 7, 8], [*row, 9]]
    tree, paths = build_tree(sequences)
    assert len(tree.tokens) == len(row) + 5
    logits = decoder.tree_logits(tree, image, torch.tensor([path[-1] for path in paths]))
    for sequence, got in zip(sequences, logits, strict=True):
        _, expected = decoder.prefill([sequence], image, room=0)
        torch.testing.assert_close(got, expected[0], rtol=1e-3, atol=1e-3)


def test_a_tree_holds_each_beginning_once() -> None:
    tree, paths = build_tree([[1, 2, 3], [1, 2, 4], [1, 2]])
    assert tree.tokens.tolist() == [1, 2, 3, 4]
    assert tree.depths.tolist() == [0, 1, 2, 2]
    assert paths == [[0, 1, 2], [0, 1, 3], [0, 1]]
    assert tree.above.int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]]


def test_half_precision_weights_change_outputs_by_a_trifle() -> None:
    torch.manual_seed(0)
    weight, inputs = torch.randn(96, 64), torch.randn(3, 5, 64)
    expected = inputs @ weight.T
    error = (HalfLinear(weight)(inputs) - expected).norm() / expected.norm()
    assert 0 < float(error) < 1e-3


def test_half_precision_decodes_the_same_tokens(
    decoder: Decoder, folder: Path, processor: Any
) -> None:
    halved = Decoder(model_of(folder), HalfLinear)
    prompts = [image_prompt(text, tiles=1) for text in TEXTS]
    exact = np.array(by_us(decoder, processor, prompts))
    assert (np.array(by_us(halved, processor, prompts)) == exact).mean() > 0.9
