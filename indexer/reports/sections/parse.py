"""A report as people and systems write it -> its sections, and what was left out.

    report = parse_report(text)
    report.findings, report.impression, report.indication, report.comparison
    report.left_out      # signatures, headers, technique ...: each with its kind
    report.notes         # what a person should know of the reading, a sentence each

No word is dropped silently: a line goes to a section, to ``left_out``, or, where no rule places
it, to the findings with a note. Every step is linear in the length of the text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from indexer.reports.lines import unwrap
from indexer.reports.sections.addenda.correction import correct
from indexer.reports.sections.examinations import choose
from indexer.reports.sections.markup import plain_text
from indexer.reports.sections.placing import place_lines
from indexer.reports.sections.reading import Placed
from indexer.reports.sections.statements import says_nothing

SECTIONS = ("indication", "comparison", "findings", "impression")

UNPLACED = "text under no heading was read as findings"
MISPLACED = "findings under another heading were read as findings"
CORRECTED = "an addendum corrected the report: the statements it withdraws are left out"
WITHDRAWN = "an addendum withdrew the whole report"
PRELIMINARY = "a preliminary read is left out, since there is a final one"
ONLY_PRELIMINARY = "a preliminary read is all there is, and was read"
OTHERS = "other examinations of the report are left out"
LEFT_OUT = "left out of the report: "
NO_CHEST = "the report names no examination of the chest, and was read whole"


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Text of a report that belongs to no section."""

    kind: str
    """``signature``, ``header``, ``title``, ``technique``, ``recommendation``, ``notification``,
    ``preliminary read``, ``other examination``, ``withdrawn`` or ``no content``."""
    text: str


@dataclass(frozen=True, kw_only=True)
class ParsedReport:
    """The sections of a report; one that it does not have is empty.

    Wrapped lines are joined; paragraphs and list items keep their lines.
    """

    indication: str = ""
    comparison: str = ""
    """Names other images: counted, never indexed."""
    findings: str = ""
    impression: str = ""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    """What a person should know of the reading."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes, and for each kind of text that was left out one more."""
        kinds = dict.fromkeys(one.kind for one in self.left_out)
        return (*self.notes, *(f"{LEFT_OUT}{kind}" for kind in kinds))


def parse_report(text: str) -> ParsedReport:
    """Read one report; without any heading all of it is findings."""
    placed = place_lines(plain_text(text))
    notes: list[str] = []
    placed = _final(placed, notes)
    placed, shown = choose(placed)
    if shown == "none":
        notes.append(NO_CHEST)
    elif shown == "some":
        notes.append(OTHERS)
    for note, reason in ((UNPLACED, "unplaced"), (MISPLACED, "misplaced")):
        if any(one.reason == reason and one.section == "findings" for one in placed):
            notes.append(note)
    bodies = {
        name: _body(one for one in placed if one.section == name and not one.addendum)
        for name in SECTIONS
    }
    left_out = [
        LeftOut(kind=one.section, text=one.said)
        for one in placed
        if one.section not in SECTIONS and one.said
    ]
    addenda = [one for one in placed if one.addendum and one.section in SECTIONS]
    for name in dict.fromkeys(one.section for one in addenda if one.replaces):
        if bodies[name]:
            left_out.append(LeftOut(kind="withdrawn", text=bodies[name]))
            bodies[name] = ""
            notes.append(CORRECTED)
    bodies = _corrected(bodies, addenda, left_out, notes)
    for name in ("findings", "impression"):
        if bodies[name] and says_nothing(bodies[name]):
            left_out.append(LeftOut(kind="no content", text=bodies[name]))
            bodies[name] = ""
    told = tuple(dict.fromkeys(notes))
    return ParsedReport(**bodies, left_out=tuple(left_out), notes=told)


def add_addendum(report: ParsedReport, text: str) -> ParsedReport:
    """Apply an addendum that is kept apart from its report, as if it stood below it."""
    placed = place_lines(f"ADDENDUM:\n{plain_text(text)}")
    left_out, notes = list(report.left_out), list(report.notes)
    left_out += [
        LeftOut(kind=one.section, text=one.said) for one in placed if one.section not in SECTIONS
    ]
    bodies = {name: getattr(report, name) for name in SECTIONS}
    said = [one for one in placed if one.section in SECTIONS]
    bodies = _corrected(bodies, said, left_out, notes)
    return replace(report, **bodies, left_out=tuple(left_out), notes=tuple(dict.fromkeys(notes)))


def _corrected(
    bodies: dict[str, str], addenda: Sequence[Placed], left_out: list[LeftOut], notes: list[str]
) -> dict[str, str]:
    """The sections after the addenda; what these withdraw is told in ``left_out`` and ``notes``."""
    if not addenda:
        return bodies
    corrected = correct(bodies, [(one.section, unwrap(one.said)) for one in _paragraphs(addenda)])
    left_out += [LeftOut(kind="withdrawn", text=part) for part in corrected.withdrawn]
    if corrected.whole:
        notes.append(WITHDRAWN)
    elif corrected.withdrawn:
        notes.append(CORRECTED)
    return corrected.bodies


def _final(placed: list[Placed], notes: list[str]) -> list[Placed]:
    """Without preliminary reads, where there is another one."""
    of_image = [one for one in placed if one.section in ("findings", "impression")]
    said = {one.preliminary for one in of_image if not one.addendum}
    if True not in said:
        return placed
    if False not in said:
        notes.append(ONLY_PRELIMINARY)
        return placed
    notes.append(PRELIMINARY)
    return [
        replace(one, section="preliminary read")
        if one.preliminary and one.section in SECTIONS
        else one
        for one in placed
    ]


def _body(items: Iterable[Placed]) -> str:
    text = ""
    for one in items:
        between = " " if one.same_line else "\n\n" if one.new_paragraph else "\n"
        text += f"{between if text else ''}{one.said}"
    return unwrap(text)


def _paragraphs(addenda: Iterable[Placed]) -> Iterable[Placed]:
    """The lines of each section of each addendum as one text, in order."""
    joined: list[Placed] = []
    for one in addenda:
        last = joined[-1] if joined else None
        if last and (last.addendum, last.section) == (one.addendum, one.section):
            between = " " if one.same_line else "\n\n" if one.new_paragraph else "\n"
            joined[-1] = replace(last, said=f"{last.said}{between}{one.said}")
        else:
            joined.append(one)
    return joined
