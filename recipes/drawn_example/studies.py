"""Invented studies: drawn chests with reports put together from sentences written for this."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from db.files import write_text
from recipes.drawn_example.chest import Finding, draw_chest

INDICATIONS = ("Cough.", "Shortness of breath.", "Chest pain.", "Fever.", "Preoperative.", "")

_KINDS: tuple[tuple[Finding, ...], ...] = (
    (),
    ("Left Effusion", "Pacemaker"),
    ("Right Effusion",),
    ("Left Effusion",),
    ("Right Opacity",),
    ("Left Opacity",),
    ("Cardiomegaly", "Edema"),
    ("Nodule",),
    ("Pacemaker",),
    ("Cardiomegaly", "Left Effusion"),
)
"""What study 1, 2, ... shows, over and over."""

_HEART = (
    "The heart is normal in size.",
    "Heart size is within normal limits.",
    "The cardiac silhouette is normal.",
)
_LUNGS = ("The lungs are clear.", "No focal consolidation.", "The lungs are clear bilaterally.")
_PLEURA = ("No pleural effusion or pneumothorax.", "There is no pleural effusion.")
_NORMAL = ("No acute cardiopulmonary abnormality.", "No acute disease.", "Normal chest.")
_SEEN: dict[Finding, tuple[tuple[str, ...], str]] = {
    "Cardiomegaly": (
        (
            "The heart is enlarged.",
            "The cardiac silhouette is enlarged.",
            "There is moderate cardiomegaly.",
        ),
        "Cardiomegaly.",
    ),
    "Right Effusion": (
        ("There is a right pleural effusion.", "A right pleural effusion is present."),
        "Right pleural effusion.",
    ),
    "Left Effusion": (
        (
            "There is a left pleural effusion.",
            "A left pleural effusion blunts the costophrenic angle.",
        ),
        "Left pleural effusion.",
    ),
    "Right Opacity": (
        ("There is an opacity in the right lower lobe.", "Right basilar airspace opacity."),
        "Right lower lobe opacity, possibly pneumonia.",
    ),
    "Left Opacity": (
        ("There is an opacity in the left lower lobe.", "Left basilar airspace opacity."),
        "Left lower lobe opacity, possibly pneumonia.",
    ),
    "Edema": (
        ("Perihilar opacities and prominent vessels suggest pulmonary edema.",),
        "Pulmonary edema.",
    ),
    "Nodule": (("There is a small pulmonary nodule.",), "Pulmonary nodule."),
    "Pacemaker": (("A pacemaker is in place.",), "Pacemaker in place."),
}


@dataclass(frozen=True, kw_only=True)
class DrawnStudy:
    """One patient's chest as it is drawn, and what its report says."""

    number: int
    shown: tuple[Finding, ...]
    indication: str
    findings: str
    impression: str

    @property
    def name(self) -> str:
        return f"example-{self.number:03}"


def invent(count: int) -> list[DrawnStudy]:
    """Studies 1 to ``count``, the same at every call."""
    return [_invent(number) for number in range(1, count + 1)]


def _invent(number: int) -> DrawnStudy:
    random = np.random.default_rng(number)

    def one(sentences: Sequence[str]) -> str:
        return sentences[int(random.integers(len(sentences)))]

    shown = _KINDS[(number - 1) % len(_KINDS)]
    findings = [one(_SEEN[name][0]) for name in shown]
    if "Cardiomegaly" not in shown:
        findings.insert(0, one(_HEART))
    effusion = {"Right Effusion", "Left Effusion"} & set(shown)
    if effusion:
        findings.append("The lungs are otherwise clear. No pneumothorax.")
    elif not {"Right Opacity", "Left Opacity", "Edema", "Nodule"} & set(shown):
        findings.append(one(_LUNGS))
    if not effusion:
        findings.append(one(_PLEURA))
    return DrawnStudy(
        number=number,
        shown=shown,
        indication=one(INDICATIONS),
        findings=" ".join(findings),
        impression=" ".join(_SEEN[name][1] for name in shown) or one(_NORMAL),
    )


_HELD_OUT = 8
"""One study in so many is for validation."""


def write_dataset(studies: Sequence[DrawnStudy], folder: Path) -> None:
    """Write ``train.jsonl`` and ``val.jsonl`` beside the images, as ``finetune train --dataset``
    reads them."""
    for name, held_out in (("train", False), ("val", True)):
        lines = [
            json.dumps(
                {
                    "image": f"{study.name}.png",
                    "report": f"Findings: {study.findings} Impression: {study.impression}",
                    "patient_id": f"patient-{study.number:03}",
                }
            )
            for study in studies
            if (study.number % _HELD_OUT == 0) == held_out
        ]
        write_text(folder / f"{name}.jsonl", "".join(f"{line}\n" for line in lines))


def write_studies(studies: Sequence[DrawnStudy], folder: Path, *, side: int) -> Path:
    """Draw every study into ``folder``; return the table that ``indexer build`` reads."""
    table = folder / "studies.csv"
    with table.open("w", encoding="utf-8", newline="") as out:
        columns = ("study_id", "patient_id", "image", "view_position")
        writer = csv.writer(out)
        writer.writerow((*columns, "indication", "findings", "impression"))
        for study in studies:
            image = f"{study.name}.png"
            pixels = draw_chest(study.number, study.shown, side=side)
            Image.fromarray(pixels).save(folder / image)
            texts = (study.indication, study.findings, study.impression)
            writer.writerow((study.name, f"patient-{study.number:03}", image, "PA", *texts))
    return table
