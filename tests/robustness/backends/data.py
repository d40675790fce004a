"""Drawn rows, pairs and base models for the checks."""

import json
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from finetune.examples.folder import encode_canvas
from finetune.preferences.pair_file import write_pairs
from finetune.preferences.pairs import PreferencePair
from generator.prompts import PROMPT_VERSION
from tests.support.radiographs import draw_radiograph

View = Literal["PA", "LATERAL"]
TEXT = "Findings: The heart is enlarged."
REJECTED = "Findings: No pneumothorax."


def write_all(folder: Path) -> None:
    """Data sets, pairs, and the models ``base`` in float32 and ``base-nf4``."""
    from tests.support.models.mllama_models import write_mllama

    _write(folder / "data/train.jsonl", _rows(folder / "data", range(9)))
    _write(folder / "data/val.jsonl", _rows(folder / "data", range(9, 12), view="LATERAL"))
    same = _rows(folder / "same", range(3))
    _write(folder / "same/train.jsonl", same)
    _write(folder / "same/val.jsonl", same)
    for name, text in (("run[1]", "Findings: own rows."), ("run1", "Findings: sibling.")):
        _write(
            folder / name / "train.jsonl",
            [r | {"text": text} for r in _rows(folder / name, range(8))],
        )
    wrong: list[Any] = [["left", "right"], None, {"text": TEXT}, True]
    bad = [
        row | ({"text": wrong[number // 2]} if number % 2 else {})
        for number, row in enumerate(_rows(folder, range(8)))
    ]
    _write(folder / "bad.jsonl", bad)
    _pairs(folder / "pairs")
    write_mllama(folder / "base")
    write_mllama(folder / "base-nf4", nf4=True)


def _rows(folder: Path, numbers: range, view: View = "PA") -> list[dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        image = Image.fromarray(draw_radiograph(number, view=view))
        image.resize((84, 102)).save(folder / f"{number}.png")
    return [
        {
            "image": f"{number}.png",
            "text": f"{TEXT}{' The lungs are clear.' * (number % 3)}",
            "patient_id": f"patient-{number}",
        }
        for number in numbers
    ]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _pairs(folder: Path) -> None:
    made = [
        PreferencePair(
            kind="over-reliance" if number % 3 == 0 else "reward",
            study_id=f"study-{number}",
            patient_id=f"patient-{number}",
            prompt="Write the findings and impression of this film.",
            answer=TEXT,
            rejected=REJECTED,
        )
        for number in range(12)
    ]
    write_pairs(
        folder,
        {"train": made[3:], "val": made[:3]},
        {
            one.study_id: encode_canvas(
                Image.fromarray(draw_radiograph(n)).convert("RGB").resize((28, 28))
            )
            for n, one in enumerate(made)
        },
        {"prompt_version": PROMPT_VERSION, "strategy": "findings", "held_out": {}},
    )
