"""The reports of the first arm as a user gets them, made of what the model wrote.

rows = served(rows_of(outputs, WITH, references.studies), outputs, references)

What is done with them needs no model, so no output is written for it.
"""

from collections.abc import Sequence
from dataclasses import replace

from evaluation.outputs.conditions import marked
from evaluation.outputs.names import SERVED
from evaluation.outputs.rows import Outputs, ReportRow
from evaluation.reports.references import References
from generator.grounding.citations import ground, parse_answer
from generator.grounding.completion import complete


def served(rows: Sequence[ReportRow], outputs: Outputs, references: References) -> list[ReportRow]:
    """Citations checked, sentences about a change refused, left-out findings added."""
    return [_served(row, outputs, references) for row in rows]


def _served(row: ReportRow, outputs: Outputs, references: References) -> ReportRow:
    retrieval = references.retrieval(outputs, row.study_id)
    context = references.context(row.context)
    grounding = ground(parse_answer(row.text), context, retrieval)
    statements = complete(grounding.statements, context, retrieval)
    return replace(row, system=SERVED, text=marked(statements))
