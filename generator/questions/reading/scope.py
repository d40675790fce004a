"""What a question is about, where an X-ray does not answer it.

declined("How should the effusion be treated?")     # "This describes the chest X-ray and gives ..."
declined("Is there an effusion?")       # None
off_topic("What is the capital of France?")     # the sentence for a question that nothing reads

Each topic declines in one sentence. `declined` reads the form of a question, so that the words of a
topic may stand beside a finding: "cough and fever, is there pneumonia?" is none on symptoms.
"""

import re
from functools import lru_cache

from generator.questions.reading.topics import body, care, knowledge, patient, program
from generator.questions.reading.topics.body import NOT_SHOWN, OTHER_PART
from generator.questions.reading.topics.care import FOLLOW_UP, PROGNOSIS, TREATMENT
from generator.questions.reading.topics.knowledge import CAUSE, GENERAL
from generator.questions.reading.topics.patient import EARLIER, OTHER_PATIENT, PATIENT
from generator.questions.reading.topics.program import OFF_TOPIC, UNCHANGED

TOPICS = tuple(
    (re.compile(pattern, re.IGNORECASE), sentence)
    for module in (program, care, patient, knowledge, body)
    for pattern, sentence in module.FORMS
)
"""Forms of questions that an X-ray does not answer, each with the sentence that declines."""

BESIDE_QUALITY = (
    *(OFF_TOPIC, UNCHANGED, EARLIER, OTHER_PATIENT, FOLLOW_UP, GENERAL, CAUSE, OTHER_PART),
)
"""What declines a question whose words may be of the quality of the image."""

_NAME = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss|Mx|Sr|Sra|Herr|Frau|Professor|Prof)\b\.? ?[A-Z]\w+|\b(?:Dr"
    r"|Doctor)\b\.? [A-Z]\w+ (?:say|said|think|write)"
    r"|(?<=\s)(?!Kerley|Swan|Ghon|Hodgkin|Westermark|Hampton|Fleischner|Luftsichel|Bochdalek"
    r"|Morgagni|Hickman|Dobhoff|Pancoast)"
    r"[A-Z][a-z]{2,}'s\b"
    r"|\b(?:did|say|about|for|of) (?:Dr|Doctor)\b\.? [A-Z]\w+"
)
"""A person by name, whose X-ray was not given."""

_MENTIONED = (
    (
        r"\bdiabet|\bhypertens|\basthma|\bstroke|\bhiv\b|\bcovid|\bcoronavirus|\binfluenza",
        NOT_SHOWN,
    ),
    (r"\bpain|\bmedic|\bpills?\b|\btake\b|\boxygen\b|\bsurg", TREATMENT),
    (r"\bsmok\w+|\bsymptom|\bfever|\bcough|\bfeel|\ballerg|\bman\b|\bwoman\b|\bpatient", PATIENT),
    (r"\bserious\b|\bharm|\bworry|\bsafe\b", PROGNOSIS),
)


@lru_cache(maxsize=1 << 12)
def declined(question: str) -> str | None:
    """The sentence that declines a question; None for one that an X-ray may answer."""
    if _NAME.search(question):
        return OTHER_PATIENT
    return next((sentence for form, sentence in TOPICS if form.search(question)), None)


def off_topic(question: str) -> str:
    """The sentence for a question in which nothing of an X-ray is read."""
    low = question.lower()
    return next((said for words, said in _MENTIONED if re.search(words, low)), OFF_TOPIC)
