"""Invented reports as cases, hits and retrievals, without an index."""

from collections.abc import Mapping, Sequence

from db.index.store import Case
from db.labels import FINDINGS, OBSERVATIONS
from generator.context.build import Context, write_context
from indexer.ingest.studies import to_case
from indexer.sources.records import StudyRecord
from retriever.results import Hit, Retrieval


def words(text: str) -> int:
    """Tokens of a model that reads words."""
    return len(text.split())


def a_case(
    number: int,
    findings: str = "",
    impression: str = "",
    *,
    patient_id: str | None = None,
    indication: str = "",
) -> Case:
    """As a build would read it, its labels those of the labeller."""
    record = StudyRecord(
        study_id=f"s{number}",
        patient_id=patient_id or f"p{number}",
        indication=indication,
        findings=findings,
        impression=impression,
    )
    return to_case(record, "drawn", number, images=())


def a_retrieval(
    reports: Sequence[str | Case],
    scores: Mapping[str, float] | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> Retrieval:
    """Hits in this order, each a report or its findings; every label score not given is 0.1."""
    cases = [
        report if isinstance(report, Case) else a_case(number, report)
        for number, report in enumerate(reports, start=1)
    ]
    return Retrieval(
        hits=tuple(
            Hit(rank=rank, score=1 - rank / 100, case=case)
            for rank, case in enumerate(cases, start=1)
        ),
        index_fingerprint="f" * 64,
        source="drawn",
        images_sha256=("a" * 64,),
        label_scores=None if scores is None else {n: scores.get(n, 0.1) for n in OBSERVATIONS},
        label_thresholds=None
        if scores is None
        else {name: (thresholds or {}).get(name, 0.5) for name in FINDINGS},
    )


def shown(retrieval: Retrieval) -> Context:
    """All of its hits, whole."""
    return write_context(
        retrieval.hits, retrieval.image_findings, count_tokens=words, max_tokens=10_000
    )
