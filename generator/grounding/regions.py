"""Regions of a chest image, and what a report may name there besides the 14 observations."""

from db.findings import ALL_FINDINGS, CHILDREN, FINDING, Region
from db.labels import NO_FINDING

REGIONS: tuple[Region, ...] = (
    "heart",
    "mediastinum",
    "vessels",
    "lungs",
    "pleura",
    "abdomen",
    "bones",
    "devices",
    "chest",
)
"""The usual order of a report; ``chest`` is the image as a whole and comes last."""

TOPICS: tuple[str, ...] = tuple(one.name for one in ALL_FINDINGS if one.parent is None)
"""The findings that none of the 14 observations covers."""

_BESIDE_NORMAL = frozenset(
    {"Granuloma", "Hyperinflation", "Low Lung Volumes", "Subcutaneous Emphysema"}
)
"""Findings beside which their region can still be called normal."""


def region_of(name: str) -> Region:
    """The region of an observation or finding."""
    if name == NO_FINDING:
        return "chest"
    return FINDING[name if name in FINDING else CHILDREN[name][0]].region


def abnormal_region(name: str) -> Region | None:
    """The region that cannot be called normal where ``name`` is present."""
    return None if name in _BESIDE_NORMAL else region_of(name)
