"""How alike many texts read, all pairs at once: the n-gram vectors of CIDEr as sparse matrices.

Texts are tokenised: words and marks set apart by white space.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def text_similarity(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Cosine of rarity-weighted n-gram counts, mean over n of 1 to 4, times CIDEr's penalty for
    unequal length: (n, n) in 0..1. An empty text is like none."""
    rows = np.concatenate(list(_similarities(texts, texts, texts, clip=False)))
    return (rows / 10).astype(np.float32)


def cider_matrix(references: Sequence[str], answers: Sequence[str]) -> npt.NDArray[np.float32]:
    """CIDEr of each answer for each reference, (references, answers); document frequencies are
    those of the references. An empty text scores 0."""
    return np.concatenate(list(_similarities(references, answers, references, clip=True)))


def _similarities(
    references: Sequence[str], answers: Sequence[str], documents: Sequence[str], *, clip: bool
) -> Any:
    from scipy import sparse

    number = sum(1 for text in documents if text)
    total: list[Any] = [0.0] * len(references)
    for n in range(1, 5):
        frequency = Counter(gram for text in documents for gram in set(_grams(text, n)))
        column: dict[str, int] = {}

        def vectors(texts: Sequence[str], n: int = n, column: dict[str, int] = column) -> Any:
            rows, columns, counts = [], [], []
            for row, text in enumerate(texts):
                for gram, count in Counter(_grams(text, n)).items():
                    rows.append(row)
                    columns.append(column.setdefault(gram, len(column)))
                    counts.append(float(count))
            return rows, columns, counts

        parts = [vectors(references), vectors(answers)]
        rarity = np.array([np.log(number / max(1, frequency[gram])) for gram in column])
        matrices = [
            sparse.csr_matrix((np.array(c) * rarity[k], (r, k)), shape=(len(texts), len(column)))
            for (r, k, c), texts in zip(parts, (references, answers), strict=True)
        ]
        ours, theirs = matrices
        by_column = theirs.tocsc()
        norms = [np.sqrt(np.asarray(m.multiply(m).sum(axis=1)).ravel()) for m in matrices]
        for row in range(len(references)):
            one = ours[row]
            some = by_column[:, one.indices].copy()
            if clip:
                limits = np.repeat(one.data, np.diff(some.indptr))
                some.data = np.minimum(some.data, limits)
            dots = some @ one.data
            total[row] = total[row] + dots / np.maximum(norms[0][row] * norms[1], 1e-9)
    lengths = [np.array([len(text.split()) for text in texts]) for texts in (references, answers)]
    for row in range(len(references)):
        delta = lengths[1] - lengths[0][row]
        yield (10 / 4 * total[row] * np.exp(-(delta**2) / 72))[None].astype(np.float32)


def _grams(text: str, n: int) -> list[str]:
    words = re.split(r"\s+", text) if text else []
    return [" ".join(words[start : start + n]) for start in range(len(words) - n + 1)]
