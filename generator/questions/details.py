"""What similar cases tell where the assessment does not: a side, an organ, another finding."""

from collections.abc import Collection

from generator.assessment.assess import Assessment
from generator.grounding.sentences import content_words, is_usable, tidy
from generator.questions.answer import DecidedAnswer, labels_of, seen, stated
from generator.questions.premise import naming
from generator.questions.presence import side_of_hits
from generator.questions.reading.parse import ParsedQuestion
from generator.questions.reading.vocabulary import nouns_of_xrays
from retriever.results import Hit, Retrieval

NOT_TOLD = "Without a language model this question is not answered."


def tell_of_hits(
    parsed: ParsedQuestion, assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer:
    """Answer a question that the assessment leaves open from the hits, or decline it."""
    names = [name for name in parsed.asked if seen(name, assessment)]
    if parsed.kind == "where":
        names = [*assessment.present]
    if names:
        return _detail(names, assessment, retrieval)
    topics = parsed.topics
    if not topics:
        return _sentences(parsed, assessment, retrieval)
    words = " or ".join(topic.lower() for topic in topics)
    count, of = len(naming(topics, retrieval.hits)), len(retrieval.hits)
    told = f"{count} of {of} similar cases name it" if count else "no similar case names it"
    text = f"Whether there is {words} is not assessed; {told}."
    return DecidedAnswer(text=text, topics=topics if count else ())


def _detail(names: list[str], assessment: Assessment, retrieval: Retrieval) -> DecidedAnswer:
    labels = labels_of(names, assessment)
    sentences = [stated(name, assessment).rstrip(".") for name in names]
    side = side_of_hits(names[0], retrieval) if len(names) == 1 else ""
    if side:
        text = f"{sentences[0]}; the similar cases have it on the {side}."
        return DecidedAnswer(text=text, labels=labels, side=side)
    text = f"{'. '.join(sentences)}; without a language model nothing more is said of it."
    return DecidedAnswer(text=text, labels=labels)


def _sentences(
    parsed: ParsedQuestion, assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer:
    """Quote what similar cases say of the organ that is asked about, or decline."""
    asked = {word for noun in nouns_of_xrays(parsed.text) for word in content_words(noun)}
    quotes = {
        hit.case.case_id: quote
        for hit in retrieval.hits
        if (quote := _sentence_on(asked, hit, assessment)) is not None
    }
    if not quotes:
        return DecidedAnswer(text=NOT_TOLD, declined=True)
    best = max(quotes, key=lambda case_id: _shared(asked, quotes[case_id]))
    verb = "speaks" if len(quotes) == 1 else "speak"
    return DecidedAnswer(
        text=f"This is not assessed; {len(quotes)} of {len(retrieval.hits)} similar cases {verb} "
        f"of it: “{tidy(quotes[best])}”",
        quotes={best: quotes[best], **quotes},
    )


def _sentence_on(asked: Collection[str], hit: Hit, assessment: Assessment) -> str | None:
    """The sentence of a case that has most of the words, and that the assessment allows."""
    usable = [
        sentence.text
        for sentence in hit.case.sentences
        if is_usable(sentence.text) and not assessment.contradicted(sentence.labels)
    ]
    best = max(usable, key=lambda text: _shared(asked, text), default="")
    return best if _shared(asked, best) else None


def _shared(asked: Collection[str], text: str) -> int:
    return len(content_words(text).intersection(asked))
