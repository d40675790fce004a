"""Load LoRA weights onto a base model: ``model = attach(model, folder, merge=True)``."""

import warnings
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import MllamaForConditionalGeneration

from db.errors import MismatchError, NotFoundError, UserError
from db.files import read_json

WEIGHTS = "adapter_model.safetensors"


def attach(
    model: MllamaForConditionalGeneration, folder: Path, *, merge: bool
) -> MllamaForConditionalGeneration:
    """Add the adapter's weights to those of ``model`` (``merge``), or keep them beside its own.

    Merging into quantized weights loses precision, so these keep the adapter beside them.
    Raises UserError for files that cannot be read, MismatchError where a weight has no place.
    """
    from peft import PeftModel, get_peft_model_state_dict

    for name in ("adapter_config.json", WEIGHTS):
        if not (folder / name).is_file():
            raise NotFoundError(
                f"{folder} holds no {name}, so it is not an adapter: check the name"
            )
    read_json(folder / "adapter_config.json")
    misfit = (
        f"the adapter {folder} does not fit the layers of the base model: name the model it was "
        "trained on"
    )
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as stored:
            names = set(stored.keys())
    except (SafetensorError, OSError) as error:
        raise UserError(f"{folder / WEIGHTS} cannot be read: make the adapter again") from error
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
