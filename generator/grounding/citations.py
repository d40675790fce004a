"""Citations in a model's output, resolved and checked against the cited reports.

written = parse_cited_sentences("Findings: The heart is enlarged. [1] Impression: Normal. [2]")
checked = check_citations(written, context, retrieval)
checked.statements[0].citations, checked.statements[0].removed_citations, checked.notes

A citation holds if a sentence of the cited report makes the same claims: every label and topic in
the same state, every particular (side, place, degree); see `Claims.supported_by`. Others are
removed and recorded. A statement left without any is given those that would stand, marked
as added, and otherwise rests on the image alone. Statements about change are refused:
the model is shown no earlier image.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from db.app.generation import Citation, RemovedCitation, Statement
from db.index.store import Section, Sentence
from db.labels import NO_FINDING, Labels
from generator.context.build import Context
from generator.grounding.claims import Claims, read_claims
from generator.grounding.report import cite
from generator.grounding.sentences import overlap
from generator.grounding.support import Agreement, HitSentence
from indexer.reports.labeller import label_sentence
from indexer.reports.sentences import refers_to_prior, split_sentences
from retriever.results import Retrieval

MOST_FOUND = 2
"""The most citations that are added to a statement without any."""

_DOUBT = 0.25
"""The image contradicts a finding whose score is below this share of its threshold."""

_SECTION = re.compile(r"\b(findings|impression)\s*:", re.IGNORECASE)
_LIST = r"\d{1,6}(?:\s*,\s*\d{1,6})*\]"
_MARKED = re.compile(rf"([^\[]*(?:\[(?!{_LIST})[^\[]*)*)((?:\[{_LIST}[\s,;]*)*)")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, kw_only=True)
class WrittenSentence:
    """One sentence of a model's output with its citation numbers."""

    section: Section
    text: str
    numbers: tuple[int, ...] = ()

    @property
    def labels(self) -> Labels:
        return label_sentence(self.text)

    @property
    def claims(self) -> Claims:
        sentence = Sentence(section=self.section, text=self.text, labels=dict(self.labels))
        return read_claims(sentence)


@dataclass(frozen=True, kw_only=True)
class CheckedStatements:
    """The statements that passed, and notes on those that were dropped."""

    statements: tuple[Statement, ...]
    notes: tuple[str, ...] = ()


def parse_cited_sentences(text: str) -> list[WrittenSentence]:
    """Split an output into sentences; text before the first section title counts as findings."""
    written: list[WrittenSentence] = []
    titles = list(_SECTION.finditer(text))
    starts = [0, *(title.end() for title in titles)]
    ends = [*(title.start() for title in titles), len(text)]
    names: list[Section] = ["findings"]
    names += ["impression" if t[1].lower() == "impression" else "findings" for t in titles]
    for section, start, end in zip(names, starts, ends, strict=True):
        written += _parse_section(section, text[start:end])
    return written


def _parse_section(section: Section, text: str) -> list[WrittenSentence]:
    written: list[WrittenSentence] = []
    ended = True
    for match in _MARKED.finditer(text):
        numbers = tuple(dict.fromkeys(int(n) for n in _NUMBER.findall(match[2])))
        sentences = [s for s in split_sentences(match[1].lstrip(" .,;")) if re.search(r"\w", s)]
        if sentences and written and not ended and sentences[0][:1].islower():
            # A number within a sentence does not end it.
            written[-1] = replace(written[-1], text=f"{written[-1].text} {sentences.pop(0)}")
        written += [WrittenSentence(section=section, text=sentence) for sentence in sentences]
        ended = match[1].rstrip().endswith((".", "!", "?"))
        if numbers and written:
            last = written[-1]
            together = tuple(dict.fromkeys((*last.numbers, *numbers)))
            written[-1] = replace(last, numbers=together)
    return written


class CitationCheck:
    """Find the shown cases that support a sentence."""

    def __init__(self, context: Context, retrieval: Retrieval) -> None:
        self.hits = context.hits
        self._fingerprint = retrieval.index_fingerprint
        self._agreement = Agreement(replace(retrieval, hits=context.hits), rank_decay=0.0)

    def supporters(self, sentence: WrittenSentence) -> Mapping[int, HitSentence]:
        """Map the number of each supporting case to its sentence."""
        return self._agreement.supporters(sentence.text, sentence.claims)

    def citation(self, quote: HitSentence) -> Citation:
        return cite(quote.hit, quote.sentence.text, self._fingerprint)


def check_citations(
    written: Sequence[WrittenSentence], context: Context, retrieval: Retrieval
) -> CheckedStatements:
    """Check every sentence; repetitions within a section are dropped."""
    check = CitationCheck(context, retrieval)
    statements: list[Statement] = []
    refused: list[str] = []
    said: set[tuple[Section, str]] = set()
    for sentence in written:
        if (sentence.section, sentence.text.lower()) in said:
            continue
        said.add((sentence.section, sentence.text.lower()))
        if refers_to_prior(sentence.text):
            refused.append(sentence.text)
            continue
        statements.append(to_statement(sentence, check, retrieval))
    notes = [f"left out because there is no earlier image to compare with: “{s}”" for s in refused]
    return CheckedStatements(statements=tuple(statements), notes=tuple(notes))


def to_statement(
    sentence: WrittenSentence, check: CitationCheck, retrieval: Retrieval
) -> Statement:
    """Return a sentence with the citations that hold; the others are removed and recorded."""
    supporters = check.supporters(sentence)
    kept = [number for number in sentence.numbers if number in supporters]
    removed = tuple(
        RemovedCitation(
            number=number,
            reason="the cited report does not say this"
            if 1 <= number <= len(check.hits)
            else "no case has this number",
        )
        for number in sentence.numbers
        if number not in supporters
    )
    words = sentence.claims.words
    near = {n: overlap(words, quote.claims.words) for n, quote in supporters.items()}
    found = sorted(near, key=lambda n: (-near[n], n))[:MOST_FOUND] if not kept else []
    cited = sorted(kept or found)
    labels = sentence.labels
    return Statement(
        section=sentence.section,
        text=sentence.text,
        citations=tuple(check.citation(supporters[n]) for n in cited),
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
