"""One decoding step of a text model by kernels of its own: eight launches a layer.

step = DecodingStep(decoder)
logits = step(tokens, StepCache(keys=..., slots=...))       # (rows, vocabulary) float32

It computes what `generator.mllama.decoding.decoder.Decoder` does, from the same weights. Shapes do
not change between steps, and attention stops at the slot of each row, so that one recording serves
all lengths. Sums of products stay in float32 until they are added to the hidden state.
"""

from typing import TYPE_CHECKING

import torch
import triton
from torch import Tensor
from torch.nn import functional

from generator.mllama.decoding.step_cache import StepCache
from generator.mllama.kernels.choices import choose_chunks
from generator.mllama.kernels.jit import layers
from generator.mllama.kernels.layer import KernelLayer
from generator.mllama.kernels.norms import add_norm
from generator.mllama.kernels.products import Product
from generator.mllama.kernels.weights import PlainWeight

if TYPE_CHECKING:
    from generator.mllama.decoding.decoder import Decoder


class DecodingStep:
    """The layers of ``decoder`` must all be `KernelLayer`."""

    def __init__(self, decoder: "Decoder") -> None:
        self._text = decoder.text
        self._heads, self._key_heads = decoder.heads, decoder.key_heads
        self._size = decoder.head_size
        self._layers = [layer for layer in decoder.layers if isinstance(layer, KernelLayer)]
        head: Tensor = decoder.model.lm_head.weight
        self._head = Product(PlainWeight(values=head.data))
        self._epsilon: float = decoder.model.config.text_config.rms_norm_eps

    def turns(self, count: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the positions up to ``count``, (count, head size)."""
        weight = self._text.embed_tokens.weight
        positions = torch.arange(count, device=weight.device)
        cos, sin = self._text.rotary_emb(weight[:1], positions[None])
        return cos[0].contiguous(), sin[0].contiguous()

    def __call__(self, tokens: Tensor, cache: StepCache) -> Tensor:
        hidden = functional.embedding(tokens, self._text.embed_tokens.weight)
        own = iter(zip(cache.keys, cache.values, strict=True))
        crossed = iter(cache.pairs)
        parts: Tensor | None = None
        factor: Tensor | None = None
        for layer in self._layers:
            if layer.gates is None:
                normed = self._normed(hidden, parts, factor, layer.norm_weight)
                mixed = self._attend(layer, layer.heads.parts(normed), *next(own), cache)
                factors: tuple[Tensor | None, Tensor | None] = (None, None)
            elif cache.pairs:
                normed = self._normed(hidden, parts, factor, layer.norm_weight)
                mixed = self._attend(layer, layer.heads.parts(normed), *next(crossed), cache)
                factors = layer.gates
            else:
                continue
            outputs = layer.outputs.parts(mixed)
            normed = self._normed(hidden, outputs, factors[0], layer.mlp_norm_weight)
            parts = layer.downwards.parts(layer.gated.parts(normed)[0])
            factor = factors[1]
        logits = self._head.parts(self._normed(hidden, parts, factor, self._text.norm.weight))
        return (logits[0] if len(logits) == 1 else logits.sum(0)).float()

    def _normed(
        self, hidden: Tensor, parts: Tensor | None, factor: Tensor | None, weight: Tensor
    ) -> Tensor:
        """Add ``factor * parts.sum(0)`` to ``hidden``, in place; the norm of the sum."""
        return add_norm(hidden, parts, factor, weight, self._epsilon)

    def _attend(
        self, layer: KernelLayer, parts: Tensor, keys: Tensor, values: Tensor, cache: StepCache
    ) -> Tensor:
        """(rows, heads * size)"""
        crossing = layer.cross is not None
        rows, slots = len(cache.slots), keys.shape[2]
        chunking = choose_chunks(rows * self._key_heads, slots)
        chunks = triton.cdiv(slots, chunking.chunk)
        shared = self._heads // self._key_heads
        place = (rows, self._key_heads, chunks, shared)
        mixed = keys.new_empty((*place, self._size), dtype=torch.float32)
        maxima, sums = (keys.new_empty(place, dtype=torch.float32) for _ in range(2))
        out = keys.new_empty((rows, self._heads * self._size))
        layers.attend[(rows * self._key_heads, chunks)](
            parts,
            keys,
            values,
            *cache.turns,
            cache.lengths,
            cache.begin,
            cache.counts if crossing else cache.slots,
            cache.active.view(torch.uint8),
            layer.cross.q_norm.weight if crossing else layer.norm_weight,
            mixed,
            maxima,
            sums,
            rows,
            keys.stride(1),
            self._epsilon,
            self._size**-0.5,
            SELF=not crossing,
            HEADS=self._heads,
            KEY_HEADS=self._key_heads,
            SIZE=self._size,
            GROUP=max(16, triton.next_power_of_2(shared)),
            SPLITS=len(parts),
            CHUNK=chunking.chunk,
            BLOCK=chunking.block,
            num_warps=chunking.warps,
            num_stages=chunking.stages,
        )
        layers.combine[(rows * self._heads,)](
            mixed,
            maxima,
            sums,
            out,
            chunks,
            HEADS=self._heads,
            KEY_HEADS=self._key_heads,
            SIZE=self._size,
            BLOCK=triton.next_power_of_2(chunks),
            num_warps=4 if chunks > 16 else 1,
        )
        return out
