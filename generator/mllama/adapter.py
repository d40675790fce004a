"""Load LoRA weights onto a base model.

merge_plain(model, folder)                      # in place, any modules; False for other adapters
model = attach(model, folder, merge=True)       # a model of transformers
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from db.errors import MismatchError, NotFoundError, UserError
from db.files import read_json

if TYPE_CHECKING:
    from transformers import MllamaForConditionalGeneration

WEIGHTS = "adapter_model.safetensors"


def merge_plain(model: nn.Module, folder: Path) -> bool:
    """Merge plain LoRA weights into linear layers, in place, to the bits that peft gives.

    False, with nothing changed, for what `attach` leaves to peft. Raises UserError for files that
    cannot be read.
    """
    config, _ = _read(folder)
    return _merge_plain(model, config, folder / WEIGHTS)


def attach(
    model: "MllamaForConditionalGeneration", folder: Path, *, merge: bool
) -> "MllamaForConditionalGeneration":
    """Add the adapter's weights to those of ``model`` (``merge``), or keep them beside its own.

    Merging into quantized weights loses precision, so these keep the adapter beside them.
    Raises UserError for files that cannot be read, MismatchError where a weight has no place.
    """
    config, names = _read(folder)
    misfit = (
        f"the adapter {folder} does not fit the layers of the base model: name the model it was "
        "trained on"
    )
    if merge and _merge_plain(model, config, folder / WEIGHTS):
        return model
    from peft import PeftModel, get_peft_model_state_dict  # with bitsandbytes, it takes seconds

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            wrapped: Any = PeftModel.from_pretrained(model, str(folder), low_cpu_mem_usage=True)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise MismatchError(misfit) from error
    missing = any("missing adapter keys" in str(warning.message) for warning in caught)
    # with embeddings peft would ask a hub for the base model that the adapter names
    held = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    if missing or len(held) != len(names):
        raise MismatchError(misfit)
    try:
        base: MllamaForConditionalGeneration = (
            wrapped.merge_and_unload(safe_merge=True) if merge else wrapped.get_base_model()
        )
    except ValueError as error:  # NaN or infinite
        raise UserError(f"the adapter {folder} holds broken weights: train it again") from error
    return base


def _read(folder: Path) -> tuple[Mapping[str, Any], set[str]]:
    """The config of an adapter, and the names of its weights."""
    for name in ("adapter_config.json", WEIGHTS):
        if not (folder / name).is_file():
            raise NotFoundError(
                f"{folder} holds no {name}, so it is not an adapter: check the name"
            )
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as stored:
            names = set(stored.keys())
    except (SafetensorError, OSError) as error:
        raise UserError(f"{folder / WEIGHTS} cannot be read: make the adapter again") from error
    return read_json(folder / "adapter_config.json"), names


_PLAIN = {
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "r",
    "revision",
    "target_modules",
    "task_type",
}
"""Fields of an adapter's config that do not change what plain LoRA computes."""


def _merge_plain(model: nn.Module, config: Mapping[str, Any], weights: Path) -> bool:
    """Merge plain LoRA weights into linear layers, in place, to the bits that peft gives.

    Anything else is left to peft, which also says what is wrong with it: False, nothing changed.
    """
    extras = {name: value for name, value in config.items() if name not in _PLAIN and value}
    plain = {"peft_type": "LORA", "bias": "none", "init_lora_weights": True}
    stated = {"lora_alpha", "peft_type", "r"} <= config.keys()
    if not stated or not extras.items() <= plain.items():
        return False
    linear = {name: one for name, one in model.named_modules() if type(one) is nn.Linear}
    targets = {name for name in linear if _is_target(name, config.get("target_modules"))}
    stored = load_file(weights)
    prefix = "base_model.model."
    expected = {f"{prefix}{name}.lora_{half}.weight" for name in targets for half in "AB"}
    if not targets or stored.keys() != expected:
        return False
    merged: dict[str, Tensor] = {}
    for name in targets:
        down, up = (stored[f"{prefix}{name}.lora_{half}.weight"].float() for half in "AB")
        held = linear[name].weight.data
        if down.shape != (config["r"], held.shape[1]) or up.shape != (held.shape[0], config["r"]):
            return False
        delta = (up @ down).mul_(config["lora_alpha"] / config["r"])
        merged[name] = delta.to(held).add_(held)
        if not torch.isfinite(merged[name].sum()):  # as any of them would make it
            return False
    for name, weight in merged.items():
        linear[name].weight.data = weight
    return True


def _is_target(name: str, targets: object) -> bool:
    """Whether an adapter's ``target_modules`` names this layer, as peft reads them."""
    if isinstance(targets, str):
        return re.fullmatch(targets, name) is not None
    ends = targets if isinstance(targets, list) else []
    return any(name == end or name.endswith(f".{end}") for end in ends)
