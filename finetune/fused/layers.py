"""The layers of an Mllama text model with both passes written out.

hidden = run(layer, batch, hidden, image, keeps=False)      # differentiable

transformers leaves it to autograd what a forward pass keeps: everything, or with checkpointing the
input alone, from which all is computed again. Here a layer keeps its input, the state between
attention and feed-forward part, and queries, keys and values. Of the matrix products only those of
gate and up (over half) are repeated in the backward pass, and not even these where ``keeps`` says
so. Norms, attention and activation are cheap to repeat. Gradients of the adapter are written down
directly; nothing else has any but the image features, where the vision encoder is trained.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn, split_with_sizes

from finetune.fused.attention import ImagePlaces, attend_image, attend_text
from finetune.fused.elementwise import Kernels
from finetune.fused.linear import JointLinear, Scratch


@dataclass(frozen=True, kw_only=True)
class TextBatch:
    """What all layers of a forward pass share."""

    rows: int
    cos: Tensor  # (1, tokens, 1, head size)
    sin: Tensor
    places: ImagePlaces | None
    """None for texts without an image."""


Gradients = tuple[Tensor | None, Tensor | None, list[Tensor]]
"""Of the hidden states, of the image features, and of a layer's parameters."""


class TextLayer(ABC):
    """Hidden states are (rows * tokens, width), image features (rows, patches, width)."""

    def __init__(self, layer: Any, scratch: Scratch, kernels: Kernels, dtype: torch.dtype) -> None:
        self._kernels = kernels
        self._norm, self._mlp_norm = layer.input_layernorm, layer.post_attention_layernorm
        mlp = layer.mlp
        self.gate_up = JointLinear([mlp.gate_proj, mlp.up_proj], scratch, "large", dtype)
        self.down = JointLinear([mlp.down_proj], scratch, "other", dtype)
        self._scratch, self._dtype = scratch, dtype

    @property
    @abstractmethod
    def linears(self) -> list[JointLinear]:
        """In the order in which `backward` returns gradients."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [weight for linear in self.linears for weight in linear.parameters]

    @abstractmethod
    def forward(
        self, batch: TextBatch, hidden: Tensor, image: Tensor | None, *, keeps: bool
    ) -> tuple[Tensor, list[Tensor | None]]:
        """The next hidden states, and what `backward` needs beside both inputs."""

    @abstractmethod
    def backward(
        self,
        batch: TextBatch,
        hidden: Tensor,
        image: Tensor | None,
        kept: Sequence[Tensor | None],
        dhidden: Tensor,
        *,
        needs: tuple[bool, bool],
    ) -> Gradients:
        """``needs`` says whether gradients of hidden states and image features are wanted."""

    def _normed(self, hidden: Tensor) -> Tensor:
        return self._kernels.norm(hidden, self._norm.weight, self._norm.variance_epsilon)

    def _feed_forward(
        self, between: Tensor, places: ImagePlaces | None, factor: float, *, keeps: bool
    ) -> tuple[Tensor, list[Tensor | None]]:
        weight, eps = self._mlp_norm.weight, self._mlp_norm.variance_epsilon
        gate_up, inner = self.gate_up.forward(self._kernels.norm(between, weight, eps))
        gated = self._kernels.gated(gate_up)
        if places is not None:
            places.clear_before(gated)
        after, down_inner = self.down.forward(gated, between, factor)
        return after, [inner, down_inner, gate_up if keeps else None]

    def _feed_forward_backward(
        self,
        between: Tensor,
        kept: Sequence[Tensor | None],
        dafter: Tensor,
        places: ImagePlaces | None,
        factor: float,
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """The gradient of the state between attention and feed-forward part, and of the parameters
        of gate and up, and of down."""
        inner, down_inner, gate_up = kept
        assert inner is not None and down_inner is not None
        weight, eps = self._mlp_norm.weight, self._mlp_norm.variance_epsilon
        normed = self._kernels.norm(between, weight, eps)
        if gate_up is None:
            gate_up, _ = self.gate_up.forward(normed)
        dout = dafter if factor == 1 else dafter * factor
        dgated, dinner = self.down.backward_inputs(dout)
        assert dgated is not None
        dgate_up, gated = self._kernels.gated_backward(gate_up, dgated)
        del gate_up, dgated
        if places is not None:
            places.clear_before(gated)
            places.clear_before(dgate_up)
        down = self.down.backward_weights(gated, down_inner, dout, dinner)
        del gated
        dnormed, gradients = self.gate_up.backward(normed, inner, dgate_up)
        dbetween = self._kernels.norm_backward(between, weight, eps, dnormed, dafter)
        return dbetween, gradients, down


class SelfLayer(TextLayer):
    """A ``MllamaSelfAttentionDecoderLayer``."""

    def __init__(self, layer: Any, scratch: Scratch, kernels: Kernels, dtype: torch.dtype) -> None:
        super().__init__(layer, scratch, kernels, dtype)
        attention = layer.self_attn
        self._size: int = attention.head_dim
        self.qkv = JointLinear(
            [attention.q_proj, attention.k_proj, attention.v_proj], scratch, "large", dtype
        )
        self.out = JointLinear([attention.o_proj], scratch, "other", dtype)

    @property
    def linears(self) -> list[JointLinear]:
        return [self.qkv, self.out, self.gate_up, self.down]

    def forward(
        self, batch: TextBatch, hidden: Tensor, image: Tensor | None, *, keeps: bool
    ) -> tuple[Tensor, list[Tensor | None]]:
        qkv, inner = self.qkv.forward(self._normed(hidden))
        turned = self._turned(self._kernels.rotate, qkv, batch)
        mixed = attend_text(*split_with_sizes(turned, self._counts, dim=2))
        between, out_inner = self.out.forward(mixed.flatten(2).flatten(0, 1), hidden)
        after, rest = self._feed_forward(between, None, 1.0, keeps=keeps)
        return after, [turned, between, inner, out_inner, *rest]

    def backward(
        self,
        batch: TextBatch,
        hidden: Tensor,
        image: Tensor | None,
        kept: Sequence[Tensor | None],
        dhidden: Tensor,
        *,
        needs: tuple[bool, bool],
    ) -> Gradients:
        turned, between, inner, out_inner, *rest = kept
        assert turned is not None and between is not None
        assert inner is not None and out_inner is not None
        dbetween, gate_up, down = self._feed_forward_backward(between, rest, dhidden, None, 1.0)
        with torch.enable_grad():
            whole = turned.detach().requires_grad_()
            mixed = attend_text(*split_with_sizes(whole, self._counts, dim=2))
        flat = mixed.detach().flatten(2).flatten(0, 1)
        dflat, out = self.out.backward(flat, out_inner, dbetween)
        assert dflat is not None
        (dturned,) = torch.autograd.grad(mixed, whole, dflat.view(mixed.shape))
        dqkv = self._turned(self._kernels.rotate_backward, dturned.flatten(2).flatten(0, 1), batch)
        normed = self._normed(hidden)
        dnormed, qkv = self.qkv.backward(
            normed, inner, dqkv.flatten(2).flatten(0, 1), needs_inputs=needs[0]
        )
        gradients = [*qkv, *out, *gate_up, *down]
        if dnormed is None:
            return None, None, gradients
        weight, eps = self._norm.weight, self._norm.variance_epsilon
        return (
            self._kernels.norm_backward(hidden, weight, eps, dnormed, dbetween),
            None,
            gradients,
        )

    @property
    def _counts(self) -> list[int]:
        """Heads of queries, keys and values."""
        return [size // self._size for size in self.qkv.sizes]

    def _turned(self, turn: Any, qkv: Tensor, batch: TextBatch) -> Tensor:
        """Queries and keys turned, values as they are: (rows, tokens, all heads, size)."""
        heads = qkv.view(batch.rows, -1, sum(self._counts), self._size)
        return turn(heads, batch.cos, batch.sin, self._counts[2])  # type: ignore[no-any-return]


class CrossLayer(TextLayer):
    """A ``MllamaCrossAttentionDecoderLayer``; texts without an image pass it unchanged."""

    def __init__(self, layer: Any, scratch: Scratch, kernels: Kernels, dtype: torch.dtype) -> None:
        super().__init__(layer, scratch, kernels, dtype)
        attention = layer.cross_attn
        self._size: int = attention.head_dim
        self._q_norm, self._k_norm = attention.q_norm, attention.k_norm
        self.query = JointLinear([attention.q_proj], scratch, "large", dtype)
        self.pairs = JointLinear([attention.k_proj, attention.v_proj], scratch, "large", dtype)
        self.out = JointLinear([attention.o_proj], scratch, "other", dtype)
        self._gate = float(layer.cross_attn_attn_gate.detach().float().tanh())
        self._mlp_gate = float(layer.cross_attn_mlp_gate.detach().float().tanh())

    @property
    def linears(self) -> list[JointLinear]:
        return [self.query, self.pairs, self.out, self.gate_up, self.down]

    def forward(
        self, batch: TextBatch, hidden: Tensor, image: Tensor | None, *, keeps: bool
    ) -> tuple[Tensor, list[Tensor | None]]:
        assert image is not None and batch.places is not None
        query, inner = self.query.forward(self._normed(hidden))
        pairs, pair_inner = self.pairs.forward(image.flatten(0, 1))
        mixed = self._attend(query, pairs, batch)
        between, out_inner = self.out.forward(mixed.flatten(2).flatten(0, 1), hidden, self._gate)
        after, rest = self._feed_forward(between, batch.places, self._mlp_gate, keeps=keeps)
        return after, [query, pairs, between, inner, pair_inner, out_inner, *rest]

    def backward(
        self,
        batch: TextBatch,
        hidden: Tensor,
        image: Tensor | None,
        kept: Sequence[Tensor | None],
        dhidden: Tensor,
        *,
        needs: tuple[bool, bool],
    ) -> Gradients:
        query, pairs, between, inner, pair_inner, out_inner, *rest = kept
        assert image is not None and query is not None and pairs is not None
        assert between is not None and inner is not None
        assert pair_inner is not None and out_inner is not None
        dbetween, gate_up, down = self._feed_forward_backward(
            between, rest, dhidden, batch.places, self._mlp_gate
        )
        with torch.enable_grad():
            leaves = [part.detach().requires_grad_() for part in (query, pairs)]
            mixed = self._attend(leaves[0], leaves[1], batch)
        flat = mixed.detach().flatten(2).flatten(0, 1)
        dout = dbetween * self._gate
        dflat, out = self.out.backward(flat, out_inner, dout)
        assert dflat is not None
        dquery, dpairs = torch.autograd.grad(mixed, leaves, dflat.view(mixed.shape))
        dimage, pair = self.pairs.backward(
            image.flatten(0, 1), pair_inner, dpairs, needs_inputs=needs[1]
        )
        normed = self._normed(hidden)
        dnormed, asked = self.query.backward(normed, inner, dquery, needs_inputs=needs[0])
        gradients = [*asked, *pair, *out, *gate_up, *down]
        if dnormed is not None:
            weight, eps = self._norm.weight, self._norm.variance_epsilon
            dnormed = self._kernels.norm_backward(hidden, weight, eps, dnormed, dbetween)
        return dnormed, None if dimage is None else dimage.view(image.shape), gradients

    def _attend(self, query: Tensor, pairs: Tensor, batch: TextBatch) -> Tensor:
        assert batch.places is not None
        asked = self._split(query, batch.rows)
        keys, values = (self._split(part, batch.rows) for part in pairs.chunk(2, dim=-1))
        apply: Any = _HeadNorm.apply
        asked = apply(asked, self._q_norm, self._kernels)
        keys = apply(keys, self._k_norm, self._kernels)
        return attend_image(asked, keys, values, batch.places)

    def _split(self, projected: Tensor, rows: int) -> Tensor:
        tokens = len(projected) // rows
        return projected.view(rows, tokens, -1, self._size)


class _HeadNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, heads: Tensor, head_norm: Any, kernels: Kernels) -> Tensor:
        ctx.save_for_backward(heads)
        ctx.norm, ctx.kernels = head_norm, kernels
        return kernels.head_norm(heads.detach(), head_norm.weight, head_norm.variance_epsilon)

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:
        (heads,) = ctx.saved_tensors
        weight, eps = ctx.norm.weight, ctx.norm.variance_epsilon
        found = ctx.kernels.head_norm_backward(heads.detach(), weight, eps, given[0])
        return found, None, None


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        layer: TextLayer,
        batch: TextBatch,
        keeps: bool,
        hidden: Tensor,
        image: Tensor | None,
        *weights: Tensor,
    ) -> Tensor:
        # compiled kernels are made once for tensors with and without a gradient
        seen = None if image is None else image.detach()
        after, kept = layer.forward(batch, hidden.detach(), seen, keeps=keeps)
        ctx.layer, ctx.batch = layer, batch
        ctx.save_for_backward(hidden, image, *kept)
        return after

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:
        hidden, image, *kept = ctx.saved_tensors
        needs = (ctx.needs_input_grad[3], ctx.needs_input_grad[4])
        seen = None if image is None else image.detach()
        dhidden, dimage, gradients = ctx.layer.backward(
            ctx.batch, hidden.detach(), seen, kept, given[0], needs=needs
        )
        return None, None, None, dhidden, dimage, *gradients


def run(
    layer: TextLayer, batch: TextBatch, hidden: Tensor, image: Tensor | None, *, keeps: bool
) -> Tensor:
    """The hidden states after a layer."""
    apply: Any = _Run.apply
    after: Tensor = apply(layer, batch, keeps, hidden, image, *layer.parameters)
    return after
