"""What similar cases tell where the assessment does not: a side, a finding outside the 14."""

from generator.assessment.assess import Assessment
from generator.questions.answer import DecidedAnswer, labels_of, seen, stated
from generator.questions.premise import naming
from generator.questions.presence import side_of_hits
from generator.questions.reading.parse import ParsedQuestion
from retriever.results import Retrieval

NOT_TOLD = "Without a language model this question is not answered."


def tell_of_hits(
    parsed: ParsedQuestion, assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer:
    """Answer a question that the assessment leaves open from the hits, or decline it."""
    names = [name for name in parsed.asked if seen(name, assessment)]
    if names:
        return _detail(names, assessment, retrieval)
    topics = parsed.topics
    if not topics:
        return DecidedAnswer(text=NOT_TOLD, declined=True)
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
