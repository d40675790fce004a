"""The tasks without a language model: a report, an answer, a caption or classes.

retrieval, report = run_without_model(retriever, query, request, calibration=calibration)
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from generator.assessment.assess import assess
from generator.assessment.calibration import Calibration, Sensitivity
from generator.assessment.classification import to_classification
from generator.assessment.situation import study_warnings
from generator.context.candidates import CandidateSearch, add_cases_for
from generator.extractive import write_report
from generator.grounding.report import GroundedReport
from generator.request import GenerationRequest
from retriever.knn_votes import Vote
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.results import Retrieval
from retriever.search import Retriever

CLASSES_VERSION = "votes-2"

WriteReport = Callable[[Retrieval], GroundedReport]
"""What may take the place of `generator.extractive.write_report`."""


class VotingSearch(CandidateSearch, Protocol):
    """A search whose cases can also vote."""

    def vote(self, query: Query, options: SearchOptions) -> dict[str, Vote]: ...


def run_without_model(
    retriever: Retriever,
    query: Query,
    request: GenerationRequest,
    *,
    calibration: Calibration | None = None,
) -> tuple[Retrieval, GroundedReport]:
    """Search, assess, and write what the request asks for.

    Raises UserError where no case passes the rules of the search.
    """
    retrieval, votes = find_to_write(
        retriever,
        query,
        request.options,
        calibration=calibration,
        sensitivity=request.sensitivity,
    )
    return retrieval, write_without_model(request, retrieval, votes, calibration=calibration)


def find_to_write(
    retriever: VotingSearch,
    query: Query,
    options: SearchOptions,
    *,
    calibration: Calibration | None = None,
    sensitivity: Sensitivity = "balanced",
) -> tuple[Retrieval, dict[str, Vote]]:
    """Find hits of which one words each present finding, where the index has such a case."""
    retrieval = retriever.find(query, options)
    if not retrieval.hits:
        return retrieval, {}
    votes = retriever.vote(query, options)
    found = assess(query, votes, calibration=calibration, sensitivity=sensitivity)
    return add_cases_for(retriever, query, options, retrieval, found.present), votes


def write_without_model(
    request: GenerationRequest,
    retrieval: Retrieval,
    votes: Mapping[str, Vote],
    *,
    calibration: Calibration | None = None,
    write: WriteReport | None = None,
) -> GroundedReport:
    """Write a report, an answer, a caption or classes from hits and the assessment.

    An answer is of the assessment and the hits, and declines what these do not hold. A caption is
    the first statement of the report's impression, or of its findings. Raises UserError
    as `generator.extractive.write_report`.
    """
    assessment = assess(retrieval, votes, calibration=calibration, sensitivity=request.sensitivity)
    if request.task == "ask":
        from generator.questions.decide import decide_all  # its patterns take a second to compile
        from generator.questions.report import answer_report

        answer = decide_all(request.question or "", assessment, retrieval)
        return answer_report(
            answer, retrieval, assessment, hits=retrieval.hits, notes=retrieval.notes
        )
    if request.task == "classify":
        classes = to_classification(
            assessment,
            retrieval,
            hits=retrieval.hits,
            generator=CLASSES_VERSION,
            notes=retrieval.notes,
        )
        return replace(classes, warnings=study_warnings(retrieval))
    report = write(retrieval) if write else write_report(retrieval, assessment=assessment)
    if request.task == "caption":
        first = (*report.section("impression"), *report.section("findings"))[:1]
        empty = () if first else ("Nothing is stated.",)
        return replace(report, statements=first, warnings=(*study_warnings(retrieval), *empty))
    return report
