"""What a reader must know before a text, each as one sentence that stands above it.

study_warnings(retrieval)                   # before anything is written
text_warnings(statements, present, assessment)      # once it is
technical(retrieval.notes)                  # "mid-tones balanced": how a file was read
"""

import re
from collections.abc import Sequence

from db.app.generation import OodCheck, Statement
from db.labels import FINDINGS, named
from generator.assessment.assess import FRONTAL_ONLY, Assessment
from generator.assessment.wording import listed
from indexer.images.radiograph import SEVERAL_STUDIES
from retriever.results import Retrieval

_LEAST_SHOWN, _MOST_HIDDEN = 0.7, 0.1
"""Two views contradict each other where the label head gives a finding at least the one in one view
and at most the other in another."""

_SERIOUS = re.compile(
    rf"{re.escape(SEVERAL_STUDIES)}|header names another|neither a frontal nor a lateral"
)
"""Notes on an image that are warnings."""

_TECHNICAL = re.compile(
    r"mid-tones|scaled to 8 bits|transparent parts|inverted|turned to grey|padding made black"
    r"|of the file not used|oblong pixels|header is wrong on|header contradicts itself"
    r"|more than the \d+ bits|lossy compressed|EXIF|PatientOrientation|colour"
)
"""Notes on how the pixels of a file were read."""


def study_warnings(retrieval: Retrieval) -> tuple[str, ...]:
    """What is known of a study before anything is written about it."""
    found = list(ood_warnings(retrieval.ood))
    if retrieval.views and all(view.is_frontal is False for view in retrieval.views):
        found.append(f"No frontal view was given: {listed(FRONTAL_ONLY)} cannot be assessed.")
    found += [_sentence(note) for note in retrieval.notes if _SERIOUS.search(note)]
    if (contradiction := _contradicting_views(retrieval)) is not None:
        found.append(contradiction)
    return tuple(dict.fromkeys(found))


def ood_warnings(ood: OodCheck | None) -> tuple[str, ...]:
    """A warning if the images are unlike the indexed ones."""
    if ood is None or ood.in_distribution:
        return ()
    return (_sentence(f"do not rely on this: {ood.reason}"),)


def text_warnings(
    statements: Sequence[Statement], present: Sequence[str], assessment: Assessment | None
) -> tuple[str, ...]:
    """What a report lacks: any statement, a case for a present finding, an impression."""
    if not statements:
        return ("Nothing is stated: no sentence could be written that holds for this study.",)
    found = []
    said = {name for one in statements if one.grounded for name in named(one.labels)}
    if missing := [name for name in present if name not in said]:
        found.append(f"Present, but no prior case says so: {_valued(missing, assessment)}.")
    if all(one.section != "impression" for one in statements):
        found.append("The report has no impression.")
    return tuple(found)


def technical(notes: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split notes into those for the reader and those on how files were read, warnings apart."""
    rest = [note for note in notes if not _SERIOUS.search(note)]
    own = tuple(note for note in rest if _TECHNICAL.search(note))
    return tuple(note for note in rest if note not in own), own


def _contradicting_views(retrieval: Retrieval) -> str | None:
    """The finding on which two views differ most, if they contradict each other."""
    views = [
        (place, view.label_scores)
        for place, view in enumerate(retrieval.views, start=1)
        if view.label_scores is not None
    ]
    if len(views) < 2:
        return None
    worst = None
    for name in FINDINGS:
        (low, where_low), (high, where_high) = (
            choose((scores[name], place) for place, scores in views) for choose in (min, max)
        )
        apart = high >= _LEAST_SHOWN and low <= _MOST_HIDDEN
        if apart and (worst is None or high - low > worst[0]):
            worst = (
                high - low,
                f"The views contradict each other: image {where_high} shows {listed([name])} "
                f"(label score {high:.2f}), image {where_low} does not ({low:.2f}).",
            )
    return None if worst is None else worst[1]


def _valued(names: Sequence[str], assessment: Assessment | None) -> str:
    if assessment is None:
        return listed(names)
    return ", ".join(f"{listed([name])} ({assessment[name].probability:.2f})" for name in names)


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:].rstrip('.')}."
