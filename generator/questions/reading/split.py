"""Take a text apart into its questions.

split_questions("Is there an effusion? Where is it?")
# ["Is there an effusion?", "Where is the pleural effusion?"]
split_questions("Cough and fever. Is there pneumonia?")         # ["Is there pneumonia?"]
"""

import re

from generator.assessment.wording import noun
from generator.questions.reading.evidence import asks_similar_cases
from generator.questions.reading.named import Named, named
from generator.questions.reading.parse import parse
from generator.questions.reading.wording import in_report_words

_ASKS = (
    r"(?:is|are|was|were|does|do|did|has|have|can|could|would|what|which|where|who|when|why|how|any"
    r"|r/o|rule out|list|describe|tell|give|name|summari[sz]e|in which|on which|isn't|aren't)"
)
_HISTORY = re.compile(
    r"^\W*(?:hx|h/o|history of|known|pmh|s/p|status post|post|c/o|complain\w* of|presents with"
    r"|\d+ ?(?:yo?|[mf])\b)"
    r"[^,;:?]*?(?:[,;:]| -)\s+",
    re.IGNORECASE,
)
_PART = re.compile(r"[^?]+\??")
_STATEMENT = re.compile(rf"^(?P<said>[^?]*[.;:!])\s+(?={_ASKS}\b)", re.IGNORECASE)
_BOTH = re.compile(
    r"\s*,?\s+(?:and|but|also|plus)\s+(?:if so,?\s+|also\s+|then\s+)*"
    r"(?=(?:is|are|does|do|has|have|can|what|which|where|how|on which|in which|why)\b)",
    re.IGNORECASE,
)
_IT = re.compile(r"\b(?:it|they|them|that|this|one)\b", re.IGNORECASE)
_ITS = re.compile(r"\b(?:its|their)\b", re.IGNORECASE)
_THEIRS = re.compile(r"\b(?:their|they|them)\b", re.IGNORECASE)
_WHETHER_IT = re.compile(r"\W*(?:is|are|does|do|has|have|was|were) (?:it|they)\b", re.IGNORECASE)
_LACKS_SUBJECT = re.compile(r"^(?:on|in) which \w+\??$|^where\??$|^which (?:side|lobe|lung)\??$")


def split_questions(text: str) -> list[str]:
    """The questions of a text, one after the other; statements before a question are left out.

    A question on "it" gets the finding of the question or statement before it.
    """
    found: list[str] = []
    about = Named()
    for part in _PART.findall(text):
        told, asked = _apart(part.strip())
        if len(asked) > 1 and _states(asked[0], asked[1]):
            told, asked = asked[0], asked[1:]
        about = named(in_report_words(told)) or about
        for one in asked:
            if not re.search(r"\w", one):
                continue
            own = named(in_report_words(one))
            found.append(one if own else _referring(one, about, found[-1] if found else ""))
            about = own or about
    return found or [text]


def _apart(part: str) -> tuple[str, list[str]]:
    """What a part states, and the questions after it.

    A statement with a question on what it states ("there is a mass; is it calcified") stays whole.
    """
    told = ""
    part = _HISTORY.sub("", part) or part
    if match := _STATEMENT.match(part):
        rest = part[match.end() :]
        if named(in_report_words(match["said"])) and not named(in_report_words(rest)):
            return "", [part]
        told, part = match["said"], rest
    return told, _BOTH.split(part)


def _states(first: str, second: str) -> bool:
    """Whether the first of two clauses states a finding that the second asks about."""
    return not (
        re.match(rf"\W*{_ASKS}\b", first, re.IGNORECASE)
        or named(in_report_words(second))
        or not named(in_report_words(first))
    )


def _referring(question: str, about: Named, before: str) -> str:
    """The question with its "it" replaced by the findings that were asked about before."""
    names = [*map(noun, about.names), *(topic.lower() for topic in about.topics)]
    if not names:
        if re.fullmatch(r"\W*why\W*", question, re.IGNORECASE):
            return "why do you say so?" if before else question
        if asks_similar_cases(before.lower()):
            return _THEIRS.sub("the similar cases", question, count=1)
        return question
    what = f"the {names[0]}"
    if _ITS.search(question):
        return _ITS.sub(f"the {names[0]}'s", question, count=1)
    if _LACKS_SUBJECT.match(question.lower()):
        return f"{question.rstrip('?')} is {what}?"
    if re.match(r"\W*(?:where|which|how|what|on which|in which)\b", question, re.IGNORECASE):
        return _IT.sub(what, question, count=1)
    if _WHETHER_IT.match(question) and parse(question).kind in ("declined", "other", "where"):
        return _IT.sub(what, question, count=1)
    return question
