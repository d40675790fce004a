"""Answers on the image itself: its views, its modality, the part of the body."""

import re

from generator.questions.answer import DecidedAnswer
from generator.questions.reading.parse import ParsedQuestion
from retriever.results import Retrieval

IS_XRAY = "This is a chest X-ray."


def view(parsed: ParsedQuestion, retrieval: Retrieval) -> DecidedAnswer | None:
    """Which views there are; None where the encoder does not tell them apart."""
    known = {view.is_frontal for view in retrieval.views}
    if not known or None in known:
        return None
    said = "Frontal and lateral" if len(known) > 1 else "Frontal" if True in known else "Lateral"
    words = set(re.findall(r"[a-z]+", parsed.text))
    if words & {"axial", "sagittal", "coronal"}:
        return DecidedAnswer(text=f"No, this is a chest X-ray: {said.lower()}.")
    if parsed.yes_no and "or" not in words:
        asks = {
            bool(words & {"lateral", "lat"}): False,
            bool(words & {"frontal", "pa", "ap"}): True,
        }
        wanted = asks.get(True)
        if wanted is not None:
            return DecidedAnswer(text=f"{'Yes' if wanted in known else 'No'}, {said.lower()}.")
    if words & {"pa", "ap"}:
        return DecidedAnswer(text=f"{said}; PA and AP are not told apart.")
    return DecidedAnswer(text=f"{said}.")


def modality(parsed: ParsedQuestion) -> DecidedAnswer:
    if parsed.yes_no and not re.search(r"\bor\b", parsed.text):
        is_xray = re.search(r"\b(?:x-?ray|radiograph|cxr|film)s?\b", parsed.text)
        return DecidedAnswer(text=f"{'Yes' if is_xray else 'No'}, this is a chest X-ray.")
    return DecidedAnswer(text=IS_XRAY)


def anatomy(parsed: ParsedQuestion) -> DecidedAnswer:
    if parsed.region and not re.search(r"\bor\b", parsed.text):
        chest = parsed.region.startswith(("chest", "thora", "lung", "heart", "rib"))
        return DecidedAnswer(text=f"{'Yes' if chest else 'No'}, this is a chest X-ray.")
    if parsed.region:
        return DecidedAnswer(text=IS_XRAY)
    return DecidedAnswer(text="The chest: heart, lungs, pleura, mediastinum and ribs.")
