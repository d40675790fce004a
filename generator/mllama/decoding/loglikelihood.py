"""How likely a model finds given answers, all prompts of one image in as few passes as fit.

scores = loglikelihood(decoder, rows, endings, image)       # (rows, endings)
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from generator.mllama.decoding.decoder import Decoder
from generator.mllama.decoding.token_tree import build_tree, group_by_size
from generator.mllama.vision.encoder import EncodedImage

_TREE_TOKENS = 2048
"""Tokens that are scored in one pass; their attention mask is a square of this side."""


def loglikelihood(
    decoder: Decoder,
    rows: Sequence[Sequence[int]],
    endings: Sequence[Sequence[int]],
    image: EncodedImage | None,
) -> npt.NDArray[np.float64]:
    """The natural log-probability of each ending after each row, (rows, endings)."""
    scores = np.zeros((len(rows), len(endings)))
    for group in group_by_size(rows, limit=_TREE_TOKENS):
        scores[group] = _scores(decoder, [rows[place] for place in group], endings, image)
    return scores


def _scores(
    decoder: Decoder,
    rows: Sequence[Sequence[int]],
    endings: Sequence[Sequence[int]],
    image: EncodedImage | None,
) -> npt.NDArray[np.float64]:
    tree, paths = build_tree([[*row, *ending[:-1]] for row in rows for ending in endings])
    tokens = [ending for _ in rows for ending in endings]
    asked = [path[-len(ending) :] for path, ending in zip(paths, tokens, strict=True)]
    nodes = sorted({node for path in asked for node in path})
    logits = decoder.tree_logits(tree, image, torch.tensor(nodes))
    logs = dict(zip(nodes, logits.double().log_softmax(dim=-1).cpu(), strict=True))
    totals = [
        sum(float(logs[node][token]) for node, token in zip(path, ending, strict=True))
        for path, ending in zip(asked, tokens, strict=True)
    ]
    return np.array(totals).reshape(len(rows), len(endings))
