"""Loading the language model: any Llama 3.2 Vision folder or hub id, with or without an adapter.

model = load_model("pretrained/generator")                     # with the adapter in it
model.generate([prompt], DecodingOptions(max_new_tokens=80))       # greedy
for piece in model.stream(prompt): ...                             # closing it ends the computation
model.choose(prompts, ["yes", "no"])                               # (prompts, answers), log

On a GPU a model runs as it is stored, or in bfloat16 where that fits, or else in 4 bits; on a CPU
in float32 on weights of half precision.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError
from transformers import (
    BitsAndBytesConfig,
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaProcessor,
)

from db.errors import TooLargeError, UserError
from generator.mllama.adapter import AdapterRecord, attach
from generator.mllama.checkpoint import (
    UNQUANTIZED_MODULES,
    base_sha256,
    find_folder,
    first_line,
    read_config,
    stored_bits,
)
from generator.mllama.decoder import Decoder
from generator.mllama.dequantize import dequantize
from generator.mllama.half_linear import HalfLinear
from generator.mllama.model import MllamaModel
from generator.prompts import messages
from indexer.cli.quiet import quiet_loading
from indexer.encoder.weight_files import local_folder

DEFAULT_GPU_MODEL = "unsloth/Llama-3.2-11B-Vision-Instruct-bnb-4bit"

Quantization = Literal["auto", "none", "nf4", "int8"]

_BYTES = {"float32": 4.0, "none": 2.0, "int8": 1.1, "nf4": 0.6}
"""A weight, with what decoding needs beside it left out."""


OWN_ADAPTER = "adapter"
_SMALL = 1_000_000_000
"""Weights of a model that decodes many prompts together on a GPU."""
_NO_COMPILER = "TORCHDYNAMO_DISABLE"


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
    chosen = _quantization(quantization, bits, place, config)
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
            f"the adapter {adapter} has no record of how it was trained: whether it fits the "
            "prompts is not known"
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


def _quantization(
    asked: Quantization, stored: int | None, device: torch.device, config: MllamaConfig
) -> str:
    """What bitsandbytes is to do; raises UserError where it cannot, or memory is short."""
    kept = {4: "nf4", 8: "int8", None: None}[stored]
    with torch.device("meta"):
        weights = sum(p.numel() for p in MllamaForConditionalGeneration(config).parameters())
    if device.type == "cpu":
        if asked in ("nf4", "int8"):
            raise UserError(f"{asked} needs a GPU: use the quantization auto or none on a CPU")
        _check_memory(weights * _BYTES["float32"], _free_memory(), "use a GPU or a smaller model")
        return "none"
    free, _ = torch.cuda.mem_get_info(device)
    chosen: str = asked
    if asked == "auto":
        fits = weights * _BYTES["none"] < 0.8 * free
        chosen = kept or ("none" if fits else "nf4")
    if kept and chosen not in (kept, "none"):
        raise UserError(f"the model is stored in {kept}: use the quantization {kept} or none")
    _check_memory(weights * _BYTES[chosen], free, "use nf4, a smaller model or another GPU")
    return chosen


def _check_memory(needed: float, free: int, cure: str) -> None:
    if needed > free:
        raise TooLargeError(
            f"the weights take {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB of memory are free: "
            f"{cure}"
        )


def _free_memory() -> int:
    """Bytes that can still be used, caches counted; a large number where it is not known."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(x for x in lines if x.startswith("MemAvailable")).split()[1])
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


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


@contextmanager
def _uncompiled() -> Iterator[None]:
    """bitsandbytes has torch compile functions as it is imported, for which torch loads its
    compiler; on a CPU none of them is called more than once, and that takes seconds."""
    before = os.environ.get(_NO_COMPILER)
    os.environ[_NO_COMPILER] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_COMPILER]
        else:
            os.environ[_NO_COMPILER] = before


def _weights(
    folder: Path, config: MllamaConfig, device: torch.device, chosen: str, *, plain: bool
) -> MllamaForConditionalGeneration:
    options: dict[str, Any] = {"dtype": torch.float32, "device_map": {"": device}}
    if device.type == "cuda":
        halves = torch.cuda.is_bf16_supported(including_emulation=False)
        options["dtype"] = torch.bfloat16 if halves else torch.float16
    if stored_bits(config) is None and chosen != "none":
        options["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=chosen == "nf4",
            load_in_8bit=chosen == "int8",
            llm_int8_skip_modules=list(UNQUANTIZED_MODULES) if chosen == "int8" else None,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=options["dtype"],
        )
    try:
        with _uncompiled() if device.type == "cpu" else nullcontext():
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
