"""What a model is trained on is what its own processor would hand it."""

import dataclasses

import pytest
import torch
from transformers import MllamaProcessor

from db.errors import UserError
from finetune.examples.folder import ExampleFolder
from generator.prompts import messages
from recipes.small_mllama.batches import Batches, Sequenced, Tiles, tokenise
from recipes.small_mllama.model import make_processor
from recipes.small_mllama.source import SourceWeights
from recipes.small_mllama.vocabulary import prune
from tests.support.models.tiny_base import CUT, SENTENCES, draw_pack, write_llama


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> MllamaProcessor:
    source = SourceWeights.read(write_llama(tmp_path_factory.mktemp("llama") / "tiny.gguf").path)
    vocabulary = prune(source.tokens, source.merges, source.control, SENTENCES, ranks=9999, uses=1)
    return make_processor(vocabulary.tokenizer(), CUT)


@pytest.fixture(scope="module")
def pack() -> ExampleFolder:
    return draw_pack()


def make_batches(
    pack: ExampleFolder, processor: MllamaProcessor, tokens: int = 100_000
) -> tuple[Batches, Tiles]:
    tiles = Tiles(pack, processor, torch.device("cpu"))
    image, pad = processor.image_token_id, processor.tokenizer.pad_token_id
    return (
        Batches(
            tokenise(pack.train, processor), tiles, image_token=image, pad_token=pad, tokens=tokens
        ),
        tiles,
    )


def test_a_batch_with_one_and_two_tiles_equals_the_processors(
    pack: ExampleFolder, processor: MllamaProcessor
) -> None:
    batches, tiles = make_batches(pack, processor)
    seeing = [n for n, e in enumerate(pack.train) if e.canvas is not None]
    assert {int(tiles.counts[pack.train[n].canvas]) for n in seeing} == {1, 2}
    batch = batches.batch(seeing)
    texts = [
        processor.apply_chat_template(messages(pack.train[n].prompt), add_generation_prompt=True)
        for n in seeing
    ]
    canvases = [[pack.canvas(pack.train[n].canvas or 0)] for n in seeing]
    theirs = processor(
        images=canvases, text=texts, add_special_tokens=False, padding=True, return_tensors="pt"
    )
    assert batch.rows is not None
    pixels = tiles.normalised(tiles.grey(batch.rows), tiles.counts[batch.rows])
    assert torch.allclose(pixels, theirs["pixel_values"], atol=1e-6)
    for name in ("aspect_ratio_ids", "aspect_ratio_mask"):
        assert torch.equal(batch.inputs[name], theirs[name])
    for row in range(len(seeing)):
        length = int(theirs["attention_mask"][row].sum())
        ids = theirs["input_ids"][row, :length]
        assert torch.equal(batch.inputs["input_ids"][row, :length], ids)
        assert int(batch.answers[row].nonzero()[0]) == length
        mask = batch.inputs["cross_attention_mask"][row]
        assert torch.equal(mask[:length], theirs["cross_attention_mask"][row, :length])
        answer = batch.inputs["input_ids"][row, batch.answers[row]]
        example = pack.train[seeing[row]]
        assert processor.tokenizer.decode(answer) == example.answer + "<|eot_id|>"
        assert torch.equal(mask[length], mask[length - 1])


def test_examples_without_an_image_have_batches_of_their_own(
    pack: ExampleFolder, processor: MllamaProcessor
) -> None:
    batches, _ = make_batches(pack, processor)
    kinds = {batch.rows is None for batch in batches.epoch(0)}
    assert kinds == {True, False}
    for batch in batches.epoch(0):
        images = (batch.inputs["input_ids"] == processor.image_token_id).sum(dim=1)
        assert set(images.tolist()) == ({0} if batch.rows is None else {1})
        assert ("cross_attention_mask" in batch.inputs) == (batch.rows is not None)


def test_an_epoch_has_every_example_once_within_the_budget(
    pack: ExampleFolder, processor: MllamaProcessor
) -> None:
    batches, _ = make_batches(pack, processor, tokens=700)
    groups = batches.groups(3)
    assert sorted(n for group in groups for n in group) == list(range(len(pack.train)))
    assert len(groups) > 2
    for group in groups:
        assert batches.batch(group).inputs["input_ids"].numel() <= 700
    assert groups == batches.groups(3)
    assert groups != batches.groups(4)


def test_prompt_and_answer_are_tokenised_apart(
    pack: ExampleFolder, processor: MllamaProcessor
) -> None:
    batches, _ = make_batches(pack, processor)
    batch = batches.batch([0])
    ids = batch.inputs["input_ids"][0]
    told = batch.prompts[0] | batch.answers[0]
    left = processor.tokenizer.convert_ids_to_tokens(ids[~told])
    assert set(left) == {"<|begin_of_text|>", "<|image|>", "<|finetune_right_pad_id|>"}
    assert not (batch.prompts & batch.answers).any()


def test_conversations_are_those_of_the_service(
    pack: ExampleFolder, processor: MllamaProcessor
) -> None:
    assert {example.canvas is None for example in pack.train} == {True, False}
    for example, sequenced in zip(pack.train, tokenise(pack.train, processor), strict=True):
        sent = messages(example.prompt, image=example.canvas is not None)
        text = processor.apply_chat_template(sent, add_generation_prompt=True)
        assert processor.tokenizer.decode(sequenced.ids[: sequenced.prompt]) == text


def test_an_example_with_a_missing_image_is_refused(
    pack: ExampleFolder, processor: MllamaProcessor
) -> None:
    tiles = Tiles(pack, processor, torch.device("cpu"))
    lost = dataclasses.replace(tokenise(pack.train[:1], processor)[0], canvas=99)
    assert isinstance(lost, Sequenced)
    with pytest.raises(UserError, match="image 99"):
        Batches([lost], tiles, image_token=0, pad_token=0, tokens=100)
