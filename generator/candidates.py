"""The cases that a context is chosen from: the nearest ones, and some for every finding shown.

retrieval = search_pool(retriever, query, exclude_study_ids=["2"])

Where the encoder sees a finding that too few of the near cases can lend words for, the nearest
cases that can are added, to be cited for it. Many a case that names a finding does so only beside
what holds of its patient alone ("the left chest tube was removed"), and lends nothing.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from generator.context import POOL, lends
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.results import Retrieval

_FOR_A_FINDING = 3
_LOOKED_AT = 20
"""Cases that name a finding, of which those that lend words for it are kept."""


class Finder(Protocol):
    """What is needed of ``retriever.search.Retriever``."""

    def find(self, query: Query, options: SearchOptions) -> Retrieval: ...


def search_pool(
    retriever: Finder,
    query: Query,
    *,
    findings: Collection[str] = (),
    exclude_patient_ids: Collection[str] = (),
    exclude_study_ids: Collection[str] = (),
) -> Retrieval:
    """Up to `POOL` hits, each report once, and those for ``findings`` and what the encoder sees;
    ranked by score. Of what is left out only copies of the image are named, not repeated
    reports."""
    options = SearchOptions(
        exclude_patient_ids=exclude_patient_ids, exclude_study_ids=exclude_study_ids
    )
    return search_pool_by(retriever, query, options, findings=findings)


def search_pool_by(
    retriever: Finder, query: Query, rules: SearchOptions, *, findings: Collection[str] = ()
) -> Retrieval:
    """`search_pool` under further rules for its hits, but for their number."""
    options = replace(rules, k=POOL, distinct_reports=True)
    retrieval = retriever.find(query, options)
    hits = list(retrieval.hits)
    known = {hit.case.case_id for hit in hits}
    for finding in sorted({*(retrieval.seen_findings or ()), *findings}):
        if sum(lends(hit.case, finding) for hit in hits) >= _FOR_A_FINDING:
            continue
        naming = (*options.labels, finding)
        more = retriever.find(query, replace(options, k=_LOOKED_AT, labels=naming)).hits
        new = [h for h in more if h.case.case_id not in known and lends(h.case, finding)]
        hits += new
        known |= {hit.case.case_id for hit in new}
    hits.sort(key=lambda hit: -hit.score)
    ranked = tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1))
    left_out = [one for one in retrieval.left_out if not one.reason.startswith("same report")]
    return replace(retrieval, hits=ranked, left_out=tuple(left_out))
