"""The cases that a search returns and that a writer is shown, by strategy: what they name.

table = shown_cases_table(retriever, studies, queries)

Of the findings that a study's report names, positive or uncertain: how many are named by at least
one of the cases; of the findings that any of the cases names, how many the report names as well;
and the nDCG of the cases in their order, with the label overlap of case and study as gain and as
many ranks as there are cases.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from db.labels import FINDINGS, positives
from evaluation.metrics.bootstrap import RESAMPLES, Statistic, mean_of
from evaluation.metrics.labels import label_overlap
from evaluation.metrics.ranking import ndcg_at_k
from evaluation.retrieval.studies import EvaluationStudy
from evaluation.retrieval.systems import K_RANKED
from evaluation.tables import Cell, Share, Table, minus, tabulate
from generator.context.build import (
    REPORT_CONTEXT,
    SHORT_CONTEXT,
    ContextOptions,
    select_hits,
    targets,
)
from generator.context.candidates import find_candidates
from retriever.options import SearchOptions, Strategy
from retriever.query import Query
from retriever.results import Hit
from retriever.search import Retriever

TITLE = "Cases by strategy"
STRATEGIES: tuple[Strategy, ...] = ("similar", "findings")
NAMED, PRECISION, NDCG = "true findings named", "precision of what is named", "nDCG"

_Choose = Callable[[Retriever, Query, Strategy], Sequence[Hit]]


def shown_cases_table(
    retriever: Retriever,
    studies: Sequence[EvaluationStudy],
    queries: Iterable[Query],
    *,
    resamples: int = RESAMPLES,
) -> Table:
    """Tabulate each purpose by strategy, and the difference that ``findings`` makes."""
    labels = retriever.index.cases.label_sets()
    named = positives(list(labels.values()), FINDINGS)  # (cases, 13)
    row_of = {case_id: row for row, case_id in enumerate(labels)}
    truth = positives([study.labels for study in studies], FINDINGS)
    chosen: dict[str, dict[Strategy, list[list[int]]]] = {
        purpose: {strategy: [] for strategy in STRATEGIES} for purpose in _PURPOSES
    }
    for query in queries:
        for purpose, choose in _PURPOSES.items():
            for strategy in STRATEGIES:
                hits = choose(retriever, query, strategy)
                chosen[purpose][strategy].append([row_of[hit.case.case_id] for hit in hits])
    rows: dict[str, dict[str, Cell]] = {}
    for purpose in _PURPOSES:
        by_strategy = {
            strategy: _measures(truth, named, chosen[purpose][strategy]) for strategy in STRATEGIES
        }
        for measure, cell in by_strategy["similar"].items():
            rows[f"{purpose}: {measure}"] = {
                **{strategy: by_strategy[strategy][measure] for strategy in STRATEGIES},
                "difference": minus(by_strategy["findings"][measure], cell),
            }
    return tabulate(
        TITLE,
        rows,
        patients=[study.patient_id for study in studies],
        notes=(
            f"{NAMED}: by at least one of the cases; precision: of the findings that any of them "
            "names, those that the report has; nDCG over as many ranks as there are cases",
        ),
        resamples=resamples,
    )


def _measures(
    truth: np.ndarray, named: np.ndarray, chosen: Sequence[Sequence[int]]
) -> Mapping[str, Statistic | Share]:
    """Of the chosen cases (rows of ``named``) of each study."""
    offered = np.stack([named[some].any(axis=0) for some in chosen])
    gains = [_gain(truth[[study]], named, some) for study, some in enumerate(chosen)]
    hits = (truth & offered).sum(axis=1)
    return {
        NAMED: Share(hits=hits, of=truth.sum(axis=1)),
        PRECISION: Share(hits=hits, of=offered.sum(axis=1)),
        NDCG: mean_of(gains),
    }


def _gain(truth: np.ndarray, named: np.ndarray, chosen: Sequence[int]) -> float:
    """nDCG of the chosen cases (rows of ``named``) of one study, truth (1, 13)."""
    if not chosen:
        return 0.0
    overlap = label_overlap(truth, named)
    return float(ndcg_at_k(overlap[:, chosen], len(chosen), pool=overlap)[0])


def _searched(retriever: Retriever, query: Query, strategy: Strategy) -> Sequence[Hit]:
    return retriever.find(query, SearchOptions(k=K_RANKED, strategy=strategy)).hits


def _shown(options: ContextOptions) -> _Choose:
    def choose(retriever: Retriever, query: Query, strategy: Strategy) -> Sequence[Hit]:
        retrieval = find_candidates(retriever, query, SearchOptions(strategy=strategy))
        wanted = targets(retrieval, retrieval.image_findings or ())
        return select_hits(retrieval.hits, wanted, options.of(strategy))

    return choose


_PURPOSES: dict[str, _Choose] = {
    f"search, k = {K_RANKED}": _searched,
    "shown for a report": _shown(REPORT_CONTEXT),
    "shown for a question": _shown(SHORT_CONTEXT),
}
