"""Rows in fixed places give the logits of rows with caches of their own."""

from collections.abc import Sequence

import pytest
import torch

from generator.mllama.adapter_record import TileUse
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
            image=None
            if prompt.image is None
            else rows.decoder.encode_image(model.processor.tiling.pixels([prompt.image])),
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
@pytest.mark.parametrize(("records", "use"), [(False, "all"), (True, "all"), (True, "real")])
def test_answers_in_places_are_those_of_rows_of_their_own(
    model: MllamaModel, tiles: tuple[int, ...], records: bool, use: TileUse
) -> None:
    decoder = Decoder(model.decoder.model, records=records, tiles=use)
    slots = SlotDecoder(decoder, places=2, slots=128, image_tokens=10)
    assert slots.bytes > 0
    alone = RowDecoder(Decoder(model.decoder.model, tiles=use))
    assert written(model, slots, tiles) == written(model, alone, tiles)
    assert sorted(slots._free) == [0, 1]
    assert all(tokens % 64 == 0 for tokens, _, _ in slots._prompts)
    assert bool(slots._prompts) == records or (use == "all" and 1 in tiles)


def test_a_prompt_too_long_for_a_pass_is_read_in_parts(
    model: MllamaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SlotDecoder, "prompt_part", 7)
    decoder = Decoder(model.decoder.model, records=True)
    slots = SlotDecoder(decoder, places=2, slots=128, image_tokens=10)
    assert written(model, slots, (2, 2, 2)) == written(model, model.rows, (2, 2, 2))
    assert not slots._prompts


def test_prompts_are_read_whole_one_after_another_beside_what_is_written(
    model: MllamaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = SlotDecoder(model.decoder, places=4, slots=128, image_tokens=10)
    monkeypatch.setattr(SlotDecoder, "prompt_part", 10)
    passes: list[list[int]] = []
    extend = SlotDecoder.extend

    def noted(rows: SlotDecoder, work: Sequence[Work]) -> torch.Tensor:
        passes.append([len(one.tokens) for one in work])
        return extend(rows, work)

    monkeypatch.setattr(SlotDecoder, "extend", noted)
    batch = ContinuousBatch(slots, frozenset(), PrefixCache(slots=0), drafted=0)
    options = DecodingOptions(max_new_tokens=9)
    batch.join(Answering(number=0, tokens=[5, 6, 7], image=None, options=options))
    batch.step()
    for number, count in ((1, 6), (2, 7), (3, 3), (4, 14)):
        tokens = [5 + number] * count
        batch.join(Answering(number=number, tokens=tokens, image=None, options=options))
    for _ in range(4):
        batch.step()
    assert passes == [[3], [1, 6], [1, 1, 7, 3], [1, 1, 1, 1, 10], [1, 1, 1, 1, 4]]


def test_a_row_without_a_place_has_a_cache_of_its_own(model: MllamaModel) -> None:
    slots = SlotDecoder(model.decoder, places=1, slots=64, image_tokens=10)
    first, second = [5, 6, 7], [8, 9]
    rows = [
        slots.start(slots=65, image=None),  # too long for a place
        slots.start(slots=64, image=None),
        slots.start(slots=64, image=None),  # none is free
    ]
    for row, tokens in zip(rows, (first, second, first), strict=True):
        slots.extend([Work(row, tokens)])
    logits = slots.extend([Work(row, [11]) for row in rows])
    expected = torch.cat(
        [
            model.decoder.prefill([[*tokens, 11]], None, room=0)[1]
            for tokens in (first, second, first)
        ]
    )
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    for row in rows:
        slots.release(row)
    assert slots._free == [0]


def test_answers_that_nobody_waits_for_free_their_places(model: MllamaModel) -> None:
    slots = SlotDecoder(model.decoder, places=2, slots=128, image_tokens=10)
    batch = ContinuousBatch(slots, frozenset(), PrefixCache(slots=0))
    for number in range(2):
        options = DecodingOptions(max_new_tokens=9)
        batch.join(Answering(number=number, tokens=[5, 6, 7], image=None, options=options))
    batch.step()
    assert slots._free == []
    batch.close()
    assert sorted(slots._free) == [0, 1]
    assert batch.numbers == []


@pytest.mark.parametrize(("free", "places"), [(10**12, 8), (0, 1)])
def test_places_take_half_of_the_free_memory_at_most(
    model: MllamaModel, monkeypatch: pytest.MonkeyPatch, free: int, places: int
) -> None:
    def memory(device: torch.device) -> tuple[int, int]:
        return free, 10**12

    monkeypatch.setattr(torch.cuda, "mem_get_info", memory)
    slots = SlotDecoder.fitting(model.decoder, places=8, slots=64)
    assert slots.places == places
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (6 * slots.bytes // places, 1))
    assert SlotDecoder.fitting(model.decoder, places=8, slots=64).places == 3
