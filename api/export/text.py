"""Text that all export formats share."""

import re
from collections.abc import Iterator

from db.app.generation import NOTICE, Generation, Statement
from generator.assessment.situation import ood_warnings
from generator.output import compared_with

_TITLES = {
    "report": "Chest X-ray report",
    "ask": "Answer on a chest X-ray",
    "classify": "Observations on a chest X-ray",
    "caption": "Caption of a chest X-ray",
}

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Control characters, and code points that XML 1.0 section 2.2 does not allow."""


def printable(text: str) -> str:
    """Replace characters that XML or DICOM text may not hold by spaces."""
    return _UNPRINTABLE.sub(" ", text)


def opening_lines(generation: Generation) -> Iterator[str]:
    """What every export begins with: the research-use line, and the warnings."""
    yield NOTICE
    yield from warning_lines(generation)


def warning_lines(generation: Generation) -> Iterator[str]:
    """The warnings; of a generation stored before there were any, that of its images."""
    yield from generation.warnings or ood_warnings(generation.ood)


def other_notes(generation: Generation) -> Iterator[str]:
    """The notes without the warning that `opening_lines` gives."""
    ood = generation.ood
    for note in generation.notes:
        if ood is None or ood.in_distribution or ood.reason not in note:
            yield note
    if generation.technical_notes:
        yield f"image files: {'; '.join(generation.technical_notes)}"


def software(generation: Generation) -> str:
    """The name of what wrote it, without the folder of a model: at most 64 characters."""
    path, comma, version = generation.generator.partition(", ")
    name = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
    return printable(f"{name}{comma}{version}").strip()[:64] or "unknown"


def title(generation: Generation) -> str:
    return _TITLES.get(generation.task, _TITLES["report"])


def request_lines(generation: Generation) -> Iterator[str]:
    """The indication, the question and the prior study that came with the images."""
    if generation.indication:
        yield f"Indication: {generation.indication}"
    if generation.question:
        yield f"Question: {generation.question}"
    yield from comparison_lines(generation)


def comparison_lines(generation: Generation) -> Iterator[str]:
    """What the report was compared with, and its date; nothing without a prior study."""
    if generation.prior is not None:
        yield f"Comparison: {compared_with(generation.prior)}."


def with_marks(statement: Statement, *, numbers: bool = True) -> str:
    """A sentence with its citation numbers or what it rests on, and a mark if a rule added it."""
    parts = [statement.text]
    if not statement.citations:
        parts.append(statement.marks)
    elif numbers:
        parts.append("".join(f"[{n}]" for n in sorted({c.number for c in statement.citations})))
    if statement.added_by_rule:
        parts.append("(added by rule)")
    return " ".join(parts)


def check_remarks(statement: Statement) -> Iterator[str]:
    """The results of the check: removed citations, a contradiction by the image, and the figures
    that a comparison rests on."""
    for one in statement.removed_citations:
        yield f"(citation {one.number} was removed: {one.reason})"
    if statement.contradiction:
        yield f"(contradicted by the image: {statement.contradiction})"
    if (change := statement.change) is not None:
        yield (
            f"(probability {change.probability:.2f}, {change.prior_probability:.2f} in the prior "
            "study)"
        )


def observation_lines(generation: Generation) -> Iterator[str]:
    """The observations of a classification, one line each."""
    shown = generation.observations if generation.task == "classify" else None
    for one in shown or ():
        parts = [f"retrieved cases {one.knn:.2f} ({one.knn_low:.2f} to {one.knn_high:.2f})"]
        if one.label_head is not None:
            parts.append(f"label head {one.label_head:.2f}")
        if one.language_model is not None:
            parts.append(f"language model {one.language_model:.2f}")
        state = "" if one.state is None else f", {one.state}"
        yield f"{one.name}: {one.probability:.2f}{state} ({', '.join(parts)})"
