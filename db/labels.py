"""The 14 CheXpert observations and the states a report can give them.

Source of the list and its order: Irvin et al., CheXpert, AAAI 2019 (arXiv 1901.07031).
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from db.errors import UserError

State = Literal["positive", "negative", "uncertain"]
"""The state of an observation in a text. Unmentioned observations have none and are omitted."""

Labels = Mapping[str, State]
"""Observation to state; unmentioned observations are not keys."""

STATES: tuple[State, ...] = ("positive", "negative", "uncertain")

NO_FINDING = "No Finding"

OBSERVATIONS: tuple[str, ...] = (
    NO_FINDING,
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Lesion",
    "Lung Opacity",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)

FINDINGS: tuple[str, ...] = OBSERVATIONS[1:]
"""All observations but No Finding; label F1 is computed over these 13."""

EXTRA_FINDINGS: tuple[str, ...] = ("Emphysema", "Fibrosis", "Hernia", "Nodule", "Mass")
"""Findings that an encoder may score beside the observations. Source: ChestX-ray14 (arXiv
1705.02315), whose nodules and masses CheXpert calls lung lesions."""


def named(labels: Labels) -> frozenset[str]:
    """Return the findings that are positive or uncertain, without No Finding."""
    return frozenset(
        name
        for name, state in labels.items()
        if name != NO_FINDING and state in ("positive", "uncertain")
    )


def positives(
    labels: Sequence[Labels], observations: Sequence[str] = OBSERVATIONS
) -> npt.NDArray[np.bool_]:
    """Tabulate which observations are positive or uncertain: (n, len(observations))."""
    for number, one in enumerate(labels):
        for name, state in one.items():
            if name not in OBSERVATIONS or state not in STATES:
                raise UserError(
                    f"study {number} (from 0) has the label {name!r}: {state!r}; observations are "
                    f"the 14 of CheXpert, states {', '.join(STATES)}"
                )
    rows = [[one.get(name) in ("positive", "uncertain") for name in observations] for one in labels]
    return np.array(rows, dtype=np.bool_).reshape(len(labels), len(observations))
