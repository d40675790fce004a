"""A decoder layer of an Mllama model as its projections and norms, ready to be run by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

Projection = Callable[[Tensor], Sequence[Tensor]]
"""Several linear layers on one input."""

MakeLinear = Callable[[Tensor], nn.Module]
"""From a weight (outputs, inputs) a layer without bias."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Self-attention or cross-attention; of the latter ``project`` gives the queries alone."""

    norm: nn.Module
    project: Projection
    output: nn.Module
    mlp_norm: nn.Module
    gate_up: Projection
    down: nn.Module
    activation: nn.Module
    cross: Any = None
    """The cross-attention module."""
    gates: tuple[Tensor, Tensor] | None = None
    """Of a cross-attention layer: what its attention and its feed-forward part weigh."""

    @classmethod
    def of(cls, layer: Any, linear: MakeLinear | None = None) -> Self:
        """A layer of transformers; its weights stay its own, but for what ``linear`` makes."""
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

    def feed_forward(self, hidden: Tensor) -> Tensor:
        gate, up = self.gate_up(self.mlp_norm(hidden))
        forward: Tensor = self.down(self.activation(gate) * up)
        return forward


def rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, halves paired, as Llama has it."""
    first, second = heads.chunk(2, dim=-1)
    return heads * cos + torch.cat((-second, first), dim=-1) * sin


def _joined(layers: Sequence[Any], linear: MakeLinear | None) -> Projection:
    """Plain linear layers as one, of which they become views; others one by one."""
    if any(type(layer) is not nn.Linear or layer.bias is not None for layer in layers):
        return lambda inputs: [layer(inputs) for layer in layers]
    sizes = [layer.out_features for layer in layers]
    weight = torch.cat([layer.weight.data for layer in layers])
    if linear is not None:
        joined: nn.Module = linear(weight)
    else:
        joined = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        joined.weight = nn.Parameter(weight, requires_grad=False)
        for layer, part in zip(layers, torch.split_with_sizes(weight, sizes), strict=True):
            layer.weight = nn.Parameter(part, requires_grad=False)
    return lambda inputs: torch.split_with_sizes(joined(inputs), sizes, dim=-1)
