"""Print a generation for a terminal (`page`) or as JSON (`as_json`)."""

from collections.abc import Iterator

import msgspec

from db.app.generation import Generation
from db.app.observations import PriorStudy
from generator.prior.request import written


def as_json(generation: Generation) -> str:
    """One JSON object with the keys that ``POST /reports`` answers with."""
    return msgspec.json.format(msgspec.json.encode(generation), indent=2).decode()


def page(generation: Generation) -> str:
    """Warnings, the text with citation marks, cited cases, notes and notice."""
    lines = [f"WARNING: {warning}" for warning in generation.warnings]
    if generation.prior is not None:
        lines.append(f"COMPARISON: {compared_with(generation.prior)}")
    lines += _text(generation)
    lines += _cited_cases(generation)
    lines += [
        f"contradicted by the image: “{statement.text}” ({statement.contradiction})"
        for statement in generation.statements
        if statement.contradiction
    ]
    lines += [f"note: {note}" for note in generation.notes]
    if generation.technical_notes:
        lines.append(f"image files: {'; '.join(generation.technical_notes)}")
    lines += [
        f"excluded: {one.source} {one.study_id} (score {one.score:.3f}), {one.reason}"
        for one in generation.excluded_cases
    ]
    return "\n".join([*lines, "", generation.notice])


def compared_with(prior: PriorStudy) -> str:
    """What a report was compared with, in words."""
    day = "" if prior.date is None else f" of {written(prior.date)}"
    case = "" if prior.case is None else f" (indexed as {prior.case})"
    return f"the patient's own prior study{day}{case}"


def _text(generation: Generation) -> Iterator[str]:
    if generation.task == "classify":
        yield from _observations(generation)
    elif generation.task == "ask":
        yield from (str(statement) for statement in generation.statements)
    else:
        for section in ("findings", "impression"):
            statements = [s for s in generation.statements if s.section == section]
            if statements:
                yield section.upper()
                yield from (f"  {statement}" for statement in statements)


def _observations(generation: Generation) -> Iterator[str]:
    """A table, most probable first."""
    yield f"{'':28}probability  range       state          language model   kNN label head"
    for one in sorted(generation.observations or (), key=lambda one: -one.probability):
        language_model, label_head = (
            "-" if value is None else f"{value:.2f}"
            for value in (one.language_model, one.label_head)
        )
        low, high = one.low, one.high
        ends = "-" if low is None or high is None else f"{low:.2f}-{high:.2f}"
        yield (
            f"{one.name:28}{one.probability:11.2f}  {ends:10}  {one.state or '-':14} "
            f"{language_model:>14} {one.knn:5.2f} {label_head:>10}"
        )
    if generation.calibrated_on:
        yield f"calibrated on {generation.calibrated_on}"
    if sensitivity := generation.options.get("sensitivity"):
        yield f"states at the operating point '{sensitivity}'"


def _cited_cases(generation: Generation) -> Iterator[str]:
    quotes: dict[int, list[str]] = {}
    for statement in generation.statements:
        for citation in statement.citations:
            held = quotes.setdefault(citation.number, [])
            if citation.quote not in held:
                held.append(citation.quote)
    if quotes:
        yield ""
        yield "CITED CASES"
    for hit in generation.hits:
        if hit.number in quotes:
            yield f"  [{hit.number}] {hit.source} {hit.study_id}, score {hit.score:.3f}"
            yield from (f'      "{" ".join(quote.split())}"' for quote in quotes[hit.number])
