"""An adapter and its base model as one set of weights, the base model's licence beside them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from db.errors import MismatchError, UserError
from db.files import replacing_directory
from finetune.adapter.backends import load_base, load_processor
from finetune.adapter.config import TrainConfig
from finetune.export.licence import find_licence
from finetune.export.model_card import CARD, adapter_card
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.checkpoint import base_sha256


def check_merge_target(directory: Path) -> None:
    """Raises UserError before any long work where the directory holds something."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"{directory} is not empty: name another directory to merge into")


def merge_adapter(adapter_dir: Path, directory: Path, device: torch.device) -> None:
    """Write the merged model in bfloat16, as ``from_pretrained`` reads it.

    A base that is stored quantized is dequantized first. Raises MismatchError where the base model
    is no longer the one the adapter was trained on.
    """
    from peft import PeftModel

    check_merge_target(directory)
    record = AdapterRecord.load(adapter_dir)
    if base_sha256(record.base_model) != record.base_sha256:
        raise MismatchError(
            f"{adapter_dir} was trained on other weights than {record.base_model} has: "
            "put the base model back, or train again"
        )
    config = replace(TrainConfig(**record.config), backend="peft", bits="none", precision="float32")
    wrapped: Any = PeftModel.from_pretrained(
        load_base(record.base_model, config, device),
        str(adapter_dir),
    )
    merged: Any = wrapped.merge_and_unload().to(torch.bfloat16)
    merged.config.use_cache = True
    licence = find_licence(record.base_model)
    with replacing_directory(directory) as fresh:
        merged.save_pretrained(fresh)
        load_processor(record.base_model).save_pretrained(fresh)
        licence.copy_to(fresh)
        (fresh / CARD).write_text(adapter_card(record, licence), encoding="utf-8")
