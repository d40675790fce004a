"""Rows in fixed places give the logits of rows with caches of their own."""

import pytest
import torch

from db.errors import TooLargeError
from generator.mllama.decoding.continuous import Answering, ContinuousBatch
from generator.mllama.decoding.decoder import Decoder
from generator.mllama.decoding.prefix_cache import PrefixCache
from generator.mllama.decoding.rows import RowDecoder, Work
from generator.mllama.decoding.slots import SlotDecoder
from generator.mllama.load import load_model
from generator.mllama.model import MllamaModel
from generator.vision_language import DecodingOptions
from tests.support.models.mllama_models import image_prompt, write_mllama

TEXTS = ("Is there edema?", "[1] The heart is enlarged.\n\nWrite the findings.", "Describe it.")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MllamaModel:
    folder = write_mllama(tmp_path_factory.mktemp("mllama"))
    return load_model(folder, device="cpu", quantization="none")


def written(model: MllamaModel, rows: RowDecoder, tiles: tuple[int, ...]) -> list[list[int]]:
    """Three answers, of which the third joins when the first leaves."""
    options = DecodingOptions(max_new_tokens=16)
    short = DecodingOptions(max_new_tokens=5)
    batch = ContinuousBatch(rows, frozenset(), PrefixCache(slots=0), drafted=0)
    tokens: list[list[int]] = [[], [], []]
    waiting = [
        Answering(
            number=number,
            tokens=model.prompt_tokens(prompt),
            image=model.encode_image([prompt.image]),
            options=options if number else short,
        )
        for number, prompt in enumerate(
            image_prompt(text, tiles=count, seed=seed)
            for seed, (text, count) in enumerate(zip(TEXTS, tiles, strict=True))
        )
    ]
    batch.join(waiting.pop(0))
    batch.join(waiting.pop(0))
    while batch.numbers:
        for one in batch.step():
            tokens[one.number] += one.tokens
            if one.ended and waiting:
                batch.join(waiting.pop())
    return tokens


@pytest.mark.parametrize("tiles", [(2, 2, 2), (1, 2, 1), (0, 0, 0), (0, 1, 2)])
@pytest.mark.parametrize("records", [False, True])
def test_answers_in_places_are_those_of_rows_of_their_own(
    model: MllamaModel, tiles: tuple[int, ...], records: bool
) -> None:
    decoder = Decoder(model.decoder.model, records=records)
    slots = SlotDecoder(decoder, places=2, slots=128, image_tokens=10)
    assert slots.bytes > 0
    assert written(model, slots, tiles) == written(model, model.rows, tiles)
    assert sorted(slots._free) == [0, 1]


def test_a_row_without_a_place_is_refused_before_it_starts(model: MllamaModel) -> None:
    slots = SlotDecoder(model.decoder, places=1, slots=64, image_tokens=10)
    with pytest.raises(TooLargeError, match="places of 64 tokens"):
        slots.start(slots=65, image=None)
    row = slots.start(slots=64, image=None)
    with pytest.raises(TooLargeError, match="0 places"):
        slots.start(slots=64, image=None)
    slots.release(row)
    again = slots.start(slots=64, image=None)
    logits = slots.extend([Work(again, [5, 6, 7])])
    torch.testing.assert_close(
        logits, model.decoder.prefill([[5, 6, 7]], None, room=0)[1], rtol=1e-4, atol=1e-4
    )
