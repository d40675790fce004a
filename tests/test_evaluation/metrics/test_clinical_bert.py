"""Likeness of texts by a tiny BERT of random weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from db.errors import UserError
from evaluation.metrics.clinical_bert import similarity

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the heart lungs is are clear large .".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(WORDS),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=12,
        )
    ).save_pretrained(folder)
    return folder


def test_a_text_is_most_like_itself_whatever_it_is_batched_with(folder: Path) -> None:
    texts = ["The heart is large.", "The lungs are clear.", "clear " * 40]
    assert similarity(folder, texts, texts) == pytest.approx(np.ones(3))
    others = similarity(folder, texts[:2], [texts[1], texts[0]])
    assert (others < 0.999).all() and others[0] == pytest.approx(others[1])
    alone = similarity(folder, texts[:1], texts[1:2])
    assert alone[0] == pytest.approx(others[0], abs=1e-5)


def test_an_empty_text_has_a_likeness(folder: Path) -> None:
    assert np.isfinite(similarity(folder, ["The heart is large."], [""])).all()


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no text encoder"):
        similarity(tmp_path, ["a"], ["b"])
