"""Norms, activation and rotation by one kernel each.

normed = add_norm(hidden, parts, factor, weight, 1e-5)      # hidden += factor * parts.sum(0)
normed = KernelNorm(weight, 1e-5)(hidden)
"""

import torch
import triton
from torch import Tensor

from generator.mllama.kernels.jit import layers


def add_norm(
    hidden: Tensor, parts: Tensor | None, factor: Tensor | None, weight: Tensor, epsilon: float
) -> Tensor:
    """Add ``factor`` (1,) times the sum of ``parts`` (splits, rows, width) to ``hidden`` (rows,
    width), in place; the root mean square norm of that, (rows, width)."""
    rows, width = hidden.shape
    normed = torch.empty_like(hidden)
    layers.add_norm[(rows,)](
        hidden,
        hidden if parts is None else parts,
        weight if factor is None else factor,
        weight,
        normed,
        epsilon,
        rows,
        WIDTH=width,
        SPLITS=0 if parts is None else len(parts),
        GATED=factor is not None,
        BLOCK=triton.next_power_of_2(width),
        num_warps=8 if width > 1024 else 4,
    )
    return normed


class KernelNorm:
    """Root mean square norm, computed in float32."""

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        self._weight, self._epsilon = weight, epsilon

    def __call__(self, hidden: Tensor) -> Tensor:
        rows = hidden.reshape(-1, hidden.shape[-1])
        return add_norm(rows, None, None, self._weight, self._epsilon).view(hidden.shape)


def silu_product(both: Tensor) -> Tensor:
    """``silu(gate) * up`` of (rows, 2 * width), (rows, width)."""
    rows, width = both.shape[0], both.shape[1] // 2
    out = both.new_empty((rows, width))
    layers.silu_product[(rows, triton.cdiv(width, 1024))](both, out, HALF=width, BLOCK=1024)
    return out


def rotate_in_place(projected: Tensor, cos: Tensor, sin: Tensor, width: int) -> None:
    """Rotate the first ``width`` values of (..., all), heads side by side, by position; ``cos`` and
    ``sin`` (..., head size), one of each token."""
    size = cos.shape[-1]
    heads = width // size
    layers.rotate[(projected.numel() // projected.shape[-1],)](
        projected,
        cos.reshape(-1, size),
        sin.reshape(-1, size),
        projected.shape[-1],
        HEADS=heads,
        SIZE=size,
        BLOCK=triton.next_power_of_2(heads),
    )
