"""Regions of a chest image, and the findings that belong to each."""

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
"""In the usual order of a report; ``chest`` is the image as a whole and comes last."""

TOPICS: tuple[str, ...] = tuple(one.name for one in ALL_FINDINGS if one.parent is None)
"""Findings that a report may name besides the 14 observations."""

_BESIDE_NORMAL = frozenset(
    {"Granuloma", "Hyperinflation", "Low Lung Volumes", "Subcutaneous Emphysema"}
)
"""Findings that do not rule out a normal region."""


def region_of(name: str) -> Region:
    """Return the region of an observation or finding."""
    if name == NO_FINDING:
        return "chest"
    return FINDING[name if name in FINDING else CHILDREN[name][0]].region


def abnormal_region(name: str) -> Region | None:
    """Return the region that is not normal if ``name`` is present, if any."""
    return None if name in _BESIDE_NORMAL else region_of(name)
