"""How often what two assessments say of a pair is what its labels say, beside trivial rules."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.prior_studies.pairs import Pair
from db.app.observations import Change
from evaluation.metrics.bootstrap import FloatArray, Rows, Statistic, ratio
from evaluation.tables import Cell, Table, tabulate
from generator.prior.changes import compare

RULE, STATES, RANDOM, NEVER = "two assessments", "states alone", "random direction", "no change"
RISES = ("new", "more certain")
MARGINS = tuple(step / 4 for step in range(17))
"""Differences of log-odds among which the least change is chosen."""
WANTED = 0.85
"""Share of the pairs of one state in which the chosen least change states no change: above the .80
that is asked for, because the pairs are those that it is chosen on."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One pair under one rule."""

    right: int
    """Changes stated of a finding whose label changed so."""
    opposite: int
    """Changes stated of a finding whose label changed the other way."""
    other: int
    """Changes stated of findings whose label is the same in both."""
    unchanged: int
    """Findings said to be unchanged that are there in both."""
    there: int
    """Findings that are there in both."""

    @property
    def stated(self) -> int:
        return self.right + self.opposite + self.other


def judge(pair: Pair, least: float | None) -> Judged:
    """What is stated of a pair; ``least`` None for the states alone."""
    found = [one for name in pair.now.labels if (one := _change(pair, name, least)) is not None]
    changes = [one for one in found if one.kind != "unchanged"]
    own = [one for one in changes if one.observation in pair.changed]
    right = sum((one.kind in RISES) == pair.rises(one.observation) for one in own)
    both = [name for name, there in pair.now.labels.items() if there and pair.before.labels[name]]
    return Judged(
        right=right,
        opposite=len(own) - right,
        other=len(changes) - len(own),
        unchanged=sum(one.kind == "unchanged" and one.observation in both for one in found),
        there=len(both),
    )


def _change(pair: Pair, name: str, least: float | None) -> Change | None:
    now, before = pair.now.assessment[name], pair.before.assessment[name]
    if least is not None:
        return compare(now, before, least)
    states = (now.state, before.state)
    kinds = {
        ("present", "absent"): "new",
        ("absent", "present"): "no longer seen",
        ("present", "present"): "unchanged",
    }
    if states not in kinds:
        return None
    return Change(
        observation=name,
        kind=kinds[states],  # type: ignore[arg-type]
        probability=now.probability,
        prior_probability=before.probability,
        low=0.0,
        high=0.0,
    )


def direction(pair: Pair, name: str) -> float:
    """1 where the probability of a finding moved as its label did, 0.5 where it did not move."""
    moved = pair.now.assessment[name].probability - pair.before.assessment[name].probability
    return 0.5 if moved == 0 else float((moved > 0) == pair.rises(name))


def choose_least(alike: Sequence[Pair], wanted: float = WANTED) -> float:
    """The smallest difference of log-odds at which so many pairs of one state have no change."""
    for least in MARGINS:
        if np.mean([judge(pair, least).stated == 0 for pair in alike]) >= wanted:
            return least
    return MARGINS[-1]


def half_of(patient: str) -> int:
    """0 or 1, by a hash of the patient's id."""
    return zlib.crc32(patient.encode()) % 2


def within(pairs: Sequence[Pair], half: int) -> list[Pair]:
    """The pairs both of whose patients are in one half."""
    return [one for one in pairs if half_of(one.before.patient) == half_of(one.now.patient) == half]


