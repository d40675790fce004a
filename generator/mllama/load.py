"""Load a language model: any Llama 3.2 Vision folder or hub id, with or without an adapter.

model = load_model("pretrained/generator")                     # with the adapter in it
model.generate([prompt], DecodingOptions(max_new_tokens=80))   # greedy
for piece in model.stream(prompt): ...                         # closing it ends the computation
model.loglikelihood(prompts, ["yes", "no"])                    # (prompts, answers)

On a GPU a model runs as it is stored, or in bfloat16 where that fits, or else in 4 bits; on a CPU
in float32 on weights of half precision.
"""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from transformers import (
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaProcessor,
)

from db.errors import UserError
from generator.mllama.adapter import attach
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.checkpoint import (
    base_sha256,
    find_folder,
    first_line,
    read_config,
    stored_bits,
)
from generator.mllama.decoding.decoder import Decoder
from generator.mllama.decoding.layer import HalfLinear
from generator.mllama.model import MllamaModel
from generator.mllama.quantization import (
    Quantization,
    bitsandbytes_config,
    choose_quantization,
    dequantize,
    without_compiler,
)
from generator.prompts import messages
from indexer.cli.progress import quiet_loading
from indexer.encoder.weight_files import local_folder

DEFAULT_GPU_MODEL = "unsloth/Llama-3.2-11B-Vision-Instruct-bnb-4bit"

OWN_ADAPTER = "adapter"
"""Folder inside a model's own that holds the adapter it is used with."""

_SMALL = 1_000_000_000
"""A model of at most this many weights decodes 128 prompts together on a GPU."""


def load_model(
    name: str | Path,
    adapter: str | Path | None = None,
    *,
    device: str = "auto",
    quantization: Quantization = "auto",
) -> MllamaModel:
    """A model ready to answer; ``device`` is ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    ``quantization``: ``nf4`` and ``int8`` are those of bitsandbytes, on a GPU; ``none`` is bfloat16
    there and float32 throughout on a CPU. A folder that holds an ``adapter`` of its own is used
    with it unless another is named. Raises UserError with the cure for what cannot be loaded,
    MismatchError for an adapter that does not fit.
    """
    if quantization not in get_args(Quantization):
        raise UserError(
            f"there is no quantization {quantization!r}: choose one of "
            f"{', '.join(get_args(Quantization))}"
        )
    place = _device(device)
    folder = find_folder(name)
    config = read_config(folder)
    if adapter is None and (folder / OWN_ADAPTER / "adapter_config.json").is_file():
        adapter = (Path(name) if local_folder(name) else folder) / OWN_ADAPTER
    adapter_folder = None if adapter is None else find_folder(adapter, what="adapter")
    record = None if adapter_folder is None else AdapterRecord.read(adapter_folder)
    if record is not None:
        record.check(base=str(name), base_sha256=base_sha256(folder))
    bits = stored_bits(config)
    chosen = choose_quantization(quantization, bits, place, config)
    processor = _processor(folder)
    with quiet_loading(bars=sys.stderr.isatty()):
        model = _weights(folder, config, place, chosen, plain=chosen == "none" and bits is not None)
    if adapter_folder is not None:
        model = attach(model, adapter_folder, merge=place.type == "cpu" or chosen == "none")
    model.requires_grad_(False).train(False)
    on_cpu = place.type == "cpu"
    halves = on_cpu and quantization == "auto" and HalfLinear.available()
    notes = []
    if adapter_folder is not None and record is None:
        notes.append(
            f"the adapter {adapter} has no record of how it was trained, so it may not fit the "
            "prompts"
        )
    return MllamaModel(
        decoder=Decoder(model, HalfLinear if halves else None),
        processor=processor,
        folder=folder,
        name=str(name),
        adapter_folder=adapter_folder,
        adapter=None if adapter is None else str(adapter),
        record=record,
        notes=notes,
        batch_size=_batch_size(place, model.num_parameters()),
    )


def _batch_size(place: torch.device, weights: int) -> int:
    """Prompts to decode together."""
    if place.type == "cpu":
        return 8
    return 128 if weights <= _SMALL else 32


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"there is no device {name!r}: use auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"a model runs on cpu or cuda, not on {name}")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise UserError("no NVIDIA GPU can be used here: use the device cpu, or install CUDA")
        if (device.index or 0) >= torch.cuda.device_count():
            raise UserError(f"there is no {name}: this machine has {torch.cuda.device_count()}")
        return torch.device("cuda", device.index or 0)
    return device


def _processor(folder: Path) -> MllamaProcessor:
    try:
        processor = MllamaProcessor.from_pretrained(folder)
        rendered = processor.apply_chat_template(messages("text"), add_generation_prompt=True)
    except Exception as error:  # whatever a missing or wrong file of others brings about
        raise UserError(
            f"{folder} has no usable processor and chat template ({first_line(error)}): name an "
            "Instruct model with all of its files"
        ) from error
    if rendered.count(processor.image_token) != 1 or "text" not in rendered:
        raise UserError(f"the chat template of {folder} shows no image: name an Instruct model")
    return processor


def _weights(
    folder: Path, config: MllamaConfig, device: torch.device, chosen: str, *, plain: bool
) -> MllamaForConditionalGeneration:
    options: dict[str, Any] = {"dtype": torch.float32, "device_map": {"": device}}
    if device.type == "cuda":
        halves = torch.cuda.is_bf16_supported(including_emulation=False)
        options["dtype"] = torch.bfloat16 if halves else torch.float16
    if stored_bits(config) is None and chosen != "none":
        options["quantization_config"] = bitsandbytes_config(chosen, options["dtype"])
    try:
        with without_compiler() if device.type == "cpu" else nullcontext():
            loaded: Any = MllamaForConditionalGeneration.from_pretrained(
                folder,
                attn_implementation="sdpa",
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"the weights of {folder} cannot be read ({first_line(error)}): fetch or make the "
            "folder again"
        ) from error
    model, report = loaded
    if missing := sorted(report["missing_keys"]):
        raise UserError(
            f"{folder} lacks {len(missing)} weights, {missing[0]} among them: fetch or make the "
            "folder again"
        )
    return dequantize(model, options["dtype"]) if plain else model
