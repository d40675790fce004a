"""What is said of one mention: side, place, degree, size, comparison."""

from db.labels import State
from indexer.reports.labelling.mention import Certainty, Mention
from indexer.reports.labelling.scope import Span
from indexer.reports.labelling.text import Text


def describe(
    text: Text, plain: str, spans: list[Span], span: Span, state: State, certainty: Certainty
) -> Mention:
    start, end = text.span(span.start, span.end)
    return Mention(finding=span.finding, state=state, certainty=certainty, start=start, end=end)
