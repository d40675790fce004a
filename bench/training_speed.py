"""Training step, peak memory and waiting at the shape of Llama 3.2 Vision 11B, on one GPU.

python bench/training_speed.py --examples PACK          # 11 billion random weights, 21 GB on disk
python bench/training_speed.py --shape tiny             # rehearsal, also on a CPU

Each set-up runs in a process of its own on the same checkpoint and the same examples: prompts of
PACK joined and cut to 1,024 tokens, two a step, with one image each. ``unsloth`` and ``peft`` are
this project's training loop with either backend. ``plain`` is transformers, peft and bitsandbytes
as their documentation puts them together: NF4 with double quantization, bfloat16 autocast, sdpa,
non-reentrant checkpointing, 8-bit AdamW, the processor in the workers of a DataLoader. No set-up
casts frozen weights to float32. Waiting is the share of wall time that the step waited for data.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

BATCH, TOKENS, SKIPPED = 2, 1024, 3
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", choices=("full", "tiny"), default="full")
    parser.add_argument("--examples", type=Path, metavar="PACK", help="of finetune examples")
    parser.add_argument("--setups", nargs="+", help="default: those that the machine can run")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "training_speed")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.one == "checkpoint":
        write_checkpoint(arguments)
        return 0
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments)))
        return 0
    gpu = torch.cuda.is_available()
    print(torch.cuda.get_device_name() if gpu else "CPU", "torch", torch.__version__)
    alone(arguments, "checkpoint")
    found = {
        setup: json.loads(alone(arguments, setup).splitlines()[-1])
        for setup in arguments.setups
        or (["plain", "peft", "unsloth"] if gpu else ["plain", "peft"])
    }
    print("set-up    step s  peak reserved GB  peak while loading GB  waiting   loss")
    for setup, row in found.items():
        print(
            f"{setup:8} {row['step']:7.3f} {row['peak_gb']:17.2f} {row['load_gb']:22.2f} "
            f"{row['waiting']:8.1%} {row['loss']:6.2f}"
        )
    if {"plain", "unsloth"} <= found.keys():
        plain, ours = found["plain"], found["unsloth"]
        print(
            f"unsloth against plain: {plain['step'] / ours['step']:.2f} times as fast, "
            f"{1 - ours['peak_gb'] / plain['peak_gb']:.0%} less memory"
        )
    return 0


def alone(arguments: argparse.Namespace, one: str) -> str:
    """Run one part in a process of its own; what it prints."""
    given = ["--shape", arguments.shape, "--steps", str(arguments.steps), "--one", one]
    given += ["--work", str(arguments.work)]
    given += ["--examples", str(arguments.examples)] if arguments.examples else []
    done = subprocess.run(
        [sys.executable, __file__, *given], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def texts(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Prompts and answers: real ones, or the same sentences over and over for a rehearsal."""
    if arguments.examples is None:
        case = "[1] (Cardiomegaly) Findings: The heart is large. No effusion is seen. "
        return [(f"Prior cases: {case * 8} Film {n}. Describe it.", case) for n in range(40)]
    from finetune.example_pack import ExamplePack

    pack = ExamplePack.load(arguments.examples)
    return [(e.prompt, e.answer) for e in pack.train if e.task == "report"][:400]


