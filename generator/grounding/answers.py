"""Short answers of a language model, and the shown cases that support them.

answer = check_answer("Is the heart enlarged?", "Yes. [1][3]", study.short_context, study.retrieval)
answer.text, [citation.number for citation in answer.citations], answer.removed_citations

An answer of yes or no is supported by a case whose report has the findings that the question names
in the state answered, with the side, place and degree that it asks for. An answer that names
findings is checked as any statement is; one that only gives a side, place or degree must be said of
the finding in question; any other must be in the words of a sentence on it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from db.app.generation import RemovedCitation, Statement
from db.index.store import Case, Sentence
from db.labels import FINDINGS, NO_FINDING, Labels, State, named
from generator.context.build import Context
from generator.grounding.citations import image_support
from generator.grounding.claims import read_claims, read_text
from generator.grounding.report import cite
from generator.grounding.sentences import content_words, particulars
from generator.grounding.support.atoms import atoms
from generator.grounding.support.evidence import Evidence
from generator.grounding.support.hierarchy import common_name
from generator.grounding.written import parse_cited_sentences
from indexer.reports.labeller import label_sentence
from indexer.reports.labelling.mention import Mention
from retriever.results import Retrieval

NOT_SAID = "does not say this"

_IMAGE = r"(?:film|x-?ray|image|chest|study|radiograph)"
_NORMAL = re.compile(
    rf"is (?:this|it|(?:the|this) {_IMAGE}(?: x-?ray| film)?) (?:an? )?(?P<abnormal>ab)?normal"
    rf"(?: {_IMAGE})*"
    rf"|is there (?:any|an) (?P<abnormality>abnormality)(?: (?:on|in) (?:the|this) {_IMAGE})?",
    re.IGNORECASE,
)
_LAY_WORDS = (
    (re.compile(r"collapsed lung", re.IGNORECASE), "pneumothorax"),
    (re.compile(r"fluid in the pleural space", re.IGNORECASE), "pleural effusion"),
    (re.compile(r"heart size abnormal", re.IGNORECASE), "heart enlarged"),
    (re.compile(r"broken bones?|bones? (?:is |are )?broken", re.IGNORECASE), "fracture"),
)


def check_answer(question: str, written: str, context: Context, retrieval: Retrieval) -> Statement:
    """Return the answer as a statement without the citations that its cases do not support.

    The text is empty if the model wrote no answer.
    """
    sentences = parse_cited_sentences(written)
    text = " ".join(sentence.text for sentence in sentences)
    numbers = tuple(dict.fromkeys(n for sentence in sentences for n in sentence.numbers))
    claimed = claimed_labels(question, text)
    quotes: dict[int, str] = {}
    removed = []
    for number in numbers:
        if not 1 <= number <= len(context.hits):
            removed.append(RemovedCitation(number=number, reason="no case has this number"))
            continue
        case = context.hits[number - 1].case
        quote, reason = _find(case, claimed, question, text)
        if quote is None:
            removed.append(RemovedCitation(number=number, reason=f"case {number} {reason}"))
        else:
            quotes[number] = quote
    return Statement(
        section="impression",
        text=text,
        labels=dict(claimed),
        citations=tuple(
            cite(context.hits[number - 1], quote, retrieval.index_fingerprint)
            for number, quote in sorted(quotes.items())
        ),
        removed_citations=tuple(removed),
        image_support=image_support(claimed, retrieval.label_scores),
    )


def is_yes(answer: str) -> bool | None:
    """True for yes, False for no, None for an answer that is neither."""
    first = re.match(r"\W*(\w+)", answer.lower())
    return {"yes": True, "no": False}.get(first[1]) if first else None


def claimed_labels(question: str, answer: str) -> Labels:
    """Return the findings of a question in the state that the answer gives them.

    A question that names no finding takes those of the answer.
    """
    yes = is_yes(answer)
    asked = asked_states(question)
    if yes is None or not asked:
        return _read(answer)
    return asked if yes else {name: _opposite(state) for name, state in asked.items()}


def find_support(case: Case, claimed: Labels, question: str, answer: str) -> str | None:
    """Return the sentence of a report that supports an answer, if any."""
    return _find(case, claimed, question, answer)[0]


def _find(case: Case, claimed: Labels, question: str, answer: str) -> tuple[str | None, str]:
    """Return the supporting sentence, or None and what the report says instead."""
    yes = is_yes(answer)
    if yes is not None:
        return _find_yes_or_no(case, claimed, _findings_asked(question), yes, answer)
    evidence = Evidence([read_claims(sentence) for sentence in case.sentences])
    if claimed:
        found = evidence.support(read_text(answer))
        if found.holds:
            return case.sentences[found.sentences[0]].text, ""
        return None, found.reason
    asked = _findings_asked(question)
    details, words = particulars(answer), content_words(answer)
    said = [one for finding in asked for one in atoms(f"{answer.strip(' .')} {finding.wording}")]
    for place, sentence in enumerate(case.sentences):
        if (
            asked
            and named(sentence.labels).isdisjoint(asked_states(question))
            and not any(evidence.findings.mentions_at(place, one.mention.finding) for one in asked)
        ):
            continue
        if not details:
            if words <= content_words(sentence.text):
                return sentence.text, ""
        elif details <= particulars(sentence.text) and (
            not said or any(evidence.findings.holds_at(place, one) for one in said)
        ):
            return sentence.text, ""
    return None, NOT_SAID


def _find_yes_or_no(
    case: Case, claimed: Labels, asked: Sequence["_Asked"], yes: bool, answer: str
) -> tuple[str | None, str]:
    rest = re.sub(r"^\W*\w+[\s,.;:-]*", "", answer)
    findings = [one.mention for one in asked]
    if rest and yes:
        findings += atoms(rest) or [
            one for each in asked for one in atoms(f"{rest.strip(' .')} {each.wording}")
        ]
    if claimed:
        findings = [one for one in findings if _has_details(one)]
    quote = _saying(case, claimed) if claimed else None
    if not findings:
        return quote, NOT_SAID
    evidence = Evidence([read_claims(sentence) for sentence in case.sentences])
    at = [
        [n for n in range(len(case.sentences)) if evidence.findings.holds_at(n, one)]
        for one in findings
    ]
    if yes:
        alternatives = all(one.state == "uncertain" for one in findings)
        for one, places in zip(findings, at, strict=True):
            if not places and not (alternatives and any(at)):
                return None, evidence.findings.instead(one)
        return case.sentences[next(places for places in at if places)[0]].text, ""
    for one, places in zip(findings, at, strict=True):
        if places:
            return None, f"reports {common_name(one.finding)}"
    denials = [evidence.findings.denial(one) for one in findings]
    if quote is None and denials[0] is not None and None not in denials:
        quote = case.sentences[denials[0]].text
    return quote, NOT_SAID


def _has_details(mention: Mention) -> bool:
    return bool(
        mention.sides or mention.location or mention.degree or mention.size_mm or mention.tip
        or mention.kind or mention.age
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A finding of a question with its wording."""

    mention: Mention
    wording: str


