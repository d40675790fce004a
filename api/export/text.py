"""Text that all export formats share."""

from collections.abc import Iterator

from db.app.generation import Generation, Statement

_TITLES = {
    "report": "Chest X-ray report",
    "ask": "Answer on a chest X-ray",
    "classify": "Observations on a chest X-ray",
    "caption": "Caption of a chest X-ray",
}


def title(generation: Generation) -> str:
    return _TITLES.get(generation.task, _TITLES["report"])


def request_lines(generation: Generation) -> Iterator[str]:
    """The indication and the question that came with the images."""
    if generation.indication:
        yield f"Indication: {generation.indication}"
    if generation.question:
        yield f"Question: {generation.question}"


def with_marks(statement: Statement, *, numbers: bool = True) -> str:
    """A sentence with its citation numbers or ``[image only]``, and a mark if a rule added it."""
    parts = [statement.text]
    if not statement.citations:
        parts.append("[image only]")
    elif numbers:
        parts.append("".join(f"[{n}]" for n in sorted({c.number for c in statement.citations})))
    if statement.added_by_rule:
        parts.append("(added by rule)")
    return " ".join(parts)


def check_remarks(statement: Statement) -> Iterator[str]:
    """The results of the check: removed citations, and a contradiction by the image."""
    for one in statement.removed_citations:
        yield f"(citation {one.number} was removed: {one.reason})"
    if statement.contradiction:
        yield f"(contradicted by the image: {statement.contradiction})"


def observation_lines(generation: Generation) -> Iterator[str]:
    """The observations of a classification, one line each."""
    for one in generation.observations or ():
        parts = [f"retrieved cases {one.knn:.2f} ({one.knn_low:.2f} to {one.knn_high:.2f})"]
        if one.label_head is not None:
            parts.append(f"label head {one.label_head:.2f}")
        if one.language_model is not None:
            parts.append(f"language model {one.language_model:.2f}")
        yield f"{one.name}: {one.probability:.2f} ({', '.join(parts)})"