def write_checkpoint(arguments: argparse.Namespace) -> None:
    """Random weights in bfloat16 and a processor whose tokenizer is trained on the texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        MllamaConfig,
        MllamaForConditionalGeneration,
        MllamaImageProcessor,
        MllamaProcessor,
        PreTrainedTokenizerFast,
    )

    folder = arguments.work / arguments.shape
    if (folder / "done").is_file():
        return
    full = arguments.shape == "full"
    side, tiles, vocabulary = (560, 4, 128256) if full else (28, 4, 1024)
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        (text for pair in texts(arguments) for text in pair),
        trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False),
    )
    bpe.add_special_tokens(SPECIAL)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=SPECIAL[0], pad_token=SPECIAL[1], eos_token=SPECIAL[4]
    )
    image = tokenizer.convert_tokens_to_ids("<|image|>")
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    small_text = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "cross_attention_layers": [1, 3],
    }
    small_vision = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_global_layers": 1,
        "attention_heads": 4,
        "intermediate_size": 64,
        "patch_size": 14,
        "intermediate_layers_indices": [0],
        "vision_output_dim": 128,
    }
    config = MllamaConfig(
        vision_config={
            "image_size": side,
            "supported_aspect_ratios": RATIOS,
            **({} if full else small_vision),
        },
        text_config={"vocab_size": vocabulary, **ids, **({} if full else small_text)},
        image_token_index=image,
    )
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = MllamaForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    processor = MllamaProcessor(
        image_processor=MllamaImageProcessor(
            size={"height": side, "width": side}, max_image_tiles=tiles
        ),
        tokenizer=tokenizer,
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(folder)
    (folder / "done").touch()


def canvas(number: int, side: int) -> Any:
    """Two grey films side by side, as a frontal and a lateral view are given."""
    import numpy as np
    from PIL import Image

    grey = np.random.default_rng(number).integers(0, 255, (side, 2 * side), dtype=np.uint8)
    return Image.fromarray(grey).convert("RGB")


def examples(arguments: argparse.Namespace, rendering: Any) -> list[Any]:
    """Examples of exactly TOKENS tokens: prompts one after the other, cut where they begin."""
    from finetune.collator import Tokens

    pairs = texts(arguments)
    made = []
    for number in range(BATCH * arguments.steps):
        prompt, answer = pairs[number % len(pairs)]
        tokens = rendering.tokenise(prompt, answer, image=number % 16)
        following = number
        while len(tokens) < TOKENS:
            following += 1
            prompt = f"{prompt}\n\n{pairs[following % len(pairs)][0]}"
            tokens = rendering.tokenise(prompt, answer, image=number % 16)
        extra = len(tokens) - TOKENS
        start = tokens.ids.index(int(rendering.processor.image_token_id)) + 1
        made.append(
            Tokens(
                ids=(*tokens.ids[:start], *tokens.ids[start + extra :]),
                prompt_length=tokens.prompt_length - extra,
                image=tokens.image,
            )
        )
    return made


def measure(setup: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Median step in seconds, peak in GB, share of waiting, and the last loss."""
    from finetune.config import TrainConfig
    from finetune.qlora import load_processor, start_backend

    gpu = torch.cuda.is_available()
    config = TrainConfig(
        backend="unsloth" if setup == "unsloth" else "peft",
        batch=BATCH,
        accumulation=1,
        max_tokens=TOKENS,
        epochs=1,
        eval_examples=0,
        save_every=10**6,
    ).resolved(gpu=gpu, bfloat16=gpu, unsloth=True)
    start_backend(config)
    from finetune.collator import Rendering

    base = str(arguments.work / arguments.shape)
    processor = load_processor(base)
    made = examples(arguments, Rendering(processor))
    side = int(processor.image_processor.size["height"])
    if setup == "plain":
        steps, loading = plain_steps(base, config, processor, made, side)
    else:
        steps, loading = our_steps(base, config, processor, made, side, arguments.work / setup)
    kept = steps[SKIPPED:]
    seconds = [step["seconds"] for step in kept]
    return {
        "step": statistics.median(seconds),
        "peak_gb": reserved_gb(),
        "load_gb": loading,
        "waiting": sum(step["waited"] for step in kept) / sum(seconds),
        "loss": kept[-1]["loss"],
    }


