"""The systems of a retrieval evaluation: each one's answer for every study, ready to score.

systems = compare(retriever, studies, baseline=other_retriever)
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from db.index.store import Case
from db.labels import FINDINGS, OBSERVATIONS, Labels, positives
from evaluation.metrics.labels import highest_overlaps, label_overlap
from evaluation.metrics.ranking import first_ranks
from evaluation.retrieval.studies import EvaluationStudy, Views, embed
from indexer.reports.labeller import label_report
from indexer.reports.sentences import split_sentences
from retriever.case_filter import normalise_report
from retriever.knn_votes import Vote, weighted_votes
from retriever.options import SearchOptions
from retriever.query import Query, embed_texts, has_text_tower
from retriever.results import Retrieval
from retriever.search import K_VOTES, Retriever

K_RANKED = 10
"""Hits whose ranking is scored."""

SEED = 0

NORMAL_REPORT = (
    "Heart size is normal. The mediastinum is unremarkable. Both lungs are clear. "
    "No pleural effusion or pneumothorax is seen. The bony thorax is intact."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class System:
    """Answers in the order of the studies; what a system does not give is None."""

    name: str
    views: Views | None
    """None for a system that looks at no image."""
    texts: Sequence[str] | None = None
    """The findings it writes."""
    labels: Sequence[Labels] | None = None
    scores: np.ndarray | None = None
    """(n, 14), higher where an observation is likelier."""
    relevance: np.ndarray | None = None
    """(n, 10) label overlap of its hits in rank order, 0 beyond the last hit."""
    ideal: np.ndarray | None = None
    """(n, 10) the highest label overlaps of anything it could have found."""
    flagged: Sequence[bool] | None = None
    """Whether each study is judged out of distribution."""
    own_report_ranks: np.ndarray | None = None
    """(n,) rank of the study's own report among the reports of all studies, by text embedding."""


class Relevance:
    """Label overlap of every study with the cases it is asked about, and the highest of any."""

    def __init__(self, studies: Sequence[EvaluationStudy], labels: Mapping[int, Labels]) -> None:
        self._row = {case_id: row for row, case_id in enumerate(labels)}
        self._truth = positives([study.labels for study in studies], FINDINGS)  # (n, 13)
        self._named = positives(list(labels.values()), FINDINGS)  # (cases, 13)
        self.ideal = highest_overlaps(self._truth, self._named, K_RANKED)

    def of(self, cases: Sequence[Sequence[Case]]) -> np.ndarray:
        table = np.zeros((len(cases), K_RANKED))
        for study, some in enumerate(cases):
            rows = [self._row[case.case_id] for case in some[:K_RANKED]]
            found = label_overlap(self._truth[[study]], self._named[rows])
            table[study, : len(rows)] = found[0]
        return table


def compare(
    retriever: Retriever, studies: Sequence[EvaluationStudy], *, baseline: Retriever | None = None
) -> list[System]:
    """Return all systems of the table, the index under test with both views first."""
    encoder_name = retriever.encoder.spec.name
    systems = list(_of_index(encoder_name, retriever, studies))
    if baseline is not None:
        name = baseline.encoder.spec.name
        name = f"{name} (baseline)" if name == encoder_name else name
        systems += _of_index(name, baseline, studies)
    cases = list(retriever.index.cases)
    return [
        *systems,
        constant("constant, most frequent", most_frequent_findings(cases), studies),
        constant("constant, normal", NORMAL_REPORT, studies),
        random_cases("random cases", retriever, cases, studies),
    ]


def _of_index(
    encoder_name: str, retriever: Retriever, studies: Sequence[EvaluationStudy]
) -> Iterator[System]:
    every_view: tuple[Views, ...] = ("both", "frontal")
    found = {
        views: searched(retriever, embed(retriever.encoder, studies, views)) for views in every_view
    }
    for views in every_view:
        name = f"nearest case by {encoder_name}"
        yield nearest_case(name, views, retriever, found[views], studies)
    for views in every_view:
        head = label_head(f"label head of {encoder_name}", views, found[views])
        if head is not None:
            yield head


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchedStudy:
    """What one query gave, without its images."""

    vector: np.ndarray
    """(dim,)"""
    retrieval: Retrieval
    votes: Mapping[str, Vote]
    label_scores: Mapping[str, float] | None


