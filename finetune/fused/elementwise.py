"""What a layer does beside its matrix products and attention, forward and backward.

kernels = Kernels(compiled=True)
normed = kernels.norm(hidden, weight, 1e-5)

Compiled, each function is one kernel on a GPU, made once for all layers. All take and return
tensors of the model's precision and compute in float32, as transformers does.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def norm(hidden: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMS norm of (tokens, width)."""
    wide = hidden.float()
    wide = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + eps)
    return wide.to(hidden.dtype) * weight.to(hidden.dtype)


def norm_backward(
    hidden: Tensor, weight: Tensor, eps: float, dnormed: Tensor, dhidden: Tensor
) -> Tensor:
    """The gradient of ``hidden``: through its norm, added to ``dhidden``."""
    wide = hidden.float()
    inverse = torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + eps)
    scaled = dnormed.float() * weight.float()
    mean = (scaled * wide).mean(dim=-1, keepdim=True)
    through = inverse * (scaled - wide * (inverse.square() * mean))
    return (dhidden.float() + through).to(hidden.dtype)


def head_norm(heads: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMS norm of each head of (rows, tokens, heads, size)."""
    return norm(heads, weight, eps)


def head_norm_backward(heads: Tensor, weight: Tensor, eps: float, dnormed: Tensor) -> Tensor:
    """The gradient of ``heads``."""
    return norm_backward(heads, weight, eps, dnormed, torch.zeros_like(dnormed))


def gated(gate_up: Tensor) -> Tensor:
    """SiLU of the first half of (tokens, 2 * width) times the second half."""
    gate, up = gate_up.chunk(2, dim=-1)
    return (functional.silu(gate.float()).to(gate.dtype) * up).contiguous()


def gated_backward(gate_up: Tensor, dgated: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of ``gate_up``, and what `gated` returned."""
    gate, up = (part.float() for part in gate_up.chunk(2, dim=-1))
    share = torch.sigmoid(gate)
    activated = gate * share
    wide = dgated.float()
    dgate = wide * up * (share * (1 + gate * (1 - share)))
    both = torch.cat([dgate, wide * activated], dim=-1).to(gate_up.dtype)
    return both, (activated.to(gate_up.dtype) * up.to(gate_up.dtype))


def rotate(heads: Tensor, cos: Tensor, sin: Tensor, still: int) -> Tensor:
    """Rotary position embedding of (rows, tokens, heads, size), halves paired, of all heads but the
    last ``still``; ``cos`` and ``sin`` (1, tokens, 1, size)."""
    turned, rest = heads.tensor_split([heads.shape[2] - still], dim=2)
    first, second = turned.chunk(2, dim=-1)
    return torch.cat([turned * cos + torch.cat((-second, first), dim=-1) * sin, rest], dim=2)


def rotate_backward(dheads: Tensor, cos: Tensor, sin: Tensor, still: int) -> Tensor:
    """The gradient of the heads that `rotate` was given: turned back."""
    turned, rest = dheads.tensor_split([dheads.shape[2] - still], dim=2)
    first, second = (turned * sin).chunk(2, dim=-1)
    return torch.cat([turned * cos + torch.cat((second, -first), dim=-1), rest], dim=2)


class Kernels:
    """The functions above, as they are or compiled."""

    def __init__(self, *, compiled: bool) -> None:
        def made(function: Callable[..., Any]) -> Callable[..., Any]:
            return torch.compile(function) if compiled else function

        self.norm: Callable[..., Tensor] = made(norm)
        self.norm_backward: Callable[..., Tensor] = made(norm_backward)
        self.head_norm: Callable[..., Tensor] = made(head_norm)
        self.head_norm_backward: Callable[..., Tensor] = made(head_norm_backward)
        self.gated: Callable[..., Tensor] = made(gated)
        self.gated_backward: Callable[..., tuple[Tensor, Tensor]] = made(gated_backward)
        self.rotate: Callable[..., Tensor] = made(rotate)
        self.rotate_backward: Callable[..., Tensor] = made(rotate_backward)
