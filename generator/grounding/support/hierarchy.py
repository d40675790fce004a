"""Which findings imply or exclude others: a rib fracture is a fracture."""

import re
from collections.abc import Sequence

from db.findings import ALL_FINDINGS
from indexer.reports.labelling.mention import Mention

_DEVICES = tuple(one.name for one in ALL_FINDINGS if one.parent == "Support Devices")

_NARROWER: dict[str, tuple[str, ...]] = {
    "Lung Opacity": ("Infiltrate", "Consolidation", "Interstitial Pattern"),
    "Other Fracture": ("Rib Fracture", "Vertebral Fracture"),
    "Other Device": _DEVICES,
}
"""A finding to those that are one of it by definition; an interstitial pattern is an opacity where
it is called one (`is_called_opacity`)."""

_BROADER: dict[str, tuple[str, ...]] = {
    "Infiltrate": ("Lung Opacity",),
    "Consolidation": ("Lung Opacity",),
    "Rib Fracture": ("Other Fracture",),
    "Vertebral Fracture": ("Other Fracture",),
}
"""A finding to those whose denial denies it too."""

_AIRSPACE = ("Lung Opacity", "Infiltrate", "Consolidation", "Pneumonia")
_CLEAR_LUNGS = (*_AIRSPACE, "Mass", "Nodule", "Cavity")

_OPPOSED: dict[str, tuple[str, ...]] = {
    "Lung Opacity": _AIRSPACE,
    "Other Fracture": ("Other Fracture", "Rib Fracture", "Vertebral Fracture"),
    "Other Device": _DEVICES,
    "Cardiomegaly": ("Cardiomegaly", "Enlarged Cardiomediastinum"),
}
"""A finding to those that a report which denies it cannot name; any other opposes itself alone."""

OPPOSED_TO_NORMAL = (
    "Pneumonia",
    "Consolidation",
    "Infiltrate",
    "Pneumothorax",
    "Pneumomediastinum",
    "Edema",
)
"""Findings that a report cannot name which shows no acute disease."""

_GENERIC_DEVICE = re.compile(
    r"(?:(?:any |support |life[- ]support |monitoring |medical |indwelling )*"
    r"(?:devices?|apparatus|lines?(?:,? (?:and|or) tubes?)?|tubes?(?:,? (?:and|or) lines?)?"
    r"|catheters?))",
    re.IGNORECASE,
)


_GENERIC_LESION = re.compile(
    r"(?:(?:any |lung |pulmonary |focal |parenchymal |discrete |suspicious )*lesions?)",
    re.IGNORECASE,
)
_LESIONS = tuple(
    one.name for one in ALL_FINDINGS if one.parent == "Lung Lesion" and one.name != "Mass"
)

_ABBREVIATIONS = ("PICC",)


def common_name(finding: str) -> str:
    """Return a finding's name as written within a sentence."""
    if finding in _ABBREVIATIONS:
        return finding
    return finding.lower().removeprefix("other ")


def is_generic(wording: str) -> bool:
    """Whether a wording names devices in general ("lines and tubes")."""
    return _GENERIC_DEVICE.fullmatch(wording.strip()) is not None


def is_called_opacity(wording: str) -> bool:
    """Whether the wording of an interstitial pattern names opacities, and not only markings."""
    return re.search(r"opacit|opacif|densit|infiltrat", wording, re.IGNORECASE) is not None


def is_any_lesion(claim: Mention, wording: str) -> bool:
    """Whether a wording, read as a mass, names lung lesions in general: a nodule is one as well."""
    return claim.finding == "Mass" and _GENERIC_LESION.fullmatch(wording.strip()) is not None


def opposed_to(claim: Mention, wording: str) -> Sequence[str]:
    """Return what a report with this denial cannot name; clear lungs have no nodule either."""
    if is_any_lesion(claim, wording):
        return ("Mass", *_LESIONS)
    if claim.finding == "Lung Opacity" and re.search(r"\blungs?\b", wording, re.IGNORECASE):
        return _CLEAR_LUNGS
    return _OPPOSED.get(claim.finding, (claim.finding,))


def said_by(claim: Mention, wording: str) -> Sequence[str]:
    """Return the findings whose mention supports a positive claim, itself first."""
    name = claim.finding
    if name == "Other Device" and not is_generic(wording):
        return (name,)
    if name == "Other Fracture" and claim.location:
        return (name,)
    if is_any_lesion(claim, wording):
        return (name, *_LESIONS)
    return (name, *(one for one in _NARROWER.get(name, ()) if one != name))


def denied_by(claim: Mention) -> Sequence[str]:
    """Return the findings whose denial supports a negative claim, itself first."""
    broader = _BROADER.get(claim.finding, ())
    if claim.finding in _DEVICES and claim.finding != "Other Device":
        broader = ("Other Device",)
    return (claim.finding, *broader)
