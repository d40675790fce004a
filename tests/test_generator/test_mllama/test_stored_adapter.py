"""An adapter that an earlier version trained still loads, with its record and its calibration.

``tests/data/adapter`` was trained at 5d34cb4 on the base of `write_mllama`; ``expected.json`` is
what that version computed with it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator.assessment.calibration import Calibration
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.checkpoint import base_sha256
from generator.mllama.load import load_model
from generator.mllama.model import MllamaModel
from generator.vision_language import DecodingOptions
from tests.conftest import ROOT
from tests.support.models.mllama_models import image_prompt, write_mllama

ADAPTER = ROOT / "tests" / "data" / "adapter"
EXPECTED: dict[str, Any] = json.loads((ADAPTER / "expected.json").read_text())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mllama(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def model(base: Path) -> MllamaModel:
    return load_model(base, ADAPTER, device="cpu", quantization="none")


def test_it_computes_what_it_did(model: MllamaModel) -> None:
    first, second, third = EXPECTED["prompts"]
    prompts = [
        image_prompt(first),
        image_prompt(second, tiles=2, seed=3),
        image_prompt(third, tiles=0, task="ask"),
    ]
    assert model.weights_sha256 == EXPECTED["weights_sha256"]
    assert model.generate(prompts, DecodingOptions(max_new_tokens=20)) == EXPECTED["generate"]
    found = model.loglikelihood(prompts, ["yes", "no"])
    assert np.abs(found - EXPECTED["loglikelihood of yes, no"]).max() < 2e-3


def test_its_record_fits_the_base_and_an_index_of_its_encoder(base: Path) -> None:
    record = AdapterRecord.load(ADAPTER)
    record.check(base="base", base_sha256=base_sha256(base))
    record.check_index(encoder_sha256="e" * 64)
    assert (record.config["rank"], record.step) == (2, 6)


def test_its_calibration_is_read_under_the_old_name_of_the_image_weight() -> None:
    calibration = Calibration.of(ADAPTER)
    assert calibration == Calibration(
        language_model=0.5,
        knn=0.1,
        label_head=0.9,
        offsets={"Edema": -0.3, "Cardiomegaly": 0.2},
        fitted_on="6 drawn studies",
    )
    probability = calibration.probability("Edema", language_model=0.3, knn=0.1, label_head=0.4)
    assert probability == EXPECTED["probability of Edema, model .3 vote .1 image .4"]
