"""The candidate cases of a context: the nearest ones, and some for every image finding.

retrieval = find_candidates(retriever, query, SearchOptions(exclude_study_ids=["2"]))

If too few of the nearest cases have a reusable sentence on an image finding, the nearest cases with
such a sentence are added. Many cases name a finding only in a sentence about their own patient
("the left chest tube was removed"), which cannot be reused.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from generator.context.shown_case import has_reusable_sentence
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.ranking.finding_wise import ranking_score
from retriever.results import Hit, Retrieval

MAX_CANDIDATES = 50
"""Hits of the first search, whatever they name."""

_PER_FINDING = 3
_MAX_NAMING = 20
"""Cases naming a finding that are searched for reusable sentences."""


class CandidateSearch(Protocol):
    """The part of ``retriever.search.Retriever`` that is used here."""

    def find(self, query: Query, options: SearchOptions) -> Retrieval: ...


def find_candidates(
    retriever: CandidateSearch,
    query: Query,
    options: SearchOptions | None = None,
    *,
    findings: Collection[str] = (),
) -> Retrieval:
    """Find up to `MAX_CANDIDATES` hits, each report once, plus hits for image and given findings.

    All of ``options`` but ``k`` and ``distinct_reports`` apply. The hits are ranked by score, or as
    their strategy ranks them. Of the cases left out, only near duplicates of the image are listed,
    not repeated reports.
    """
    options = replace(options or SearchOptions(), k=MAX_CANDIDATES, distinct_reports=True)
    retrieval = retriever.find(query, options)
    hits = list(retrieval.hits)
    nearest = replace(options, strategy="similar")
    wanted = (*(retrieval.image_findings or ()), *retrieval.wanted_findings, *findings)
    for finding in sorted(set(wanted)):
        if sum(has_reusable_sentence(hit.case, finding) for hit in hits) < _PER_FINDING:
            hits += _naming(retriever, query, nearest, finding, hits)
    excluded_cases = [
        one for one in retrieval.excluded_cases if not one.reason.startswith("same report")
    ]
    return replace(retrieval, hits=_ranked(hits, retrieval), excluded_cases=tuple(excluded_cases))


def add_cases_for(
    retriever: CandidateSearch,
    query: Query,
    options: SearchOptions,
    retrieval: Retrieval,
    findings: Collection[str],
) -> Retrieval:
    """Replace the last hits by cases that word these findings, at most ``options.k`` in all.

    For a finding that no hit has in a reusable sentence, the nearest case that has one is taken.
    """
    nearest = replace(options, strategy="similar")
    added: list[Hit] = []
    for finding in findings:
        if not any(has_reusable_sentence(hit.case, finding) for hit in (*retrieval.hits, *added)):
            known = [*retrieval.hits, *added]
            added += _naming(retriever, query, nearest, finding, known)[:1]
    kept = retrieval.hits[: max(1, options.k - len(added))]
    return replace(retrieval, hits=_ranked([*kept, *added], retrieval)[: options.k])


def _naming(
    retriever: CandidateSearch,
    query: Query,
    options: SearchOptions,
    finding: str,
    known: Collection[Hit],
) -> list[Hit]:
    """The nearest cases with a reusable sentence on a finding, without those that are known."""
    naming = (*options.labels, finding)
    more = retriever.find(query, replace(options, k=_MAX_NAMING, labels=naming)).hits
    ids = {hit.case.case_id for hit in known}
    return [
        hit
        for hit in more
        if hit.case.case_id not in ids and has_reusable_sentence(hit.case, finding)
    ]


def _ranked(hits: Collection[Hit], retrieval: Retrieval) -> tuple[Hit, ...]:
    likelihoods = retrieval.finding_likelihoods
    best_first = sorted(
        hits,
        key=lambda hit: (
            -hit.score
            if likelihoods is None
            else -ranking_score(hit.score, hit.case.labels, likelihoods)
        ),
    )
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(best_first, start=1))
