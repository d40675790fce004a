"""Steps of transformers, peft and bitsandbytes, with nothing of this project in them."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from bench.training.examples import BenchExamples
from bench.training.random_model import device

TOKENS = 1024
"""Of every example."""

Step = dict[str, float]
"""``seconds``, of which ``waited`` for data, ``loss``, and ``norm`` of the gradients."""


def run_plain(
    model: Any,
    optimizer: Any,
    weights: list[Any],
    batches: Any,
    pace: Callable[[int], None],
    *,
    mixed: bool,
) -> Iterator[Step]:
    coming = iter(batches)
    place = device()
    number = 0
    while True:
        started = time.monotonic()
        batch = next(coming, None)
        if batch is None:
            return
        batch = {name: value.to(place, non_blocking=True) for name, value in batch.items()}
        waited = time.monotonic() - started
        loss = plain_loss(model, batch, mixed=mixed)
        loss.backward()
        pace(number)
        norm = finish(optimizer, weights)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ValueError(f"the loss of step {number} is {value}")
        number += 1
        taken = time.monotonic() - started
        yield {"seconds": taken, "waited": waited, "loss": value, "norm": float(norm)}


def plain_loss(model: Any, batch: dict[str, Any], *, mixed: bool) -> Any:
    if not mixed:
        batch["pixel_values"] = batch["pixel_values"].to(next(model.parameters()).dtype)
    with torch.autocast(device().type, torch.bfloat16, enabled=mixed):
        return model(**batch).loss


def finish(optimizer: Any, weights: list[Any]) -> torch.Tensor:
    """Step; the norm of the gradients."""
    norm = torch.nn.utils.clip_grad_norm_(weights, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm


class PlainCollator:
    """The processor on images and texts; the loss counts the answers alone, as in ours."""

    def __init__(self, processor: Any, given: BenchExamples, side: int) -> None:
        self.processor, self.given, self.side = processor, given, side

    def __call__(self, examples: list[Any]) -> dict[str, torch.Tensor]:
        made = self.processor(
            images=[[self.given.canvas(example.image, self.side)] for example in examples],
            text=[self.processor.tokenizer.decode(example.ids) for example in examples],
            add_special_tokens=False,
            padding="max_length",
            truncation=True,
            max_length=TOKENS,
            return_tensors="pt",
        )
        # a cut text may be tokenised otherwise than it was before; these are the tokens of ours
        made["input_ids"] = torch.tensor([example.ids for example in examples])
        made["attention_mask"] = torch.ones_like(made["input_ids"])
        image = self.processor.image_token_id
        for row, example in enumerate(examples):
            tiles = made["aspect_ratio_mask"][row, 0]
            start = example.ids.index(image)
            made["cross_attention_mask"][row, :start] = 0
            made["cross_attention_mask"][row, start:, 0] = tiles
        labels = made["input_ids"].clone()
        for row, example in enumerate(examples):
            labels[row, : example.prompt_length] = -100
        return {**made, "labels": labels}
