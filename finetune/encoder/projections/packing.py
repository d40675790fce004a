"""The sentences of a data set's reports, as a pack holds them."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from db.findings import ALL_FINDINGS
from finetune.encoder.projections.sentences import LEFT, RIGHT, Sentences
from indexer.reports.labeller import mentions
from indexer.reports.sentences import split_sentences

_COLUMN = {finding.name: column for column, finding in enumerate(ALL_FINDINGS)}
_BITS = {"left": LEFT, "right": RIGHT}


def pack_sentences(
    reports: Sequence[str],
    val: Sequence[bool],
    embed_texts: Callable[[Sequence[str]], npt.NDArray[np.float32]],
) -> Sentences:
    """Pack the sentences that name a finding, each once.

    ``val`` says of each report whether it is held out.
    """
    held_out: dict[str, bool] = {}
    k = len(ALL_FINDINGS)
    study_states = np.full((len(reports), k), -1, np.int8)
    study_sides = np.zeros((len(reports), k), np.uint8)
    read: dict[str, tuple[npt.NDArray[np.int8], npt.NDArray[np.uint8]]] = {}
    for row, report in enumerate(reports):
        for sentence in split_sentences(report):
            if sentence not in read:
                read[sentence] = _read(sentence)
            states, sides = read[sentence]
            study_states[row] = np.maximum(study_states[row], states)
            study_sides[row] |= sides
            if (states >= 0).any():
                held_out[sentence] = held_out.get(sentence, True) and val[row]
    texts = sorted(held_out)
    return Sentences(
        embeddings=embed_texts(texts).astype(np.float16),
        states=np.stack([read[text][0] for text in texts]),
        sides=np.stack([read[text][1] for text in texts]),
        val=np.array([held_out[text] for text in texts]),
        study_positive=(study_states == 1).astype(np.uint8),
        study_sides=study_sides,
    )


def _read(sentence: str) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint8]]:
    """States (k,) and, of positive findings, sides (k,)."""
    states = np.full(len(_COLUMN), -1, np.int8)
    sides = np.zeros(len(_COLUMN), np.uint8)
    for mention in mentions(sentence):
        column = _COLUMN[mention.finding]
        states[column] = max(int(states[column]), int(mention.state != "negative"))
        if mention.state != "negative":
            sides[column] |= sum(_BITS[side] for side in mention.sides)
    return states, sides
