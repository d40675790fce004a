"""A run starts from the function of an adapter: rescaled where that is exact, or refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from db.errors import MismatchError
from finetune.adapter.backends import Trainable, load_trainable
from finetune.adapter.config import TrainConfig
from finetune.adapter.initial import check_initial, load_adapter_weights
from finetune.export.adapter_files import save_adapter
from generator.mllama.adapter import attach
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.decoding.decoder import Decoder
from tests.support.models.training import CONFIG, quiet, tiny_base

pytestmark = quiet
CPU = torch.device("cpu")
IDS = torch.tensor([[1, 5, 9, 7, 11, 3, 8, 2, 6, 10]])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory)


def trained(base: Path, config: TrainConfig) -> Trainable:
    """An adapter with weights that do something."""
    trainable = load_trainable(str(base), config, CPU)
    generator = torch.Generator().manual_seed(1)
    for name, weight in trainable.weights.items():
        if "lora_B" in name:
            weight.data.normal_(0, 0.3, generator=generator)
        elif "magnitude" in name:
            weight.data *= 1 + 0.2 * torch.rand(weight.shape, generator=generator)
    return trainable


def saved(trainable: Trainable, base: Path, folder: Path) -> Path:
    folder.mkdir()
    record = AdapterRecord(base_model=str(base), base_sha256="", config=vars(trainable.config))
    save_adapter(trainable.model, folder, record)
    return folder


def logits(trainable: Trainable) -> Tensor:
    trainable.model.eval()
    with torch.no_grad():
        found: Tensor = trainable.model(input_ids=IDS).logits
    return found


@pytest.mark.parametrize(
    "changed",
    [
        {"alpha": 64},
        {"rank": 5},
        {"rank": 8, "alpha": 3},
        {"rslora": True},
        {"rank": 4, "rslora": True, "alpha": 7},
    ],
)
def test_another_alpha_scaling_or_higher_rank_starts_from_the_same_function(
    base: Path, tmp_path: Path, changed: dict[str, int]
) -> None:
    before = trained(base, CONFIG)
    adapter = saved(before, base, tmp_path / "adapter")
    config = replace(CONFIG, **changed)  # type: ignore[arg-type]
    check_initial(adapter, config)
    after = load_trainable(str(base), config, CPU)
    untrained = logits(after)
    load_adapter_weights(after, adapter)
    assert (untrained - logits(before)).abs().max() > 0.1
    assert torch.allclose(logits(after), logits(before), atol=1e-4)


def test_equal_settings_start_from_equal_numbers(base: Path, tmp_path: Path) -> None:
    before = trained(base, CONFIG)
    after = load_trainable(str(base), CONFIG, CPU)
    load_adapter_weights(after, saved(before, base, tmp_path / "adapter"))
    for name, weight in before.weights.items():
        assert torch.equal(weight, after.weights[name]), name


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"r": 4}, "rank 4, which does not fit into rank 2: use --set rank=4"),
        ({"use_dora": True}, "is a DoRA adapter: use --set dora=true"),
        ({"alpha_pattern": {"q_proj": 4}}, "made with alpha_pattern"),
        ({"rank_pattern": {"q_proj": 4}}, "made with rank_pattern"),
        ({"peft_type": "LOHA"}, "made with peft_type 'LOHA'"),
        ({"modules_to_save": ["lm_head"]}, "made with modules_to_save"),
        ({"r": None}, "states no rank and alpha"),
    ],
)
def test_what_cannot_be_had_exactly_is_refused_before_anything_is_loaded(
    base: Path, tmp_path: Path, changed: dict[str, object], named: str
) -> None:
    adapter = saved(load_trainable(str(base), CONFIG, CPU), base, tmp_path / "adapter")
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(MismatchError, match=named):
        check_initial(adapter, CONFIG)


@pytest.mark.parametrize(
    "changed", [{"rslora": True, "rank": 4}, {"dora": True}, {"dora": True, "rslora": True}]
)
@pytest.mark.parametrize("merge", [True, False])
def test_rslora_and_dora_are_saved_started_from_and_served(
    base: Path, tmp_path: Path, changed: dict[str, bool], merge: bool
) -> None:
    """Our own decoder gives the logits of transformers and peft, merged or not."""
    from transformers import MllamaForConditionalGeneration

    config = replace(CONFIG, **changed)  # type: ignore[arg-type]
    before = trained(base, config)
    adapter = saved(before, base, tmp_path / "adapter")
    stated = json.loads((adapter / "adapter_config.json").read_text())
    assert (stated["use_rslora"], stated["use_dora"]) == (config.rslora, config.dora)
    card = (adapter / "README.md").read_text()
    assert all(name in card for name in changed if name != "rank")
    again = load_trainable(str(base), config, CPU)
    load_adapter_weights(again, adapter)
    assert torch.allclose(logits(again), logits(before), atol=1e-5)
    plain = MllamaForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    model = attach(plain, adapter, merge=merge).eval()
    _, found = Decoder(model).prefill(IDS.tolist(), None, room=1)
    assert torch.allclose(found[0], logits(before)[0, -1], atol=1e-3)


def test_a_dora_adapter_whose_magnitudes_are_lost_is_not_served(base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file
    from transformers import MllamaForConditionalGeneration

    adapter = saved(trained(base, replace(CONFIG, dora=True)), base, tmp_path / "adapter")
    path = adapter / "adapter_model.safetensors"
    kept = {name: w for name, w in load_file(path).items() if "magnitude" not in name}
    shutil.copy(path, tmp_path / "whole")
    save_file(kept, path)
    plain = MllamaForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    with pytest.raises(MismatchError, match="does not fit the layers"):
        attach(plain, adapter, merge=True)
