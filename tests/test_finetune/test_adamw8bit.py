"""AdamW with 8-bit state that does not wait for the GPU."""

import bitsandbytes.optim.optimizer
import pytest
import torch
from torch import nn

from finetune.training.adamw8bit import AdamW8bitAhead


def drawn(kind: type[torch.optim.Optimizer]) -> list[nn.Parameter]:
    """What three steps make of weights with 8-bit and with plain state, and one without any."""
    draw = torch.Generator().manual_seed(0)
    weights = [nn.Parameter(torch.randn(size, generator=draw)) for size in (8192, 100, 7)]
    optimizer = kind(weights, lr=0.01, weight_decay=0.1)
    for _ in range(3):
        for weight in weights[:2]:
            weight.grad = torch.randn(weight.shape, generator=draw)
        optimizer.step()
    return weights


def test_updates_are_those_of_bitsandbytes_without_its_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = drawn(bitsandbytes.optim.AdamW8bit)
    waits: list[int] = []
    monkeypatch.setattr(bitsandbytes.optim.optimizer, "sync_gpu", lambda weight: waits.append(1))
    drawn(bitsandbytes.optim.AdamW8bit)
    assert len(waits) == 6
    found = drawn(AdamW8bitAhead)
    assert len(waits) == 6
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_a_closure_is_called_with_gradients() -> None:
    weight = nn.Parameter(torch.ones(4))

    def closure() -> torch.Tensor:
        loss = (weight * 2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    assert AdamW8bitAhead([weight], lr=0.5).step(closure) == 8
    assert bool((weight < 1).all())
