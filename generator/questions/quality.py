"""Answers on how the X-ray was taken: what was found when it was read, and what is not measured.

quality("exposure", retrieval).text
# "Exposure and penetration are not measured; as read, the image is of usual brightness."
"""

import re
from collections.abc import Sequence

from generator.assessment.situation import technical
from generator.questions.answer import DecidedAnswer
from generator.questions.premise import naming
from generator.questions.reading.quality import Aspect
from retriever.results import Retrieval, View

_NOT_MEASURED: dict[Aspect, str] = {
    "rotation": "Rotation and position of the patient are not measured",
    "inspiration": "The depth of inspiration is not measured",
    "exposure": "Exposure and penetration are not measured",
    "coverage": "Whether a part is cut off is not measured",
    "sharpness": "Sharpness and motion are not measured",
    "artefact": "Artefacts are not told from findings",
    "size": "",
    "marker": "Letters and markers on the image are not read",
    "overall": "The quality of the image is not rated",
}
_LOW_VOLUMES = "Low Lung Volumes"


def quality(aspect: Aspect, retrieval: Retrieval) -> DecidedAnswer:
    """What is known of one aspect, after what is not."""
    told = {
        "rotation": [_check(retrieval)],
        "inspiration": [_low_volumes(retrieval)],
        "exposure": [_brightness(retrieval.views), _of_file(retrieval)],
        "coverage": [_check(retrieval)],
        "sharpness": [_size(retrieval.views)],
        "artefact": [_check(retrieval)],
        "marker": [_check(retrieval)],
        "size": [_size(retrieval.views), _of_file(retrieval)],
        "overall": [_size(retrieval.views), _brightness(retrieval.views), _check(retrieval)],
    }[aspect]
    parts = [part for part in told if part]
    not_measured = _NOT_MEASURED[aspect] or ("" if parts else "The size is not known")
    text = "; ".join([part for part in (not_measured, *parts) if part])
    topics = (_LOW_VOLUMES,) if naming((_LOW_VOLUMES,), retrieval.hits) else ()
    return DecidedAnswer(
        text=f"{text[:1].upper()}{text[1:]}.", topics=topics if aspect == "inspiration" else ()
    )


def _check(retrieval: Retrieval) -> str:
    """Whether the image passed the check for unusual images."""
    if retrieval.ood is None:
        return ""
    if not retrieval.ood.in_distribution:
        return retrieval.ood.reason.rstrip(".")
    subject = "every image passes" if len(retrieval.views) > 1 else "the image passes"
    return f"{subject} the check that flags most turned, inverted and cropped images"


def _low_volumes(retrieval: Retrieval) -> str:
    count, of = len(naming((_LOW_VOLUMES,), retrieval.hits)), len(retrieval.hits)
    if not of:
        return ""
    named = f"{count} of {of} similar cases name" if count else "no similar case names"
    return f"{named} low lung volumes"


def _brightness(views: Sequence[View]) -> str:
    found = [view.brightness for view in views]
    if not found or None in found:
        return ""
    words = {
        "usual": "of usual brightness",
        "dark": "darker than usual",
        "bright": "brighter than usual",
    }
    if len(set(found)) == 1:
        verb = "the images are" if len(found) > 1 else "the image is"
        return f"as read, {verb} {words[found[0]]}"  # type: ignore[index]
    each = [f"image {place} is {words[one]}" for place, one in enumerate(found, start=1)]  # type: ignore[index]
    return f"as read, {' and '.join([', '.join(each[:-1]), each[-1]])}"


def _size(views: Sequence[View]) -> str:
    sizes = [f"{view.size[0]} x {view.size[1]}" for view in views if view.size is not None]
    if not sizes:
        return ""
    verb = "the images have" if len(sizes) > 1 else "the image has"
    return f"{verb} {' and '.join(sizes)} pixels"


def _of_file(retrieval: Retrieval) -> str:
    """How the pixels of the files were read."""
    notes = technical(retrieval.notes)[1]
    kept = [note for note in dict.fromkeys(notes) if not re.search(r"\bheader\b", note)]
    return f"notes on the file: {', '.join(kept)}" if kept else ""
