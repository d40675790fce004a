from typing import Any

import pytest

from db.errors import UserError
from finetune.adapter.config import TrainConfig
from finetune.preferences.config import PreferenceConfig


def test_the_defaults_are_those_of_a_lora_on_every_layer() -> None:
    config = TrainConfig()
    assert config.vision and config.language and config.attention and config.mlp
    assert (config.rank, config.alpha, config.dropout, config.bias) == (16, 16, 0.0, "none")
    assert (config.seed, config.batch, config.accumulation, config.lr) == (42, 2, 4, 2e-4)


def test_auto_is_decided_for_the_machine() -> None:
    cpu = TrainConfig().resolved(gpu=False, bfloat16=False, unsloth=True)
    assert (cpu.backend, cpu.bits, cpu.precision) == ("peft", "none", "float32")
    assert cpu.optimizer == "adamw"
    gpu = TrainConfig().resolved(gpu=True, bfloat16=True, unsloth=True)
    assert (gpu.backend, gpu.bits, gpu.precision) == ("unsloth", "4", "bfloat16")
    assert gpu.optimizer == "adamw8bit"
    assert TrainConfig().resolved(gpu=True, bfloat16=True, unsloth=False).backend == "peft"
    assert TrainConfig(bits="8").resolved(gpu=True, bfloat16=True, unsloth=True).backend == "peft"


def test_a_t4_gets_no_bfloat16_and_what_is_said_comes_before_its_profile() -> None:
    config = TrainConfig.of(["accumulation=16"], "t4")
    assert (config.precision, config.batch, config.accumulation) == ("float16", 1, 16)
    t4 = TrainConfig().resolved(gpu=True, bfloat16=False, unsloth=True)
    assert t4.precision == "float16"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["lr=0"], "use an lr above 0"),
        (["lr=fast"], "lr cannot be 'fast'"),
        (["rank=0"], "rank cannot be 0"),
        (["dropout=1"], "are shares"),
        (["bits=3"], "use auto, 4, 8, none"),
        (["backend=trl"], "use auto, unsloth, peft"),
        (["bias=all"], "use none"),
        (["vision=false", "language=false"], "nothing is left to train"),
        (["attention=false", "mlp=false"], "nothing is left to train"),
        (["batch_tokens=100"], "raise batch_tokens"),
        (["max_tokens=8"], "use 16 or more"),
        (["eval_every=-1"], "use 0 or more"),
        (["backend=unsloth", "bits=8"], "use --backend peft for 8"),
        (["unknown=1"], "no setting is called 'unknown'"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_with_the_cure(
    settings: list[str], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        TrainConfig.of(settings)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(UserError, match="use default, t4"):
        TrainConfig.of([], "a100")


@pytest.mark.parametrize(
    ("settings", "gpu", "unsloth", "named"),
    [
        (["backend=unsloth"], False, True, "needs an NVIDIA GPU .* use --backend peft"),
        (["backend=unsloth"], True, False, "not installed: use --backend peft"),
        (["precision=bfloat16"], True, True, "use --profile t4"),
        (["bits=4"], False, False, "4 bits need a GPU: use --bits none"),
        (["precision=float16"], False, False, "float16 needs a GPU"),
        (["optimizer=adamw8bit"], False, False, "use optimizer=adamw"),
    ],
)
def test_what_a_machine_cannot_do_is_refused(
    settings: list[str], gpu: bool, unsloth: bool, named: str
) -> None:
    with pytest.raises(UserError, match=named):
        TrainConfig.of(settings).resolved(gpu=gpu, bfloat16=False, unsloth=unsloth)


def test_the_fused_step_is_one_of_peft() -> None:
    def backend(**settings: Any) -> str:
        return TrainConfig(**settings).resolved(gpu=True, bfloat16=True, unsloth=True).backend

    assert backend() == "unsloth" and backend(fused=True) == backend(tiles="real") == "peft"


@pytest.mark.parametrize(
    ("settings", "gpu", "expected"),
    [
        (["vision=false"], True, True),
        (["vision=false"], False, False),
        ([], True, False),
        (["vision=false", "fused=false"], True, False),
        (["vision=false", "fused=auto", "precision=float16"], True, False),
        (["vision=false", "dropout=0.1"], True, False),
        (["tiles=real"], False, True),
        (["graphs=true"], True, True),
    ],
)
def test_a_step_is_fused_by_itself_where_that_is_known_to_be_faster(
    settings: list[str], gpu: bool, expected: bool
) -> None:
    config = TrainConfig.of(settings).resolved(gpu=gpu, bfloat16=gpu, unsloth=False)
    assert config.fused is expected
    preference = PreferenceConfig.of(["vision=false"])
    assert preference.resolved(gpu=True, bfloat16=True, unsloth=False).fused is False


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["fused=true", "dropout=0.1"], "does not work with dropout: use fused=false"),
        (["fused=true", "dora=true"], "does not work with dora: use fused=false"),
        (["fused=true", "bits=8"], "does not work with 8 bits: use fused=false"),
        (["fused=true", "backend=unsloth"], "does not work with unsloth: use fused=false"),
        (["tiles=some"], "use all, real"),
        (["tiles=real", "fused=false"], "tiles=real needs the fused step: leave out fused=false"),
        (["graphs=true", "fused=false"], "graphs=true needs the fused step: leave out"),
        (["tiles=real", "dora=true"], "tiles=real needs the fused step, which .* with dora"),
        (["fused=maybe"], "fused cannot be 'maybe'"),
        (["memory_gb=-1"], "use 0 or more"),
    ],
)
def test_a_fused_step_that_cannot_be_is_refused(settings: list[str], named: str) -> None:
    with pytest.raises(UserError, match=named):
        TrainConfig.of(settings)


def test_preference_training_is_not_fused() -> None:
    with pytest.raises(UserError, match="does not work with preference training"):
        PreferenceConfig.of(["fused=true"])
