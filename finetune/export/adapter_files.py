"""An adapter directory: peft's files, the record, and the model card."""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from db.files import replacing, write_text, writing
from finetune.export.licence import find_licence
from finetune.export.model_card import CARD, adapter_card
from generator.mllama.adapter_record import AdapterRecord

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
SCRAP = ".adapter-"
"""What the names of directories begin with that a killed run may leave behind."""


def save_adapter(model: nn.Module, directory: Path, record: AdapterRecord) -> None:
    """Write or replace the adapter in a directory; each file is whole at any moment.

    The licence files of the base model go along. Raises UserError where they cannot be written.
    """
    wrapped: Any = model
    with (
        writing(directory),
        TemporaryDirectory(dir=directory, prefix=SCRAP) as made,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Could not find a config file")
        wrapped.save_pretrained(made, save_embedding_layers=False)
        for name in (CONFIG, WEIGHTS):
            with replacing(directory / name) as fresh:
                (Path(made) / name).replace(fresh)
    licence = find_licence(record.base_model)
    with writing(directory):
        licence.copy_to(directory)
        record.save(directory)
        write_text(directory / CARD, adapter_card(record, licence))
