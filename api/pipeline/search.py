"""The search stage: embed all images of a batch at once, then search for each study."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from api.pipeline.current_index import StudySearch, find_case
from api.pipeline.scheduler import Ticket, WorkCancelledError
from generator.prior.request import PriorRequest
from generator.prior.retrieved import RetrievedPrior, keep_out, retrieve_prior
from indexer.encoder.spec import EncoderSpec
from indexer.images.radiograph import Radiograph
from retriever.knn_votes import Vote
from retriever.options import SearchOptions
from retriever.query import Query, image_queries
from retriever.results import Retrieval

Find = Callable[[StudySearch, Query, SearchOptions], Retrieval]


def find_hits(retriever: StudySearch, query: Query, options: SearchOptions) -> Retrieval:
    """Return as many hits as ``options`` asks for."""
    return retriever.find(query, options)


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchInput:
    """A search by one study, a text, both, or an indexed case."""

    options: SearchOptions
    images: tuple[Radiograph, ...] = ()
    text: str | None = None
    case: str | None = None
    """Key of an indexed case, to search with its stored vector; excludes images and text."""
    find: Find = find_hits
    """The search function for images."""
    votes: bool = False
    """Whether to count the votes of many more cases than the hits; for images only."""
    prior: tuple[tuple[Radiograph, ...], PriorRequest] | None = None
    """The images of the patient's own prior study, and what was said of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Queries:
    """Of a study, and of its prior study if it has one."""

    own: Query
    prior: Query | None


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchOutput:
    """The hits and the encoder that found them; the open index may change before they are used."""

    retrieval: Retrieval
    encoder: EncoderSpec
    votes: Mapping[str, Vote] = field(default_factory=dict)
    prior: RetrievedPrior | None = None
    """What the prior study's assessment is made from."""


def search_all(
    retriever: StudySearch, tickets: Sequence[Ticket[SearchInput]]
) -> list[SearchOutput | Exception]:
    """Return hits or an error for each ticket; a bad study does not affect the others."""
    queries = _embed(retriever, tickets)
    return [_search(retriever, ticket, queries.get(ticket)) for ticket in tickets]


def _embed(
    retriever: StudySearch, tickets: Sequence[Ticket[SearchInput]]
) -> dict[Ticket[SearchInput], "_Queries"]:
    alone = [
        ticket
        for ticket in tickets
        if ticket.work.images and ticket.work.text is None and not ticket.cancelled.is_set()
    ]
    if not alone:
        return {}
    images = [ticket.work.images for ticket in alone]
    priors = [ticket for ticket in alone if ticket.work.prior is not None]
    images += [ticket.work.prior[0] for ticket in priors if ticket.work.prior is not None]
    found = image_queries(retriever.encoder, images)
    before = dict(zip(priors, found[len(alone) :], strict=True))
    return {
        ticket: _Queries(own=own, prior=before.get(ticket))
        for ticket, own in zip(alone, found[: len(alone)], strict=True)
    }


def _search(
    retriever: StudySearch, ticket: Ticket[SearchInput], queries: "_Queries | None"
) -> SearchOutput | Exception:
    work, options = ticket.work, ticket.work.options
    encoder = retriever.encoder.spec
    if ticket.cancelled.is_set():
        return WorkCancelledError()
    try:
        retriever.check_exclusions(options)
        if queries is not None:
            query, prior = queries.own, None
            if queries.prior is not None and work.prior is not None:
                options = keep_out(retriever, options, queries.prior, work.prior[1])
                prior = retrieve_prior(retriever, query, queries.prior, options)
            retrieval = work.find(retriever, query, options)
            votes = retriever.vote(query, options) if work.votes else {}
            return SearchOutput(retrieval=retrieval, encoder=encoder, votes=votes, prior=prior)
        if work.case is not None:
            return SearchOutput(
                retrieval=_search_by_case(retriever, work.case, options), encoder=encoder
            )
        retrieval = retriever.search(work.images, options, text=work.text)
        return SearchOutput(retrieval=retrieval, encoder=encoder)
    except Exception as error:
        return error


def _search_by_case(retriever: StudySearch, key: str, options: SearchOptions) -> Retrieval:
    """Find the cases most similar to an indexed one, excluding itself."""
    case = find_case(retriever, key)
    vector = retriever.index.vectors.vector(case.case_id)
    query = Query(
        vector=vector, image_vectors=np.zeros((0, len(vector)), np.float32), thresholds={}
    )
    others = replace(options, exclude_study_ids=(*options.exclude_study_ids, case.study_id))
    return retriever.find(query, others)