def our_steps(
    base: str, config: Any, processor: Any, made: list[Any], side: int, out: Path
) -> tuple[list[dict[str, float]], float]:
    """The training loop as ``finetune train`` runs it."""
    import shutil

    from finetune.adapter_record import AdapterRecord
    from finetune.collator import Collator, ImageCache, Rendering
    from finetune.devices import Devices
    from finetune.qlora import load_trainable
    from finetune.train import Trainer
    from finetune.training_log import read_log
    from finetune.training_set import TrainingSet

    shutil.rmtree(out, ignore_errors=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainable = load_trainable(base, config, device)
    loading = settle()
    images = ImageCache(
        processor, lambda number: canvas(number, side), dtype=getattr(torch, config.precision)
    )
    data = TrainingSet(
        train=made, val=[], collate=Collator(processor, images, pad_id=Rendering(processor).pad_id)
    )
    record = AdapterRecord(
        base_model=base, base_sha256="", prompt_version="", index_fingerprint=None,
        encoder_sha256=None, data_sha256="", config=vars(replace(config)), packages={},
    )  # fmt: skip
    Trainer(
        trainable, data, out, record, devices=Devices(device=device), show=lambda line: None
    ).train()
    steps = [
        {
            "seconds": BATCH * TOKENS / line["tokens_per_second"],
            "waited": BATCH * TOKENS / line["tokens_per_second"] * line["wait_share"],
            "loss": line["loss"],
        }
        for line in read_log(out / "run" / "log.jsonl")
        if "loss" in line
    ]
    return steps, loading


def plain_steps(
    base: str, config: Any, processor: Any, made: list[Any], side: int
) -> tuple[list[dict[str, float]], float]:
    """transformers, peft and bitsandbytes without anything of this project."""
    from peft import LoraConfig, get_peft_model
    from transformers import BitsAndBytesConfig, MllamaForConditionalGeneration

    gpu = torch.cuda.is_available()
    quantize: Any = BitsAndBytesConfig
    settings: dict[str, Any] = {"dtype": torch.float32}
    if gpu:
        settings = {
            "dtype": torch.bfloat16,
            "device_map": {"": 0},
            "quantization_config": quantize(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=torch.bfloat16,
            ),
        }
    loaded: Any = MllamaForConditionalGeneration.from_pretrained(
        base, attn_implementation="sdpa", **settings
    )
    loaded.config.use_cache = False
    loaded.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    torch.manual_seed(config.seed)
    linear = r".*_model\..*(attn\.(q|k|v|o)_proj|mlp\.(gate_proj|up_proj|down_proj|fc1|fc2))"
    model: Any = get_peft_model(
        loaded, LoraConfig(r=16, lora_alpha=16, lora_dropout=0.0, target_modules=linear)
    )
    model.train()
    loading = settle()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if gpu:
        from bitsandbytes import optim

        adamw: Any = optim
        optimizer = adamw.AdamW8bit(weights, lr=config.lr, weight_decay=config.weight_decay)
    else:
        optimizer = torch.optim.AdamW(weights, lr=config.lr, weight_decay=config.weight_decay)
    batches = torch.utils.data.DataLoader(
        made,
        batch_size=BATCH,
        collate_fn=PlainCollator(processor, side),
        num_workers=4 if gpu else 0,
        pin_memory=gpu,
    )
    device = torch.device("cuda" if gpu else "cpu")
    return list(run_plain(model, optimizer, weights, batches, device)), loading


def run_plain(
    model: Any, optimizer: Any, weights: list[Any], batches: Any, device: torch.device
) -> Iterator[dict[str, float]]:
    coming = iter(batches)
    while True:
        started = time.monotonic()
        batch = next(coming, None)
        if batch is None:
            return
        batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        waited = time.monotonic() - started
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value = float(loss.detach())
        yield {"seconds": time.monotonic() - started, "waited": waited, "loss": value}


class PlainCollator:
    """The processor on images and texts; the loss counts the answers alone, as in ours."""

    def __init__(self, processor: Any, side: int) -> None:
        self.processor, self.side = processor, side

    def __call__(self, examples: list[Any]) -> dict[str, torch.Tensor]:
        given = self.processor(
            images=[[canvas(example.image, self.side)] for example in examples],
            text=[self.processor.tokenizer.decode(example.ids) for example in examples],
            add_special_tokens=False,
            padding=True,
            truncation=True,
            max_length=TOKENS,
            return_tensors="pt",
        )
        labels = given["input_ids"].clone()
        for row, example in enumerate(examples):
            labels[row, : example.prompt_length] = -100
        labels[given["attention_mask"] == 0] = -100
        return {**given, "labels": labels}


def settle() -> float:
    """Forget what loading took; its peak in GB."""
    peak = reserved_gb()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return peak


def reserved_gb() -> float:
    """The most that was reserved on the GPU; on a CPU the most that the process took."""
    from finetune.training_log import memory_gb

    return memory_gb(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


if __name__ == "__main__":
    sys.exit(main())
