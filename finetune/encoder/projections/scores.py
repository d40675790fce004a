"""How well sentences find the studies they are true of."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from finetune.encoder.projections.sentences import Sentences, SentenceTruth
from indexer.encoder.network import ImageNetwork

_TOP = 10


@torch.no_grad()
def sentence_scores(
    network: ImageNetwork, sentences: Sentences, cases: Tensor, rows: np.ndarray
) -> dict[str, float]:
    """Return the share of the ten nearest cases that a sentence is true of, as a mean.

    ``cases`` (m, dim) are those of the studies ``rows``, of unit length. The sentences are said of
    val studies alone, name a finding that is there, and are true of ten cases or more; ``sided`` is
    over those of them that say a side.
    """
    truth = SentenceTruth(sentences, torch.from_numpy(rows).to(cases.device))
    chosen = np.flatnonzero(sentences.val & sentences.positive())
    index = torch.from_numpy(chosen).to(cases.device)
    true = truth.of(index)
    texts = torch.from_numpy(sentences.embeddings[chosen]).float().to(cases.device)
    told = functional.normalize(network.text(texts), dim=1)
    nearest = (told @ cases.T).topk(min(_TOP, len(cases)), dim=1).indices
    share = true.gather(1, nearest).float().mean(dim=1)
    enough = true.sum(dim=1) >= _TOP
    sided = torch.from_numpy(sentences.sides[chosen].any(axis=1)).to(cases.device)
    return {
        "sentences": float(share[enough].mean()),
        "sided": float(share[enough & sided].mean()),
    }