def _findings_asked(question: str) -> list[_Asked]:
    text = as_statement(question.strip().rstrip("?").strip())
    return [
        _Asked(mention=one, wording=text[one.start : one.end])
        for one in atoms(text)
        if one.state != "negative"
    ]


def _saying(case: Case, claimed: Mapping[str, str]) -> str | None:
    """Return a sentence on one of the claimed findings if the whole report agrees on all."""
    there = named(case.labels)
    normal = case.labels.get(NO_FINDING) == "positive"
    for name, state in claimed.items():
        if name == NO_FINDING:
            agrees = normal == (state == "positive")
        elif state == "negative":
            agrees = name not in there and (case.labels.get(name) == "negative" or normal)
        else:
            agrees = name in there
        if not agrees:
            return None
    return next((s.text for s in case.sentences if _speaks_of(s, claimed)), _first(case))


def _speaks_of(sentence: Sentence, claimed: Mapping[str, str]) -> bool:
    return any(name in sentence.labels for name in claimed)


def _first(case: Case) -> str | None:
    """Return the first impression sentence: a report can support an answer by omission."""
    ordered = sorted(case.sentences, key=lambda sentence: sentence.section != "impression")
    return ordered[0].text if ordered else None


def _opposite(state: State) -> State:
    return "positive" if state == "negative" else "negative"


def asked_states(question: str) -> dict[str, State]:
    """Return the labels that "yes" to a question states."""
    words = question.strip().rstrip("?").strip()
    if match := _NORMAL.fullmatch(words):
        abnormal = match["abnormal"] or match["abnormality"]
        return {NO_FINDING: "negative" if abnormal else "positive"}
    found = _read(as_statement(words))
    return {n: "negative" if state == "negative" else "positive" for n, state in found.items()}


def _read(text: str) -> dict[str, State]:
    """Label a statement; an observation's own name counts even if no report uses it."""
    named_so: dict[str, State] = {n: "positive" for n in FINDINGS if n.lower() in text.lower()}
    return label_sentence(text) or named_so


def as_statement(words: str) -> str:
    """ "Is there a nodule" as "There is a nodule.": labels are read from statements."""
    for lay, term in _LAY_WORDS:
        words = lay.sub(term, words)
    match = re.match(r"(?i)(?:is|are)\s+there\b(.*)", words)
    if match:
        return f"There is{match[1]}."
    match = re.match(r"(?i)(?:is|are)\s+(.*?)\s+(enlarged|present|visible|seen|widened)\b", words)
    if match:
        return f"{match[1]} is {match[2]}."
    return f"{re.sub(r'(?i)^(?:does the image show|do you see|can you see)', 'There is', words)}."
