"""Answers on which findings are there: yes or no, a side, a region, and all of them."""

from collections.abc import Collection

from db.index.case import Case
from db.labels import NO_FINDING
from generator.assessment.assess import DEVICES, Assessment
from generator.assessment.wording import noun
from generator.grounding.claims import read_claims
from generator.questions.answer import DecidedAnswer, labels_of, seen, stated, valued
from generator.questions.premise import failed_premise
from generator.questions.reading.parse import ParsedQuestion
from generator.questions.reading.whole import REGIONS
from retriever.results import Retrieval


def presence(parsed: ParsedQuestion, assessment: Assessment, retrieval: Retrieval) -> DecidedAnswer:
    """Answer whether the findings asked for are seen, with what is seen of each.

    Neither yes nor no where it depends on a finding narrower than an observation that is seen, and
    "perhaps" where it depends on a finding that is only possible: that may be stated, not denied.
    """
    names = list(parsed.asked)
    open_names = [
        name
        for name in names
        if seen(name, assessment) and any(one.label == name for one in parsed.narrower)
    ]
    agree = [
        (assessment[name].state == "present") == (state == "positive")
        for name, state in parsed.asked.items()
        if name not in open_names
    ]
    yes = all(agree) if parsed.every else any(agree)
    if open_names and yes == parsed.every:
        return _not_told_apart(names, parsed, assessment, retrieval)
    if parsed.region:
        there = [name for name in names if assessment[name].state == "present"]
        if not there:
            values = [f"{noun(name)} {assessment[name].probability:.2f}" for name in names[:3]]
            text = f"no abnormality of the {parsed.region} is seen ({', '.join(values)})."
            lead = "Yes" if yes else "No"
            return DecidedAnswer(text=f"{lead}, {text}", labels=labels_of(names, assessment))
        names = there
    if parsed.side and yes and len(names) == 1 and "positive" in parsed.asked.values():
        return _sided(parsed, names[0], assessment, retrieval)
    names.sort(key=open_names.__contains__)
    first, *rest = [not_told_apart(name, parsed, assessment, retrieval).text for name in names]
    said = f"{first[:1].lower()}{first[1:]}"
    lead = f"{'Yes' if yes else 'No'}, {said}"
    if not open_names and _in_doubt(parsed, assessment):
        lead = f"Perhaps: {said}" if "positive" in parsed.asked.values() else first
    if parsed.either or not parsed.yes_no:
        lead = first
    return DecidedAnswer(
        text=" ".join([lead, *rest]),
        labels=labels_of(names, assessment),
        corrected=not yes and failed_premise(parsed.presumed, assessment, retrieval) is not None,
    )


def _in_doubt(parsed: ParsedQuestion, assessment: Assessment) -> bool:
    """Whether the answer depends on findings that are only possible."""
    sure = [
        (assessment[name].state == "present") == (state == "positive")
        for name, state in parsed.asked.items()
        if assessment[name].state != "possible"
    ]
    return len(sure) < len(parsed.asked) and (all(sure) if parsed.every else not any(sure))


