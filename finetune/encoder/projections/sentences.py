"""Sentences that find the studies they are true of.

Words that are alike are not alike in meaning: "no effusion" reads much like "effusion", and "left"
like "right". So a sentence learns from labels which studies it is true of, and all others are its
negatives: those that deny what it says, and those that have it on the other side.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

LEFT, RIGHT = 1, 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Sentences:
    """s different sentences of reports, and what n studies show of k findings."""

    embeddings: npt.NDArray[np.float16]  # (s, 384)
    states: npt.NDArray[np.int8]  # (s, k): 1 positive or uncertain, 0 negative, -1 not named
    sides: npt.NDArray[np.uint8]  # (s, k), of positive ones: LEFT, RIGHT or both added; 0 not said
    val: npt.NDArray[np.bool_]  # (s,), only said of val studies
    study_positive: npt.NDArray[np.uint8]  # (n, k), 0 or 1
    study_sides: npt.NDArray[np.uint8]  # (n, k)

    def positive(self) -> npt.NDArray[np.bool_]:
        """Return which sentences say that something is there: (s,)."""
        found: npt.NDArray[np.bool_] = (self.states == 1).any(axis=1)
        return found


class SentenceTruth:
    """Which studies each sentence is true of; kept on the training device."""

    def __init__(self, sentences: Sentences, rows: Tensor) -> None:
        """Of the studies ``rows`` (m,) of the pack."""

        def put(values: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(rows.device)

        said, seen = sentences.states, sentences.study_positive
        self._said = put(
            np.concatenate(
                [said == 1, said == 0, sentences.sides & LEFT > 0, sentences.sides & RIGHT > 0], 1
            )
        )
        sides = sentences.study_sides
        against = np.concatenate([seen == 0, seen == 1, sides & LEFT == 0, sides & RIGHT == 0], 1)
        self._against = put(against)[rows]

    def of(self, sentences: Tensor) -> Tensor:
        """Whether each of b sentences is true of each study: (b, m) bool."""
        return self._said[sentences] @ self._against.T == 0


def sentence_loss(cosines: Tensor, agree: Tensor, temperature: float) -> Tensor:
    """How little of the attention of b sentences goes to studies they are true of.

    Takes (b, m) twice. A sentence that is true of none counts nothing.
    """
    logits = cosines / temperature
    right = logits.masked_fill(~agree, -1e4).logsumexp(dim=1)
    some = agree.any(dim=1).float()
    return ((logits.logsumexp(dim=1) - right) * some).sum() / some.sum().clamp(min=1)
