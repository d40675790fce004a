"""The tasks without a language model: a report, a caption or classes from the hits alone.

retrieval, report = run_without_model(retriever, query, request)
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from db.errors import UserError
from generator.classification import observe_without_model, to_classification
from generator.extractive import write_report
from generator.grounding.report import GroundedReport
from generator.prompts import Task
from generator.request import GenerationRequest
from retriever.knn_votes import Vote
from retriever.query import Query
from retriever.results import Retrieval
from retriever.search import Retriever


def run_without_model(
    retriever: Retriever, query: Query, request: GenerationRequest
) -> tuple[Retrieval, GroundedReport]:
    """Search, then write what the request asks for.

    Raises UserError for a question, and where no case passes the rules of the search.
    """
    if request.task == "ask":
        raise UserError("a question needs a language model: name one with --model")
    options = request.options
    votes = retriever.vote(query, options) if request.task == "classify" else {}
    retrieval = retriever.find(query, options)
    return retrieval, write_without_model(request.task, retrieval, votes)


def write_without_model(
    task: Task,
    retrieval: Retrieval,
    votes: Mapping[str, Vote],
    *,
    write: Callable[[Retrieval], GroundedReport] = write_report,
) -> GroundedReport:
    """Write a report, a caption or classes from hits.

    A caption is the first statement of the report's impression, or of its findings. Classes weigh
    the ``votes`` of the retrieved cases and the encoder's label head equally. Raises UserError as
    `generator.extractive.write_report`.
    """
    if task == "classify":
        observations = observe_without_model(votes, retrieval.label_scores)
        return to_classification(observations, retrieval, hits=retrieval.hits, generator="votes-1")
    report = write(retrieval)
    if task == "caption":
        first = (*report.section("impression"), *report.section("findings"))[:1]
        return replace(report, statements=first)
    return report
