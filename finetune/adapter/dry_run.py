"""Show the examples and the steps of a run without training."""

from collections.abc import Iterator, Sequence

from finetune.adapter.batches import plan_run
from finetune.adapter.collator import Rendering, Tokens
from finetune.adapter.config import TrainConfig
from finetune.adapter.data import TrainingSet

_BARS = 12
_SHOWN = 3
"""Examples at least, where there are so many."""


def describe(data: TrainingSet, rendering: Rendering, config: TrainConfig) -> Iterator[str]:
    """Lines for a person: an example of each task, lengths and steps."""
    for number in chosen_examples(data.tasks):
        tokens = data.train[number]
        prompt = rendering.tokenizer.decode(tokens.ids[: tokens.prompt_length])
        answer = rendering.tokenizer.decode(tokens.ids[tokens.prompt_length :])
        yield (
            f"--- example {number} ({data.tasks[number]}): {len(tokens)} tokens, of which the loss "
            f"counts the last {len(tokens) - tokens.prompt_length}; image {tokens.image}"
        )
        yield f"{prompt}>>> {answer}"
    yield "--- tokens per example"
    yield from histogram([len(tokens) for tokens in data.train])
    steps = plan_run(data.train, config)
    yield (
        f"{len(data.train)} training and {len(data.val)} validation examples, {data.too_long} "
        f"left out as longer than {config.max_tokens} tokens (and {data.val_too_long} of "
        f"validation); {len(steps)} optimizer steps"
    )


def chosen_examples(tasks: Sequence[str]) -> list[int]:
    """The first example of each task, and others spread over all up to three."""
    chosen = {tasks.index(task) for task in dict.fromkeys(tasks)}
    count = len(tasks)
    for number in (2 * count // 3, count // 3, *range(count)):
        if len(chosen) >= _SHOWN:
            break
        chosen.add(number)
    return sorted(chosen)


def histogram(lengths: Sequence[int]) -> Iterator[str]:
    """Draw one bar per range of lengths."""
    low, high = min(lengths), max(lengths)
    width = max(1, -(-(high + 1 - low) // _BARS))
    counts = [0] * (-(-(high + 1 - low) // width))
    for length in lengths:
        counts[(length - low) // width] += 1
    for place, count in enumerate(counts):
        start = low + place * width
        bar = "#" * (-(-40 * count // max(counts)) if count else 0)
        yield f"{start:6}-{start + width - 1:<6} {count:7} {bar}"


def largest_pass(data: Sequence[Tokens], config: TrainConfig) -> tuple[int, int]:
    """Examples and padded tokens each of the most demanding forward pass."""
    longest = max(len(tokens) for tokens in data)
    if config.batch_tokens:
        shortest = min(len(tokens) for tokens in data)
        return max(1, config.batch_tokens // max(1, shortest)), shortest
    return config.batch, longest
