"""What tests of training share: a tiny base model, written once, examples and pairs."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from finetune.adapter.config import TrainConfig
from finetune.examples.folder import Example, ExampleFolder, encode_canvas
from finetune.preferences.pair_file import write_pairs
from finetune.preferences.pairs import PreferencePair
from finetune.training.log import read_log
from generator.prompts import PROMPT_VERSION
from tests.conftest import ROOT
from tests.support.models.mllama_models import drawn_canvas, write_mllama

CASES = "Prior cases:\n[1] (Cardiomegaly) Findings: The heart is enlarged.\n\nFilm: no finding\n\n"
REPORT = CASES + "Write the findings and impression of this film."
QUESTION = CASES + "Answer yes or no. Is there edema?"

SETTINGS = [
    "rank=2",
    "lr=0.01",
    "batch=2",
    "accumulation=2",
    "max_steps=6",
    "eval_every=3",
    "save_every=1",
    "sample_tokens=4",
    "checkpointing=false",
]
CONFIG = TrainConfig.of(SETTINGS).resolved(gpu=False, bfloat16=False, unsloth=False)

# what a fresh process would warn of, too
quiet = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def tiny_base(factory: pytest.TempPathFactory, *, nf4: bool = False) -> Path:
    return _written(factory.getbasetemp() / ("base-nf4" if nf4 else "base"), nf4)


@cache
def _written(folder: Path, nf4: bool) -> Path:
    return write_mllama(folder, nf4=nf4)


def write_pack(folder: Path, *, examples: int = 12, prompt_version: str = PROMPT_VERSION) -> Path:
    """Reports and yes-or-no questions; one in seven has no image."""
    files = [np.frombuffer(encode_canvas(drawn_canvas(1 + n % 2, n)), np.uint8) for n in range(4)]
    made = [
        Example(
            task="report" if number % 2 else "classify",
            study_id=f"study-{number}",
            prompt=REPORT if number % 2 else QUESTION,
            answer=(
                "Findings: The heart is enlarged. [1]" + " The lungs are clear." * (number % 3)
                if number % 2
                else "no"
            ),
            canvas=number % 4 if number % 7 else None,
        )
        for number in range(examples)
    ]
    ExampleFolder(
        train=made,
        val=made[:3],
        about={
            "prompt_version": prompt_version,
            "index_fingerprint": "f" * 64,
            "encoder_sha256": "e" * 64,
        },
        canvas_data=np.concatenate(files),
        canvas_ends=np.cumsum([len(file) for file in files]),
    ).save(folder)
    return folder


def write_pair_file(folder: Path, *, pairs: int = 12) -> Path:
    """Pairs of both kinds, three of them to validate with; every study has an image of its own."""
    made = [
        PreferencePair(
            kind="over-reliance" if number % 3 == 0 else "reward",
            study_id=f"study-{number}",
            patient_id=f"patient-{number}",
            prompt=REPORT,
            answer="Findings: The heart is enlarged. [1]",
            rejected="Findings: No pneumothorax." + " The lungs are clear." * (number % 3),
        )
        for number in range(pairs)
    ]
    return write_pairs(
        folder,
        {"train": made[3:], "val": made[:3]},
        {
            one.study_id: encode_canvas(drawn_canvas(1 + number % 2, number))
            for number, one in enumerate(made)
        },
        {
            "prompt_version": PROMPT_VERSION,
            "index_fingerprint": "f" * 64,
            "encoder_sha256": "e" * 64,
            "strategy": "findings",
            "held_out": {"studies": ["study-100"], "patients": ["patient-100"]},
        },
    )


def check_recorded(name: str, log: Path, *, by: str = "step") -> None:
    """A run logs what the same one did in tests/data/recorded_runs.json: every loss and score to
    three digits, since another processor may round otherwise."""
    recorded = json.loads((ROOT / "tests/data/recorded_runs.json").read_text())[name]
    lines = {line[by]: line for line in read_log(log)}
    assert recorded
    for wanted in recorded:
        found = {key: lines[wanted[by]][key] for key in wanted}
        assert found == pytest.approx(wanted, rel=2e-3, abs=2e-3)
