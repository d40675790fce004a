"""Only the tiles that hold a part of the image: what that equals, and what it does not."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers.models.mllama import modeling_mllama

from db.errors import UserError
from generator.mllama.adapter_record import RECORD, AdapterRecord, TileUse
from generator.mllama.checkpoint import base_sha256
from generator.mllama.decoding.decoder import Decoder
from generator.mllama.decoding.rows import Work
from generator.mllama.load import load_model
from generator.mllama.model import MllamaModel
from generator.mllama.vision.encoder import EncodedImage
from generator.mllama.vision.feature_cache import FeatureCache
from generator.prompts import PROMPT_VERSION
from tests.support.models.mllama_models import drawn_canvas, write_adapter, write_mllama

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mllama(tmp_path_factory.mktemp("mllama"))


@pytest.fixture(scope="module")
def model(folder: Path) -> MllamaModel:
    return load_model(folder, device="cpu", quantization="none")


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    return modeling_mllama.MllamaForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32
    ).eval()


def encode(model: MllamaModel, use: TileUse, *tiles: int) -> EncodedImage:
    decoder = Decoder(model.decoder.model, tiles=use)
    canvases = [drawn_canvas(count, seed=place) for place, count in enumerate(tiles)]
    return decoder.encode_image(model.processor.tiling.pixels(canvases))


def test_images_without_padding_tiles_are_encoded_alike(model: MllamaModel) -> None:
    whole, real = encode(model, "all", 2, 2), encode(model, "real", 2, 2)
    assert whole.tile_mask is None and real.tile_mask is None
    for pair, other in zip(whole.pairs, real.pairs, strict=True):
        torch.testing.assert_close(pair, other, **CLOSE)


def test_an_image_with_a_padding_tile_is_what_transformers_gives_if_it_is_hidden(
    model: MllamaModel, theirs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real patches attend to padding tiles in transformers, so the weights have seen them."""
    pixels = model.processor.tiling.pixels([drawn_canvas(1)])

    def states(hide: bool) -> Tensor:
        made: Callable[..., Tensor] = modeling_mllama._prepare_aspect_ratio_attention_mask

        def hiding(**given: Any) -> Tensor:
            mask = made(**given)
            tile = mask.shape[-1] // 2
            mask[..., :tile, tile:] = torch.finfo(mask.dtype).min
            return mask

        with monkeypatch.context() as patch, torch.inference_mode():
            if hide:
                patch.setattr(modeling_mllama, "_prepare_aspect_ratio_attention_mask", hiding)
            found: Tensor = theirs.model.vision_model(
                pixel_values=pixels.values,
                aspect_ratio_ids=pixels.aspect_ratio_ids,
                aspect_ratio_mask=pixels.aspect_ratio_mask,
            ).last_hidden_state
        return found[:, 0, :1]

    tower = model.decoder._images._tower
    real = tower.encode(pixels.values[:, 0, :1], pixels.aspect_ratio_ids[:, 0], None)
    torch.testing.assert_close(real, states(hide=True), **CLOSE)
    assert (real - states(hide=False)).abs().max() > 0.01


def test_images_together_are_encoded_as_alone(model: MllamaModel) -> None:
    together = encode(model, "real", 1, 2)
    alone = encode(model, "real", 1)
    patches = alone.pairs[0][0].shape[2]
    assert together.tile_mask is not None
    assert together.tile_mask.sum(dim=1).tolist() == [patches, 2 * patches]
    for (keys, values), (expected_keys, expected_values) in zip(
        together.pairs, alone.pairs, strict=True
    ):
        torch.testing.assert_close(keys[:1, :, :patches], expected_keys, **CLOSE)
        torch.testing.assert_close(values[:1, :, :patches], expected_values, **CLOSE)