def searched(retriever: Retriever, queries: Iterable[Query]) -> list[SearchedStudy]:
    """Search and vote with each query."""
    options = SearchOptions(k=K_RANKED)
    return [
        SearchedStudy(
            vector=query.vector,
            retrieval=retriever.find(query, options),
            votes=retriever.vote(query),
            label_scores=query.label_scores,
        )
        for query in queries
    ]


def nearest_case(
    name: str,
    views: Views,
    retriever: Retriever,
    found: Sequence[SearchedStudy],
    studies: Sequence[EvaluationStudy],
) -> System:
    """Copy the nearest case that has findings; its label scores are votes of the nearest cases."""
    hits = [one.retrieval.hits for one in found]
    ood_checks = [one.retrieval.ood for one in found if one.retrieval.ood is not None]
    nearest = [next((hit.case for hit in some if hit.case.findings), some[0].case) for some in hits]
    relevance = Relevance(studies, retriever.index.cases.label_sets())
    return System(
        name=name,
        views=views,
        texts=[case.findings for case in nearest],
        labels=[case.labels for case in nearest],
        scores=_probabilities([one.votes for one in found]),
        relevance=relevance.of([[hit.case for hit in some] for some in hits]),
        ideal=relevance.ideal,
        flagged=[not ood.in_distribution for ood in ood_checks] or None,
        own_report_ranks=_own_report_ranks(retriever, [one.vector for one in found], studies),
    )


def label_head(name: str, views: Views, found: Sequence[SearchedStudy]) -> System | None:
    """The encoder's label scores, or None where it has no label head."""
    scores = [one.label_scores for one in found]
    rows = [[one[name] for name in OBSERVATIONS] for one in scores if one is not None]
    return System(name=name, views=views, scores=np.array(rows)) if rows else None


def constant(name: str, text: str, studies: Sequence[EvaluationStudy]) -> System:
    """The same findings for every study."""
    labels = label_report(split_sentences(text))
    count = len(studies)
    return System(name=name, views=None, texts=[text] * count, labels=[labels] * count)


def most_frequent_findings(cases: Sequence[Case]) -> str:
    """The findings that most cases share word for word, as the first of these cases has them."""
    counts = Counter(normalise_report(case.findings) for case in cases if case.findings)
    ((most, _),) = counts.most_common(1)
    return next(case.findings for case in cases if normalise_report(case.findings) == most)


def random_cases(
    name: str, retriever: Retriever, cases: Sequence[Case], studies: Sequence[EvaluationStudy]
) -> System:
    """As many hits as a retrieval has, drawn at random from the cases with findings."""
    draw = random.Random(SEED)
    pool = [case for case in cases if case.findings]
    drawn = [draw.sample(pool, min(K_VOTES, len(pool))) for _ in studies]
    votes = []
    for some in drawn:
        named = positives([case.labels for case in some])
        votes.append(weighted_votes(np.zeros(len(some)), named, range(len(some))))
    relevance = Relevance(studies, retriever.index.cases.label_sets())
    return System(
        name=name,
        views=None,
        texts=[some[0].findings for some in drawn],
        labels=[some[0].labels for some in drawn],
        scores=_probabilities(votes),
        relevance=relevance.of(drawn),
        ideal=relevance.ideal,
    )


def _probabilities(votes: Sequence[Mapping[str, Vote]]) -> np.ndarray:
    return np.array([[one[name].probability for name in OBSERVATIONS] for one in votes])


def _own_report_ranks(
    retriever: Retriever, vectors: Sequence[np.ndarray], studies: Sequence[EvaluationStudy]
) -> np.ndarray | None:
    """A report that says word for word the same is the study's own as well."""
    if not has_text_tower(retriever.encoder):
        return None
    reports = [" ".join(study.report.split())[:4_000] for study in studies]
    scores = np.stack(vectors) @ embed_texts(retriever.encoder, reports).T
    texts = np.array([normalise_report(report) for report in reports])
    return first_ranks(scores, texts[:, None] == texts[None])
