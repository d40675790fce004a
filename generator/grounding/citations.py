"""Citations in a model's output, resolved and checked against the cited reports.

written = parse_cited_sentences("Findings: The heart is enlarged. [1] Impression: Normal. [2]")
checked = check_citations(written, context, retrieval)
checked.statements[0].citations, checked.statements[0].removed_citations, checked.notes

A citation holds if the cited report says the statement, finding by finding, each with its own side,
place, degree and certainty; see `generator.grounding.support.evidence`. Others are removed and
recorded with what the report says instead. A statement left without any is given those that would
hold, marked as added, and otherwise rests on the image alone. Statements about change are refused:
the model is shown no earlier image, and what two assessments say of a prior study is added later
(`generator.prior`). What a general model says to its reader is left out, unless it
states something of the image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from db.app.generation import Citation, RemovedCitation, Statement
from db.index.store import Section
from db.labels import NO_FINDING, Labels
from generator.context.build import Context
from generator.grounding.agreement import LEAST_SHARED, Agreement, HitSentence
from generator.grounding.claims import Claims
from generator.grounding.report import cite
from generator.grounding.sentences import (
    compares_with_prior,
    is_conversation,
    overlap,
    tells_a_story,
)
from generator.grounding.support.evidence import Support
from generator.grounding.written import WrittenSentence
from retriever.results import Retrieval

MOST_FOUND = 2
"""The most citations that are added to a statement without any."""

_DOUBT = 0.25
"""The image contradicts a finding whose score is below this share of its threshold."""


@dataclass(frozen=True, kw_only=True)
class CheckedStatements:
    """The statements that passed, and notes on those that were dropped."""

    statements: tuple[Statement, ...]
    notes: tuple[str, ...] = ()


class CitationCheck:
    """Find the shown cases that support a sentence."""

    def __init__(self, context: Context, retrieval: Retrieval) -> None:
        self.hits = context.hits
        self._fingerprint = retrieval.index_fingerprint
        self._agreement = Agreement(replace(retrieval, hits=context.hits), rank_decay=0.0)

    def supporters(self, sentence: WrittenSentence) -> Mapping[int, tuple[HitSentence, ...]]:
        """Map the number of each supporting case to the sentences that support together."""
        return self._agreement.supporters(sentence.claims)

    def telling(self, sentence: WrittenSentence) -> int:
        """How many shown cases support a sentence in one that tells a cause or a history too."""
        return sum(
            any(tells_a_story(one.sentence.text) for one in quotes)
            for quotes in self.supporters(sentence).values()
        )

    def support(self, number: int, claims: Claims) -> Support:
        """Check claims against one case; the result says what it states instead."""
        return self._agreement.support_of(number, claims)

    def citations(self, quotes: Sequence[HitSentence]) -> tuple[Citation, ...]:
        """Cite each sentence."""
        return tuple(cite(one.hit, one.sentence.text, self._fingerprint) for one in quotes)


def check_citations(
    written: Sequence[WrittenSentence], context: Context, retrieval: Retrieval
) -> CheckedStatements:
    """Check every sentence; repetitions within a section are dropped."""
    check = CitationCheck(context, retrieval)
    statements: list[Statement] = []
    refused: list[str] = []
    stories: list[str] = []
    conversation: list[str] = []
    said: set[tuple[Section, str]] = set()
    for sentence in written:
        if (sentence.section, sentence.text.lower()) in said:
            continue
        said.add((sentence.section, sentence.text.lower()))
        if compares_with_prior(sentence.text):
            refused.append(sentence.text)
            continue
        if tells_a_story(sentence.text) and check.telling(sentence) < LEAST_SHARED:
            stories.append(sentence.text)
            continue
        if is_conversation(sentence.text) and not sentence.claims.keys:
            conversation.append(sentence.text)
            continue
        statements.append(to_statement(sentence, check, retrieval))
    notes = [
        f"left out because the model was shown no earlier image to compare with: “{s}”"
        for s in refused
    ]
    notes += [
        f"left out because it tells a cause or a history that fewer than {LEAST_SHARED} cases "
        f"share: “{text}”"
        for text in stories
    ]
    notes += [f"left out because it says nothing of the image: “{s}”" for s in conversation]
    return CheckedStatements(statements=tuple(statements), notes=tuple(notes))


def to_statement(
    sentence: WrittenSentence, check: CitationCheck, retrieval: Retrieval
) -> Statement:
    """Return a sentence with the citations that hold; the others are removed and recorded."""
    claims = sentence.claims
    supporters = check.supporters(sentence)
    kept = [number for number in sentence.numbers if number in supporters]
    removed = tuple(
        RemovedCitation(
            number=number,
            reason=f"case {number} {check.support(number, claims).reason}"
            if 1 <= number <= len(check.hits)
            else "no case has this number",
        )
        for number in sentence.numbers
        if number not in supporters
    )
    near = {n: overlap(claims.words, said[0].claims.words) for n, said in supporters.items()}
    found = sorted(near, key=lambda n: (-near[n], n))[:MOST_FOUND] if not kept else []
    cited = sorted(kept or found)
    labels = sentence.labels
    return Statement(
        section=sentence.section,
        text=sentence.text,
        citations=tuple(one for n in cited for one in check.citations(supporters[n])),
        labels=dict(labels),
        citations_added=bool(found),
        removed_citations=removed,
        case_support=max((near[n] for n in cited), default=0.0),
        image_support=image_support(labels, retrieval.label_scores),
        contradiction=contradiction(labels, retrieval),
    )


def image_support(labels: Labels, scores: Mapping[str, float] | None) -> float | None:
    """Return the lowest probability of the labels, each taken alone."""
    if scores is None or not labels:
        return None
    return min(
        1 - scores[name] if state == "negative" else scores[name] for name, state in labels.items()
    )


def contradiction(labels: Labels, retrieval: Retrieval) -> str | None:
    """Say how the label scores of the image contradict a statement; None if they do not."""
    scores, seen = retrieval.label_scores, retrieval.image_findings
    if scores is None or seen is None:
        return None
    least = retrieval.label_thresholds or {}
    for name, state in labels.items():
        if name == NO_FINDING:
            others = [one for one in seen if one != "Support Devices"]
            if state == "positive" and others:
                return f"classifier score for {others[0]} is {scores[others[0]]:.2f}"
        elif state == "negative" and name in seen:
            return f"classifier score for {name} is {scores[name]:.2f}"
        elif state == "positive" and scores[name] < _DOUBT * least.get(name, 0.5):
            return f"classifier score for {name} is only {scores[name]:.2f}"
    return None
