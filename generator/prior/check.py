"""Check that every statement of change follows from the two assessments that it is said to rest on.

Like the check of citations, this is the last step before a generation is stored, whatever wrote it.
"""

from dataclasses import replace

from db.app.generation import Statement
from db.app.observations import PriorStudy
from generator.assessment.assess import Assessment
from generator.grounding.report import GroundedReport
from generator.prior.changes import labels_of, sentence


def without_unfounded(report: GroundedReport) -> GroundedReport:
    """The report without statements of change that its two assessments do not bear.

    A note says how many were removed.
    """
    kept = tuple(
        one
        for one in report.statements
        if one.change is None or _holds(one, report.assessment, report.prior)
    )
    removed = len(report.statements) - len(kept)
    if removed == 0:
        return report
    note = f"{removed} statements of change were removed: the two assessments do not bear them"
    return replace(report, statements=kept, notes=(*report.notes, note))


def _holds(statement: Statement, now: Assessment | None, prior: PriorStudy | None) -> bool:
    """Whether text, labels and figures are those of the two assessments."""
    change = statement.change
    if change is None or now is None or prior is None or statement.citations:
        return False
    current = now[change.observation]
    before = next(one for one in prior.observations if one.name == change.observation)
    agree = {
        "new": (current.state, before.state) == ("present", "absent"),
        "no longer seen": (current.state, before.state) == ("absent", "present"),
        "unchanged": (current.state, before.state) == ("present", "present"),
        "more certain": current.state == "present" and before.state in ("present", "possible"),
        "less certain": before.state == "present" and current.state in ("present", "possible"),
    }
    rises = change.probability > change.prior_probability
    return (
        agree[change.kind]
        and change.prior_probability == before.probability
        and (change.kind == "unchanged" or rises == (change.kind in ("new", "more certain")))
        and statement.text == sentence(change, prior.date)
        and dict(statement.labels) == labels_of(change, current)
    )
