"""A prior study as it was searched with, and what must hold before it is compared with.

check_pair(images, prior_images, request)       # before they are embedded: headers and dates
prior = retrieve_prior(retriever, query, prior_query, options)
options = keep_out(retriever, options, prior_query, request)        # of the study's own search

The prior study is assessed like the study: the same cases vote on it, but for its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from db.errors import UserError
from db.index.case import Case, case_key
from generator.prior.request import PriorRequest
from indexer.images.radiograph import AnyRadiograph
from indexer.images.reader import difference_hash
from retriever.knn_votes import Vote
from retriever.near_duplicates import near_pairs
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.results import View

SAME_IMAGE = (
    "the prior study has the same image as the study: send the images of an earlier examination"
)


class PriorSearch(Protocol):
    """The part of ``retriever.search.Retriever`` that is used here."""

    def vote(self, query: Query, options: SearchOptions) -> dict[str, Vote]: ...

    def near_duplicates(self, query: Query) -> list[Case]: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class RetrievedPrior:
    """What the assessment of a prior study is made from; see `assess`."""

    label_scores: Mapping[str, float] | None
    views: tuple[View, ...]
    votes: Mapping[str, Vote]
    images_sha256: tuple[str, ...]
    notes: tuple[str, ...] = ()


def check_pair(
    images: Sequence[AnyRadiograph],
    prior_images: Sequence[AnyRadiograph],
    request: PriorRequest,
) -> None:
    """Raise UserError for a prior study of another patient, or of a later date, by the headers.

    Headers are compared and not kept; no message quotes them.
    """
    subjects = [one.subject for one in images if one.subject is not None]
    before = [one.subject for one in prior_images if one.subject is not None]
    if any(one.is_other_patient(other) for one in subjects for other in before):
        raise UserError(
            "the prior study is of another patient than the study, by their DICOM headers: send "
            "an earlier study of the same patient"
        )
    dates, dates_before = (
        [given] if given is not None else [date for one in stated if (date := one.date) is not None]
        for given, stated in ((request.study_date, subjects), (request.date, before))
    )
    if dates and dates_before and min(dates_before) > max(dates):
        raise UserError(
            "the prior study is of a later date than the study: swap the two, or correct a date"
        )


def retrieve_prior(
    retriever: PriorSearch, query: Query, prior_query: Query, options: SearchOptions
) -> RetrievedPrior:
    """Let the cases vote on the prior study, without its own and the study's.

    Raises UserError where the two cannot be compared: a study without a frontal view, or the same
    image in both.
    """
    check_comparable(query, prior_query)
    positions = {one.is_frontal for one in query.views}
    notes = []
    if {one.is_frontal for one in prior_query.views} != positions:
        notes.append("the prior study has other views than the study: they are compared as a whole")
    return RetrievedPrior(
        label_scores=prior_query.label_scores,
        views=prior_query.views,
        votes=retriever.vote(prior_query, options),
        images_sha256=tuple(image.sha256 for image in prior_query.images),
        notes=tuple(notes),
    )


def check_comparable(query: Query, prior_query: Query) -> None:
    """Raises UserError as `retrieve_prior` does."""
    for name, one in (("study", query), ("prior study", prior_query)):
        if one.views and all(view.is_frontal is False for view in one.views):
            raise UserError(
                f"the {name} has no frontal view: a comparison needs one in both studies"
            )
    own = {image.sha256 for image in query.images}
    if any(image.sha256 in own for image in prior_query.images) or _near(query, prior_query):
        raise UserError(SAME_IMAGE)


def _near(query: Query, prior_query: Query) -> bool:
    hashes, others = (
        [difference_hash(image.pixels) for image in one.images] for one in (query, prior_query)
    )
    pairs = near_pairs(
        hashes,
        others,
        lambda places: np.asarray(query.image_vectors[places], np.float32),
        lambda places: np.asarray(prior_query.image_vectors[places], np.float32),
    )
    return next(pairs, None) is not None


def keep_out(
    retriever: PriorSearch, options: SearchOptions, prior_query: Query, request: PriorRequest
) -> SearchOptions:
    """The options of a search in which no case of the prior study's patient is a hit.

    Its patient is the one that the caller named, and that of every indexed study that holds one of
    its images: a patient's own prior study is never cited as another patient's case.
    """
    own = retriever.near_duplicates(prior_query)
    patients = [case.patient_id for case in own if case.patient_id is not None]
    if request.patient_id is not None:
        patients.append(request.patient_id)
    studies = [case_key(case.source, case.study_id) for case in own]
    if request.case is not None:
        studies.append(request.case)
    return replace(
        options,
        exclude_patient_ids=tuple(dict.fromkeys((*options.exclude_patient_ids, *patients))),
        exclude_study_ids=tuple(dict.fromkeys((*options.exclude_study_ids, *studies))),
    )
