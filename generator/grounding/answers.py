"""Short answers of a language model, and the shown cases that support them.

answer = check_answer("Is the heart enlarged?", "Yes. [1][3]", study.short_context, study.retrieval)
answer.text, [citation.number for citation in answer.citations], answer.removed_citations

A case supports "yes" or "no" if its report has the findings of the question in that state. It
supports any other answer if a sentence on the same findings contains the answer's particulars
(side, place, degree) or, if the answer has none, its words.
"""

import re
from collections.abc import Mapping

from db.app.generation import RemovedCitation, Statement
from db.index.store import Case, Sentence
from db.labels import FINDINGS, NO_FINDING, Labels, State, named
from generator.context.build import Context
from generator.grounding.citations import image_support, parse_cited_sentences
from generator.grounding.report import cite
from generator.grounding.sentences import content_words, particulars
from indexer.reports.labeller import label_sentence
from retriever.results import Retrieval

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
        quote = find_support(context.hits[number - 1].case, claimed, question, text)
        if quote is None:
            reason = "the cited report does not say this"
            removed.append(RemovedCitation(number=number, reason=reason))
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
    asked = _asked(question)
    if yes is None or not asked:
        return _read(answer)
    return asked if yes else {name: _opposite(state) for name, state in asked.items()}


def find_support(case: Case, claimed: Labels, question: str, answer: str) -> str | None:
    """Return the sentence of a report that supports an answer, if any."""
    if is_yes(answer) is not None:
        return _saying(case, claimed) if claimed else None
    asked = _asked(question).keys()
    details = particulars(answer)
    words = content_words(answer)
    for sentence in case.sentences:
        if claimed:
            of_it = all(_agrees(sentence.labels, name, claimed[name]) for name in claimed)
            said = details <= particulars(sentence.text)
        else:
            of_it = not asked or not asked.isdisjoint(named(sentence.labels))
            said = (
                details <= particulars(sentence.text)
                if details
                else words <= content_words(sentence.text)
            )
        if of_it and said:
            return sentence.text
    return _saying(case, claimed) if claimed and not details else None


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


def _agrees(labels: Labels, name: str, state: State) -> bool:
    if state == "negative" or name == NO_FINDING:
        return labels.get(name) == state
    return name in named(labels)


def _opposite(state: State) -> State:
    return "positive" if state == "negative" else "negative"


def _asked(question: str) -> dict[str, State]:
    """Return the labels that "yes" to a question states."""
    words = question.strip().rstrip("?").strip()
    if match := _NORMAL.fullmatch(words):
        abnormal = match["abnormal"] or match["abnormality"]
        return {NO_FINDING: "negative" if abnormal else "positive"}
    return _read(_as_statement(words))


def _read(text: str) -> dict[str, State]:
    """Label a statement; an observation's own name counts even if no report uses it."""
    named_so: dict[str, State] = {n: "positive" for n in FINDINGS if n.lower() in text.lower()}
    return label_sentence(text) or named_so


def _as_statement(words: str) -> str:
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
