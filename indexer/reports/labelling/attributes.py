"""What is said of one mention: side, place, degree, size, comparison."""

import re

from db.labels import State
from indexer.reports.labelling.mention import Certainty, Mention
from indexer.reports.labelling.scope import Span
from indexer.reports.labelling.text import Text


def describe(
    text: Text, plain: str, spans: list[Span], span: Span, state: State, certainty: Certainty
) -> Mention:
    start, end = text.span(span.start, span.end)
    words = plain[span.start:span.end]
    kind = set()
    if span.finding == "Vertebral Fracture" and "fractur" not in words: kind.add("deformity")
    if span.finding == "Lung Opacity" and "densit" in words and not re.search("increased|air",words): kind.add("density")
    return Mention(kind=frozenset(kind),finding=span.finding, state=state, certainty=certainty, start=start, end=end)
