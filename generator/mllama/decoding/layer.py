"""A layer of an Mllama text model as its projections and norms, which `Decoder` runs itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

Projection = Callable[[Tensor], Sequence[Tensor]]
"""Several linear layers applied to one input."""

Compute = Callable[[Tensor], Tensor]
"""A module, or a function in its place."""

MakeLinear = Callable[[Tensor], nn.Module]
"""Builds a layer without bias from a weight (outputs, inputs)."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Self-attention, or cross-attention, whose ``project`` gives the queries alone."""

    norm: Compute
    project: Projection
    output: Compute
    mlp_norm: Compute
    gate_up: Projection
    down: Compute
    activation: Compute
    cross: Any = None
    """The cross-attention module."""
    gates: tuple[Tensor, Tensor] | None = None
    """Of a cross-attention layer: the factors of its attention and its feed-forward part."""

    @classmethod
    def of(cls, layer: Any, linear: MakeLinear | None = None) -> Self:
        """Wrap a layer of transformers; weights are shared except in what ``linear`` builds."""
        crossing = hasattr(layer, "cross_attn")
        attention = layer.cross_attn if crossing else layer.self_attn
        projections = ("q_proj",) if crossing else ("q_proj", "k_proj", "v_proj")
        gates = None
        if crossing:
            gates = (layer.cross_attn_attn_gate.tanh(), layer.cross_attn_mlp_gate.tanh())
        return cls(
            norm=layer.input_layernorm,
            project=_joined([getattr(attention, name) for name in projections], linear),
            output=linear(attention.o_proj.weight) if linear else attention.o_proj,
            mlp_norm=layer.post_attention_layernorm,
            gate_up=_joined([layer.mlp.gate_proj, layer.mlp.up_proj], linear),
            down=linear(layer.mlp.down_proj.weight) if linear else layer.mlp.down_proj,
            activation=layer.mlp.act_fn,
            cross=attention if crossing else None,
            gates=gates,
        )

    def rotated(
        self, normed: Tensor, cos: Tensor, sin: Tensor, split: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of self-attention; ``split`` separates their heads."""
        query, key, value = (split(part) for part in self.project(normed))
        return rotate(query, cos, sin), rotate(key, cos, sin), value

    def feed_forward(self, hidden: Tensor) -> Tensor:
        gate, up = self.gate_up(self.mlp_norm(hidden))
        return self.down(self.activation(gate) * up)


def rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, halves paired, as Llama has it."""
    first, second = heads.chunk(2, dim=-1)
    return heads * cos + torch.cat((-second, first), dim=-1) * sin


def _joined(layers: Sequence[Any], linear: MakeLinear | None) -> Projection:
    """Plain linear layers fused into one, of which they become views; others one by one."""
    if any(type(layer) is not nn.Linear or layer.bias is not None for layer in layers):
        return lambda inputs: [layer(inputs) for layer in layers]
    sizes = [layer.out_features for layer in layers]
    parts = [layer.weight.data for layer in layers]
    weight = adjoining(parts)
    if weight is None:
        weight = torch.cat(parts)
    if linear is not None:
        joined: nn.Module = linear(weight)
    else:
        joined = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        joined.weight = nn.Parameter(weight, requires_grad=False)
        for layer, part in zip(layers, torch.split_with_sizes(weight, sizes), strict=True):
            layer.weight = nn.Parameter(part, requires_grad=False)
    return lambda inputs: torch.split_with_sizes(joined(inputs), sizes, dim=-1)


def adjoining(parts: Sequence[Tensor]) -> Tensor | None:
    """The tensor of whose rows ``parts`` are views, in their order; None where they are not."""
    first = parts[0]
    end = first.data_ptr()
    for part in parts:
        same = part.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        if not same or not part.is_contiguous() or part.data_ptr() != end:
            return None
        end += part.nbytes
    return first.as_strided((sum(map(len, parts)), *first.shape[1:]), first.stride())


class HalfLinear(nn.Module):
    """``inputs @ weight.T`` on a CPU, float32 in and out, with the weights in half precision.

    A decoding step takes as long as reading its weights. They are widened on the fly (fbgemm) and
    the arithmetic is that of float32: outputs differ by some 2e-4 of their size, and a step takes
    less than half the time.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.packed = torch.ops.quantized.linear_prepack_fp16(weight.detach(), None)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = torch.ops.quantized.linear_dynamic_fp16(inputs, self.packed)
        return outputs

    @staticmethod
    def available() -> bool:
        return "fbgemm" in torch.backends.quantized.supported_engines
