"""Answers that the assessment, the views or a rule gives, without a language model.

answer = decide("Is there an effusion?", assessment, retrieval)
answer.text         # "No, no pleural effusion is seen (0.04)."
decide("Which side is the effusion on?", ...)       # premise: "No pleural effusion is seen (0.04)."

None is a question on what the assessment does not hold: the side or degree of a present finding, or
a finding outside the 14 observations. A language model answers it, or, without one, the hits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from db.app.generation import Statement
from db.index.case import Case
from db.labels import NO_FINDING, Labels, State
from generator.assessment.assess import DEVICES, Assessment
from generator.assessment.situation import study_warnings
from generator.assessment.wording import denial, noun
from generator.grounding.answers import find_support
from generator.grounding.claims import read_claims
from generator.grounding.report import GroundedReport, cite
from generator.questions.parse import REGIONS, ParsedQuestion, parse, split_questions
from retriever.results import Hit, Retrieval

ANSWERS_VERSION = "assessment-1"
MOST_CITED = 2
IS_XRAY = "This is a chest X-ray."


@dataclass(frozen=True, kw_only=True)
class DecidedAnswer:
    """An answer, and the labels that it states."""

    text: str
    labels: Labels = field(default_factory=dict)
    declined: bool = False
    """Whether the question is not one that an X-ray answers, or its premise does not hold."""


def decide(question: str, assessment: Assessment, retrieval: Retrieval) -> DecidedAnswer | None:
    """Answer one question or several; None where one of them needs more than the assessment."""
    answers = [_decide(parse(one), assessment, retrieval) for one in split_questions(question)]
    if not answers or any(one is None for one in answers):
        return None
    given = [one for one in answers if one is not None]
    return DecidedAnswer(
        text=" ".join(dict.fromkeys(one.text for one in given)),
        labels={name: state for one in given for name, state in one.labels.items()},
        declined=all(one.declined for one in given),
    )


def answer_report(
    answer: DecidedAnswer | None,
    retrieval: Retrieval,
    assessment: Assessment,
    *,
    hits: Sequence[Hit],
    notes: Sequence[str] = (),
) -> GroundedReport | None:
    """A decided answer as a report of one statement; None without an answer."""
    if answer is None:
        return None
    return GroundedReport(
        statements=(to_statement(answer, hits, retrieval),),
        hits=tuple(hits),
        generator=ANSWERS_VERSION,
        index_fingerprint=retrieval.index_fingerprint,
        warnings=study_warnings(retrieval),
        notes=tuple(notes),
        label_scores=retrieval.label_scores,
        assessment=assessment,
    )


def settled_answer(labels: Labels, assessment: Assessment) -> Statement:
    """What the assessment says of the observations that a contradicted answer was about."""
    names = [name for name in labels if name != NO_FINDING]
    if not names:
        answer = _what(assessment)
        return Statement(section="impression", text=answer.text, labels=dict(answer.labels))
    return Statement(
        section="impression",
        text=" ".join(_stated(name, assessment) for name in names),
        labels=_labels(names, assessment),
    )


def to_statement(answer: DecidedAnswer, hits: Sequence[Hit], retrieval: Retrieval) -> Statement:
    """The answer with the hits whose reports say the same."""
    said = "yes" if set(answer.labels.values()) <= {"positive", "uncertain"} else "no"
    quotes = [(hit, _quote(hit.case, answer.labels, said)) for hit in hits] if answer.labels else []
    return Statement(
        section="impression",
        text=answer.text,
        labels=dict(answer.labels),
        citations=tuple(
            cite(hit, quote, retrieval.index_fingerprint) for hit, quote in quotes if quote
        )[:MOST_CITED],
    )


def failed_premise(parsed: ParsedQuestion, assessment: Assessment) -> DecidedAnswer | None:
    """What to say where a question takes a finding for granted that is not seen; else None."""
    if parsed.kind not in ("place", "degree"):
        return None
    unseen = [
        name for name in parsed.asked if assessment[name].state not in ("present", "possible")
    ]
    if not parsed.asked or len(unseen) < len(parsed.asked):
        return None
    return DecidedAnswer(
        text=" ".join(_denied(name, assessment) for name in unseen),
        labels=_labels(unseen, assessment),
        declined=True,
    )


def _decide(
    parsed: ParsedQuestion, assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer | None:
    if parsed.kind == "declined":
        return DecidedAnswer(text=parsed.decline, declined=True)
    if parsed.kind in ("place", "degree"):
        return failed_premise(parsed, assessment) or _unnamed_topics(parsed, retrieval)
    if parsed.kind == "modality":
        return _modality(parsed)
    if parsed.kind == "anatomy":
        return _anatomy(parsed)
    if parsed.kind == "view":
        return _view(parsed, retrieval)
    if parsed.kind == "what":
        return _what(assessment)
    if parsed.kind == "normal":
        return _normal(parsed, assessment)
    if parsed.kind == "region":
        return _region(parsed, assessment)
    if parsed.kind == "presence" and parsed.asked and not parsed.topics:
        return _presence(parsed, assessment, retrieval)
    return None


def _unnamed_topics(parsed: ParsedQuestion, retrieval: Retrieval) -> DecidedAnswer | None:
    """The same for findings outside the 14 observations, which only the hits can name."""
    if parsed.asked or not parsed.topics:
        return None
    named = {
        topic
        for hit in retrieval.hits
        for sentence in hit.case.sentences
        for topic, state in read_claims(sentence).topics.items()
        if state != "negative"
    }
    unnamed = [topic for topic in parsed.topics if topic not in named]
    if len(unnamed) < len(parsed.topics):
        return None
    words = " or ".join(topic.lower() for topic in unnamed)
    return DecidedAnswer(text=f"No similar case names {words}.", declined=True)


def _presence(
    parsed: ParsedQuestion, assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer:
    agree = [
        (assessment[name].state == "present") == (state == "positive")
        for name, state in parsed.asked.items()
    ]
    yes = all(agree) if parsed.every else any(agree)
    names = list(parsed.asked)
    if parsed.region and not yes:
        names = [name for name in names if assessment[name].state == "present"]
    elif parsed.region:
        whole = ", ".join(f"{noun(name)} {assessment[name].probability:.2f}" for name in names[:3])
        text = f"Yes, no abnormality of the {parsed.region} is seen ({whole})."
        return DecidedAnswer(text=text, labels=_labels(names, assessment))
    sentences = [_stated(name, assessment) for name in names]
    if parsed.side and yes and len(names) == 1 and "positive" in parsed.asked.values():
        return _sided(parsed, names[0], assessment, retrieval)
    first, *rest = sentences
    lead = f"{'Yes' if yes else 'No'}, {first[:1].lower()}{first[1:]}"
    if not parsed.yes_no:
        lead = first
    return DecidedAnswer(text=" ".join([lead, *rest]), labels=_labels(names, assessment))


def _sided(
    parsed: ParsedQuestion, name: str, assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer:
    """A present finding with the side asked for: the hits that name it say which."""
    (asked,) = parsed.side
    counts = {"left": 0.0, "right": 0.0}
    for hit in retrieval.hits:
        for side in sides_of(hit.case, name):
            counts[side] += 1 / hit.rank
    other = "left" if asked == "right" else "right"
    labels = _labels([name], assessment)
    value = f"{assessment[name].probability:.2f}"
    if counts[other] > 2 * counts[asked]:
        text = f"No, {noun(name)} is seen ({value}), but the similar cases have it on the {other}."
        return DecidedAnswer(text=text, labels=labels)
    certain = counts[asked] > 2 * counts[other]
    doubt = "" if certain else "; the side is not certain"
    return DecidedAnswer(text=f"Yes, {noun(name)} is seen ({value}){doubt}.", labels=labels)


def sides_of(case: Case, name: str) -> frozenset[str]:
    """The sides on which a report has a finding; empty where it names none."""
    found: set[str] = set()
    for sentence in case.sentences:
        if sentence.labels.get(name) in ("positive", "uncertain"):
            found |= {
                side
                for one in read_claims(sentence).atoms
                if one.state != "negative"
                for side in one.sides
            }
    return frozenset(found)


def _what(assessment: Assessment) -> DecidedAnswer:
    present = assessment.present
    labels = _labels(present, assessment)
    if not present:
        text = "Nothing abnormal."
        if assessment.possible:
            possible = _valued(assessment.possible, assessment)
            text = f"Nothing abnormal for certain; possible: {possible}."
        return DecidedAnswer(text=text, labels=labels)
    return DecidedAnswer(text=f"{', '.join(present).capitalize()}.", labels=labels)


def _normal(parsed: ParsedQuestion, assessment: Assessment) -> DecidedAnswer:
    wants_normal = parsed.asked[NO_FINDING] == "positive"
    normal = assessment.is_normal
    found = [name for name in assessment.present if name != DEVICES]
    yes = "Yes" if normal == wants_normal else "No"
    if not normal:
        text = f"{yes}, {_valued(found, assessment)} {'is' if len(found) == 1 else 'are'} seen."
        return DecidedAnswer(text=text, labels=_labels(found, assessment))
    doubt = ""
    if assessment.possible:
        doubt = f"; possible: {_valued(assessment.possible, assessment)}"
    return DecidedAnswer(text=f"{yes}, no abnormality is seen{doubt}.", labels={})


def _region(parsed: ParsedQuestion, assessment: Assessment) -> DecidedAnswer:
    names = REGIONS[parsed.region][1]
    seen = [name for name in names if assessment[name].state in ("present", "possible")]
    if not seen:
        text = f"No abnormality of the {parsed.region} is seen."
        return DecidedAnswer(text=text, labels=_labels(names, assessment))
    text = " ".join(_stated(name, assessment) for name in seen)
    return DecidedAnswer(text=text, labels=_labels(seen, assessment))


def _view(parsed: ParsedQuestion, retrieval: Retrieval) -> DecidedAnswer | None:
    known = {view.is_frontal for view in retrieval.views}
    if not known or None in known:
        return None
    words = {frozenset({True}): "Frontal", frozenset({False}): "Lateral"}
    said = words.get(frozenset(known), "Frontal and lateral")  # type: ignore[arg-type]
    low = parsed.text.lower()
    if any(word in low for word in ("axial", "sagittal", "coronal")):
        return DecidedAnswer(text=f"No, this is a chest X-ray: {said.lower()}.")
    if parsed.yes_no and " or " not in low:
        asks = {"lateral" in low: False, ("frontal" in low or " pa" in low or " ap" in low): True}
        wanted = asks.get(True)
        if wanted is not None:
            return DecidedAnswer(text=f"{'Yes' if wanted in known else 'No'}, {said.lower()}.")
    if " pa " in low or " ap " in low:
        return DecidedAnswer(text=f"{said}; PA and AP are not told apart.")
    return DecidedAnswer(text=f"{said}.")


def _modality(parsed: ParsedQuestion) -> DecidedAnswer:
    if parsed.yes_no:
        is_xray = any(word in parsed.text.lower() for word in ("ray", "radiograph", "cxr", "film"))
        return DecidedAnswer(text=f"{'Yes' if is_xray else 'No'}, this is a chest X-ray.")
    return DecidedAnswer(text=IS_XRAY)


def _anatomy(parsed: ParsedQuestion) -> DecidedAnswer:
    if parsed.region:
        chest = parsed.region.startswith(("chest", "thora", "lung", "heart", "rib"))
        return DecidedAnswer(text=f"{'Yes' if chest else 'No'}, this is a chest X-ray.")
    return DecidedAnswer(text="The chest: heart, lungs, pleura, mediastinum and ribs.")


def _stated(name: str, assessment: Assessment) -> str:
    """One sentence on one observation, with its probability."""
    one = assessment[name]
    words = noun(name)
    verb = "are" if name == DEVICES else "is"
    if one.state == "present":
        return f"{words[:1].upper()}{words[1:]} {verb} seen ({one.probability:.2f})."
    if one.state == "possible":
        return f"{words[:1].upper()}{words[1:]} {verb} only possible ({one.probability:.2f})."
    return _denied(name, assessment)


def _denied(name: str, assessment: Assessment) -> str:
    one = assessment[name]
    if one.state == "not assessable":
        return f"{noun(name).capitalize()} cannot be assessed without a frontal view."
    return f"{denial(name).rstrip('.')} ({one.probability:.2f})."


def _labels(names: Sequence[str], assessment: Assessment) -> dict[str, State]:
    states: dict[str, State] = {
        "present": "positive",
        "possible": "uncertain",
        "absent": "negative",
    }
    return {name: states[state] for name in names if (state := assessment[name].state) in states}


def _valued(names: Sequence[str], assessment: Assessment) -> str:
    words = [f"{noun(name)} ({assessment[name].probability:.2f})" for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _quote(case: Case, labels: Labels, said: str) -> str | None:
    plain = {n: "negative" if s == "negative" else "positive" for n, s in labels.items()}
    return find_support(case, plain, "", said)  # type: ignore[arg-type]
