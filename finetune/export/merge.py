"""An adapter and its base model as one set of weights, with everything that belongs to a model."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from db.errors import MismatchError, UserError
from db.files import replacing_directory, write_text, writing
from finetune.adapter.backends import load_base, load_processor
from finetune.adapter.config import TrainConfig
from finetune.export.licence import find_licence
from finetune.export.model_card import CARD, adapter_card
from finetune.training.places import check_places
from generator.assessment.calibration import CALIBRATION
from generator.mllama.adapter_record import AdapterRecord, TileUse
from generator.mllama.checkpoint import base_sha256, find_folder, read_config
from indexer.cli.progress import quiet_loading

GENERATION_CONFIG = "generation_config.json"

GreedyTexts = Callable[[Any, torch.device], list[str]]
"""Answers of a model to some prompts."""


def merged_dtype(base_config: Any) -> torch.dtype:
    """What a base model is stored in, or computes in where it is stored quantized."""
    stated = getattr(base_config, "dtype", None)
    found = getattr(torch, str(stated).removeprefix("torch."), None)
    return found if isinstance(found, torch.dtype) else torch.bfloat16


def check_mergeable(tiles: TileUse) -> None:
    """Raises UserError for an adapter that is read otherwise than a model without one."""
    if tiles != "all":
        raise UserError(
            "merged weights have no record, so they would be read with all tiles: use the adapter, "
            "or train with tiles=all"
        )


def merge_adapter(
    adapter_dir: Path, directory: Path, device: torch.device, *, compare: GreedyTexts | None = None
) -> None:
    """Write the merged model as ``from_pretrained`` reads it, in the precision of the base.

    A base that is stored quantized is dequantized first. ``compare`` answers prompts with base and
    adapter, and with the merged weights as they will be stored: where an answer differs they are
    stored in float32. Raises MismatchError where the base model is no longer the one the adapter
    was trained on, and UserError where the answers differ even so, or nothing can be written.
    """
    record = AdapterRecord.load(adapter_dir)
    check_mergeable(record.tiles)
    check_places(adapter_dir, directory, base=record.base_model, resume=True)
    if base_sha256(record.base_model) != record.base_sha256:
        raise MismatchError(
            f"{adapter_dir} was trained on other weights than {record.base_model} has: "
            "put the base model back, or train again"
        )
    folder = find_folder(record.base_model)
    dtype = merged_dtype(read_config(folder))
    merged, differing = _merge(adapter_dir, record, device, dtype, compare)
    if differing and dtype != torch.float32:
        del merged
        dtype = torch.float32
        merged, differing = _merge(adapter_dir, record, device, dtype, compare)
    if differing:
        raise UserError(
            f"the merged weights answer {differing} prompts otherwise than base and adapter do, so "
            f"none are written: use {adapter_dir} as an adapter"
        )
    licence = find_licence(record.base_model)
    with (
        writing(directory),
        replacing_directory(directory.resolve()) as fresh,
        quiet_loading(bars=sys.stderr.isatty()),
    ):
        merged.save_pretrained(fresh)
        load_processor(record.base_model).save_pretrained(fresh)
        for path in (folder / GENERATION_CONFIG, adapter_dir / CALIBRATION):
            if path.is_file():
                shutil.copyfile(path, fresh / path.name)
        licence.copy_to(fresh)
        write_text(fresh / CARD, adapter_card(record, licence, merged=True))


def _merge(
    adapter_dir: Path,
    record: AdapterRecord,
    device: torch.device,
    dtype: torch.dtype,
    compare: GreedyTexts | None,
) -> tuple[Any, int]:
    """The merged model in ``dtype``, and how many answers it gives that differ."""
    from peft import PeftModel
    from transformers import GenerationConfig

    recorded = TrainConfig.recorded(record.config)
    config = replace(recorded, backend="peft", bits="none", precision="float32")
    with quiet_loading(bars=sys.stderr.isatty()):
        base = load_base(record.base_model, config, device)
        wrapped: Any = PeftModel.from_pretrained(base, str(adapter_dir))
    wrapped.eval()
    wrapped.config.use_cache = True
    wanted = compare(wrapped, device) if compare is not None else []
    try:
        merged: Any = wrapped.merge_and_unload(safe_merge=True)
    except ValueError as error:  # NaN or infinite
        raise UserError(f"{adapter_dir} holds broken weights: train it again") from error
    for weight in merged.parameters():
        weight.data = weight.data.to(dtype).float()
    found = compare(merged, device) if compare is not None else []
    merged.to(dtype)
    # the base's own file is copied; it may be one that transformers refuses to write
    merged.generation_config = GenerationConfig.from_model_config(merged.config)
    return merged, sum(one != other for one, other in zip(found, wanted, strict=True))
