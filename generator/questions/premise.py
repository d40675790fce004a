"""Questions that take a finding for granted: what to say where it is not seen."""

import re
from collections.abc import Collection, Sequence

from generator.assessment.assess import Assessment
from generator.grounding.claims import read_claims
from generator.questions.answer import DecidedAnswer, denied, labels_of, seen
from generator.questions.reading.named import Named
from retriever.results import Hit, Retrieval


def failed_premise(
    granted: Sequence[Named], assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer | None:
    """Correct a question whose premise is not seen; None where all of it is.

    What is outside the 14 observations is seen where a similar case names it.
    """
    unseen: list[str] = []
    unnamed: list[str] = []
    for one in granted:
        if one.names and not any(seen(name, assessment) for name in one.names):
            unseen += one.names
        elif one.topics and not one.names and not naming(one.topics, retrieval.hits):
            unnamed += one.topics
        elif one.things and not any(_mentions(hit, one.things) for hit in retrieval.hits):
            unnamed += one.things
    if not unseen and not unnamed:
        return None
    sentences = [denied(name, assessment) for name in dict.fromkeys(unseen)]
    if unnamed:
        words = " or ".join(topic.lower() for topic in dict.fromkeys(unnamed))
        sentences.append(f"No similar case names {words}.")
    return DecidedAnswer(
        text=" ".join(sentences), labels=labels_of(unseen, assessment), corrected=True
    )


def naming(topics: Collection[str], hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """The hits of which a sentence names one of these findings as present or possible."""
    return tuple(hit for hit in hits if topic_sentence(topics, hit))


def _mentions(hit: Hit, things: Collection[str]) -> bool:
    """Whether a sentence of a case has one of these nouns and does not deny it."""
    nouns = "|".join(re.escape(thing.removesuffix("s")) for thing in things)
    return any(
        re.search(rf"\b(?:{nouns})", sentence.text, re.IGNORECASE)
        and not re.search(r"\b(?:no|not|without)\b", sentence.text, re.IGNORECASE)
        for sentence in hit.case.sentences
    )


def topic_sentence(topics: Collection[str], hit: Hit) -> str | None:
    """The sentence of a case that names one of these findings."""
    for sentence in hit.case.sentences:
        claimed = read_claims(sentence).topics
        if any(claimed.get(topic, "negative") != "negative" for topic in topics):
            return sentence.text
    return None
