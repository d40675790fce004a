"""Classes: the assessment itself, with a statement for each observation that is present."""

from collections.abc import Sequence
from dataclasses import dataclass

from db.app.generation import Statement
from db.index.case import Case
from generator.assessment.assess import Assessment
from generator.grounding.answers import find_support
from generator.grounding.report import GroundedReport, cite
from retriever.results import Hit, Retrieval


@dataclass(frozen=True, kw_only=True)
class Classification(GroundedReport):
    """The observations of one study, and a statement for each that is present."""

    assessment: Assessment


def to_classification(
    assessment: Assessment,
    retrieval: Retrieval,
    *,
    hits: Sequence[Hit],
    generator: str,
    notes: Sequence[str] = (),
) -> Classification:
    """The present observations as statements that cite the hits naming them."""
    uncalibrated = () if assessment.calibrated_on else ("the probabilities are not calibrated",)
    return Classification(
        assessment=assessment,
        statements=tuple(
            Statement(
                section="impression",
                text=f"{one.name}, probability {one.probability:.2f}.",
                labels={one.name: "positive"},
                citations=tuple(
                    cite(hit, quote, retrieval.index_fingerprint)
                    for hit, quote in _naming(one.name, hits)
                ),
                image_support=one.label_head,
            )
            for one in assessment.observations
            if one.state == "present"
        ),
        hits=tuple(hits),
        generator=generator,
        index_fingerprint=retrieval.index_fingerprint,
        notes=(*notes, *assessment.disagreements(), *uncalibrated),
        label_scores=retrieval.label_scores,
    )


def _naming(name: str, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
    found = [(hit, _quote(name, hit.case)) for hit in hits]
    return [(hit, quote) for hit, quote in found if quote is not None]


def _quote(name: str, case: Case) -> str | None:
    """The sentence of a report that says yes to an observation."""
    return find_support(case, {name: "positive"}, "", "yes")
