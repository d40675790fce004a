"""An answer, and the sentences of which answers on the 14 observations are made.

stated("Pleural Effusion", assessment)      # "No pleural effusion is seen (0.04)."
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from db.labels import Labels, State
from generator.assessment.assess import DEVICES, Assessment
from generator.assessment.wording import denial, noun


@dataclass(frozen=True, kw_only=True)
class DecidedAnswer:
    """An answer, and what it states."""

    text: str
    labels: Labels = field(default_factory=dict)
    topics: tuple[str, ...] = ()
    """Findings outside the 14 observations that the answer tells of similar cases."""
    quotes: Mapping[int, str] = field(default_factory=dict)
    """Ids of similar cases that the answer tells of, with their sentences."""
    side: str = ""
    """The side on which similar cases have the findings, where the answer says so."""
    declined: bool = False
    """Whether the question is not one that an X-ray, or this program, answers."""
    corrected: bool = False
    """Whether the question takes a finding for granted that is not seen."""


def stated(name: str, assessment: Assessment) -> str:
    """One sentence on one observation, with its probability."""
    one = assessment[name]
    words = noun(name)
    verb = "are" if name == DEVICES else "is"
    if one.state == "present":
        return f"{words[:1].upper()}{words[1:]} {verb} seen ({one.probability:.2f})."
    if one.state == "possible":
        return f"{words[:1].upper()}{words[1:]} {verb} only possible ({one.probability:.2f})."
    return denied(name, assessment)


def denied(name: str, assessment: Assessment) -> str:
    one = assessment[name]
    if one.state == "not assessable":
        return f"{noun(name).capitalize()} cannot be assessed without a frontal view."
    return f"{denial(name).rstrip('.')} ({one.probability:.2f})."


def labels_of(names: Sequence[str], assessment: Assessment) -> dict[str, State]:
    """The states of some observations as labels; none for one that is not assessable."""
    states: dict[str, State] = {
        "present": "positive",
        "possible": "uncertain",
        "absent": "negative",
    }
    return {name: states[state] for name in names if (state := assessment[name].state) in states}


def valued(names: Sequence[str], assessment: Assessment) -> str:
    """Their nouns with their probabilities, joined as in a sentence."""
    words = [f"{noun(name)} ({assessment[name].probability:.2f})" for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def seen(name: str, assessment: Assessment) -> bool:
    """Whether a finding is present or possible."""
    return assessment[name].state in ("present", "possible")
