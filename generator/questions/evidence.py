"""Answers on what the assessment rests on: label head, votes, and the similar cases.

evidence(parsed, assessment, retrieval).text
# "Cardiomegaly is seen (0.80): label head 0.82, vote of prior cases 0.31; 2 of 3 similar cases ..."
"""

from db.labels import FINDINGS, NO_FINDING, named
from generator.assessment.assess import Assessment
from generator.assessment.wording import noun
from generator.grounding.answers import find_support
from generator.questions.answer import DecidedAnswer, labels_of, stated
from generator.questions.reading.parse import ParsedQuestion
from retriever.results import Retrieval

NO_CASE = "No similar case was found."
MOST_NAMED = 5
"""Findings that are told of the similar cases, the most frequent first."""


def evidence(parsed: ParsedQuestion, assessment: Assessment, retrieval: Retrieval) -> DecidedAnswer:
    """What speaks for the findings asked about, or for those that are present."""
    names = [*parsed.asked] or [*assessment.present]
    if not names:
        return DecidedAnswer(text="No finding is seen that could be explained.")
    return DecidedAnswer(
        text=" ".join(_supported(name, assessment, retrieval) for name in names),
        labels=labels_of(names, assessment),
    )


def similar_cases(
    parsed: ParsedQuestion, assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer:
    """How many similar cases name each finding, or the findings asked about."""
    names = [*parsed.asked]
    if names:
        text = " ".join(
            f"{stated(name, assessment).rstrip('.')}; {_naming(name, retrieval)} it."
            for name in names
        )
        return DecidedAnswer(text=text, labels=labels_of(names, assessment))
    if not retrieval.hits:
        return DecidedAnswer(text=NO_CASE)
    counts = {name: _count(name, retrieval) for name in FINDINGS}
    most = sorted((n for n in FINDINGS if counts[n]), key=lambda n: -counts[n])[:MOST_NAMED]
    normal = sum(case.get(NO_FINDING) == "positive" for case in retrieval.labels)
    told = [f"{noun(name)} in {counts[name]}" for name in most]
    if normal:
        told.append(f"no finding in {normal}")
    of = f"Of {len(retrieval.hits)} similar cases"
    if not told:
        return DecidedAnswer(text=f"{of} none names one of the findings.")
    quotes = {
        hit.case.case_id: quote
        for hit in retrieval.hits
        for name in most[:1]
        if (quote := find_support(hit.case, {name: "positive"}, "", "yes")) is not None
    }
    return DecidedAnswer(text=f"{of}: {', '.join(told)}.", quotes=quotes)


def _supported(name: str, assessment: Assessment, retrieval: Retrieval) -> str:
    one = assessment[name]
    parts = [] if one.label_head is None else [f"label head {one.label_head:.2f}"]
    if one.knn_high > one.knn_low and (one.knn_low, one.knn_high) != (0.0, 1.0):
        parts.append(f"vote of the prior cases {one.knn:.2f}")
    if one.language_model is not None:
        parts.append(f"language model {one.language_model:.2f}")
    if retrieval.hits:
        parts.append(f"{_naming(name, retrieval)} it")
    why = f": {', '.join(parts)}" if parts else ""
    return f"{stated(name, assessment).rstrip('.')}{why}."


def _naming(name: str, retrieval: Retrieval) -> str:
    count = _count(name, retrieval)
    if not count:
        return "no similar case names"
    verb = "names" if count == 1 else "name"
    return f"{count} of {len(retrieval.hits)} similar cases {verb}"


def _count(name: str, retrieval: Retrieval) -> int:
    return sum(name in named(labels) for labels in retrieval.labels)
