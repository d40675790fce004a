"""Regions of a chest image, and the observations and topics that belong to each."""

import re
from dataclasses import dataclass
from typing import Literal

from db.labels import NO_FINDING

Region = Literal[
    "heart", "mediastinum", "vessels", "lungs", "pleura", "abdomen", "bones", "devices", "chest"
]

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

_FINDING_REGIONS: dict[str, Region] = {
    "Enlarged Cardiomediastinum": "mediastinum",
    "Cardiomegaly": "heart",
    "Lung Lesion": "lungs",
    "Lung Opacity": "lungs",
    "Edema": "lungs",
    "Consolidation": "lungs",
    "Pneumonia": "lungs",
    "Atelectasis": "lungs",
    "Pneumothorax": "pleura",
    "Pleural Effusion": "pleura",
    "Pleural Other": "pleura",
    "Fracture": "bones",
    "Support Devices": "devices",
    NO_FINDING: "chest",
}


@dataclass(frozen=True, kw_only=True)
class _Topic:
    region: Region
    pattern: re.Pattern[str]
    abnormal_region: bool = True
    """Whether the topic rules out a normal region."""


_TOPICS: tuple[tuple[str, Region, str, bool], ...] = (
    ("Aorta", "mediastinum", r"(?:tortu|ecta|unfold|uncoil|scler|athero|calcif).*\baort"
     r"|\baort.*(?:tortu|ectat|unfold|uncoil|scler|athero|calcif)", True),
    ("Calcified Nodes", "mediastinum", r"calcif.*(?:node|hila|adenop)", False),
    ("Adenopathy", "mediastinum", r"adenopath", True),
    ("Vascular Congestion", "vessels", r"congest|engorge|cephaliz|vascular promin", True),
    ("Emphysema", "lungs", r"emphysem|\bcopd\b|chronic obstruct", True),
    ("Hyperinflation", "lungs", r"hyper-?(?:inflat|expan|aerat|lucen)|flatten", False),
    ("Low Lung Volumes", "lungs", r"low(?:er)? (?:lung )?volume|hypo-?(?:inflat|aer|vent)"
     r"|volumes? (?:is|are) (?:[a-z]+ )?low|(?:shallow|poor) inspir|underinflat", False),
    ("Granuloma", "lungs", r"granulom", False),
    ("Scarring", "lungs", r"scar|fibro", True),
    ("Hernia", "abdomen", r"hernia", True),
    ("Free Air", "abdomen", r"free (?:intraperiton\w+ |subdiaphrag\w+ )?(?:air|gas)", True),
    ("Raised Diaphragm", "abdomen", r"(?:elevat|raised|eventrat).*diaphragm"
     r"|diaphragm.*(?:elevat|raised|eventrat)", True),
    ("Degenerative Change", "bones", r"degenerat|spondyl|osteophyt|spurring|arthr(?:it|os)",
     True),
    ("Spinal Curvature", "bones", r"scolio|kypho|curvature", True),
    ("Osteopenia", "bones", r"osteopen|osteopor|demineral", True),
)  # fmt: skip
TOPICS = {
    name: _Topic(
        region=region, pattern=re.compile(pattern, re.IGNORECASE), abnormal_region=abnormal
    )
    for name, region, pattern, abnormal in _TOPICS
}
"""Topics that a report may name besides the 14 observations."""


def region_of(name: str) -> Region:
    """Return the region of an observation or topic."""
    return _FINDING_REGIONS[name] if name in _FINDING_REGIONS else TOPICS[name].region


def abnormal_region(name: str) -> Region | None:
    """Return the region that is not normal if ``name`` is present, if any."""
    if name in TOPICS and not TOPICS[name].abnormal_region:
        return None
    return region_of(name)
