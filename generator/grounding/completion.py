"""What a model left out of a report although the image shows it.

statements = complete(grounding.statements, context, retrieval)
notes = left_out_notes(statements, retrieval)

A small model leaves out about one in ten of the findings that it was told of. Such a finding is
added in the fewest words, with the numbers of shown cases that say so, and marked as added. Where
no shown case says it, it is told in a note.
"""

from collections.abc import Sequence
from dataclasses import replace

from generator.context import Context
from generator.grounding.citations import MOST_FOUND, CitationCheck, Written, to_statement
from generator.grounding.report import Statement
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
"""The rest read ``There is pneumonia.``"""


def in_fewest_words(name: str) -> str:
    """A finding as a sentence without particulars."""
    return _BARE.get(name, f"There is {name.lower()}.")


def complete(
    statements: Sequence[Statement], context: Context, retrieval: Retrieval
) -> tuple[Statement, ...]:
    """The statements with, behind the findings, what the image shows and none names or denies.

    Where there is no statement there is no report to complete.
    """
    if not statements:
        return ()
    unsaid = _unsaid(statements, retrieval)
    added = _added(unsaid, CitationCheck(context, retrieval), retrieval) if unsaid else []
    findings = [one for one in statements if one.section == "findings"]
    rest = [one for one in statements if one.section != "findings"]
    return (*findings, *added, *rest)


def _added(names: Sequence[str], check: CitationCheck, retrieval: Retrieval) -> list[Statement]:
    """Of those that a shown case says."""
    added = []
    for name in names:
        written = Written(section="findings", text=in_fewest_words(name))
        if numbers := sorted(check.supporters(written))[:MOST_FOUND]:
            said = to_statement(replace(written, numbers=tuple(numbers)), check, retrieval)
            added.append(replace(said, added=True))
    return added


def left_out_notes(statements: Sequence[Statement], retrieval: Retrieval) -> tuple[str, ...]:
    """What was added, and what the image's scores speak for and no statement names or denies."""
    notes = []
    if added := [name for one in statements if one.added for name in one.labels]:
        notes.append(
            "added by rule, for the image's scores speak for it and the model left it out: "
            f"{_listed(added, retrieval)}"
        )
    if unsaid := _unsaid(statements, retrieval):
        notes.append(
            "the image's scores speak for what no sentence names and no shown case says outright: "
            f"{_listed(unsaid, retrieval)}"
        )
    return tuple(notes)


def _unsaid(statements: Sequence[Statement], retrieval: Retrieval) -> list[str]:
    told = {name for one in statements for name in one.labels}
    return [name for name in retrieval.seen_findings or () if name not in told]


def _listed(names: Sequence[str], retrieval: Retrieval) -> str:
    scores = retrieval.label_scores or {}
    return ", ".join(f"{name} ({scores[name]:.2f})" for name in names)
