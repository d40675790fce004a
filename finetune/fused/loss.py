"""Cross-entropy of answer tokens, whose logits are computed in parts and never kept.

answers = Answers(places, aims, shares)
loss, dnormed = cross_entropy(hidden, answers, head, gradient=True)
loss = answer_cross_entropy(hidden, answers, head)      # differentiable

Logits of one token take a quarter of a megabyte in bfloat16 at a vocabulary of 128,256. Those of a
prompt are not computed at all, those of answers for ``CHUNK`` tokens at a time; their gradient is
taken at once and reduced to that of the hidden state.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from finetune.fused.elementwise import norm, norm_backward
from finetune.fused.linear import JointLinear

CHUNK = 512
"""Tokens whose logits are in memory together."""


class OutputHead:
    """The last norm and the output layer, both frozen."""

    def __init__(self, last_norm: Any, linear: JointLinear) -> None:
        self.weight: Tensor = last_norm.weight
        self.eps: float = last_norm.variance_epsilon
        self.linear = linear


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Which tokens of a batch the loss counts."""

    places: Tensor
    """(n,), of all tokens of the batch in a row."""
    aims: Tensor
    """(n,), the ids that come after them."""
    shares: Tensor
    """(n,) float32, of each in the loss: 1 / n for a mean, 0 for padding."""


def cross_entropy(
    hidden: Tensor, answers: Answers, head: OutputHead, *, gradient: bool
) -> tuple[Tensor, Tensor | None]:
    """The sum of the shares of ``hidden`` (tokens, width), and the gradient of the normed states
    (n, width) before they are multiplied by the shares, which float16 could not hold."""
    normed = norm(hidden.index_select(0, answers.places), head.weight, head.eps)
    total = torch.zeros((), device=hidden.device)
    found = torch.empty_like(normed) if gradient else None
    for start in range(0, len(normed), CHUNK):
        part = slice(start, start + CHUNK)
        aims = answers.aims[part, None]
        logits = head.linear.forward(normed[part])[0].float()
        sums = logits.logsumexp(dim=-1, keepdim=True)
        total += ((sums - logits.gather(1, aims))[:, 0] * answers.shares[part]).sum()
        if found is not None:
            share = logits.sub_(sums).exp_()
            share.scatter_add_(1, aims, share.new_full(aims.shape, -1))
            found[part] = share.to(normed.dtype) @ head.linear.weight()
    return total, found


def hidden_gradient(
    hidden: Tensor, answers: Answers, head: OutputHead, found: Tensor, factor: Tensor | float
) -> Tensor:
    """The gradient of ``hidden`` from what `cross_entropy` found, times ``factor``."""
    taken = hidden.index_select(0, answers.places)
    dnormed = (found.float() * (answers.shares[:, None] * factor)).to(hidden.dtype)
    zero = torch.zeros_like(taken)
    dtaken = norm_backward(taken, head.weight, head.eps, dnormed, zero)
    return torch.zeros_like(hidden).index_add_(0, answers.places, dtaken)


def answer_cross_entropy(hidden: Tensor, answers: Answers, head: OutputHead) -> Tensor:
    """As `cross_entropy`, for autograd."""
    apply: Any = _CrossEntropy.apply
    loss: Tensor = apply(hidden, answers, head)
    return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, answers: Answers, head: OutputHead) -> Tensor:
        loss, found = cross_entropy(hidden, answers, head, gradient=ctx.needs_input_grad[0])
        ctx.answers, ctx.head = answers, head
        ctx.save_for_backward(hidden, found)
        return loss

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:
        hidden, found = ctx.saved_tensors
        return hidden_gradient(hidden, ctx.answers, ctx.head, found, given[0]), None, None
