"""Make what a language model wrote agree with the assessment of its study.

consistent = make_consistent(checked.statements, context, retrieval, assessment)
consistent.statements, consistent.notes

A statement that the assessment contradicts is left out, and a note quotes it. A small model also
omits about one in ten findings of its prompt: a present finding that no statement names is added as
a short sentence that cites the shown cases stating it, or rests on the image alone, and is marked
as added. So is an impression where none is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from db.app.generation import Statement
from db.index.case import Section
from db.labels import named
from generator.assessment.assess import Assessment
from generator.assessment.wording import bare_sentence
from generator.context.build import Context
from generator.grounding.citations import MOST_FOUND, CitationCheck, to_statement
from generator.grounding.written import WrittenSentence
from retriever.results import Retrieval


@dataclass(frozen=True, kw_only=True)
class ConsistentStatements:
    """Statements that agree with an assessment, and notes on what was left out or added."""

    statements: tuple[Statement, ...]
    notes: tuple[str, ...] = ()


def make_consistent(
    statements: Sequence[Statement],
    context: Context,
    retrieval: Retrieval,
    assessment: Assessment,
) -> ConsistentStatements:
    """Leave out contradictions, then add present findings; an empty report stays empty."""
    if not statements:
        return ConsistentStatements(statements=())
    kept, notes = leave_out_contradictions(statements, assessment)
    findings = [one for one in kept if one.section == "findings"]
    impression = [one for one in kept if one.section == "impression"]
    unsaid = _unsaid([*findings, *impression], assessment)
    added = word_findings(unsaid, "findings", context, retrieval)
    if not impression:
        said = [one.text for one in (*findings, *added)]
        impression = word_findings(
            assessment.present, "impression", context, retrieval, beside=said
        )
    if added:
        words = _valued([name for one in added for name in one.labels], assessment)
        notes.append(f"present, omitted by the model, added by rule: {words}")
    return ConsistentStatements(statements=(*findings, *added, *impression), notes=tuple(notes))


def leave_out_contradictions(
    statements: Sequence[Statement], assessment: Assessment
) -> tuple[list[Statement], list[str]]:
    """The statements that agree with the assessment, and a note on each other one."""
    kept, notes = [], []
    for statement in statements:
        wrong = assessment.contradicted(statement.labels)
        if not wrong:
            kept.append(statement)
            continue
        states = ", ".join(
            f"{name} {assessment[name].state}, {assessment[name].probability:.2f}" for name in wrong
        )
        notes.append(
            f"left out, because the assessment disagrees with the model: “{statement.text}” "
            f"({states})"
        )
    return kept, notes


def word_findings(
    names: Sequence[str],
    section: Section,
    context: Context,
    retrieval: Retrieval,
    *,
    beside: Sequence[str] = (),
) -> list[Statement]:
    """Bare statements that cite the shown cases with the same finding; without one, none.

    None repeats a text of ``beside``.
    """
    if not names:
        return []
    check = CitationCheck(context, retrieval)
    added = []
    for name in names:
        text = bare_sentence(name, section, beside=beside)
        written = WrittenSentence(section=section, text=text)
        numbers = tuple(sorted(check.supporters(written))[:MOST_FOUND])
        said = to_statement(replace(written, numbers=numbers), check, retrieval)
        added.append(replace(said, added_by_rule=True))
    return added


def _unsaid(statements: Sequence[Statement], assessment: Assessment) -> list[str]:
    said = {name for one in statements for name in named(one.labels)}
    return [name for name in assessment.present if name not in said]


def _valued(names: Sequence[str], assessment: Assessment) -> str:
    return ", ".join(f"{name} ({assessment[name].probability:.2f})" for name in names)
