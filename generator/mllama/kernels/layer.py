"""A layer of the text model whose products and norms run in kernels of our own.

layers = read_layers(model.model.language_model.layers, 1e-5)       # None: not all can be read

Weights are shared with the model: joined ones become views of one matrix. LoRA that peft keeps
beside a weight is added in the same pass.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.mllama.decoding.layer import Layer
from generator.mllama.kernels.norms import KernelNorm, rotate_in_place
from generator.mllama.kernels.products import Product
from generator.mllama.kernels.weights import LowRank, Nf4Weight, PlainWeight, Weight

_RANKS = (16, 32, 64)
"""Ranks of LoRA are padded to one of these; matrices of a higher rank are left to peft."""


@dataclass(frozen=True, kw_only=True)
class KernelLayer(Layer):
    heads: Product
    """Queries, keys and values together; of a cross-attention layer queries alone."""
    outputs: Product
    gated: Product
    """The activation of the gate times the upward projection."""
    downwards: Product
    norm_weight: Tensor
    mlp_norm_weight: Tensor
    head_sizes: tuple[int, ...]
    """Outputs of ``heads`` that are queries, keys and values."""

    @classmethod
    def read(cls, layer: Any, epsilon: float) -> Self | None:
        """Wrap a layer of transformers; None for one that no kernel computes."""
        crossing = hasattr(layer, "cross_attn")
        attention = layer.cross_attn if crossing else layer.self_attn
        names = ("q_proj",) if crossing else ("q_proj", "k_proj", "v_proj")
        projections = [getattr(attention, name) for name in names]
        heads = _product(projections)
        outputs = _product([attention.o_proj])
        gated = _product([layer.mlp.gate_proj, layer.mlp.up_proj], gated=True)
        downwards = _product([layer.mlp.down_proj])
        if heads is None or outputs is None or gated is None or downwards is None:
            return None
        if not _is_silu(layer.mlp.act_fn):
            return None
        sizes = tuple(_base(one).out_features for one in projections)
        norms = [layer.input_layernorm.weight.data, layer.post_attention_layernorm.weight.data]
        gates = None
        if crossing:
            gates = (layer.cross_attn_attn_gate.tanh(), layer.cross_attn_mlp_gate.tanh())
        return cls(
            norm=KernelNorm(norms[0], epsilon),
            project=lambda inputs: torch.split_with_sizes(heads(inputs), sizes, dim=-1),
            output=outputs,
            mlp_norm=KernelNorm(norms[1], epsilon),
            gate_up=lambda inputs: gated.ungated(inputs).chunk(2, dim=-1),
            down=downwards,
            activation=layer.mlp.act_fn,
            cross=attention if crossing else None,
            gates=gates,
            heads=heads,
            outputs=outputs,
            gated=gated,
            downwards=downwards,
            norm_weight=norms[0],
            mlp_norm_weight=norms[1],
            head_sizes=sizes,
        )

    def rotated(
        self, normed: Tensor, cos: Tensor, sin: Tensor, split: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        projected = self.heads(normed)
        rotate_in_place(projected, cos, sin, sum(self.head_sizes[:2]))
        query, key, value = torch.split_with_sizes(projected, self.head_sizes, dim=-1)
        return split(query), split(key), split(value)

    def feed_forward(self, hidden: Tensor) -> Tensor:
        return self.downwards(self.gated(self.mlp_norm(hidden)))


def read_layers(layers: Iterable[Any], epsilon: float) -> list[KernelLayer] | None:
    """All layers, or None where one of them cannot be read, in which case none has changed."""
    whole = list(layers)
    if not all(_readable(layer) for layer in whole):
        return None
    read = [KernelLayer.read(layer, epsilon) for layer in whole]
    return [one for one in read if one is not None] if None not in read else None


def _is_silu(activation: Any) -> bool:
    probe = torch.tensor([-1.5, 0.5, 2.0])
    try:
        return bool(torch.allclose(activation(probe), functional.silu(probe)))
    except (RuntimeError, TypeError):
        return False


def _linear(layer: Any) -> list[Any]:
    attention = layer.cross_attn if hasattr(layer, "cross_attn") else layer.self_attn
    names = ("q_proj", "o_proj") if hasattr(layer, "cross_attn") else _SELF
    mlp = [layer.mlp.gate_proj, layer.mlp.up_proj, layer.mlp.down_proj]
    return [getattr(attention, name) for name in names] + mlp


_SELF = ("q_proj", "k_proj", "v_proj", "o_proj")


def _readable(layer: Any) -> bool:
    return _is_silu(layer.mlp.act_fn) and all(_weight(one) is not None for one in _linear(layer))


def _base(layer: Any) -> Any:
    """The layer itself where peft wraps it."""
    return getattr(layer, "base_layer", layer)


def _weight(layer: Any) -> Weight | None:
    base = _base(layer)
    if getattr(base, "bias", None) is not None or _factors(layer) is None:
        return None
    if type(base) is nn.Linear:
        halves = base.weight.dtype == torch.bfloat16 and base.weight.is_contiguous()
        return PlainWeight(values=base.weight.data) if halves else None
    return Nf4Weight.of(base) if type(base).__name__ == "Linear4bit" else None


def _factors(layer: Any) -> tuple[Tensor, Tensor] | tuple[()] | None:
    """The lower matrix of LoRA beside a layer (rank, inputs), and its upper one (outputs, rank),
    scaled; empty where there is none, None for what is no plain LoRA."""
    if _base(layer) is layer:
        return ()
    names = list(getattr(layer, "active_adapters", ()))
    if not names or layer.merged or layer.disable_adapters or len(names) != 1:
        return None
    (name,) = names
    if name not in layer.lora_A:
        return ()
    variant = getattr(layer, "lora_variant", {}).get(name)
    down, up = layer.lora_A[name], layer.lora_B[name]
    if variant is not None or down.bias is not None or up.bias is not None:
        return None
    if layer.use_dora.get(name) or down.weight.shape[0] > _RANKS[-1]:
        return None
    return down.weight.data, up.weight.data * layer.scaling[name]


def _product(layers: Sequence[Any], *, gated: bool = False) -> Product | None:
    """The layers joined into one product; None where their weights are of several kinds."""
    weights = [_weight(layer) for layer in layers]
    bases = [_base(layer) for layer in layers]
    joined: Weight | None = weights[0]
    if len(weights) > 1:
        plain = [one for one in weights if isinstance(one, PlainWeight)]
        packed = [one for one in weights if isinstance(one, Nf4Weight)]
        joined = None
        if len(plain) == len(weights):
            joined = PlainWeight.joined(plain, bases)
        elif len(packed) == len(weights):
            joined = Nf4Weight.joined(packed, bases)
    if joined is None:
        return None
    return Product(joined, _low_rank(layers), gated=gated)


def _low_rank(layers: Sequence[Any]) -> LowRank | None:
    factors = [_factors(layer) for layer in layers]
    ranks = [len(one[0]) for one in factors if one]
    if not ranks:
        return None
    rank = next(one for one in _RANKS if one >= max(ranks))
    sizes = [_base(layer).out_features for layer in layers]
    device = _base(layers[0]).weight.device
    inputs = _base(layers[0]).in_features
    down = torch.zeros(len(layers) * rank, inputs, dtype=torch.bfloat16, device=device)
    up = torch.zeros(sum(sizes), rank, dtype=torch.bfloat16, device=device)
    starts = tuple(sum(sizes[:place]) for place in range(len(sizes)))
    for place, one in enumerate(factors):
        if one:
            down[place * rank : place * rank + len(one[0])] = one[0]
            up[starts[place] : starts[place] + sizes[place], : one[1].shape[1]] = one[1]
    return LowRank(down=down, up=up, rank=rank, starts=starts)
