"""The training loop as ``finetune train`` runs it, on examples that are made already."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bench.training.examples import BenchExamples
from bench.training.plain import Step
from finetune.adapter.backends import Trainable
from finetune.adapter.collator import Collator, ImageCache, Rendering, Tokens
from finetune.adapter.data import TrainingSet
from finetune.adapter.trainer import AdapterTrainer
from finetune.training.devices import Devices
from finetune.training.log import read_log
from generator.mllama.adapter_record import AdapterRecord


def collator(
    processor: Any, given: BenchExamples, precision: str, *, numbered: bool = False
) -> Collator:
    """Of examples with canvases of two tiles; ``numbered`` as for `Collator`."""
    side = int(processor.image_processor.size["height"])
    images = ImageCache(
        processor, lambda number: given.canvas(number, side), dtype=getattr(torch, precision)
    )
    return Collator(processor, images, pad_id=Rendering(processor).pad_id, numbered=numbered)


def train(
    base: Path,
    trainable: Trainable,
    processor: Any,
    made: Sequence[Tokens],
    collate: Collator,
    out: Path,
    *,
    devices: Devices,
) -> list[Step]:
    """Train on ``made`` into ``out``, which the first process empties; the steps of its log."""
    with devices.first_goes_ahead():
        if devices.first:
            shutil.rmtree(out, ignore_errors=True)
    data = TrainingSet(
        train=made,
        val=[],
        collate=collate,
        rendering=Rendering(processor),
        tasks=["report"] * len(made),
    )
    config = trainable.config
    record = AdapterRecord(base_model=str(base), base_sha256="", config=asdict(config), packages={})
    trainer = AdapterTrainer(trainable, data, out, record, devices=devices, show=lambda line: None)
    trainer.train()
    taken = []
    for line in read_log(out / "run" / "log.jsonl"):
        if "loss" in line:
            passes = trainer.plan[line["step"] - 1]
            tokens = sum(len(made[number]) for numbers in passes for number in numbers)
            seconds = tokens / line["tokens_per_second"]
            taken.append(
                {
                    "seconds": seconds,
                    "waited": seconds * line["wait_share"],
                    "loss": line["loss"],
                    "norm": line["grad_norm"],
                }
            )
    return taken
