"""Classes: how likely each of the 14 observations is, and which of the shown cases name it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from db.app.generation import Observation, Statement
from db.index.case import Case
from db.labels import OBSERVATIONS
from generator.calibration import Calibration
from generator.grounding.answers import find_support
from generator.grounding.report import GroundedReport, cite
from retriever.knn_votes import Vote
from retriever.results import Hit, Retrieval

PRESENT = 0.5
"""The least probability of an observation that is stated."""

_NO_MODEL = Calibration(language_model=0.0, knn=0.5, label_head=0.5)
"""The mean of two log-odds; nothing was fitted."""


@dataclass(frozen=True, kw_only=True)
class Classification(GroundedReport):
    """The observations of one study, and a statement for each that is more likely than not."""

    observations: tuple[Observation, ...]
    calibrated_on: str | None
    """The studies on which the probabilities were calibrated; None where they were not."""


def observe(
    name: str,
    vote: Vote,
    *,
    language_model: float | None,
    label_head: float | None,
    calibration: Calibration,
) -> Observation:
    """One observation from the language model's yes, the retrieved cases and the label head."""
    return Observation(
        name=name,
        probability=calibration.probability(
            name,
            language_model=0.5 if language_model is None else language_model,
            knn=vote.probability,
            label_head=label_head,
        ),
        language_model=language_model,
        knn=vote.probability,
        knn_low=vote.low,
        knn_high=vote.high,
        label_head=label_head,
    )


def observe_without_model(
    votes: Mapping[str, Vote], label_scores: Mapping[str, float] | None
) -> list[Observation]:
    """From the retrieved cases and the encoder's label head, where it has one."""
    return [
        observe(
            name,
            votes[name],
            language_model=None,
            label_head=None if label_scores is None else label_scores.get(name),
            calibration=_NO_MODEL,
        )
        for name in OBSERVATIONS
    ]


def to_classification(
    observations: Sequence[Observation],
    retrieval: Retrieval,
    *,
    hits: Sequence[Hit],
    generator: str,
    calibrated_on: str | None = None,
    notes: Sequence[str] = (),
) -> Classification:
    """The observations with the hits that name them, and statements that cite these."""
    naming = {one.name: _naming(one.name, hits) for one in observations}
    note = () if calibrated_on else ("the probabilities are not calibrated",)
    return Classification(
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
                    cite(hit, quote, retrieval.index_fingerprint) for hit, quote in naming[one.name]
                ),
                image_support=one.label_head,
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
    return find_support(case, {name: "positive"}, "", "yes")
