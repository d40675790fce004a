"""How findings compare with the patient's own prior study: by two assessments, finding by finding.

changes = find_changes(assessment, prior_assessment, calibration)
sentence(changes[0], date)      # "Pleural effusion is new since 3 May 2026."

A change is stated where the difference of the two probabilities is beyond its 95 % interval and at
least as large, in log-odds, as the calibration asks for: a finding is then new, no longer seen, or
seen with more or less certainty. A finding that is present in both without such a difference is
unchanged. Nothing is said of any other finding, nor of one that is not assessable in either study.

The interval of a difference follows from those of the two probabilities (the square-and-add method
of Newcombe, Statistics in Medicine 1998; Zou and Donner, Statistics in Medicine 2008). A
probability is no size: two of them say that a finding came or went, never that it grew.
"""

import datetime
import math
from collections.abc import Mapping

from db.app.observations import Change, ChangeKind, Observation
from db.index.case import Section
from db.labels import FINDINGS, Labels
from generator.assessment.assess import Assessment
from generator.assessment.calibration import Calibration, log_odds
from generator.assessment.wording import noun
from generator.prior.request import written

PLURAL = ("Support Devices",)

SECTIONS: Mapping[ChangeKind, Section] = {
    "new": "impression",
    "no longer seen": "impression",
    "unchanged": "findings",
    "more certain": "findings",
    "less certain": "findings",
}
"""Where a report states each kind."""


def find_changes(
    now: Assessment, before: Assessment, calibration: Calibration
) -> tuple[Change, ...]:
    """The changes that two assessments of one patient bear, in the order of ``FINDINGS``.

    Both must be made with the same calibration and sensitivity.
    """
    found = (compare(now[name], before[name], calibration.least_change) for name in FINDINGS)
    return tuple(change for change in found if change is not None)


def compare(now: Observation, before: Observation, least: float) -> Change | None:
    """Compare one finding; ``least`` is the smallest difference of log-odds that is a change.

    None where nothing can be said.
    """
    kind = _kind(now, before, least)
    if kind is None:
        return None
    low, high = difference_interval(now, before)
    return Change(
        observation=now.name,
        kind=kind,
        probability=now.probability,
        prior_probability=before.probability,
        low=low,
        high=high,
    )


def difference_interval(now: Observation, before: Observation) -> tuple[float, float]:
    """The 95 % interval of ``now.probability - before.probability``, by square-and-add."""
    difference = now.probability - before.probability
    (low, high), (low_before, high_before) = _ends(now), _ends(before)
    down = math.hypot(now.probability - low, high_before - before.probability)
    up = math.hypot(high - now.probability, before.probability - low_before)
    return max(-1.0, difference - down), min(1.0, difference + up)


def _ends(one: Observation) -> tuple[float, float]:
    low = one.probability if one.low is None else min(one.low, one.probability)
    high = one.probability if one.high is None else max(one.high, one.probability)
    return low, high


def _kind(now: Observation, before: Observation, least: float) -> ChangeKind | None:
    states = (now.state, before.state)
    if "present" not in states or "not assessable" in states or None in states:
        return None
    rises = now.probability > before.probability
    if not _differs(now, before, least):
        return "unchanged" if states == ("present", "present") else None
    if states == ("present", "absent"):
        return "new"
    if states == ("absent", "present"):
        return "no longer seen"
    return "more certain" if rises else "less certain"


def _differs(now: Observation, before: Observation, least: float) -> bool:
    low, high = difference_interval(now, before)
    beyond = low > 0 or high < 0
    return beyond and abs(log_odds(now.probability) - log_odds(before.probability)) >= least


def sentence(change: Change, prior_date: datetime.date | None) -> str:
    """State a change and what it is compared with: the date, or the prior study without one."""
    words = noun(change.observation)
    subject = words[:1].upper() + words[1:]
    verb = "are" if change.observation in PLURAL else "is"
    day = None if prior_date is None else written(prior_date)
    since, then = day or "the prior study", f"on {day}" if day else "in the prior study"
    if change.kind == "no longer seen":
        return f"{subject}, seen {then}, {verb} no longer seen."
    if change.kind in ("new", "unchanged"):
        return f"{subject} {verb} {change.kind} since {since}."
    more = change.kind.split()[0]
    return f"{subject} {verb} seen with {more} certainty than {then}."


def labels_of(change: Change, now: Observation) -> Labels:
    """What the sentence says of this study."""
    if change.kind == "no longer seen":
        return {change.observation: "negative"}
    return {change.observation: "positive" if now.state == "present" else "uncertain"}