def pair_share(hits: Sequence[float], of: Sequence[float], pairs: Sequence[Pair]) -> Statistic:
    """A ratio of sums over pairs, as a function of how often each patient is drawn.

    A pair of two patients counts as often as both are drawn together, one of one patient as often
    as that is drawn.
    """
    numbers: dict[str, int] = {}
    places = [
        tuple(numbers.setdefault(one.patient, len(numbers)) for one in (pair.before, pair.now))
        for pair in pairs
    ]
    size = max(1, len(numbers))
    above, below = np.zeros((size, size)), np.zeros((size, size))
    for (first, second), hit, weight in zip(places, hits, of, strict=True):
        above[first, second] += hit
        below[first, second] += weight
    informative = sum(one > 0 for one in of)

    def score(rows: Rows) -> Callable[[FloatArray], FloatArray]:
        order = rows[0].astype(np.intp)

        def compute(weights: FloatArray) -> FloatArray:
            drawn = np.zeros((len(weights), size))
            np.add.at(drawn, (slice(None), order), weights)
            return ratio(_total(drawn, above), _total(drawn, below))

        return compute

    return Statistic(
        rows=(np.arange(size, dtype=np.float64),), score=score, count=lambda _: informative
    )


def _total(drawn: FloatArray, table: FloatArray) -> FloatArray:
    """The sum over pairs, (resamples,), for how often each patient is drawn, (resamples, n)."""
    own = np.diag(table)
    others = table - np.diag(own)
    total: FloatArray = ((drawn @ others) * drawn).sum(axis=1) + drawn @ own
    return total


def change_table(
    title: str,
    differing: Sequence[Pair],
    alike: Sequence[Pair],
    least: float | Callable[[Pair], float],
    *,
    resamples: int,
    notes: Sequence[str] = (),
) -> Table:
    """The figures of pairs that differ and of pairs of one state."""
    margin = least if callable(least) else (lambda _: least)
    counts = [float(len(pair.changed)) for pair in differing]
    judged = {
        RULE: [judge(pair, margin(pair)) for pair in differing],
        STATES: [judge(pair, None) for pair in differing],
    }
    still = {
        RULE: [judge(pair, margin(pair)) for pair in alike],
        STATES: [judge(pair, None) for pair in alike],
    }
    ones = [1.0] * len(alike)
    rows: dict[str, dict[str, Cell]] = {}
    if differing:
        moved = [sum(direction(pair, name) for name in pair.changed) for pair in differing]
        stated = {
            name: [float(one.right + one.opposite) for one in some] for name, some in judged.items()
        }
        half, none = [0.5 * one for one in counts], [0.0] * len(counts)
        rows[f"direction right, all {int(sum(counts))} label changes"] = {
            RULE: pair_share(moved, counts, differing),
            RANDOM: pair_share(half, counts, differing),
            NEVER: pair_share(none, counts, differing),
        }
        rows["direction right, where a change of the finding is stated"] = {
            name: pair_share([float(one.right) for one in some], stated[name], differing)
            for name, some in judged.items()
        } | {RANDOM: pair_share([0.5 * one for one in stated[RULE]], stated[RULE], differing)}
        rows["a change of the finding is stated"] = {
            name: pair_share(some, counts, differing) for name, some in stated.items()
        } | {NEVER: pair_share(none, counts, differing)}
        rows["changes stated of other findings, a pair"] = {
            name: pair_share([float(one.other) for one in some], [1.0] * len(differing), differing)
            for name, some in judged.items()
        } | {NEVER: pair_share(none, [1.0] * len(differing), differing)}
    if alike:
        rows[f"no change stated, {len(alike)} pairs of one state"] = {
            name: pair_share([float(one.stated == 0) for one in some], ones, alike)
            for name, some in still.items()
        } | {
            RANDOM: pair_share([0.0] * len(alike), ones, alike),
            NEVER: pair_share(ones, ones, alike),
        }
        found = [index for index, one in enumerate(still[RULE]) if one.there > 0]
        some_pairs = [alike[index] for index in found]
        if found:
            rows[f"the same, {len(found)} pairs that share a finding"] = {
                name: pair_share(
                    [float(some[index].stated == 0) for index in found],
                    [1.0] * len(found),
                    some_pairs,
                )
                for name, some in still.items()
            }
            rows["“unchanged” stated of a finding in both"] = {
                name: pair_share(
                    [float(some[index].unchanged) for index in found],
                    [float(some[index].there) for index in found],
                    some_pairs,
                )
                for name, some in still.items()
            }
    return tabulate(title, rows, notes=notes, resamples=resamples)
