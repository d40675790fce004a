"""Answers on the image itself: its views, its modality, the part of the body."""

import re

from generator.questions.answer import DecidedAnswer
from generator.questions.reading.parse import ParsedQuestion
from generator.questions.reading.view import named_view, names_posture
from retriever.results import Retrieval

IS_XRAY = "This is a chest X-ray."
ORIENTATION = (
    "On a frontal image the patient's left is by convention on the right; markers are not read."
)
NO_POSTURE = "Whether the patient stood, sat or lay, and with which machine, is not told."


def view(parsed: ParsedQuestion, retrieval: Retrieval) -> DecidedAnswer | None:
    """Which views there are; None where the encoder does not tell them apart."""
    known = {view.is_frontal for view in retrieval.views}
    posture = names_posture(parsed.text)
    if not known or None in known:
        return DecidedAnswer(text=NO_POSTURE) if posture else None
    said = "Frontal and lateral" if len(known) > 1 else "Frontal" if True in known else "Lateral"
    words = set(re.findall(r"[a-z]+", parsed.text))
    if words & {"axial", "sagittal", "coronal"}:
        return DecidedAnswer(text=f"No, this is a chest X-ray: {said.lower()}.")
    positions = {view.position for view in retrieval.views}
    stated = [one for one in ("PA", "AP") if one in positions]
    by_header = f"{' and '.join(stated)} by the header" if stated else ""
    if posture:
        which = f"{said}, {by_header}" if by_header else said
        return DecidedAnswer(text=f"{which}. {NO_POSTURE}")
    asked = named_view(parsed.text)
    yes_no = parsed.yes_no and "or" not in words
    if asked in ("PA", "AP") or (asked is None and words & {"pa", "ap", "beam", "behind"}):
        if not stated:
            return DecidedAnswer(text=f"{said}; PA and AP are not told apart.")
        lead = f"{'Yes' if asked in stated else 'No'}, {by_header}" if yes_no else by_header
        return DecidedAnswer(text=f"{lead}; {said.lower()}.")
    if asked is not None and yes_no:
        lead = "Yes" if (asked == "frontal") in known else "No"
        return DecidedAnswer(text=f"{lead}, {said.lower()}.")
    if re.search(r"\bhow many\b|\bone or two\b", parsed.text):
        count = len(retrieval.views)
        return DecidedAnswer(text=f"{count} image{'s' if count > 1 else ''}: {said.lower()}.")
    return DecidedAnswer(text=f"{said}{f', {by_header}' if by_header else ''}.")


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
