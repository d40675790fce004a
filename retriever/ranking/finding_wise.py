"""Rank and choose cases so that each finding that the image may show is named by some of them.

likelihoods = finding_likelihoods(votes, query.label_scores)
ranking = FindingRanking(likelihoods, prevalence)
ranking.wanted                          # the findings with a quota
ranking.scores(cosines, named)          # the cosine, and how well each case's labels fit

Most studies are normal, so the cases most similar to a study are mostly normal too, and a finding
that none of them names cannot be worded by whoever reads them. Here every finding that the image
may show, with `LEAST_LIKELIHOOD`, has a quota of the hits. The likelihood alone would rank normal
cases first whatever the image looks like, so it only adds to the cosine. The idea of a quota per
finding is that of xQuAD (Santos et al., WWW 2010) for the aspects of a query. The constants were
chosen on the val studies of Open-I with the shipped encoder; ``python -m evaluation retrieval``
prints what the strategy names.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from db.index.selection import Selection, names_all
from db.index.store import Case
from db.labels import FINDINGS, Labels, named
from retriever.case_filter import Candidate, CaseFilter
from retriever.knn_votes import Vote
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.selected import SelectiveVectors

LIKELIHOOD_WEIGHT = 1.0
"""Of the mean log-likelihood of a case's labels, beside its cosine."""
LEAST_LIKELIHOOD = 0.17
"""A finding from this probability on has a quota. On val one bound for all findings named more true
ones at the same precision than a multiple of each finding's share of the index."""
QUOTA = 2
"""Hits that should name such a finding."""
MOST_FOR_FINDINGS = 0.75
"""Share of the hits that quotas may fill; the rest are the best ranked, whatever they name."""

_HEAD_WEIGHT = 0.65
"""Of the label head's log-odds, beside those of the votes."""
_POOL = 500
"""The least number of nearest cases that are ranked."""
_POOL_PER_HIT = 5
_LEAST = 1e-3
"""Likelihoods are kept this far from 0 and 1."""


def finding_likelihoods(
    votes: Mapping[str, Vote], label_scores: Mapping[str, float] | None
) -> dict[str, float]:
    """Finding to its probability: the mean log-odds of the votes and, if any, the label head."""
    likelihoods = {}
    for name in FINDINGS:
        odds = _log_odds(votes[name].probability)
        if label_scores is not None:
            odds += _HEAD_WEIGHT * (_log_odds(label_scores[name]) - odds)
        likelihoods[name] = 1 / (1 + math.exp(-odds))
    return likelihoods


def ranking_score(cosine: float, labels: Labels, likelihoods: Mapping[str, float]) -> float:
    """Return the score of one case; see `FindingRanking.scores`."""
    says = named(labels)
    fit = sum(
        math.log(likelihoods[name] if name in says else 1 - likelihoods[name]) for name in FINDINGS
    )
    return cosine + LIKELIHOOD_WEIGHT * fit / len(FINDINGS)


@dataclass(frozen=True)
class FindingRanking:
    """The ranking for one query."""

    likelihoods: Mapping[str, float]
    """Finding to probability, above 0 and below 1."""
    prevalence: npt.NDArray[np.float64]
    """(13,) share of the indexed cases that name each finding."""

    @cached_property
    def wanted(self) -> tuple[str, ...]:
        """The findings with a quota, those first that are most unusual in the index."""
        ratios = {
            name: self.likelihoods[name] / share
            for name, share in zip(FINDINGS, self.prevalence, strict=True)
            if share > 0 and self.likelihoods[name] >= LEAST_LIKELIHOOD
        }
        return tuple(sorted(ratios, key=lambda name: -ratios[name]))

    def scores(
        self, cosines: npt.NDArray[np.floating], have: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """Cosine plus weighted mean log-likelihood of the labels (n, 13) of each case: (n,)."""
        chance = np.array([self.likelihoods[name] for name in FINDINGS])
        there, not_there = np.log(chance), np.log1p(-chance)
        fit = have @ (there - not_there) + not_there.sum()
        found: npt.NDArray[np.float64] = cosines + LIKELIHOOD_WEIGHT * fit / len(FINDINGS)
        return found

    def turns(
        self, scores: npt.NDArray[np.floating], have: npt.NDArray[np.bool_]
    ) -> Iterator[tuple[str | None, Sequence[int]]]:
        """Yield each wanted finding with the places of the cases that name it, best first, and at
        last None with all places."""
        order = np.argsort(-scores, kind="stable")
        for name in self.wanted:
            yield name, order[have[order, FINDINGS.index(name)]].tolist()
        yield None, order.tolist()


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Cases to choose from."""

    ids: npt.NDArray[np.intp]
    """(n,)"""
    cosines: npt.NDArray[np.float32]
    """(n,)"""
    have: npt.NDArray[np.bool_]
    """(n, 13) the findings that each case names."""


class FindingWiseSearch:
    """The search of one index."""

    def __init__(
        self,
        vectors: SelectiveVectors,
        case_ids: npt.NDArray[np.intp],
        findings: npt.NDArray[np.bool_],
        cases: Callable[[Sequence[int]], Sequence[Case]],
    ) -> None:
        """``case_ids`` (cases,) ascend; ``findings`` (cases, 13); ``cases`` reads cases by id."""
        self._vectors = vectors
        self._case_ids = case_ids
        self._findings = findings
        self._cases = cases

    def pool(
        self,
        query: Query,
        options: SearchOptions,
        ranking: FindingRanking,
        selection: Selection,
    ) -> Pool:
        """The nearest cases, and the nearest that name each wanted finding."""
        size = max(_POOL, _POOL_PER_HIT * options.k)
        found = [self._vectors.select(query.vector, size, selection)]
        for name in ranking.wanted:
            naming = selection.narrowed(names_all([name]))
            found.append(self._vectors.select(query.vector, options.k, naming))
        ids, first = np.unique(np.concatenate([ids for ids, _ in found]), return_index=True)
        cosines = np.concatenate([scores for _, scores in found])[first]
        best = float(cosines.max(initial=-1.0))
        near = cosines >= options.least_score(best if best > 0 else None)
        ids, cosines = ids[near], cosines[near]
        have = self._findings[np.searchsorted(self._case_ids, ids)]
        return Pool(ids=ids, cosines=cosines, have=have)

    def choose(
        self, pool: Pool, k: int, ranking: FindingRanking, case_filter: CaseFilter
    ) -> list[Candidate]:
        """At most ``k`` cases: some for every wanted finding, the rest the best ranked.

        They come in the order of the ranking.
        """
        scores = ranking.scores(pool.cosines, pool.have)
        best = pool.ids[np.argsort(-scores)[: 2 * k]]
        self._cases([int(one) for one in best])  # together, which is faster
        refused: set[int] = set()
        chosen: dict[int, Candidate] = {}
        for finding, places in ranking.turns(scores, pool.have):
            room = k if finding is None else round(MOST_FOR_FINDINGS * k)
            for place in places:
                if len(chosen) >= room or (
                    finding is not None
                    and pool.have[list(chosen), FINDINGS.index(finding)].sum() >= QUOTA
                ):
                    break
                if place in chosen or place in refused:
                    continue
                (case,) = self._cases([int(pool.ids[place])])
                candidate = Candidate(
                    case=case, score=float(pool.cosines[place]), value=float(scores[place])
                )
                if case_filter.admits(candidate):
                    chosen[place] = candidate
                else:
                    refused.add(place)
        return sorted(chosen.values(), key=lambda one: -one.value)


def _log_odds(probability: float) -> float:
    kept = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(kept / (1 - kept))
