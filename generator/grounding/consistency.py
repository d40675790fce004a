"""Make what a language model wrote agree with the assessment of its study.

consistent = make_consistent(checked.statements, context, retrieval, assessment)
consistent.statements, consistent.notes

A statement that the assessment contradicts is left out, and a note quotes it. A small model also
omits about one in ten findings of its prompt, and is not told all of those that are present: a
present finding that no statement names is added as a short sentence, marked as added. So is an
impression where none is left.

Such a sentence cites the shown cases that say it by the citation check; where none does, the best
ranked of the other hits, which then follows the shown cases in ``hits``. So does a sentence of the
model that names a finding and has no citation that holds. An added finding that cases name only in
doubt is stated in doubt. Where no hit says it, a sentence rests on the image alone.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from db.app.generation import Statement
from db.index.case import Section
from db.labels import named
from generator.assessment.assess import Assessment
from generator.assessment.wording import bare_sentence, surest_supported
from generator.context.build import Context
from generator.grounding.citations import MOST_FOUND, CitationCheck, to_statement
from generator.grounding.written import WrittenSentence
from retriever.results import Hit, Retrieval


@dataclass(frozen=True, kw_only=True)
class ConsistentStatements:
    """Statements that agree with an assessment, and notes on what was left out or added."""

    statements: tuple[Statement, ...]
    hits: tuple[Hit, ...]
    """The cases that the model was shown, then those that only an added statement cites."""
    notes: tuple[str, ...] = ()


def make_consistent(
    statements: Sequence[Statement],
    context: Context,
    retrieval: Retrieval,
    assessment: Assessment,
) -> ConsistentStatements:
    """Leave out contradictions, then add present findings; an empty report stays empty."""
    if not statements:
        return ConsistentStatements(statements=(), hits=context.hits)
    kept, notes = leave_out_contradictions(statements, assessment)
    kept, hits = find_support(kept, context, retrieval)
    findings = [one for one in kept if one.section == "findings"]
    impression = [one for one in kept if one.section == "impression"]
    unsaid = _unsaid([*findings, *impression], assessment)
    worded = word_findings(unsaid, "findings", replace(context, hits=hits), retrieval)
    added, hits = worded.statements, worded.hits
    if not impression:
        said = [one.text for one in (*findings, *added)]
        summed_up = word_findings(
            assessment.present,
            "impression",
            replace(context, hits=hits),
            retrieval,
            beside=said,
        )
        impression, hits = list(summed_up.statements), summed_up.hits
    if added:
        words = _valued([name for one in added for name in one.labels], assessment)
        notes.append(f"present, omitted by the model, added by rule: {words}")
    notes += notes_on_unshown(hits, context)
    return ConsistentStatements(
        statements=(*findings, *added, *impression), hits=hits, notes=tuple(notes)
    )


def notes_on_unshown(hits: Sequence[Hit], context: Context) -> tuple[str, ...]:
    """One note on the hits that the model was not shown; none without."""
    numbers = ", ".join(str(hit.rank) for hit in hits[len(context.hits) :])
    if not numbers:
        return ()
    return (f"found by the citation check, not shown to the model: case {numbers}",)


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


@dataclass(frozen=True, kw_only=True)
class WordedFindings:
    """Statements in the words of a rule, one a finding, and the hits that they may cite."""

    statements: tuple[Statement, ...]
    hits: tuple[Hit, ...]


def word_findings(
    names: Sequence[str],
    section: Section,
    context: Context,
    retrieval: Retrieval,
    *,
    beside: Sequence[str] = (),
) -> WordedFindings:
    """State findings without side, place or degree, each with the cases that say it.

    A finding that no shown case states has the best ranked hit that does added to the hits. None
    repeats a text of ``beside``.
    """
    added = []
    for name in names:
        written, context = _worded(name, section, context, retrieval, beside)
        said = to_statement(written, CitationCheck(context, retrieval), retrieval)
        added.append(replace(said, added_by_rule=True, citations_added=False))
    return WordedFindings(statements=tuple(added), hits=context.hits)


def find_support(
    statements: Sequence[Statement], context: Context, retrieval: Retrieval
) -> tuple[list[Statement], tuple[Hit, ...]]:
    """Cite another hit in each statement that names a finding and has no citation.

    Returns the shown cases and those hits with the statements.
    """
    supported = []
    for statement in statements:
        names = named(statement.labels) if not statement.citations else ()
        sentence = WrittenSentence(section=statement.section, text=statement.text)
        check = CitationCheck(context, retrieval)
        found = _supported(sentence, names, check, context, retrieval) if names else None
        if found is not None:
            written, context = found
            said = to_statement(written, CitationCheck(context, retrieval), retrieval)
            statement = replace(
                statement,
                citations=said.citations,
                citations_added=True,
                case_support=said.case_support,
            )
        supported.append(statement)
    return supported, context.hits


def _worded(
    name: str, section: Section, context: Context, retrieval: Retrieval, beside: Sequence[str]
) -> tuple[WrittenSentence, Context]:
    """The surest sentence that a case supports, and the context with that case."""
    check = CitationCheck(context, retrieval)
    worded = surest_supported(
        name,
        section,
        lambda text: _supported(
            WrittenSentence(section=section, text=text), (name,), check, context, retrieval
        ),
        beside=beside,
    )
    if worded is None:
        text = bare_sentence(name, section, beside=beside)
        return WrittenSentence(section=section, text=text), context
    return worded.support


def _supported(
    sentence: WrittenSentence,
    names: Collection[str],
    check: CitationCheck,
    context: Context,
    retrieval: Retrieval,
) -> tuple[WrittenSentence, Context] | None:
    """The sentence with the number of a case that supports it, and the context with that case."""
    if found := check.supporters(sentence):
        return replace(sentence, numbers=tuple(sorted(found)[:MOST_FOUND])), context
    for hit in _others_naming(names, context, retrieval):
        alone = replace(context, hits=(hit,))
        if CitationCheck(alone, retrieval).supporters(sentence):
            widened = replace(context, hits=(*context.hits, hit))
            return replace(sentence, numbers=(hit.rank,)), widened
    return None


def _others_naming(names: Collection[str], context: Context, retrieval: Retrieval) -> Iterator[Hit]:
    """The hits that name all findings and were not shown, each numbered as the next case."""
    shown = {hit.case.case_id for hit in context.hits}
    naming = [
        hit
        for hit in retrieval.hits
        if hit.case.case_id not in shown and named(hit.case.labels) >= set(names)
    ]
    for hit in naming:
        yield replace(hit, rank=len(context.hits) + 1)


def _unsaid(statements: Sequence[Statement], assessment: Assessment) -> list[str]:
    said = {name for one in statements for name in named(one.labels)}
    return [name for name in assessment.present if name not in said]


def _valued(names: Sequence[str], assessment: Assessment) -> str:
    return ", ".join(f"{name} ({assessment[name].probability:.2f})" for name in names)
