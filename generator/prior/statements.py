"""Add to a report how its study compares with the patient's own prior study.

report = compare_report(report, retrieval, votes, prior, request, calibration=calibration)
report.prior, [one for one in report.statements if one.change]

The statements rest on the two assessments, and on nothing that a language model wrote: it is not
shown the prior study. What the prior study's own report denies is not said to have been there, and
what it states is not called new; a note quotes the report then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from db.app.generation import Statement
from db.app.observations import Change, PriorStudy
from db.labels import NO_FINDING, State
from generator.assessment.assess import Assessment, assess
from generator.assessment.calibration import Calibration, Sensitivity
from generator.assessment.wording import noun
from generator.grounding.report import GroundedReport
from generator.prior.changes import SECTIONS, find_changes, labels_of, sentence
from generator.prior.request import PriorRequest
from generator.prior.retrieved import RetrievedPrior
from indexer.reports.labeller import label_sentence
from indexer.reports.sections.parse import parse_report
from indexer.reports.sentences import split_sentences
from retriever.knn_votes import Vote
from retriever.results import Retrieval


def compare_report(
    report: GroundedReport,
    retrieval: Retrieval,
    votes: Mapping[str, Vote],
    prior: RetrievedPrior,
    request: PriorRequest,
    *,
    calibration: Calibration | None = None,
    sensitivity: Sensitivity = "balanced",
) -> GroundedReport:
    """The report with a statement for every change; its own statements stay as they are."""
    calibration = calibration or Calibration()
    now, before = (
        assess(study, counted, calibration=calibration, sensitivity=sensitivity)
        for study, counted in ((retrieval, votes), (prior, prior.votes))
    )
    study = PriorStudy(
        date=request.date,
        study_date=request.study_date,
        case=request.case,
        images_sha256=prior.images_sha256,
        observations=before.observations,
    )
    told = PriorReport.read(request.report)
    stated, notes = [], [*prior.notes]
    for change in find_changes(now, before, calibration):
        if not _agrees(change, now, report.assessment):
            continue
        said = told.of(change.observation)
        if said is not None and said.opposes(change):
            notes.append(
                f"not said to be {change.kind}, because the report of the prior study "
                f"{said}: {noun(change.observation)}"
            )
            continue
        quoted = replace(change, quote=None if said is None else said.quote)
        stated.append(to_statement(quoted, now, request))
    return replace(
        report,
        statements=(*report.statements, *stated),
        prior=study,
        assessment=report.assessment or now,
        notes=(*report.notes, *notes),
    )


def to_statement(change: Change, now: Assessment, request: PriorRequest) -> Statement:
    """The sentence of a change, marked with what it rests on."""
    return Statement(
        section=SECTIONS[change.kind],
        text=sentence(change, request.date),
        labels=labels_of(change, now[change.observation]),
        change=change,
        image_support=None,
    )


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the prior study's report says of a finding."""

    state: State
    quote: str | None
    """The sentence; None where a normal report denies the finding without naming it."""

    def opposes(self, change: Change) -> bool:
        """Whether the report contradicts what a change takes the prior study to show."""
        return (change.kind == "new") != (self.state == "negative")

    def __str__(self) -> str:
        if self.quote is None:
            return "calls it normal"
        return f"says “{self.quote}”"


@dataclass(frozen=True, kw_only=True)
class PriorReport:
    """What the prior study's report says, finding by finding."""

    told: Mapping[str, Told]

    @classmethod
    def read(cls, report: str) -> Self:
        """Read a report as it was written; a finding that it states once is stated."""
        parsed = parse_report(report)
        told: dict[str, Told] = {}
        for part in (parsed.findings, parsed.impression):
            for said in split_sentences(part):
                for name, state in label_sentence(said).items():
                    before = told.get(name)
                    if before is None or (before.state == "negative" and state != "negative"):
                        told[name] = Told(state=state, quote=said)
        return cls(told=told)

    def of(self, name: str) -> Told | None:
        """A normal report denies the findings that it does not name; None where nothing is said."""
        normal = self.told.get(NO_FINDING)
        if normal is not None and normal.state == "positive" and name not in self.told:
            return Told(state="negative", quote=None)
        return self.told.get(name)


def _agrees(change: Change, now: Assessment, final: Assessment | None) -> bool:
    """Whether the assessment that the text is written from has the same state.

    It may hold a language model's opinion, which the prior study's has not.
    """
    name = change.observation
    return final is None or final[name].state == now[name].state
