"""Random weights in the shape of Llama 3.2 Vision 11B, or a toy's, with a processor and an adapter.

python -m bench.training.random_model --formats bfloat16
write_model(folder, "full", texts, ["nf4"])             # the same: folder/nf4 (7 GB; bfloat16: 21)
write_adapter(folder / "adapter", folder / "nf4")

The tokenizer is trained on ``texts``; what such a model says means nothing, what it costs does.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch

ROOT = Path(__file__).resolve().parents[2]

Shape = Literal["full", "tiny"]
FORMATS = ("bfloat16", "nf4")

SPECIAL = [
    "<|begin_of_text|>", "<|finetune_right_pad_id|>", "<|start_header_id|>", "<|end_header_id|>",
    "<|eot_id|>", "<|image|>",
]  # fmt: skip
TEMPLATE = (
    "{{- bos_token }}{%- for m in messages %}{{- '<|start_header_id|>' + m['role'] + "
    "'<|end_header_id|>\n\n' }}{%- for part in m['content'] %}{%- if part['type'] == 'image' %}"
    "{{- '<|image|>' }}{%- else %}{{- part['text'] }}{%- endif %}{%- endfor %}{{- '<|eot_id|>' }}"
    "{%- endfor %}{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
RATIOS = [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]]

_TINY_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "cross_attention_layers": [1, 3],
}
_TINY_VISION = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_global_layers": 1,
    "attention_heads": 4,
    "intermediate_size": 64,
    "patch_size": 14,
    "intermediate_layers_indices": [0],
    "vision_output_dim": 128,
}


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def write_model(
    folder: Path, shape: Shape, texts: Iterable[str], formats: Sequence[str] = FORMATS
) -> None:
    """``folder/bfloat16`` and ``folder/nf4``, each as ``from_pretrained`` reads it; what is there
    stays. The same weights in both, drawn and quantized where the device is.
    """
    missing = [name for name in formats if not (folder / name / "done").is_file()]
    if not missing:
        return
    processor = _processor(shape, texts)
    model = _drawn(shape, processor)
    for name in missing:
        stored = quantized(model) if name == "nf4" else model
        processor.save_pretrained(folder / name)
        stored.save_pretrained(folder / name)
        (folder / name / "done").touch()


def in_memory(folder: Path, shape: Shape, texts: Iterable[str], form: str = "bfloat16") -> Any:
    """The same weights, which are never written; the processor is, into ``folder``."""
    processor = _processor(shape, texts)
    processor.save_pretrained(folder)
    model = _drawn(shape, processor)
    stored = quantized(model) if form == "nf4" else model
    return stored.requires_grad_(False).eval()


def quantized(model: Any) -> Any:
    """A drawn model in NF4."""
    from transformers import BitsAndBytesConfig, MllamaForConditionalGeneration

    from generator.mllama.checkpoint import UNQUANTIZED_MODULES

    quantize: Any = BitsAndBytesConfig
    return MllamaForConditionalGeneration.from_pretrained(
        None,
        config=model.config,
        state_dict=model.state_dict(),
        dtype=torch.bfloat16,
        device_map={"": device()},
        quantization_config=quantize(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
            llm_int8_skip_modules=list(UNQUANTIZED_MODULES),
        ),
    )


def compact(model: Any) -> Any:
    """Put the weights behind each other on a GPU, as they are where a checkpoint is loaded.

    Quantizing a model that is there leaves gaps of gigabytes between them. Returns the pool of
    memory, which must outlive them.
    """
    pool = torch.cuda.MemPool()
    with torch.cuda.use_mem_pool(pool):
        for weight in model.parameters():
            weight.data = weight.data.clone()
            state = getattr(weight, "quant_state", None)
            if state is not None:
                state.absmax = state.absmax.clone()
    torch.cuda.empty_cache()
    return pool


def _drawn(shape: Shape, processor: Any) -> Any:
    from transformers import MllamaForConditionalGeneration

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with device():
        model: Any = MllamaForConditionalGeneration(_config(shape, processor.tokenizer))
    torch.set_default_dtype(torch.float32)
    for name, weight in model.named_parameters():
        if "gate" in name and weight.numel() == 1:  # drawn as 0, they would hide the image
            weight.data.fill_(0.5)
    return model


def write_adapter(folder: Path, base: Path, *, seed: int = 0) -> None:
    """LoRA of this project's defaults on all of the layers, small random weights, bfloat16.

    Nothing of the base is loaded but its config.
    """
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    from safetensors.torch import save_file
    from transformers import MllamaConfig, MllamaForConditionalGeneration

    from finetune.adapter.backends import target_modules
    from finetune.adapter.config import TrainConfig

    wanted = TrainConfig()
    with torch.device("meta"):
        model: Any = get_peft_model(
            MllamaForConditionalGeneration(MllamaConfig.from_pretrained(base)),
            LoraConfig(
                r=wanted.rank, lora_alpha=wanted.alpha, target_modules=target_modules(wanted)
            ),
        )
    draw = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.empty(weight.shape).normal_(0, 0.02, generator=draw).bfloat16()
        for name, weight in get_peft_model_state_dict(model).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors")
    model.peft_config["default"].save_pretrained(folder)


def _processor(shape: Shape, texts: Iterable[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import MllamaImageProcessor, MllamaProcessor, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False)
    )
    bpe.add_special_tokens(SPECIAL)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=SPECIAL[0], pad_token=SPECIAL[1], eos_token=SPECIAL[4]
    )
    side = 560 if shape == "full" else 28
    images = MllamaImageProcessor(size={"height": side, "width": side}, max_image_tiles=4)
    return MllamaProcessor(image_processor=images, tokenizer=tokenizer, chat_template=TEMPLATE)


def _config(shape: Shape, tokenizer: Any) -> Any:
    from transformers import MllamaConfig

    full = shape == "full"
    return MllamaConfig(
        vision_config={
            "image_size": 560 if full else 28,
            "supported_aspect_ratios": RATIOS,
            **({} if full else _TINY_VISION),
        },
        text_config={
            "vocab_size": 128256 if full else 1024,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            **({} if full else _TINY_TEXT),
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<|image|>"),
    )


def main() -> int:
    from bench.training.examples import BenchExamples

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--shape", choices=get_args(Shape), default="full")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--examples", type=Path, metavar="PACK", help="whose words are the tokens")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "training_speed")
    arguments = parser.parse_args()
    texts = BenchExamples.read(arguments.examples).texts()
    write_model(arguments.work / arguments.shape, arguments.shape, texts, arguments.formats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
