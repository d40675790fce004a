from dataclasses import replace

import pytest

from finetune.adapter.batches import plan_epoch, plan_run, plan_validation
from finetune.adapter.collator import Tokens
from finetune.adapter.config import TrainConfig

CONFIG = TrainConfig(batch=2, accumulation=3, epochs=2)
EXAMPLES = [
    Tokens(ids=(0,) * (20 + 7 * (n % 11)), prompt_length=4, image=n if n % 5 else None)
    for n in range(41)
]


@pytest.mark.parametrize("batch_tokens", [0, 200])
def test_an_epoch_holds_every_example_once_and_mixes_no_images_with_none(batch_tokens: int) -> None:
    config = replace(CONFIG, batch_tokens=batch_tokens, max_tokens=100)
    steps = plan_epoch(EXAMPLES, config, 0)
    assert sorted(n for step in steps for numbers in step for n in numbers) == list(range(41))
    assert all(len(step) == 3 for step in steps[:-1])
    for numbers in (numbers for step in steps for numbers in step):
        assert len({EXAMPLES[n].image is None for n in numbers}) == 1
    assert steps != plan_epoch(EXAMPLES, config, 1)
    assert steps != plan_epoch(EXAMPLES, replace(config, seed=1), 0)
    assert steps == plan_epoch(EXAMPLES, config, 0)


def test_a_token_budget_counts_padding_and_is_used_well() -> None:
    config = replace(CONFIG, batch_tokens=200, max_tokens=100)
    passes = [numbers for step in plan_epoch(EXAMPLES, config, 0) for numbers in step]
    padded = [len(numbers) * max(len(EXAMPLES[n]) for n in numbers) for numbers in passes]
    assert max(padded) <= 200
    assert sum(len(tokens) for tokens in EXAMPLES) > 0.8 * sum(padded)


def test_a_run_is_as_long_as_it_is_asked_to_be() -> None:
    epoch = len(plan_epoch(EXAMPLES, CONFIG, 0))
    assert len(plan_run(EXAMPLES, CONFIG)) == 2 * epoch
    short = plan_run(EXAMPLES, replace(CONFIG, max_steps=epoch + 1))
    assert len(short) == epoch + 1 and short[epoch] == plan_epoch(EXAMPLES, CONFIG, 1)[0]


def test_validation_looks_at_every_example_once() -> None:
    passes = plan_validation(EXAMPLES, CONFIG)
    assert sorted(n for numbers in passes for n in numbers) == list(range(41))
