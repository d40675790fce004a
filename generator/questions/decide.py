"""Answers that the assessment, the views or a rule gives, without a language model.

answer = decide("Is there an effusion?", assessment, retrieval)
answer.text         # "No, no pleural effusion is seen (0.04)."
decide("Which side is the effusion on?", ...).corrected     # True

None is a question on what the assessment does not hold: the side or degree of a present finding, or
a finding outside the 14 observations. A language model answers it, or `decide_all` without one.
"""

from collections.abc import Sequence

from generator.assessment.assess import Assessment
from generator.questions import evidence, image, presence
from generator.questions.answer import DecidedAnswer
from generator.questions.details import tell_of_hits
from generator.questions.premise import failed_premise
from generator.questions.quality import quality
from generator.questions.reading.parse import ParsedQuestion, parse
from generator.questions.reading.scope import declined
from generator.questions.reading.split import split_questions
from retriever.results import Retrieval


def decide(question: str, assessment: Assessment, retrieval: Retrieval) -> DecidedAnswer | None:
    """Answer one question or several; None where one of them needs more than the assessment."""
    answers = [_decide(one, assessment, retrieval) for one in _parsed(question)]
    given = [one for one in answers if one is not None]
    return _joined(given) if given and len(given) == len(answers) else None


def decide_all(question: str, assessment: Assessment, retrieval: Retrieval) -> DecidedAnswer:
    """As `decide`; what needs more than the assessment is told of the hits, or declined."""
    return _joined(
        [
            _decide(one, assessment, retrieval) or tell_of_hits(one, assessment, retrieval)
            for one in _parsed(question)
        ]
    )


def _parsed(question: str) -> list[ParsedQuestion]:
    whole = parse(question)
    if declined(question) and whole.kind == "declined":
        return [whole]
    return [parse(one) for one in split_questions(question)]


def _joined(answers: Sequence[DecidedAnswer]) -> DecidedAnswer:
    texts: list[str] = []
    told: set[str] = set()
    for one in answers:
        if not (one.corrected and one.labels and told.issuperset(one.labels)):
            texts.append(one.text)
        told |= set(one.labels)
    return DecidedAnswer(
        text=" ".join(dict.fromkeys(texts)),
        labels={name: state for one in answers for name, state in one.labels.items()},
        topics=tuple(topic for one in answers for topic in one.topics),
        quotes={rank: quote for one in answers for rank, quote in one.quotes.items()},
        declined=all(one.declined for one in answers),
        corrected=any(one.corrected for one in answers)
        and all(one.corrected or one.declined for one in answers),
    )


def _decide(
    parsed: ParsedQuestion, assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer | None:
    if parsed.kind == "declined":
        return DecidedAnswer(text=parsed.decline, declined=True)
    if corrected := failed_premise(parsed.granted, assessment, retrieval):
        return corrected
    if not parsed.asked and (corrected := failed_premise(parsed.presumed, assessment, retrieval)):
        return corrected
    if parsed.aspect is not None:
        return quality(parsed.aspect, retrieval)
    match parsed.kind:
        case "evidence" if parsed.asked or not parsed.topics:
            return evidence.evidence(parsed, assessment, retrieval)
        case "similar":
            return evidence.similar_cases(parsed, assessment, retrieval)
        case "modality":
            return image.modality(parsed)
        case "anatomy":
            return image.anatomy(parsed)
        case "orientation":
            return DecidedAnswer(text=image.ORIENTATION)
        case "certainty":
            return presence.certainty(assessment)
        case "view":
            return image.view(parsed, retrieval)
        case "detail":
            return presence.untold_premise(parsed, assessment, retrieval)
        case "where":
            return presence.no_abnormality(assessment)
        case "what":
            return presence.all_findings(assessment)
        case "normal":
            return presence.normal(parsed, assessment)
        case "region":
            return presence.region(parsed, assessment)
        case "presence" if parsed.asked and not parsed.topics:
            return presence.presence(parsed, assessment, retrieval)
    return None
