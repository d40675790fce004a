"""From a request with a prior study to the report that compares with it, in one process.

prior = PriorComparison.read(retriever, query, prior_images, request)       # or None
retrieval, report = run_without_model(retriever, query, replace(request, options=prior.options))
report = prior.compared(report, retrieval, calibration=calibration)

The service does the same in stages: see ``api.pipeline``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from generator.assessment.calibration import Calibration
from generator.grounding.report import GroundedReport
from generator.prior.indexed import find_prior, read_case
from generator.prior.request import PriorRequest
from generator.prior.retrieved import RetrievedPrior, check_pair, keep_out, retrieve_prior
from generator.prior.statements import compare_report
from generator.request import GenerationRequest
from indexer.images.radiograph import Radiograph
from retriever.knn_votes import Vote
from retriever.options import SearchOptions
from retriever.query import ImageSource, Query, image_query, read_images
from retriever.results import Retrieval
from retriever.search import Retriever


@dataclass(frozen=True, kw_only=True, eq=False)
class PriorComparison:
    """A prior study, read and searched with."""

    images: tuple[Radiograph, ...]
    options: SearchOptions
    """Of the search for the study itself: without cases of the patient."""
    request: PriorRequest
    _retrieved: RetrievedPrior
    _votes: dict[str, Vote]
    """On the study itself."""

    @classmethod
    def read(
        cls,
        retriever: Retriever,
        query: Query,
        images: ImageSource | Sequence[ImageSource],
        request: GenerationRequest,
    ) -> "PriorComparison | None":
        """Read the prior study of a request, given as images or found in the index.

        None for a request without one. Raises UserError for one that cannot be compared with.
        """
        asked = request.prior
        if asked is None:
            return None
        if asked.patient_id is None:
            prior_images = read_images(images, request.options.limits)
        else:
            case, asked = find_prior(retriever.index.cases, asked, request.options)
            prior_images = read_case(case)
        check_pair(query.images, prior_images, asked)
        prior_query = image_query(retriever.encoder, prior_images)
        options = keep_out(retriever, request.options, prior_query, asked)
        return cls(
            images=tuple(prior_images),
            options=options,
            request=asked,
            _retrieved=retrieve_prior(retriever, query, prior_query, options),
            _votes=retriever.vote(query, options),
        )

    def compared(
        self,
        report: GroundedReport,
        retrieval: Retrieval,
        request: GenerationRequest,
        calibration: Calibration,
    ) -> GroundedReport:
        """The report with its statements of change."""
        return compare_report(
            report,
            retrieval,
            self._votes,
            self._retrieved,
            self.request,
            calibration=calibration,
            sensitivity=request.sensitivity,
        )
