"""Classes: how likely each of the 14 observations is, and which of the shown cases name it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from db.app.generation import StoredObservation
from db.index.store import Case
from db.labels import OBSERVATIONS
from generator.calibration import Calibration
from generator.grounding.answers import bearing_out
from generator.grounding.report import Citation, GroundedReport, Statement
from retriever.knn_votes import Vote
from retriever.results import Hit, Retrieval

PRESENT = 0.5
"""The least probability of an observation that is stated."""

_NO_MODEL = Calibration(model=0.0, vote=0.5, image=0.5)
"""The mean of two log-odds; nothing was fitted."""


@dataclass(frozen=True, kw_only=True)
class Classified(GroundedReport):
    """Classes as a report: a statement for each observation that is more likely than not."""

    observations: tuple[StoredObservation, ...]
    calibrated_on: str | None
    """None where the probabilities were not fitted on any study."""


def observations_without_model(
    votes: Mapping[str, Vote], label_scores: Mapping[str, float] | None
) -> list[StoredObservation]:
    """From the retrieved cases and the encoder's label head, where it has one."""
    found = []
    for name in OBSERVATIONS:
        image = None if label_scores is None else label_scores.get(name)
        probability = _NO_MODEL.probability(
            name, model=0.5, vote=votes[name].probability, image=image
        )
        found.append(observation(name, probability, votes[name], model=None, image=image))
    return found


def observation(
    name: str, probability: float, vote: Vote, *, model: float | None, image: float | None
) -> StoredObservation:
    return StoredObservation(
        name=name,
        probability=probability,
        model=model,
        vote=vote.probability,
        vote_low=vote.low,
        vote_high=vote.high,
        image=image,
    )


def classified(
    observations: Sequence[StoredObservation],
    retrieval: Retrieval,
    *,
    hits: Sequence[Hit],
    generator: str,
    calibrated_on: str | None = None,
    notes: Sequence[str] = (),
) -> Classified:
    """The observations with the hits that name them, and statements that cite these."""
    naming = {one.name: _naming(one.name, hits) for one in observations}
    note = () if calibrated_on else ("the probabilities are not calibrated",)
    return Classified(
        observations=tuple(
            replace(one, cases=tuple(hit.rank for hit, _ in naming[one.name]))
            for one in observations
        ),
        calibrated_on=calibrated_on,
        statements=tuple(
            Statement(
                section="impression",
                text=f"{one.name}, probability {one.probability:.2f}.",
                labels={one.name: "positive"},
                citations=tuple(
                    Citation.of(hit, quote, retrieval.index_fingerprint)
                    for hit, quote in naming[one.name]
                ),
                image_support=one.image,
            )
            for one in observations
            if one.probability >= PRESENT
        ),
        hits=tuple(hits),
        generator=generator,
        index_fingerprint=retrieval.index_fingerprint,
        notes=(*notes, *note),
        label_scores=retrieval.label_scores,
    )


def _naming(name: str, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
    found = [(hit, _quote(name, hit.case)) for hit in hits]
    return [(hit, quote) for hit, quote in found if quote is not None]


def _quote(name: str, case: Case) -> str | None:
    """The sentence of a report that says yes to an observation."""
    return bearing_out(case, {name: "positive"}, "", "yes")
