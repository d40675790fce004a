"""Start a run from the weights of an adapter, as a function and not only as numbers.

    check_initial(folder, config)              # before the base model is loaded
    load_adapter_weights(trainable, folder)

What LoRA adds to a weight is scale * B A, and the scale follows from alpha and rank. An adapter of
another alpha, another scaling rule or a lower rank is rescaled, so that the first step starts from
the same model; what cannot be had exactly is refused.
"""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from db.errors import MismatchError
from db.files import read_json
from finetune.adapter.backends import Trainable
from finetune.adapter.config import TrainConfig
from finetune.export.adapter_files import CONFIG, WEIGHTS

_PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "modules_to_save": (None, []),
    "use_qalora": (False, None),
    "use_bdlora": (False, None),
    "fan_in_fan_out": (False, None),
}
"""Settings of peft that change what the weights mean, and the values that a run can start from."""


def lora_scale(alpha: float, rank: int, *, rslora: bool) -> float:
    """The factor of B A."""
    return alpha / rank**0.5 if rslora else alpha / rank


def check_initial(adapter_dir: Path, config: TrainConfig) -> None:
    """Raises MismatchError where a run of ``config`` cannot start from the adapter's function."""
    stored = _read(adapter_dir)
    if stored["r"] > config.rank:
        raise MismatchError(
            f"{adapter_dir} has rank {stored['r']}, which does not fit into rank {config.rank}: "
            f"use --set rank={stored['r']} or more"
        )
    if bool(stored.get("use_dora")) != config.dora:
        kind = "a DoRA adapter" if stored.get("use_dora") else "no DoRA adapter"
        raise MismatchError(
            f"{adapter_dir} is {kind}: use --set dora={str(not config.dora).lower()}, or start "
            "without --initial"
        )


def load_adapter_weights(trainable: Trainable, adapter_dir: Path) -> None:
    """Replace the initial weights by an adapter's. Raises MismatchError for other layers."""
    config, stored = trainable.config, _read(adapter_dir)
    weights = load_file(adapter_dir / WEIGHTS)
    wanted = {
        name.replace(".default.", ".").replace("magnitude_vector.weight", "magnitude_vector"): w
        for name, w in trainable.weights.items()
    }
    ranks = {name: 0 if "lora_A" in name else 1 for name in wanted if "magnitude" not in name}
    fits = weights.keys() == wanted.keys() and all(
        len(weight.shape) == len(wanted[name].shape)
        and all(
            have <= want if axis == ranks.get(name) else have == want
            for axis, (have, want) in enumerate(zip(weight.shape, wanted[name].shape, strict=True))
        )
        for name, weight in weights.items()
    )
    if not fits:
        raise MismatchError(
            f"{adapter_dir} has other layers or another rank than this config: "
            "give the settings it was trained with"
        )
    check_initial(adapter_dir, config)
    then = lora_scale(stored["lora_alpha"], stored["r"], rslora=bool(stored.get("use_rslora")))
    factor = then / lora_scale(config.alpha, config.rank, rslora=config.rslora)
    for name, weight in wanted.items():
        given = weights[name].to(weight)
        if "lora_A" in name:  # rows beyond the stored rank stay as drawn
            weight.data[: len(given)] = given
        elif "lora_B" in name:  # and their columns stay 0
            weight.data[:, : given.shape[1]] = given if factor == 1 else given * factor
        else:
            weight.data.copy_(given)


def _read(adapter_dir: Path) -> dict[str, Any]:
    stored = read_json(adapter_dir / CONFIG)
    for name, values in _PLAIN.items():
        if name in stored and stored[name] not in values:
            raise MismatchError(
                f"{adapter_dir} was made with {name} {stored[name]!r}, which cannot be trained on "
                "here: start without --initial"
            )
    rank, alpha = stored.get("r"), stored.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise MismatchError(
            f"{adapter_dir / CONFIG} states no rank and alpha of LoRA: name an adapter of "
            "finetune train"
        )
    return stored
