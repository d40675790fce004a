"""What one mention of a finding says."""

from dataclasses import dataclass
from typing import Literal

from db.labels import State

Side = Literal["left", "right"]
Degree = Literal["minimal", "mild", "moderate", "severe"]
Certainty = Literal["definite", "probable", "possible", "unlikely"]
Comparison = Literal["new", "larger", "smaller", "unchanged", "resolved", "removed", "changed"]
Age = Literal["acute", "chronic"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mention:
    """One finding where a sentence words it, with the attributes that are said of it alone.

    An attribute that is not said is empty. Sets hold more than one value where the text does: both
    sides of "bilateral", two degrees of "small to moderate".
    """

    finding: str
    """A name of ``db.findings.FINDING``."""
    state: State
    start: int
    """Where its wording begins in the sentence as given, in characters."""
    end: int
    certainty: Certainty = "definite"
    sides: frozenset[Side] = frozenset()
    location: frozenset[str] = frozenset()
    """Lobes, zones, bones: "upper lobe", "base", "rib 7", "t8"; not the side."""
    tip: frozenset[str] = frozenset()
    """Where a tube or line ends: "svc", "carina", "stomach"."""
    degree: frozenset[Degree] = frozenset()
    """small is mild, large is severe, trace is minimal."""
    size_mm: tuple[float, ...] = ()
    """Lengths said of it, in mm, in the order of the text."""
    comparison: frozenset[Comparison] = frozenset()
    """Set where the mention compares with an earlier image."""
    age: frozenset[Age] = frozenset()
    kind: frozenset[str] = frozenset()
    """What else tells two of a finding apart: "dextro", "loculated", "hiatal", "dual lead"."""
