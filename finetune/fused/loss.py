"""Cross-entropy of answer tokens, whose logits are computed in parts and never kept.

loss = answer_cross_entropy(hidden, places, targets, head)

Logits of one token take a quarter of a megabyte in bfloat16 at a vocabulary of 128,256. Those of a
prompt are not computed at all, those of answers for ``CHUNK`` tokens at a time; their gradient is
taken at once and reduced to that of the hidden state.
"""

from typing import Any

import torch
from torch import Tensor

from finetune.fused.elementwise import norm, norm_backward
from finetune.fused.linear import JointLinear

CHUNK = 512
"""Tokens whose logits are in memory together."""


class Head:
    """The last norm and the output layer, both frozen."""

    def __init__(self, last_norm: Any, linear: JointLinear) -> None:
        self.weight: Tensor = last_norm.weight
        self.eps: float = last_norm.variance_epsilon
        self.linear = linear


def answer_cross_entropy(hidden: Tensor, places: Tensor, targets: Tensor, head: Head) -> Tensor:
    """Mean over the tokens ``places`` (n,) of ``hidden`` (tokens, width), after which ``targets``
    (n,) come."""
    apply: Any = _CrossEntropy.apply
    loss: Tensor = apply(hidden, places, targets, head)
    return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, places: Tensor, targets: Tensor, head: Head) -> Tensor:
        taken = hidden.index_select(0, places)
        normed = norm(taken, head.weight, head.eps)
        total = torch.zeros((), device=hidden.device)
        wanted = ctx.needs_input_grad[0]
        gradient = torch.empty_like(normed) if wanted else None
        for start in range(0, len(places), CHUNK):
            part = slice(start, start + CHUNK)
            aims = targets[part, None]
            logits = head.linear.forward(normed[part])[0].float()
            total_log = logits.logsumexp(dim=-1, keepdim=True)
            total += (total_log - logits.gather(1, aims)).sum()
            if gradient is not None:
                # not divided by the number of tokens yet, which float16 could not hold
                share = logits.sub_(total_log).exp_()
                share.scatter_add_(1, aims, share.new_full(aims.shape, -1))
                gradient[part] = share.to(normed.dtype) @ head.linear.weight()
        ctx.head, ctx.shape = head, hidden.shape
        ctx.save_for_backward(taken, places, gradient)
        return total / len(places)

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:
        taken, places, gradient = ctx.saved_tensors
        dnormed = (gradient.float() * (given[0] / len(places))).to(taken.dtype)
        weight, eps = ctx.head.weight, ctx.head.eps
        dtaken = norm_backward(taken, weight, eps, dnormed, torch.zeros_like(taken))
        dhidden = taken.new_zeros(ctx.shape)
        dhidden[places] = dtaken
        return dhidden, None, None, None
