"""BLEU, ROUGE-L and CIDEr of generated reports, equal to pycocoevalcap on the same tokens.

    references = [clean_r2gen(text) for text in reference_texts]
    candidates = [clean_r2gen(text) for text in generated_texts]
    scores = {name: s.value for name, s in text_statistics(references, candidates).items()}

Every text here is tokenised: words and marks set apart by white space. The figures depend on how
that was done, so `CLEANING` is to be named beside them. Instead of one reference text a study may
have several.

BLEU: Papineni et al., ACL 2002, over the corpus, closest reference length, no smoothing beyond the
constants below. ROUGE-L: Lin, 2004, with beta 1.2, mean over studies. CIDEr: Vedantam et al., CVPR
2015, in the clipped and length-penalised form (CIDEr-D), mean over studies, times 10.

One thing differs: the ROUGE-L of pycocoevalcap splits at every space, so that two spaces in a row
make an empty word, and here they do not. Texts cleaned by `clean_r2gen` have no such spaces.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from db.errors import UserError
from evaluation.metrics.bootstrap import FloatArray, Statistic, mean_of, of_sums

References = Sequence[str | Sequence[str]]
"""A study's reference text, or its several reference texts."""

CLEANING = "r2gen-iu"
"""Names what `clean_r2gen` does, for tables and JSON."""

MAX_N = 4

_REPLACEMENTS = (
    *[("..", ".")] * 3,
    ("1. ", ""),
    *[(f". {number}. ", ". ") for number in range(2, 6)],
    *[(f" {number}. ", ". ") for number in range(2, 6)],
)
_MARKS = re.compile(r"""[.,?;*!%^&_+():<=>@\[\]{}"'/\\]""")

_BETA_SQUARED = 1.2**2
_SIGMA = 6.0

_Counts = Counter[tuple[str, ...]]


def clean_r2gen(text: str) -> str:
    """The Open-I cleaning of R2Gen (Chen et al., EMNLP 2020), as space-separated tokens.

    List numbers go, the text is lower-cased and split after every full stop, marks are deleted
    (hyphens stay, so ``x/y`` becomes one word and ``x-y`` stays one), and sentences end in a lone
    ``.``. An empty text becomes ``.``, as there. What R2Gen's own evaluation does besides, rare
    words to ``<unk>`` and a cut at 60 tokens, is not done.
    """
    for old, new in _REPLACEMENTS:
        text = text.replace(old, new)
    sentences = (_MARKS.sub("", sentence) for sentence in text.strip().lower().split(". "))
    return " ".join([*" . ".join(sentences).split(), "."])


def text_statistics(references: References, candidates: Sequence[str]) -> dict[str, Statistic]:
    """BLEU-1 to BLEU-4, ROUGE-L and CIDEr under those names, in that order; ready for `bootstrap`.

    Document frequencies of CIDEr are those of all the references, in every resample.
    """
    counts = bleu_counts(references, candidates)
    return {
        **{f"BLEU-{n}": bleu_statistic(counts, n) for n in range(1, MAX_N + 1)},
        "ROUGE-L": mean_of(rouge_l_each(references, candidates)),
        "CIDEr": mean_of(Cider(references).score_each(candidates)),
    }


def bleu_counts(references: References, candidates: Sequence[str]) -> npt.NDArray[np.int64]:
    """What BLEU sums over studies, (n, 9): matched n-grams of length 1 to 4, each clipped to its
    highest count in one reference; the candidate's n-grams of length 1 to 4; and the length of the
    reference whose length is closest, the shorter of two."""
    rows = []
    for words, texts in _paired(references, candidates):
        most: _Counts = Counter()
        for reference in texts:
            most |= _n_grams(reference)
        matched = [0] * MAX_N
        for n_gram, count in (_n_grams(words) & most).items():
            matched[len(n_gram) - 1] += count
        guessed = [max(0, len(words) - n) for n in range(MAX_N)]
        closest = min((abs(len(text) - len(words)), len(text)) for text in texts)[1]
        rows.append([*matched, *guessed, closest])
    return np.array(rows, dtype=np.int64)


def bleu_of_sums(sums: FloatArray) -> FloatArray:
    """BLEU-1 to BLEU-4, (..., 4), of summed counts (..., 9). The constants against a division by
    zero are pycocoevalcap's, so that without a match BLEU is tiny and not 0."""
    matched, guessed, reference = sums[..., :MAX_N], sums[..., MAX_N:-1], sums[..., -1:]
    precisions = (matched + 1e-15) / (guessed + 1e-9)
    bleu = np.cumprod(precisions, axis=-1) ** (1 / np.arange(1, MAX_N + 1))
    length_ratio = (guessed[..., :1] + 1e-15) / (reference + 1e-9)
    scores: FloatArray = bleu * np.exp(np.minimum(0.0, 1 - 1 / length_ratio))
    return scores


