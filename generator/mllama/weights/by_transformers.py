"""Load a model through transformers: on a GPU, in bits of bitsandbytes, or with any adapter.

model = load_by_transformers(folder, torch.device("cuda"), "nf4", plain=False)
"""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from db.errors import UserError, first_line
from generator.mllama.checkpoint import read_config, stored_bits
from generator.mllama.quantization import bitsandbytes_config, dequantize, without_compiler
from indexer.cli.progress import quiet_loading

if TYPE_CHECKING:
    from transformers import MllamaForConditionalGeneration


def load_by_transformers(
    folder: Path, device: torch.device, chosen: str, *, plain: bool
) -> "MllamaForConditionalGeneration":
    """``chosen`` is ``none``, ``nf4`` or ``int8``; ``plain`` dequantizes what is stored quantized.

    Raises UserError for weights that cannot be read or are missing.
    """
    from transformers import MllamaForConditionalGeneration

    config = read_config(folder)
    options: dict[str, Any] = {"dtype": torch.float32, "device_map": {"": device}}
    if device.type == "cuda":
        halves = torch.cuda.is_bf16_supported(including_emulation=False)
        options["dtype"] = torch.bfloat16 if halves else torch.float16
    if stored_bits(config) is None and chosen != "none":
        options["quantization_config"] = bitsandbytes_config(chosen, options["dtype"])
    try:
        with (
            quiet_loading(bars=sys.stderr.isatty()),
            without_compiler() if device.type == "cpu" else nullcontext(),
        ):
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
