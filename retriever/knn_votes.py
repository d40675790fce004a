"""Label probabilities by a weighted vote of the retrieved cases (k-nearest neighbours).

votes = vote(retrieval.hits)
votes["Cardiomegaly"].probability, votes["Cardiomegaly"].low, votes["Cardiomegaly"].high
votes["Cardiomegaly"].supporting_ranks          # the supporting hits
retriever.vote(query)                           # hundreds of cases vote: a better ranking
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from db.errors import UserError
from db.labels import OBSERVATIONS, positives
from retriever.results import Hit

TEMPERATURE = 0.05
"""A hit whose cosine is lower by this amount has 1/e of the weight."""

_Z = 1.959964  # 95 %


@dataclass(frozen=True, kw_only=True)
class Vote:
    """The vote on one observation."""

    probability: float
    """Weighted share, 0..1, of the hits in which it is positive or uncertain."""
    low: float
    high: float
    """95 % interval of that share: Wilson (JASA 1927) with the effective number of hits,
    1 / sum of squared weights (Kish 1965), so few hits give a wider interval than many."""
    supporting_ranks: tuple[int, ...]
    """Ranks of the hits in which it is positive or uncertain."""


def vote(hits: Sequence[Hit], *, temperature: float = TEMPERATURE) -> dict[str, Vote]:
    """Vote on every observation, including No Finding.

    The weights are exp(score / temperature), normalised to 1; with an infinite temperature all hits
    count equally. Raises UserError without hits, or if the temperature is not above 0.
    """
    scores = np.array([hit.score for hit in hits])
    named = positives([hit.case.labels for hit in hits])
    return weighted_votes(scores, named, [hit.rank for hit in hits], temperature=temperature)


def weighted_votes(
    scores: np.ndarray,
    named: np.ndarray,
    ranks: Sequence[int],
    *,
    temperature: float = TEMPERATURE,
) -> dict[str, Vote]:
    """Like `vote`, from cosines (n,) and the cases' labels (n, 14) in the order of OBSERVATIONS."""
    if len(scores) == 0:
        raise UserError("there are no hits to vote: exclude fewer cases or use a larger index")
    if not temperature > 0:
        raise UserError(f"temperature must be above 0, not {temperature}")
    weights = np.exp((scores - scores.max()) / temperature)
    weights /= weights.sum()
    size = 1 / float((weights**2).sum())
    shares = np.clip(weights @ named.astype(np.float64), 0, 1)
    votes = {}
    for column, name in enumerate(OBSERVATIONS):
        share = float(shares[column])
        low, high = _wilson(share, size)
        supporting = tuple(ranks[int(place)] for place in np.flatnonzero(named[:, column]))
        votes[name] = Vote(probability=share, low=low, high=high, supporting_ranks=supporting)
    return votes


def _wilson(share: float, size: float) -> tuple[float, float]:
    centre = (share + _Z**2 / (2 * size)) / (1 + _Z**2 / size)
    spread = math.sqrt(share * (1 - share) / size + _Z**2 / (4 * size**2))
    half = _Z * spread / (1 + _Z**2 / size)
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))