def bleu_statistic(counts: npt.ArrayLike, n: int = MAX_N) -> Statistic:
    """BLEU-n of the corpus, from `bleu_counts`."""
    if not 1 <= n <= MAX_N:
        raise UserError(f"BLEU-n is given for n from 1 to {MAX_N}, got {n}")
    return of_sums(counts, lambda sums: bleu_of_sums(sums)[:, n - 1])


def rouge_l_each(references: References, candidates: Sequence[str]) -> FloatArray:
    """ROUGE-L of each study, (n,), from the best precision and the best recall among its
    references; 0 for an empty candidate."""
    scores = []
    for words, texts in _paired(references, candidates):
        common = [_common_subsequence(words, text) for text in texts]
        precision = max(common) / max(len(words), 1)
        recall = max(length / len(text) for length, text in zip(common, texts, strict=True))
        both = recall + _BETA_SQUARED * precision
        scores.append((1 + _BETA_SQUARED) * precision * recall / both if both else 0.0)
    return np.array(scores, dtype=np.float64)


class Cider:
    """CIDEr against one set of references, whose document frequencies it keeps.

    A set of a single study scores 0: every n-gram is then in all documents.
    """

    def __init__(self, references: References) -> None:
        self._references = _tokenised(references)
        frequencies: _Counts = Counter()
        for texts in self._references:
            frequencies.update({n_gram for text in texts for n_gram in _n_grams(text)})
        self._rarity = math.log(len(self._references))
        self._weights = {
            n_gram: self._rarity - math.log(count) for n_gram, count in frequencies.items()
        }

    def score_each(self, candidates: Sequence[str]) -> FloatArray:
        """CIDEr of each study, (n,), in the order of the references."""
        _check_lengths(self._references, candidates)
        scores = []
        for candidate, texts in zip(candidates, self._references, strict=True):
            words = candidate.split()
            scores.append(sum(self._similarity(words, text) for text in texts) / len(texts))
        return np.array(scores, dtype=np.float64)

    def _similarity(self, candidate: list[str], reference: list[str]) -> float:
        ours, theirs = self._weighted(candidate), self._weighted(reference)
        penalty = math.exp(-((len(candidate) - len(reference)) ** 2) / (2 * _SIGMA**2))
        cosines = [_clipped_cosine(a, b) for a, b in zip(ours, theirs, strict=True)]
        return 10 * penalty * sum(cosines) / MAX_N

    def _weighted(self, words: list[str]) -> list[dict[tuple[str, ...], float]]:
        """Counts times inverse document frequency, one mapping for each n-gram length."""
        vectors: list[dict[tuple[str, ...], float]] = [{} for _ in range(MAX_N)]
        for n_gram, count in _n_grams(words).items():
            weight = self._weights.get(n_gram, self._rarity)
            vectors[len(n_gram) - 1][n_gram] = count * weight
        return vectors


def _clipped_cosine(a: dict[tuple[str, ...], float], b: dict[tuple[str, ...], float]) -> float:
    norms = math.hypot(*a.values()) * math.hypot(*b.values())
    shared = sum(min(weight, b[n_gram]) * b[n_gram] for n_gram, weight in a.items() if n_gram in b)
    return shared / norms if norms else 0.0


def _n_grams(words: list[str]) -> _Counts:
    return Counter(
        tuple(words[start : start + n])
        for n in range(1, MAX_N + 1)
        for start in range(len(words) - n + 1)
    )


def _common_subsequence(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for word in a:
        diagonal = 0
        for column, other in enumerate(b, start=1):
            above = row[column]
            row[column] = diagonal + 1 if word == other else max(above, row[column - 1])
            diagonal = above
    return row[-1]


def _paired(
    references: References, candidates: Sequence[str]
) -> list[tuple[list[str], list[list[str]]]]:
    tokenised = _tokenised(references)
    _check_lengths(tokenised, candidates)
    words = [candidate.split() for candidate in candidates]
    return list(zip(words, tokenised, strict=True))


def _tokenised(references: References) -> list[list[list[str]]]:
    if not references:
        raise UserError("text metrics need at least one study, got no references")
    tokenised = []
    for number, given in enumerate(references):
        texts = [text.split() for text in ([given] if isinstance(given, str) else given)]
        if not texts or not all(texts):
            raise UserError(f"study {number} (from 0) has no reference text, or an empty one")
        tokenised.append(texts)
    return tokenised


def _check_lengths(references: list[list[list[str]]], candidates: Sequence[str]) -> None:
    if isinstance(candidates, str) or len(references) != len(candidates):
        raise UserError(
            f"text metrics need one candidate per study, got {len(candidates)} "
            f"for {len(references)} studies"
        )
