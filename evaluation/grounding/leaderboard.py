"""The leaderboard of the citation benchmark: every measure of every system, with its interval.

board = leaderboard({"nearest case": check_submission(submission, task, corpus)}, task)
board[0].rows["nearest case"][GROUNDED_F1].interval

Systems are sorted by the F1 of grounded findings: one of the 13 findings counts as right where the
report of the study names it and a cited text supports what the system says of it. No measure alone
says what a system is worth: a copied report is supported by the case that it was copied from.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from db.labels import FINDINGS, positives
from evaluation.grounding.claims import PARTS, TIME
from evaluation.grounding.corpus import Task
from evaluation.grounding.submitted import ScoredClaim, ScoredReport
from evaluation.metrics.bootstrap import RESAMPLES
from evaluation.metrics.labels import f1_statistic
from evaluation.tables import Cell, Share, Table, minus, tabulate

GROUNDED_F1, LABEL_F1 = "grounded F1", "label F1"
GROUNDED, COVERAGE, HOLD = "findings grounded", "findings cited", "citations hold"
SUPPORTED, EXCHANGED, ELSEWHERE = "as cited", "numbers exchanged", "another study's texts"

READ_PAIRS, AGREED, KAPPA, READ_BY = 160, 154, 0.925, "rules-3"
"""The check against the reading: citation pairs of `tests/data/reading/held_back`, those that both
judge alike, Cohen's kappa, and the rules of the check then; a test counts them again."""

CHECK_NOTE = (
    f"the check ({READ_BY}) agrees on {AGREED} of {READ_PAIRS} citation pairs with their writers, "
    f"who had not seen its rules: kappa {KAPPA:.3f} (docs/reading.md)"
)


def leaderboard(
    systems: Mapping[str, Sequence[ScoredReport]], task: Task, *, resamples: int = RESAMPLES
) -> list[Table]:
    """Tabulate four groups of measures, a row a system, the best grounded F1 first."""
    groups = {
        name: {
            "Leaderboard": _summary(reports, task),
            "Support by attribute": _attributes(reports),
            "Controls": _controls(reports),
            "Copying": _copying(reports, task),
        }
        for name, reports in systems.items()
    }
    tables: dict[str, dict[str, Mapping[str, Cell]]] = {}
    for name, some in groups.items():
        for title, cells in some.items():
            tables.setdefault(title, {})[name] = cells
    made = [
        tabulate(title, rows, patients=task.patients, notes=_NOTES[title], resamples=resamples)
        for title, rows in tables.items()
    ]
    ranked = sorted(systems, key=lambda name: _rank(made[0], name))
    return [
        Table(title=one.title, rows={name: one.rows[name] for name in ranked}, notes=one.notes)
        for one in made
    ]


def _rank(board: Table, system: str) -> tuple[float, str]:
    value = board.rows[system][GROUNDED_F1].interval.value
    return (-value if value == value else 1.0, system)


def _summary(reports: Sequence[ScoredReport], task: Task) -> dict[str, Cell]:
    truth, said = _truth(task), positives([one.labels for one in reports], FINDINGS)
    held = said & np.array([[name in one.grounded for name in FINDINGS] for one in reports])
    right = truth & held
    present = [[one for one in report.claims if one.claim.is_present] for report in reports]
    return {
        GROUNDED_F1: f1_statistic(np.stack([right, said & ~right, truth & ~right], axis=-1)),
        LABEL_F1: f1_statistic(np.stack([truth & said, said & ~truth, truth & ~said], axis=-1)),
        GROUNDED: _share(present, lambda one: one.check.holds),
        COVERAGE: _share(present, lambda one: one.cited),
        HOLD: Share(hits=[one.standing for one in reports], of=[one.citations for one in reports]),
    }


def _attributes(reports: Sequence[ScoredReport]) -> dict[str, Cell]:
    cited = [
        [one for one in report.claims if one.cited and one.claim.is_present] for report in reports
    ]
    found: dict[str, Cell] = {"all": _share(cited, lambda one: one.check.holds)}
    for part in PARTS:
        having = [[one for one in some if part in one.check.parts] for some in cited]
        found[part] = _share(having, _part(part))
    denials = [
        [one for one in report.claims if one.cited and not one.claim.is_present]
        for report in reports
    ]
    found["denials"] = _share(denials, lambda one: one.check.holds)
    return found


def _controls(reports: Sequence[ScoredReport]) -> dict[str, Cell]:
    cited = [
        [one for one in report.claims if one.cited and one.claim.is_present] for report in reports
    ]
    two = [[one for one in some if one.exchanged is not None] for some in cited]
    other = [[one for one in some if one.elsewhere is not None] for some in cited]
    exchanged = _share(two, lambda one: bool(one.exchanged))
    elsewhere = _share(other, lambda one: bool(one.elsewhere))
    return {
        SUPPORTED: _share(cited, lambda one: one.check.holds),
        EXCHANGED: exchanged,
        "fall where exchanged": minus(_share(two, lambda one: one.check.holds), exchanged),
        ELSEWHERE: elsewhere,
        "fall with another's": minus(_share(other, lambda one: one.check.holds), elsewhere),
    }


def _copying(reports: Sequence[ScoredReport], task: Task) -> dict[str, Cell]:
    truth, said = _truth(task), positives([one.labels for one in reports], FINDINGS)
    shown = np.array([[name in one.shown for name in FINDINGS] for one in reports])
    only_shown, only_there = shown & ~truth, truth & ~shown
    return {
        "over-reliance": _pairs(only_shown, said),
        "own findings": _pairs(only_there, said),
        "verbatim": Share(
            hits=[one.verbatim for one in reports], of=[one.sentences for one in reports]
        ),
        "texts not indexed": Share(
            hits=[one.outside for one in reports], of=[one.texts for one in reports]
        ),
    }


_NOTES: Mapping[str, tuple[str, ...]] = {
    "Leaderboard": (
        f"{GROUNDED_F1}: of the 13 findings that the study's report names, with the cited text's "
        "support",
        f"{LABEL_F1}: the same without asking for support; {GROUNDED}: of the findings stated, "
        "those that a cited text supports",
        f"{COVERAGE}: of the findings stated, those with a citation; {HOLD}: of the citations, "
        "those whose text says the sentence",
        CHECK_NOTE,
    ),
    "Support by attribute": (
        "of the findings stated with a citation: those that a cited text supports whole, in state "
        "and kind, and in each attribute that they have",
        f"{TIME}: new, old, changed; a change cannot hold, as no earlier image is shown",
    ),
    "Controls": (
        "the same support after an exchange: a check that means something then fails more often",
    ),
    "Copying": (
        "over-reliance: of the findings that a cited text names and the study's report does not, "
        "those that the system states",
        "own findings: of the findings that the study's report names and no cited text does, those "
        "that it states",
        "verbatim: sentences that stand word for word in an indexed report; texts not indexed: "
        "cited texts that do not",
    ),
}


def _truth(task: Task) -> np.ndarray:
    return positives([study.labels for study in task.studies], FINDINGS)


def _share(claims: Sequence[Sequence[ScoredClaim]], is_hit: Callable[[ScoredClaim], bool]) -> Share:
    """Of the claims of each report."""
    return Share(
        hits=[sum(is_hit(one) for one in some) for some in claims],
        of=[len(some) for some in claims],
    )


def _part(name: str) -> Callable[[ScoredClaim], bool]:
    return lambda one: one.check.parts[name]


def _pairs(asked: np.ndarray, said: np.ndarray) -> Share:
    return Share(hits=(asked & said).sum(axis=1), of=asked.sum(axis=1))