def untold_premise(
    parsed: ParsedQuestion, assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer | None:
    """The answer to more than presence, of a narrower finding that no similar case names.

    None where the assessment sees no observation that it would be, or a similar case names it.
    """
    findings = {one.finding for one in parsed.narrower if one.finding is not None}
    names = [name for name in parsed.asked if any(one.label == name for one in parsed.narrower)]
    if len(findings) < len(parsed.narrower) or not any(seen(name, assessment) for name in names):
        return None
    if not names or any(sentence_naming(findings, hit.case) for hit in retrieval.hits):
        return None
    return _not_told_apart(names, parsed, assessment, retrieval)


def _not_told_apart(
    names: list[str], parsed: ParsedQuestion, assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer:
    told = [not_told_apart(name, parsed, assessment, retrieval) for name in names]
    return DecidedAnswer(
        text=" ".join(one.text for one in told),
        labels=labels_of(names, assessment),
        quotes={case: quote for one in told for case, quote in one.quotes.items()},
    )


def not_told_apart(
    name: str, parsed: ParsedQuestion, assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer:
    """What is seen of an observation, and that a narrower finding is not told apart from it.

    With how many similar cases name the narrower finding, and their sentences.
    """
    asked = [one for one in parsed.narrower if one.label == name]
    text = stated(name, assessment)
    if not seen(name, assessment):
        return DecidedAnswer(text=text)
    if not asked:
        return DecidedAnswer(text=f"{text.rstrip('.')}{_not_measured(name, parsed)}.")
    subject = "one" if name == DEVICES else "it"
    words = " or ".join(one.words for one in asked)
    text = f"{text.rstrip('.')}; whether {subject} is {words} is not told apart"
    findings = {one.finding for one in asked if one.finding is not None}
    quotes = {
        hit.case.case_id: quote
        for hit in retrieval.hits
        if (quote := sentence_naming(findings, hit.case)) is not None
    }
    if quotes:
        verb = "names" if len(quotes) == 1 else "name"
        of = len(retrieval.hits)
        text = f"{text}. {len(quotes)} of {of} similar cases {verb} {words}"
    return DecidedAnswer(text=f"{text}.", quotes=quotes)


def _not_measured(name: str, parsed: ParsedQuestion) -> str:
    said = parsed.unmeasured.get(name, ())
    if not said:
        return ""
    return f"; its {' and '.join(said)} {'is' if len(said) == 1 else 'are'} not told"


def sentence_naming(findings: Collection[str], case: Case) -> str | None:
    """The first sentence of a report that names one of these findings as present or possible."""
    for sentence in case.sentences:
        if any(
            one.finding in findings and one.state != "negative"
            for one in read_claims(sentence).atoms
        ):
            return sentence.text
    return None


def side_of_hits(name: str, retrieval: Retrieval) -> str:
    """The side on which the similar cases clearly have a finding: left, right, or empty."""
    counts = {"left": 0.0, "right": 0.0}
    for hit in retrieval.hits:
        for side in sides_of(hit.case, name):
            counts[side] += 1 / hit.rank
    for side, other in (("left", "right"), ("right", "left")):
        if counts[side] > 2 * counts[other]:
            return side
    return ""


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


def all_findings(assessment: Assessment) -> DecidedAnswer:
    """What is seen, by name."""
    labels = labels_of(assessment.present, assessment)
    if assessment.present:
        return DecidedAnswer(text=f"{', '.join(assessment.present).capitalize()}.", labels=labels)
    text = "Nothing abnormal."
    if assessment.possible:
        possible = valued(assessment.possible, assessment)
        text = f"Nothing abnormal for certain; possible: {possible}."
    return DecidedAnswer(text=text, labels=labels)


def certainty(assessment: Assessment) -> DecidedAnswer:
    """What is seen or possible, with the probability of each."""
    parts = [
        f"{state}: {valued(names, assessment)}"
        for state, names in (("seen", assessment.present), ("possible", assessment.possible))
        if names
    ]
    text = "; ".join(parts) or "no finding is seen or possible"
    return DecidedAnswer(
        text=f"{text[:1].upper()}{text[1:]}.",
        labels=labels_of([*assessment.present, *assessment.possible], assessment),
    )


def no_abnormality(assessment: Assessment) -> DecidedAnswer | None:
    """The answer to where the abnormality is, where there is none."""
    if not assessment.is_normal:
        return None
    return DecidedAnswer(text="No abnormality is seen.", corrected=True)


def normal(parsed: ParsedQuestion, assessment: Assessment) -> DecidedAnswer:
    """Whether the study is normal."""
    wants_normal = parsed.asked[NO_FINDING] == "positive"
    found = [name for name in assessment.present if name != DEVICES]
    lead = "Yes, " if assessment.is_normal == wants_normal else "No, "
    if parsed.either:
        lead = ""
    if not assessment.is_normal:
        verb = "is" if len(found) == 1 else "are"
        text = f"{lead}{valued(found, assessment)} {verb} seen."
        return DecidedAnswer(
            text=f"{text[:1].upper()}{text[1:]}", labels=labels_of(found, assessment)
        )
    doubt = ""
    if assessment.possible:
        doubt = f"; possible: {valued(assessment.possible, assessment)}"
    text = f"{lead}no abnormality is seen{doubt}."
    return DecidedAnswer(text=f"{text[:1].upper()}{text[1:]}")


def region(parsed: ParsedQuestion, assessment: Assessment) -> DecidedAnswer:
    """What is seen of one region."""
    names = REGIONS[parsed.region][1]
    there = [name for name in names if seen(name, assessment)]
    if not there:
        text = f"No abnormality of the {parsed.region} is seen."
        return DecidedAnswer(text=text, labels=labels_of(names, assessment))
    text = " ".join(stated(name, assessment) for name in there)
    return DecidedAnswer(text=text, labels=labels_of(there, assessment))


def _sided(
    parsed: ParsedQuestion, name: str, assessment: Assessment, retrieval: Retrieval
) -> DecidedAnswer:
    """A present finding with the side asked for, which neither assessment nor cases tell.

    Of the findings of val that a report has on one side, the similar cases had 4 of 15 there.
    """
    found = side_of_hits(name, retrieval)
    told = f"; its side is not told{_not_measured(name, parsed)}"
    if found:
        told = f"{told}; the similar cases have it on the {found}"
    text = f"{stated(name, assessment).rstrip('.')}{told}."
    return DecidedAnswer(text=text, labels=labels_of([name], assessment))
