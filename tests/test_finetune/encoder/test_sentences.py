"""Sentences and the studies they are true of."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from db.findings import ALL_FINDINGS
from finetune.encoder.pack import Pack
from finetune.encoder.projections.packing import pack_sentences
from finetune.encoder.projections.scores import sentence_scores
from finetune.encoder.projections.sentences import Sentences, SentenceTruth, sentence_loss
from indexer.encoder.network import ImageNetwork
from tests.test_finetune.encoder.conftest import embed_texts

REPORTS = [
    "Small left pleural effusion.",
    "No pleural effusion. The heart is enlarged.",
    "Right pleural effusion. The heart is enlarged.",
    "The lungs are clear.",
]


@pytest.fixture(scope="module")
def sentences() -> Sentences:
    return pack_sentences(REPORTS, [False, False, False, True], embed_texts)


def found(sentences: Sentences, row: int) -> dict[str, int]:
    return {
        ALL_FINDINGS[c].name: int(sentences.states[row, c])
        for c in np.flatnonzero(sentences.states[row] >= 0)
    }


def test_each_sentence_is_packed_once_with_what_it_says(sentences: Sentences) -> None:
    texts = sorted({s for report in REPORTS for s in report.replace(". ", ".|").split("|")})
    assert len(sentences.states) == len(texts) == 5
    assert found(sentences, texts.index("No pleural effusion.")) == {"Pleural Effusion": 0}
    assert found(sentences, texts.index("The heart is enlarged.")) == {"Cardiomegaly": 1}
    assert sentences.val.tolist() == [text == "The lungs are clear." for text in texts]
    assert np.array_equal(sentences.embeddings, np.asarray(embed_texts(texts)).astype(np.float16))


def test_a_sentence_is_true_of_studies_with_its_findings_on_its_side(sentences: Sentences) -> None:
    truth = SentenceTruth(sentences, torch.arange(4))
    texts = sorted({s for report in REPORTS for s in report.replace(". ", ".|").split("|")})
    true = {text: truth.of(torch.tensor([row]))[0].tolist() for row, text in enumerate(texts)}
    assert true["Small left pleural effusion."] == [True, False, False, False]
    assert true["Right pleural effusion."] == [False, False, True, False]
    assert true["No pleural effusion."] == [False, True, False, True]
    assert true["The heart is enlarged."] == [False, True, True, False]


def test_the_loss_asks_for_true_studies_and_not_for_all_of_them() -> None:
    agree = torch.tensor([[True, True, False], [False, False, False]])
    near = sentence_loss(torch.tensor([[1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]), agree, 0.05)
    far = sentence_loss(torch.tensor([[-1.0, -1.0, 1.0], [1.0, 1.0, 1.0]]), agree, 0.05)
    assert float(near) == pytest.approx(0, abs=1e-6)
    assert float(far) == pytest.approx(40 - np.log(2), abs=1e-3)


def test_the_score_is_the_share_of_true_cases_among_the_nearest() -> None:
    network = ImageNetwork(dim=2, terms=1, text_dim=2, tower="test_efficientnet")
    with torch.no_grad():
        network.text.weight.copy_(torch.eye(2))
    studies = 40  # the first 20 show the one finding; half of those lie near the sentence
    positive = (np.arange(studies) < 20).astype(np.uint8)[:, None]
    cases = torch.tensor(
        [[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 15 + [[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 15
    )
    sentences = Sentences(
        embeddings=np.array([[1, 0]], np.float16),
        states=np.array([[1]], np.int8),
        sides=np.zeros((1, 1), np.uint8),
        val=np.array([True]),
        study_positive=positive,
        study_sides=np.zeros((studies, 1), np.uint8),
    )
    scores = sentence_scores(network, sentences, cases, np.arange(studies))
    assert scores["sentences"] == pytest.approx(0.5)
    assert np.isnan(scores["sided"])


def test_a_pack_and_a_run_have_sentences(pack: Pack, run_dir: Path, tmp_path: Path) -> None:
    pack.save(tmp_path / "pack.npz")
    again = Pack.load(tmp_path / "pack.npz")
    assert again.labelled is None
    assert again.sentences is not None and pack.sentences is not None
    assert np.array_equal(again.sentences.states, pack.sentences.states)
    assert len(again.sentences.study_positive) == len(pack.study_ids)
    assert "sentences" in json.loads((run_dir / "scores.json").read_text())
