"""The set-ups that bench/training/speed.py compares, each measured in its own process."""

import gc
import os
import shutil
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bench.training.examples import BenchExamples
from bench.training.random_model import device

BATCH, TOKENS, SKIPPED = 2, 1024, 3
WORKER_TIMEOUT = 60.0
"""Seconds after which a worker without a batch is an error."""
LINEAR = r".*_model\..*(attn\.(q|k|v|o)_proj|mlp\.(gate_proj|up_proj|down_proj|fc1|fc2))"

Step = dict[str, float]
"""``seconds``, of which ``waited`` for data, and ``loss``."""


def measure(
    setup: str, base: Path, given: BenchExamples, *, steps: int, workers: int
) -> dict[str, float]:
    """Median step in seconds, peaks in GB, share of waiting, and the last loss."""
    from finetune.adapter.backends import load_processor, start_backend
    from finetune.adapter.config import TrainConfig

    gpu = torch.cuda.is_available()
    batch = 1 if setup == "peft-t4" else BATCH
    config = TrainConfig(
        backend="unsloth" if setup == "unsloth" else "peft",
        precision="float16" if setup == "peft-t4" else "auto",
        batch=batch,
        accumulation=1,
        max_tokens=TOKENS,
        epochs=1,
        eval_examples=0,
        eval_every=10**6,
        save_every=10**6,
    ).resolved(gpu=gpu, bfloat16=gpu, unsloth=True)
    start_backend(config)
    from finetune.adapter.collator import Rendering

    processor = load_processor(str(base))
    made = given.tokens(Rendering(processor), batch * steps, TOKENS)
    if setup.startswith("plain"):
        taken, loading = plain_steps(setup, base, config, processor, made, given, workers)
    else:
        out = base.parent / f"adapter-{setup}"
        taken, loading = our_steps(base, config, processor, made, given, out)
    kept = taken[SKIPPED:]
    seconds = [step["seconds"] for step in kept]
    return {
        "step": statistics.median(seconds),
        "peak_gb": reserved_gb(),
        "load_gb": loading,
        "waiting": sum(step["waited"] for step in kept) / sum(seconds),
        "loss": kept[-1]["loss"],
        "first": taken[0]["seconds"],
    }


def our_steps(
    base: Path, config: Any, processor: Any, made: list[Any], given: BenchExamples, out: Path
) -> tuple[list[Step], float]:
    """The training loop as ``finetune train`` runs it."""
    from finetune.adapter.backends import load_trainable
    from finetune.adapter.collator import Collator, ImageCache, Rendering
    from finetune.adapter.data import TrainingSet
    from finetune.adapter.trainer import AdapterTrainer
    from finetune.training.devices import Devices
    from finetune.training.log import read_log
    from generator.mllama.adapter_record import AdapterRecord

    shutil.rmtree(out, ignore_errors=True)
    trainable = load_trainable(str(base), config, device())
    loading = settle()
    side = int(processor.image_processor.size["height"])
    images = ImageCache(
        processor,
        lambda number: given.canvas(number, side),
        dtype=getattr(torch, config.precision),
    )
    data = TrainingSet(
        train=made, val=[], collate=Collator(processor, images, pad_id=Rendering(processor).pad_id)
    )
    record = AdapterRecord(
        base_model=str(base), base_sha256="", prompt_version="", index_fingerprint=None,
        encoder_sha256=None, data_sha256="", config=asdict(config), packages={},
    )  # fmt: skip
    AdapterTrainer(
        trainable, data, out, record, devices=Devices(device=device()), show=lambda line: None
    ).train()
    taken = [
        {
            "seconds": config.batch * TOKENS / line["tokens_per_second"],
            "waited": config.batch * TOKENS / line["tokens_per_second"] * line["wait_share"],
            "loss": line["loss"],
        }
        for line in read_log(out / "run" / "log.jsonl")
        if "loss" in line
    ]
    return taken, loading


def plain_steps(
    setup: str,
    base: Path,
    config: Any,
    processor: Any,
    made: list[Any],
    given: BenchExamples,
    workers: int,
) -> tuple[list[Step], float]:
    """transformers, peft and bitsandbytes without anything of this project."""
    from peft import LoraConfig, get_peft_model
    from transformers import MllamaForConditionalGeneration

    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads would not survive the fork
    gpu = torch.cuda.is_available()
    loaded: Any = MllamaForConditionalGeneration.from_pretrained(
        base,
        attn_implementation="sdpa",
        dtype=torch.bfloat16 if gpu else torch.float32,
        device_map={"": device()},
    )
    loaded.config.use_cache = False
    loaded.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    torch.manual_seed(config.seed)
    model: Any = get_peft_model(
        loaded,
        LoraConfig(r=16, lora_alpha=16, lora_dropout=0.0, target_modules=LINEAR),
        autocast_adapter_dtype=setup == "plain",
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
    side = int(processor.image_processor.size["height"])
    batches: Any = torch.utils.data.DataLoader(
        made,  # type: ignore[arg-type]
        batch_size=BATCH,
        collate_fn=PlainCollator(processor, given, side),
        num_workers=workers,
        pin_memory=gpu,
        timeout=WORKER_TIMEOUT if workers else 0,
    )
    mixed = gpu and setup == "plain"
    return list(run_plain(model, optimizer, weights, batches, mixed=mixed)), loading


def run_plain(
    model: Any, optimizer: Any, weights: list[Any], batches: Any, *, mixed: bool
) -> Iterator[Step]:
    coming = iter(batches)
    place = device()
    dtype = next(model.parameters()).dtype
    while True:
        started = time.monotonic()
        batch = next(coming, None)
        if batch is None:
            return
        batch = {name: value.to(place, non_blocking=True) for name, value in batch.items()}
        waited = time.monotonic() - started
        if not mixed:
            batch["pixel_values"] = batch["pixel_values"].to(dtype)
        with torch.autocast(place.type, torch.bfloat16, enabled=mixed):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value = float(loss.detach())
        yield {"seconds": time.monotonic() - started, "waited": waited, "loss": value}


class PlainCollator:
    """The processor on images and texts; the loss counts the answers alone, as in ours."""

    def __init__(self, processor: Any, given: BenchExamples, side: int) -> None:
        self.processor, self.given, self.side = processor, given, side

    def __call__(self, examples: list[Any]) -> dict[str, torch.Tensor]:
        made = self.processor(
            images=[[self.given.canvas(example.image, self.side)] for example in examples],
            text=[self.processor.tokenizer.decode(example.ids) for example in examples],
            add_special_tokens=False,
            padding=True,
            truncation=True,
            max_length=TOKENS,
            return_tensors="pt",
        )
        labels = made["input_ids"].clone()
        for row, example in enumerate(examples):
            labels[row, : example.prompt_length] = -100
        labels[made["attention_mask"] == 0] = -100
        return {**made, "labels": labels}


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
    from finetune.training.log import memory_gb

    return memory_gb(device())
