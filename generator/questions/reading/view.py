"""Questions on the view: frontal or lateral, PA or AP, standing or lying.

is_view("which views are these")        # True
named_view("is it an ap film")          # "AP"
"""

import re
from typing import Literal

_PROJECTION = r"(?:frontal|lateral|lat|pa|ap|antero-?posterior|postero-?anterior)"
_POSTURE = (
    r"\b(?:supine|erect|recumbent|semi-?erect|semi-?recumbent|decubitus|lordotic|oblique|portable"
    r"|bedside|departmental|mobile (?:film|x-?ray|image|machine|unit|radiograph|study|cxr))\b"
    r"|\b(?:standing|sitting|seated|lying|upright|prone|stood|sat|lay)\b(?! (?:position of|tip))"
)
_VIEW = re.compile(
    r"\b(?:which|what|how many) (?:views?|projections?|planes?|positions?|orientation)\b|\bin"
    r" what plane\b"
    r"|\bwhat is the (?:plane|projection|view|orientation)\b|\bhow (?:is|was) (?:this|the)"
    r" (?:[\w-]+ )?(?:image|x-?ray"
    r"|film|radiograph|study) (?:oriented|taken|acquired|positioned|projected|shot)"
    rf"|\b(?:taken|acquired|shot|obtained) (?:in )?(?:the |an? )?{_PROJECTION}\b|\bin (?:the "
    rf"|an? )?{_PROJECTION}\b"
    rf"|\b{_PROJECTION}\b.*\b(?:views?|films?|images?|x-?rays?|radiographs?|projections?|study"
    rf"|or)\b"
    r"|\b(?:view|film|image|x-?ray|radiograph|study|this|it) (?:is )?(?:an? )?"
    rf"{_PROJECTION}\b|\bmid-?sagittal\b|\b(?:axial|sagittal|coronal)\b|^\W*{_PROJECTION}\W*$"
    r"|\b(?:front|side)(?:-on)? view"
    r"|\b(?:taken|shot|done) from (?:the )?(?:front|side|back|behind)\b"
    r"|^\W*(?:front|side) or (?:side|front)\b"
    rf"|^\W*{_PROJECTION} \w+\W*$|\bor (?:an? |the )?{_PROJECTION}\b|\bis there (?:an?|any|the)"
    rf" (?:\w+ )?{_PROJECTION}\b"
    rf"|\b(?:one|single|two|both) (?:view|projection)s?\b|\b(?:views|images) (?:did|do|have|are"
    rf"|were)\b"
    rf"|\b(?:is|was) (?:this|it|that) (?:(?:taken|done|shot) )?(?:an? )?{_PROJECTION}\b"
    rf"|{_POSTURE}"
    r"|\b(?:front[- ]to[- ]back|back[- ]to[- ]front|beam)\b"
)


def is_view(text: str) -> bool:
    """Whether a text in lower case asks which view the image is."""
    return bool(_VIEW.search(text))


def is_projection(text: str) -> bool:
    """Whether a text in lower case names a projection or a posture."""
    return bool(re.search(rf"\b{_PROJECTION}\b|{_POSTURE}", text))


def names_posture(text: str) -> bool:
    """Whether a text in lower case says how the patient was placed, or what kind of machine."""
    return bool(re.search(_POSTURE, text))


def named_view(text: str) -> Literal["PA", "AP", "frontal", "lateral"] | None:
    """The one view that a text in lower case names; None for none or several."""
    found: set[Literal["PA", "AP", "frontal", "lateral"]] = {
        view for view, words in _NAMED if words.search(text)
    }
    return found.pop() if len(found) == 1 else None


_NAMED: tuple[tuple[Literal["PA", "AP", "frontal", "lateral"], re.Pattern[str]], ...] = (
    ("PA", re.compile(r"\b(?:pa|postero-?anterior|back[- ]to[- ]front)\b")),
    ("AP", re.compile(r"\b(?:ap|antero-?posterior|front[- ]to[- ]back)\b")),
    ("frontal", re.compile(r"\b(?:frontal|front(?:-on)? view|from the front)\b")),
    ("lateral", re.compile(r"\b(?:lateral|lat|side(?:-on)? view|from the side)\b")),
)
