"""Organs that a sentence calls normal: bones, vessels, soft tissues.

organs_called_normal("The bones are intact.")                    # {"bones": False}
organs_called_normal("No acute abnormality of the ribs.")        # {"ribs": True}: acute only
"""

import re
from collections.abc import Mapping
from functools import lru_cache

_I = re.IGNORECASE
_ORGANS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("heart", re.compile(r"\bheart\b|\bcardiac\b|\bcardiomediast|\bpericardi", _I)),
    ("mediastinum", re.compile(r"mediastin", _I)),
    ("hila", re.compile(r"\bhil(?:a|um|ar)\b", _I)),
    ("aorta", re.compile(r"\baort", _I)),
    ("trachea", re.compile(r"\btrache|\bairways?\b", _I)),
    ("vessels", re.compile(r"vascul|\b(?:pulmonary|great) (?:vessels?|arter)", _I)),
    (
        "lungs",
        re.compile(
            r"\blungs?\b|\bpulmonary\b(?! (?:vasc|vessel|arter))|air[\s-]?space|alveol|parenchym",
            _I,
        ),
    ),
    ("pleura", re.compile(r"\bpleura|costophrenic", _I)),
    ("diaphragm", re.compile(r"diaphragm", _I)),
    ("abdomen", re.compile(r"abdom|periton|bowel", _I)),
    ("ribs", re.compile(r"\bribs?\b|\brib ?cage", _I)),
    ("spine", re.compile(r"\bspin[ea]|vertebra", _I)),
    ("shoulders", re.compile(r"shoulder|clavic|humer|scapul", _I)),
    ("bones", re.compile(r"\bbon[ey]|osseous|skelet|\bbony thorax", _I)),
    ("soft tissues", re.compile(r"soft[\s-]tissue", _I)),
)
_PART_OF = {
    "hila": "mediastinum",
    "aorta": "mediastinum",
    "trachea": "mediastinum",
    "ribs": "bones",
    "spine": "bones",
    "shoulders": "bones",
}
_NORMAL = re.compile(
    r"(?<!ab)normal|unremarkable|\bclear\b|\bintact\b|\bmidline|within limits|\bwnl\b"
    r"|\bfree of\b|\bnegative\b|\bnot enlarged|\bpreserved"
    r"|\b(?:no|without) (?:[a-z]+ )*?(?:abnormal|(?:acute|active|significant) (?:[a-z]+ )*?"
    r"(?:abnormal|disease|process|finding|change|lesion))"
    r"|\b(?:no|without) (?:[a-z]+ )*?(?:lesion|destruct)",
    _I,
)
_ABNORMAL = re.compile(r"\babnormal(?!it)|\bnot (?:\w+ )?(?:normal|clear|intact)|\bno longer", _I)
_ACUTE = re.compile(r"\b(?:acute|active)", _I)
_CLAUSE = re.compile(r";|\. |\b(?:but|however|although|though|except|apart from|other than)\b", _I)


@lru_cache(maxsize=1 << 15)
def organs_called_normal(text: str) -> Mapping[str, bool]:
    """Map each organ called normal to whether only acute abnormality is denied."""
    found: dict[str, bool] = {}
    for clause in _CLAUSE.split(text):
        if not _NORMAL.search(clause) or _ABNORMAL.search(clause):
            continue
        acute = _ACUTE.search(clause) is not None
        for name, pattern in _ORGANS:
            if pattern.search(clause):
                found[name] = found.get(name, True) and acute
    return found


def is_normal(organ: str, acute_only: bool, said: Mapping[str, bool]) -> bool:
    """Whether an organ, or what it is part of, is called normal to that extent."""
    return any(
        name in said and (acute_only or not said[name]) for name in (organ, _PART_OF.get(organ, ""))
    )


_COVERS: dict[str, frozenset[str]] = {
    "heart": frozenset({"Cardiomegaly", "Enlarged Cardiomediastinum"}),
    "mediastinum": frozenset(
        {"Enlarged Cardiomediastinum", "Mediastinal Shift", "Lymphadenopathy"}
    ),
    "hila": frozenset({"Hilar Enlargement", "Lymphadenopathy"}),
    "aorta": frozenset({"Tortuous Aorta", "Aortic Calcification", "Aortic Enlargement"}),
    "trachea": frozenset({"Mediastinal Shift"}),
    "vessels": frozenset({"Vascular Congestion"}),
    "lungs": frozenset({"Lung Opacity", "Interstitial Pattern", "Infiltrate", "Consolidation"}),
    "pleura": frozenset({"Pleural Effusion", "Pleural Thickening", "Blunted Costophrenic Angle"}),
    "diaphragm": frozenset({"Elevated Hemidiaphragm"}),
    "abdomen": frozenset({"Pneumoperitoneum"}),
    "ribs": frozenset({"Rib Fracture"}),
    "spine": frozenset({"Vertebral Fracture", "Degenerative Change"}),
    "shoulders": frozenset({"Other Fracture"}),
    "bones": frozenset({"Other Fracture", "Rib Fracture", "Osteopenia"}),
}
"""Organ to the findings whose denial calls it normal."""


def is_named_by(organ: str, finding: str) -> bool:
    """Whether a denied finding tells the state of an organ."""
    return finding in _COVERS.get(organ, ())
