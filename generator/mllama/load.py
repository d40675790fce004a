"""Load a language model: any Llama 3.2 Vision folder or hub id, with or without an adapter.

model = load_model("pretrained/generator")                     # with the adapter in it
model.generate([prompt], DecodingOptions(max_new_tokens=80))   # greedy
for piece in model.stream(prompt): ...                         # closing it ends the computation
model.loglikelihood(prompts, ["yes", "no"])                    # (prompts, answers)

On a GPU a model runs as it is stored, or in bfloat16 where that fits, or else in 4 bits; on a CPU
in float32 on weights of half precision, without importing transformers for plain weights, NF4 and
plain LoRA.
"""

import os
from pathlib import Path
from typing import Any, get_args

import torch

from db.errors import UserError
from db.files import read_json
from generator.mllama.adapter import attach, merge_plain
from generator.mllama.adapter_record import AdapterRecord, TileUse
from generator.mllama.checkpoint import base_sha256, check_folder, find_folder, stored_bits
from generator.mllama.decoding.decoder import Decoder
from generator.mllama.decoding.layer import HalfLinear
from generator.mllama.decoding.slots import SlotDecoder
from generator.mllama.kernels.available import difference
from generator.mllama.model import MllamaModel
from generator.mllama.processor import PromptProcessor
from generator.mllama.quantization import Quantization, choose_quantization
from generator.mllama.weights.by_transformers import load_by_transformers
from generator.mllama.weights.modules import is_known
from generator.mllama.weights.shape import MllamaShape
from generator.mllama.weights.stored import read_weights
from indexer.encoder.weight_files import local_folder

DEFAULT_GPU_MODEL = "unsloth/Llama-3.2-11B-Vision-Instruct-bnb-4bit"

OWN_ADAPTER = "adapter"
"""Folder inside a model's own that holds the adapter it is used with."""

KERNELS = "GROUNDED_CXR_KERNELS"
"""Environment variable that, with the value 0, leaves out `generator.mllama.kernels`."""
_ROUNDING = 0.1
"""By how much logits may differ that are computed in bfloat16 in another order."""

_PLACE_TOKENS = 1280
"""Tokens of a prompt and its answer for which memory on a GPU is set aside; longer ones get theirs
when they come."""

_SMALL = 1_000_000_000
"""A model of at most this many weights decodes 128 prompts together on a GPU."""


def load_model(
    name: str | Path,
    adapter: str | Path | None = None,
    *,
    device: str = "auto",
    quantization: Quantization = "auto",
    kernels: bool | None = None,
) -> MllamaModel:
    """A model ready to answer; ``device`` is ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    ``quantization``: ``nf4`` and ``int8`` are those of bitsandbytes, on a GPU; ``none`` is bfloat16
    there and float32 throughout on a CPU. A folder that holds an ``adapter`` of its own is used
    with it unless another is named. ``kernels`` decodes on a GPU by `generator.mllama.kernels`,
    once these have given the logits of torch; None does where the environment says so (`KERNELS`).
    Raises UserError with the cure for what cannot be loaded, MismatchError for an adapter that does
    not fit.
    """
    if quantization not in get_args(Quantization):
        raise UserError(
            f"there is no quantization {quantization!r}: choose one of "
            f"{', '.join(get_args(Quantization))}"
        )
    place = _device(device)
    folder = find_folder(name)
    check_folder(folder)
    if adapter is None and (folder / OWN_ADAPTER / "adapter_config.json").is_file():
        adapter = (Path(name) if local_folder(name) else folder) / OWN_ADAPTER
    adapter_folder = None if adapter is None else find_folder(adapter, what="adapter")
    record = None if adapter_folder is None else AdapterRecord.read(adapter_folder)
    if record is not None:
        record.check(base=str(name), base_sha256=base_sha256(folder))
    shape = MllamaShape.read(folder)
    bits = stored_bits(read_json(folder / "config.json"))
    chosen = choose_quantization(quantization, bits, place, shape)
    processor = PromptProcessor.read(folder)
    model = _model(folder, shape, bits, place, chosen, adapter_folder)
    model.requires_grad_(False).train(False)
    on_cpu = place.type == "cpu"
    halves = on_cpu and quantization == "auto" and HalfLinear.available()
    notes = []
    if adapter_folder is not None and record is None:
        notes.append(
            f"the adapter {adapter} has no record of how it was trained, so it may not fit the "
            "prompts"
        )
    tiles: TileUse = "all" if record is None else record.tiles
    decoder = Decoder(model, HalfLinear if halves else None, tiles=tiles)
    if not on_cpu and wants_kernels(kernels):
        decoder = by_kernels(decoder, tiles, notes)
    together = _batch_size(place, sum(weight.numel() for weight in model.parameters()))
    rows = None
    if not on_cpu:
        slots = min(_PLACE_TOKENS, shape.text_config.max_position_embeddings)
        rows = SlotDecoder.fitting(decoder, places=together, slots=slots)
        together = rows.places
    return MllamaModel(
        decoder=decoder,
        processor=processor,
        ends=_end_tokens(folder, processor),
        folder=folder,
        name=str(name),
        adapter_folder=adapter_folder,
        adapter=None if adapter is None else str(adapter),
        record=record,
        notes=notes,
        rows=rows,
        batch_size=together,
    )


def wants_kernels(asked: bool | None) -> bool:
    """What was asked for; by default yes, unless the environment says no."""
    return os.environ.get(KERNELS, "1") != "0" if asked is None else asked


def by_kernels(plain: Decoder, tiles: TileUse, notes: list[str]) -> Decoder:
    """A decoder by kernels, if its logits are those of ``plain``."""
    decoder = Decoder(plain.model, tiles=tiles, kernels=True)
    if decoder.step is None:
        return plain
    apart = difference(decoder, plain)
    if apart < _ROUNDING:
        return decoder
    notes.append(f"the kernels give other logits on this GPU ({apart:.2g}), so torch decodes")
    return plain


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


def _model(
    folder: Path,
    shape: MllamaShape,
    bits: int | None,
    place: torch.device,
    chosen: str,
    adapter: Path | None,
) -> Any:
    """The modules with their weights and the adapter's; without transformers where that is the same
    to the bit."""
    if place.type == "cpu" and bits != 8 and is_known(shape):
        own = read_weights(folder, shape)
        if adapter is None or merge_plain(own, adapter):
            return own
    plain = chosen == "none" and bits is not None
    model = load_by_transformers(folder, place, chosen, plain=plain)
    if adapter is None:
        return model
    return attach(model, adapter, merge=place.type == "cpu" or chosen == "none")


def _end_tokens(folder: Path, processor: PromptProcessor) -> frozenset[int]:
    """The tokens that end an answer."""
    stored = folder / "generation_config.json"
    if not stored.is_file():
        stored = folder / "config.json"
    found = read_json(stored)
    ends = found.get("eos_token_id", (found.get("text_config") or {}).get("eos_token_id"))
    several = ends if isinstance(ends, list) else [ends]
    return frozenset(int(token) for token in (*several, processor.end) if token is not None)
