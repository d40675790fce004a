"""From a Llama in a GGUF file to a model that looks at images: nothing changes until trained."""

from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor

from db.errors import NotFoundError, UserError
from generator.study_canvas import study_canvas
from recipes.small_mllama.cut import cut, load_cut
from recipes.small_mllama.source import SourceWeights
from recipes.small_mllama.vocabulary import CITATIONS, byte_pair, prune
from tests.support.models.tiny_base import CUT, SENTENCES, TinyLlama, write_llama
from tests.support.radiographs import draw_radiograph

WHOLE = CUT.__class__(**{**vars(CUT), "layers": 4, "dropped_from": 0, "ranks": 10_000})


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> TinyLlama:
    return write_llama(tmp_path_factory.mktemp("llama") / "tiny.gguf")


@pytest.fixture(scope="module")
def whole(llama: TinyLlama, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    cut(SourceWeights.read(llama.path), SENTENCES, WHOLE, folder)
    return folder


def test_an_uncut_model_writes_what_the_llama_writes(llama: TinyLlama, whole: Path) -> None:
    model, processor = load_cut(whole)
    old = byte_pair(llama.tokens, SourceWeights.read(llama.path).merges)
    for text in SENTENCES:
        ids = processor.tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            ours = model(input_ids=ids).logits
            theirs = llama.model(input_ids=torch.tensor([old.encode(text).ids])).logits
        assert processor.tokenizer.convert_ids_to_tokens(ids[0]) == old.encode(text).tokens
        kept = len(llama.tokens) - 3  # all but the three of the chat
        assert torch.allclose(ours[0, :, :kept], theirs[0, :, 3:], atol=1e-4)


def test_an_untrained_model_does_not_see(whole: Path) -> None:
    model, processor = load_cut(whole)
    images = [
        study_canvas([draw_radiograph(n), draw_radiograph(n, view="LATERAL")], CUT.tile)
        for n in range(2)
    ]
    with torch.no_grad():
        first, second = (
            processor(images=[[image]], text="<|image|>clear", return_tensors="pt")
            for image in images
        )
        blind = model(input_ids=first["input_ids"]).logits
        assert torch.equal(model(**first).logits, blind)
        assert torch.equal(model(**second).logits, blind)


def test_open_gates_let_the_image_through(whole: Path) -> None:
    model, processor = load_cut(whole)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith(("attn_attn_gate", "attn_mlp_gate")):
                value.fill_(1.0)
        first, second = (
            model(
                **processor(
                    images=[[study_canvas([draw_radiograph(n)], CUT.tile)]],
                    text="<|image|>clear",
                    return_tensors="pt",
                )
            ).logits
            for n in range(2)
        )
    assert not torch.allclose(first, second, atol=1e-4)


def test_the_same_seed_draws_the_same_model(whole: Path) -> None:
    first, second = load_cut(whole)[0].state_dict(), load_cut(whole)[0].state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_dropped_block_is_the_one_asked_for(llama: TinyLlama, tmp_path: Path) -> None:
    cut(SourceWeights.read(llama.path), SENTENCES, CUT, tmp_path)
    model, _ = load_cut(tmp_path)
    layers = model.model.language_model.layers
    own = [layer for layer in layers if hasattr(layer, "self_attn")]
    kept = [llama.model.model.layers[number] for number in (0, 2, 3)]
    assert len(layers) == 4
    for ours, theirs in zip(own, kept, strict=True):
        assert torch.equal(ours.self_attn.q_proj.weight, theirs.self_attn.q_proj.weight)
        assert torch.equal(ours.mlp.down_proj.weight, theirs.mlp.down_proj.weight)


def test_a_pruned_vocabulary_reads_its_corpus_as_before(llama: TinyLlama) -> None:
    source = SourceWeights.read(llama.path)
    corpus = SENTENCES[:2]
    vocabulary = prune(source.tokens, source.merges, source.control, corpus, ranks=0, uses=1)
    old, new = byte_pair(source.tokens, source.merges), vocabulary.tokenizer()
    assert len(vocabulary.tokens) < len(source.tokens) - 3
    for text in corpus:
        assert new.tokenize(text) == old.encode(text).tokens
    other = SENTENCES[3]
    assert len(new.tokenize(other)) > len(old.encode(other).tokens)
    assert new.decode(new(other)["input_ids"]) == other


def test_a_citation_is_one_token_wherever_it_stands(whole: Path) -> None:
    tokenizer = AutoProcessor.from_pretrained(whole).tokenizer
    text = "The lungs are clear. [1][2] No effusion.[9] Impression: clear [3]"
    tokens = tokenizer.tokenize(text)
    assert [token for token in tokens if "[" in token] == ["[1]", "[2]", "[9]", "[3]"]
    assert not set(CITATIONS) & set(tokenizer.all_special_tokens)
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_the_chat_template_is_llamas_without_a_preamble(whole: Path) -> None:
    processor = AutoProcessor.from_pretrained(whole)
    turns = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is it clear?"}]}
    ]
    assert processor.apply_chat_template(turns, add_generation_prompt=True) == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n<|image|>Is it clear?"
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    image = processor.tokenizer.convert_tokens_to_ids("<|image|>")
    assert image == load_cut(whole)[0].config.text_config.vocab_size


def test_what_is_missing_is_named(llama: TinyLlama, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"nowhere\.gguf does not exist"):
        SourceWeights.read(tmp_path / "nowhere.gguf")
    (tmp_path / "other.gguf").write_bytes(b"GGUF and nothing else" * 9)
    with pytest.raises(UserError, match="holds no Llama"):
        SourceWeights.read(tmp_path / "other.gguf")
    with pytest.raises(NotFoundError, match="small_mllama --cut"):
        load_cut(tmp_path)
    with pytest.raises(UserError, match="has no text"):
        cut(SourceWeights.read(llama.path), [], CUT, tmp_path)
    deeper = CUT.__class__(**{**vars(CUT), "layers": 5})
    with pytest.raises(UserError, match="has 4 layers, not 5"):
        cut(SourceWeights.read(llama.path), SENTENCES, deeper, tmp_path)
