"""Complete a report with the findings that the classifier sees and the model omitted.

statements = add_omitted_findings(grounding.statements, context, retrieval)
notes = omission_notes(statements, retrieval)

A small model omits about one in ten findings of its prompt. An omitted finding is added as a short
sentence that cites the shown cases stating it and is marked as added. If no shown case states it, a
note names it.
"""

from collections.abc import Sequence
from dataclasses import replace

from db.app.generation import Statement
from generator.context.build import Context
from generator.grounding.citations import MOST_FOUND, CitationCheck, to_statement
from generator.grounding.written import WrittenSentence
from retriever.results import Retrieval

_BARE = {
    "Enlarged Cardiomediastinum": "The mediastinum is enlarged.",
    "Lung Lesion": "There is a lung lesion.",
    "Lung Opacity": "There is a lung opacity.",
    "Pneumothorax": "There is a pneumothorax.",
    "Pleural Effusion": "There is a pleural effusion.",
    "Pleural Other": "There is pleural thickening.",
    "Fracture": "There is a fracture.",
    "Support Devices": "There are support devices.",
}
"""The other findings read ``There is pneumonia.``"""


def bare_sentence(name: str) -> str:
    """State a finding without side, place or degree."""
    return _BARE.get(name, f"There is {name.lower()}.")


def add_omitted_findings(
    statements: Sequence[Statement], context: Context, retrieval: Retrieval
) -> tuple[Statement, ...]:
    """Add the classifier's findings that no statement mentions, after the other findings.

    An empty report stays empty.
    """
    if not statements:
        return ()
    unsaid = _unsaid(statements, retrieval)
    added = _added(unsaid, CitationCheck(context, retrieval), retrieval) if unsaid else []
    findings = [one for one in statements if one.section == "findings"]
    rest = [one for one in statements if one.section != "findings"]
    return (*findings, *added, *rest)


def _added(names: Sequence[str], check: CitationCheck, retrieval: Retrieval) -> list[Statement]:
    """Statements for the findings that a shown case states."""
    added = []
    for name in names:
        written = WrittenSentence(section="findings", text=bare_sentence(name))
        if numbers := sorted(check.supporters(written))[:MOST_FOUND]:
            said = to_statement(replace(written, numbers=tuple(numbers)), check, retrieval)
            added.append(replace(said, added_by_rule=True))
    return added


def omission_notes(statements: Sequence[Statement], retrieval: Retrieval) -> tuple[str, ...]:
    """Notes on the findings that were added, and on those that no statement mentions."""
    notes = []
    if added := [name for one in statements if one.added_by_rule for name in one.labels]:
        notes.append(
            f"classifier positive, omitted by the model, added by rule: {_listed(added, retrieval)}"
        )
    if unsaid := _unsaid(statements, retrieval):
        notes.append(
            "classifier positive, omitted by the model, not stated by any shown case: "
            f"{_listed(unsaid, retrieval)}"
        )
    return tuple(notes)


def _unsaid(statements: Sequence[Statement], retrieval: Retrieval) -> list[str]:
    mentioned = {name for one in statements for name in one.labels}
    return [name for name in retrieval.image_findings or () if name not in mentioned]


def _listed(names: Sequence[str], retrieval: Retrieval) -> str:
    scores = retrieval.label_scores or {}
    return ", ".join(f"{name} ({scores[name]:.2f})" for name in names)
