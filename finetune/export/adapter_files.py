"""An adapter directory: peft's files, the record, and the model card."""

import shutil
import warnings
from pathlib import Path
from typing import Any

from torch import nn

from finetune.export.model_card import write_card
from generator.mllama.adapter_record import AdapterRecord

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def save_adapter(model: nn.Module, directory: Path, record: AdapterRecord) -> None:
    """Write or replace the adapter in a directory; each file is whole at any moment."""
    waiting = directory / "adapter.tmp"
    shutil.rmtree(waiting, ignore_errors=True)
    wrapped: Any = model
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Could not find a config file")
        wrapped.save_pretrained(waiting, save_embedding_layers=False)
    for name in (CONFIG, WEIGHTS):
        (waiting / name).replace(directory / name)
    shutil.rmtree(waiting)
    record.save(directory)
    write_card(directory, record)