@pytest.mark.parametrize("use", ["real", "all"])
@pytest.mark.parametrize("tiles", [(1, 2), (1, 1), (2,)])
def test_images_taken_apart_are_what_each_alone_gives(
    model: MllamaModel, use: TileUse, tiles: tuple[int, ...]
) -> None:
    apart = encode(model, use, *tiles).apart()
    assert len(apart) == len(tiles)
    decoder = Decoder(model.decoder.model, tiles=use)
    for place, (one, count) in enumerate(zip(apart, tiles, strict=True)):
        canvas = drawn_canvas(count, seed=place)
        alone = decoder.encode_image(model.processor.tiling.pixels([canvas]))
        assert one.hidden_before == alone.hidden_before
        assert (one.tile_mask is None) == (alone.tile_mask is None)
        if one.tile_mask is not None:
            assert one.tile_mask.tolist() == alone.tile_mask.tolist()
        for pair, expected in zip(one.pairs, alone.pairs, strict=True):
            torch.testing.assert_close(pair[0], expected[0], **CLOSE)
            torch.testing.assert_close(pair[1], expected[1], **CLOSE)


def test_images_that_are_not_kept_are_encoded_together(model: MllamaModel) -> None:
    encoded: list[int] = []

    def encode_some(images: Sequence[Image.Image]) -> EncodedImage:
        encoded.append(len(images))
        return model._encode_some(images)

    first, second, third = (drawn_canvas(1, seed=seed) for seed in range(3))
    size = sum(keys.nbytes + values.nbytes for keys, values in encode_some([first]).pairs)
    features = FeatureCache(encode_some, max_bytes=2 * size)
    (one,) = features.of([first])
    again, other, same = features.of([first, second, second])
    assert again is one and other is same
    assert features.of([]) == []
    assert encoded == [1, 1, 1]
    features.of([third])
    assert features.of([second])[0] is other
    assert features.of([third, first])[1] is not one
    assert encoded == [1, 1, 1, 1, 1]
    fresh = FeatureCache(encode_some, max_bytes=10**9)
    fresh.of([first, second, third])
    assert encoded[-1] == 3


def test_a_prompt_that_begins_with_its_image_is_read_alike(model: MllamaModel) -> None:
    """Tokens before the image are the only other difference."""
    row = [model.decoder.image_token, *range(20, 40)]
    whole, real = (Decoder(model.decoder.model, tiles=use) for use in ("all", "real"))
    logits = [
        decoder.prefill([tokens], encode(model, use, 2), room=0)[1]
        for use, decoder in (("all", whole), ("real", real))
        for tokens in (row, [5, *row])
    ]
    torch.testing.assert_close(logits[0], logits[2], **CLOSE)
    assert (logits[1] - logits[3]).abs().max() > 0.01


def test_both_decoders_hide_the_image_from_tokens_before_it(model: MllamaModel) -> None:
    decoder = Decoder(model.decoder.model, tiles="real")
    row = [5, 6, model.decoder.image_token, *range(20, 40)]
    for tiles in (1, 2):
        image = encode(model, "real", tiles)
        expected = decoder.prefill([row], image, room=0)[1]
        cache = model.rows.start(slots=40, image=image)
        got = model.rows.extend([Work(cache, row)])
        torch.testing.assert_close(got, expected, **CLOSE)


def test_the_record_of_an_adapter_says_which_tiles_it_reads(folder: Path, tmp_path: Path) -> None:
    stored = {"base_model": "b", "base_sha256": base_sha256(folder)}
    stored["prompt_version"] = PROMPT_VERSION
    write_adapter(tmp_path, folder, record=stored)
    canvas = drawn_canvas(1)

    def kept() -> int:
        image = load_model(folder, tmp_path, device="cpu").encode_image([canvas])
        assert image is not None
        return image.pairs[0][0].shape[2]

    padded = kept()
    (tmp_path / RECORD).write_text(json.dumps({**stored, "tiles": "real"}))
    assert kept() == padded // 2
    (tmp_path / RECORD).write_text(json.dumps({**stored, "tiles": "some"}))
    with pytest.raises(UserError, match="tiles 'some'"):
        AdapterRecord.read(tmp_path)
