"""Questions about a study that its report answers, with cited answers.

question, answer = draw_question(case, context, random.Random(0))
("Is there cardiomegaly?", "Yes. [1][3]")

Presence questions only concern findings that the report mentions, except that a study reported as
normal has none of the findings.
"""

import random
from collections.abc import Callable, Sequence

from db.index.store import Case, Sentence
from db.labels import FINDINGS, NO_FINDING, named
from generator.context.build import Context
from generator.grounding.sentences import is_usable, particulars, tidy

_PRESENCE = (
    "Is there {name}?",
    "Is there evidence of {name}?",
    "Does the film show {name}?",
    "Is {name} present?",
    "Do you see {name}?",
)
_OWN_WORDS: dict[str, tuple[str, ...]] = {
    "Cardiomegaly": ("Is the heart enlarged?", "Is the heart size abnormal?"),
    "Enlarged Cardiomediastinum": ("Is the mediastinum widened?",),
    "Pneumothorax": ("Is there a pneumothorax?", "Is there a collapsed lung?"),
    "Pleural Effusion": ("Is there a pleural effusion?", "Is there fluid in the pleural space?"),
    "Lung Opacity": ("Is there an opacity in the lungs?", "Is there airspace disease?"),
    "Lung Lesion": ("Is there a nodule or mass?", "Is there a lung nodule?"),
    "Fracture": ("Are there any fractures?", "Is a bone broken?"),
    "Support Devices": ("Are there any lines or tubes?", "Is there a medical device?"),
    "Edema": ("Is there pulmonary edema?",),
}
_NORMAL = ("Is the film normal?", "Is this a normal chest x-ray?", "Is there any abnormality?")
_WHAT = (
    "What is abnormal?",
    "What abnormality is seen?",
    "What does the film show?",
    "What is the main finding?",
)
_WHERE = ("Where is the {name}?", "In which part is the {name}?", "Which side is the {name} on?")
_HOW = ("How large is the {name}?", "How severe is the {name}?")
_VIEWS = ("Which views are shown?", "What view is this?", "Is this a frontal or a lateral film?")

_PLACES = ("left", "right", "upper", "middle", "lower", "hilar")
_DEGREES = ("mild", "moderate", "severe")

Question = tuple[str, str]
"""The question and its answer."""


def draw_question(case: Case, context: Context, draw: random.Random) -> Question | None:
    """One question that the report answers, or None where it answers none."""
    kinds: list[Callable[[Case, Context, random.Random], Question | None]] = [
        _presence,
        _presence,
        _presence,
        _whole,
        _what,
        _where,
        _degree,
        _views,
    ]
    draw.shuffle(kinds)
    for kind in kinds:
        found = kind(case, context, draw)
        if found is not None:
            return found
    return None


def presence_question(name: str, draw: random.Random) -> str:
    """Ask for an observation in one of several wordings."""
    if name == NO_FINDING:
        return draw.choice(_NORMAL[:2])
    general = tuple(form.format(name=name.lower()) for form in _PRESENCE)
    own = _OWN_WORDS.get(name, ())
    return draw.choice((*general, *own * 2))


def cited(answer: str, numbers: Sequence[int]) -> str:
    """An answer with at most two citations behind it."""
    marks = "".join(f"[{number}]" for number in sorted(numbers)[:2])
    return f"{answer} {marks}" if marks else answer


def _presence(case: Case, context: Context, draw: random.Random) -> Question | None:
    present = sorted(named(case.labels))
    if case.labels.get(NO_FINDING) == "positive":
        absent = [name for name in FINDINGS if name not in present]
    else:
        absent = sorted(n for n, state in case.labels.items() if state == "negative")
    pool = present if present and (draw.random() < 0.5 or not absent) else absent
    if not pool:
        return None
    name = draw.choice(pool)
    yes = name in present
    numbers = [
        hit.rank
        for hit in context.hits
        if (name in named(hit.case.labels) if yes else _is_denied(hit.case, name))
    ]
    return presence_question(name, draw), cited("Yes." if yes else "No.", numbers)


def _is_denied(case: Case, name: str) -> bool:
    if case.labels.get(name) == "negative":
        return True
    return case.labels.get(NO_FINDING) == "positive" and name not in named(case.labels)


def _whole(case: Case, context: Context, draw: random.Random) -> Question | None:
    normal = case.labels.get(NO_FINDING) == "positive"
    if not normal and not named(case.labels):
        return None
    question = draw.choice(_NORMAL)
    numbers = [
        hit.rank
        for hit in context.hits
        if (hit.case.labels.get(NO_FINDING) == "positive") == normal
    ]
    yes = normal == (question in _NORMAL[:2])
    return question, cited("Yes." if yes else "No.", numbers)


def _what(case: Case, context: Context, draw: random.Random) -> Question | None:
    names = [name for name in FINDINGS if name in named(case.labels)]
    question = draw.choice(_WHAT)
    if names:
        numbers = [hit.rank for hit in context.hits if set(names) <= named(hit.case.labels)]
        return question, cited(f"{', '.join(names).capitalize()}.", numbers)
    if case.labels.get(NO_FINDING) == "positive" and draw.random() < 0.3:
        return question, "Nothing abnormal."
    return None


def _where(case: Case, context: Context, draw: random.Random) -> Question | None:
    return _particular(case, context, draw, _WHERE, _PLACES)


def _degree(case: Case, context: Context, draw: random.Random) -> Question | None:
    return _particular(case, context, draw, _HOW, _DEGREES)


def _particular(
    case: Case,
    context: Context,
    draw: random.Random,
    forms: Sequence[str],
    words: Sequence[str],
) -> Question | None:
    """Ask for a particular of a sentence that names a single finding."""
    told: list[tuple[str, str]] = []
    for sentence in case.sentences:
        name, answer = _of_one(sentence, words)
        if name and answer:
            told.append((name, answer))
    if not told:
        return None
    name, answer = draw.choice(told)
    numbers = [
        hit.rank
        for hit in context.hits
        if any(_of_one(sentence, words) == (name, answer) for sentence in hit.case.sentences)
    ]
    return draw.choice(forms).format(name=name.lower()), cited(f"{answer.capitalize()}.", numbers)


def _of_one(sentence: Sentence, words: Sequence[str]) -> tuple[str, str]:
    names = named(sentence.labels)
    if len(names) != 1 or sentence.refers_to_prior or not is_usable(sentence.text):
        return "", ""
    said = particulars(tidy(sentence.text))
    if {"left", "right"} <= said and "left" in words:
        said = (said - {"left", "right"}) | {"both sides"}
    order = ("both sides", *words)
    return next(iter(names)), " ".join(word for word in order if word in said)


def _views(case: Case, context: Context, draw: random.Random) -> Question | None:
    if draw.random() < 0.6 or not all(image.view_position for image in case.images):
        return None
    lateral = {image.view_position == "LATERAL" for image in case.images}
    if not lateral:
        return None
    said = {frozenset({True}): "Lateral.", frozenset({False}): "Frontal."}
    return draw.choice(_VIEWS), said.get(frozenset(lateral), "Frontal and lateral.")
