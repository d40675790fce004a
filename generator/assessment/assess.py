"""The assessment of one study: made once, and every text is written from it.

assessment = assess(retrieval, retriever.vote(query), calibration=Calibration.read(path))
assessment["Pleural Effusion"].state        # "present", "possible", "absent", "not assessable"
assessment.contradicted({"Edema": "positive"})      # the names that a text gets wrong

A finding is present where its probability reaches the operating point of the sensitivity, possible
where it only reaches that of the next higher sensitivity. No Finding follows from the others: it is
present where none is present or possible, Support Devices apart, and absent where one is present.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

from db.app.observations import Observation, ObservationState
from db.errors import UserError
from db.index.case import Case
from db.labels import FINDINGS, NO_FINDING, OBSERVATIONS, Labels, named
from generator.assessment.calibration import SENSITIVITIES, Calibration, Sensitivity
from retriever.knn_votes import Vote
from retriever.results import Hit, View

FRONTAL_ONLY = ("Enlarged Cardiomediastinum", "Cardiomegaly", "Pneumothorax")
"""Observations that a lateral view alone does not show."""

DEVICES = "Support Devices"

NO_VOTE = Vote(probability=0.0, low=0.0, high=1.0, supporting_ranks=())
"""Where no case votes: the label head then decides alone."""


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """The 14 observations of one study, in the order of ``OBSERVATIONS``."""

    observations: tuple[Observation, ...]
    sensitivity: Sensitivity
    calibrated_on: str | None
    """The studies on which the probabilities were calibrated; None where they were not."""

    def __getitem__(self, name: str) -> Observation:
        return self.observations[OBSERVATIONS.index(name)]

    @property
    def present(self) -> tuple[str, ...]:
        """The findings that are present, without No Finding."""
        return self._in("present")

    @property
    def possible(self) -> tuple[str, ...]:
        return self._in("possible")

    @property
    def is_normal(self) -> bool:
        """Whether no finding is present, Support Devices apart."""
        return self[NO_FINDING].state != "absent"

    def contradicted(self, labels: Labels) -> tuple[str, ...]:
        """The observations that a text with these labels gets wrong.

        Uncertain counts as positive. A possible finding may be stated but not denied, and nothing
        may be said of one that is not assessable.
        """
        return tuple(
            name
            for name, state in labels.items()
            if self[name].state not in _AGREE[state != "negative"]
            and not (name == NO_FINDING and state == "negative")
        )

    def with_cases(self, hits: Sequence[Hit]) -> Self:
        """Name the hits for and against each observation by their rank."""
        return replace(
            self,
            observations=tuple(
                replace(
                    one,
                    cases=tuple(hit.rank for hit in hits if _says(hit.case, one.name, yes=True)),
                    cases_against=tuple(
                        hit.rank for hit in hits if _says(hit.case, one.name, yes=False)
                    ),
                )
                for one in self.observations
            ),
        )

    def disagreements(self) -> tuple[str, ...]:
        """One note on the findings that the language model answers otherwise; empty for none."""
        differing = [
            f"{one.name} {one.language_model:.2f} against {one.probability:.2f} ({one.state})"
            for one in self.observations
            if one.language_model is not None
            and one.name != NO_FINDING
            and (one.state, one.language_model >= _YES) in (("present", False), ("absent", True))
        ]
        if not differing:
            return ()
        return (f"the language model disagrees with the assessment: {', '.join(differing)}",)

    def _in(self, state: ObservationState) -> tuple[str, ...]:
        return tuple(name for name in FINDINGS if self[name].state == state)


_YES = 0.5
_AGREE: Mapping[bool, tuple[ObservationState, ...]] = {
    True: ("present", "possible"),
    False: ("absent",),
}
"""Whether a text states an observation, to the states that agree."""


class AssessedStudy(Protocol):
    """What is assessed: a query, or the retrieval made with it."""

    @property
    def label_scores(self) -> Mapping[str, float] | None: ...

    @property
    def views(self) -> tuple[View, ...]: ...


def assess(
    study: AssessedStudy,
    votes: Mapping[str, Vote],
    *,
    calibration: Calibration | None = None,
    sensitivity: Sensitivity = "balanced",
    language_model: Mapping[str, float] | None = None,
) -> Assessment:
    """Assess every observation.

    Args:
        study: Holds the label scores of the study and of its single views.
        votes: Of many more cases than the hits, see `Retriever.vote`.
        calibration: Weights and operating points; by default the mean of the log-odds.
        sensitivity: Which operating point decides.
        language_model: Observation to the probability of yes against no, where it was asked.

    Raises:
        UserError: An unknown sensitivity.
    """
    if sensitivity not in SENSITIVITIES:
        raise UserError(
            f"unknown sensitivity '{sensitivity}': use one of {', '.join(SENSITIVITIES)}"
        )
    calibration = calibration or Calibration()
    frontal = [view.is_frontal for view in study.views]
    unseen = FRONTAL_ONLY if frontal and all(one is False for one in frontal) else ()
    found: dict[str, Observation] = {}
    for name in OBSERVATIONS:
        given = None if language_model is None else language_model.get(name)
        observation = _observe(name, study, votes.get(name, NO_VOTE), calibration, given)
        unknown = name not in votes and observation.label_head is None
        found[name] = replace(
            observation,
            state="not assessable"
            if name in unseen or unknown
            else _state(observation.probability, calibration, sensitivity),
        )
    found[NO_FINDING] = replace(found[NO_FINDING], state=_normal(found))
    return Assessment(
        observations=tuple(found.values()),
        sensitivity=sensitivity,
        calibrated_on=calibration.name,
    )


def _observe(
    name: str,
    study: AssessedStudy,
    vote: Vote,
    calibration: Calibration,
    language_model: float | None,
) -> Observation:
    scores = study.label_scores
    head = None if scores is None else scores.get(name)
    views = [
        view.label_scores[name]
        for view in study.views
        if view.label_scores is not None and name in view.label_scores
    ]
    around = [] if head is None else [head, *views]

    def probability(knn: float, label_head: float | None) -> float:
        return calibration.probability(
            name,
            language_model=language_model,
            knn=None if vote is NO_VOTE else knn,
            label_head=label_head,
        )

    return Observation(
        name=name,
        probability=probability(vote.probability, head),
        low=probability(vote.low, min(around, default=None)),
        high=probability(vote.high, max(around, default=None)),
        language_model=language_model,
        knn=vote.probability,
        knn_low=vote.low,
        knn_high=vote.high,
        label_head=head,
    )


def _state(
    probability: float, calibration: Calibration, sensitivity: Sensitivity
) -> ObservationState:
    points = calibration.operating_points
    if probability >= points[sensitivity]:
        return "present"
    place = SENSITIVITIES.index(sensitivity)
    if place > 0 and probability >= points[SENSITIVITIES[place - 1]]:
        return "possible"
    return "absent"


def _normal(found: Mapping[str, Observation]) -> ObservationState:
    states = {found[name].state for name in FINDINGS if name != DEVICES}
    if "present" in states:
        return "absent"
    return "possible" if "possible" in states else "present"


def _says(case: Case, name: str, *, yes: bool) -> bool:
    """Whether a report states an observation, or denies it; a normal report denies all findings."""
    normal = case.labels.get(NO_FINDING) == "positive"
    if name == NO_FINDING:
        return normal == yes
    if name in named(case.labels):
        return yes
    return not yes and (case.labels.get(name) == "negative" or normal)
