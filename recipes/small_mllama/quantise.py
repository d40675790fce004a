"""The trained model in 4 bits, as it is shipped: a folder that `from_pretrained` reads.

quantise(run_dir / "model", Path("pretrained/generator"))
"""

import shutil
from pathlib import Path

import torch
from bitsandbytes.nn.modules import Linear4bit
from transformers import BitsAndBytesConfig, MllamaForConditionalGeneration, MllamaProcessor

from db.errors import NotFoundError, UserError
from generator.mllama.checkpoint import UNQUANTIZED_MODULES
from generator.mllama.quantization import dequantize

SHARD = "15MB"
"""At most so much in a file."""
BLOCK = 64
"""Weights in a row that share a scale."""


def quantise(source: Path, out_dir: Path, *, device: str = "cpu") -> None:
    """NF4 with double quantisation for the linear layers, float16 for the rest.

    Raises NotFoundError where ``source`` holds no model, and UserError for a layer whose inputs are
    not whole blocks: bitsandbytes 0.50.2 reads such a one wrongly on a CPU with AVX-512.
    """
    if not (source / "config.json").is_file():
        raise NotFoundError(f"{source} holds no model: train one first")
    stored = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=list(UNQUANTIZED_MODULES),
    )
    model = MllamaForConditionalGeneration.from_pretrained(
        source, quantization_config=stored, dtype=torch.float16, device_map={"": device}
    )
    for name, module in model.named_modules():
        if isinstance(module, Linear4bit) and module.in_features % BLOCK:
            raise UserError(
                f"{name} has {module.in_features} inputs, which is no multiple of {BLOCK}: choose "
                "other widths, or processors differ in what they read"
            )
    waiting = out_dir.with_name(out_dir.name + ".tmp")
    shutil.rmtree(waiting, ignore_errors=True)
    model.save_pretrained(waiting, max_shard_size=SHARD)
    MllamaProcessor.from_pretrained(source).save_pretrained(waiting)
    for path in waiting.glob("*.safetensors"):
        path.chmod(0o644)  # safetensors leaves it to the owner alone
    out_dir.mkdir(parents=True, exist_ok=True)
    for path in out_dir.glob("model*.safetensors*"):
        path.unlink()
    for path in waiting.iterdir():
        path.replace(out_dir / path.name)
    waiting.rmdir()


def load_quantised(folder: Path, *, device: str = "cpu") -> MllamaForConditionalGeneration:
    """A folder of `quantise` as plain float32."""
    model = MllamaForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, device_map={"": device}
    )
    return dequantize(model, torch.float32)
