"""Linear layers that share an input, frozen, with their LoRA, as few matrix products as possible.

joint = JointLinear([mlp.gate_proj, mlp.up_proj], scratch, "large", torch.bfloat16)
outputs, inner = joint.forward(inputs)                  # (tokens, gate and up), (tokens, ranks)
dinputs, gradients = joint.backward(inputs, inner, doutputs)

The weights W of all layers stand below each other, A of all of their LoRA too, and B is a matrix of
blocks: then outputs = inputs W' + (inputs A') B' for all layers at once. W in 4 bits is dequantized
into a buffer that all layers of the model share, so a product with it runs before the next one.
LoRA is added to outputs that are rounded already, as peft adds it: one product [inputs, inputs A']
[W, B]' would take a tenth less time and round once, but in bfloat16 peft's own rounding takes away
most of what LoRA adds in a first step, and losses would fall faster than those of peft.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn, split_with_sizes

from generator.mllama.kernels.weights import Nf4Weight

_ADAPTER = "default"
"""The name peft gives an adapter."""


class Scratch:
    """Buffers by name, each as large as the largest matrix asked for so far."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}
        self._owners: dict[str, object] = {}

    def take(
        self, name: str, owner: object, shape: tuple[int, int], like: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, bool]:
        """A matrix on the device of ``like``, and whether it still holds what ``owner`` wrote; the
        next owner of this name replaces it."""
        count = shape[0] * shape[1]
        held = self._kept.get(name)
        if held is None or held.numel() < count:
            self._kept.pop(name, None)
            held = self._kept[name] = torch.empty(count, dtype=dtype, device=like.device)
            self._owners.pop(name, None)
        written = self._owners.get(name) is owner
        self._owners[name] = owner
        return held[:count].view(shape), written

    def forget(self) -> None:
        """Let every owner write again."""
        self._owners.clear()

    @property
    def nbytes(self) -> int:
        return sum(buffer.nbytes for buffer in self._kept.values())


class JointLinear:
    """Frozen linear layers without bias, plain or in 4 bits, each with LoRA of peft or without."""

    def __init__(
        self, layers: Sequence[Any], scratch: Scratch, buffer: str, dtype: torch.dtype
    ) -> None:
        """``buffer`` names the scratch that 4-bit weights are dequantized into. Raises ValueError
        for layers that `fits` does not take."""
        if not all(fits(layer) for layer in layers):
            raise ValueError(f"no {[type(layer).__name__ for layer in layers]} can be joined")
        self._scratch, self._buffer, self._dtype = scratch, buffer, dtype
        self._bases = [getattr(layer, "base_layer", layer) for layer in layers]
        self.sizes = [int(base.out_features) for base in self._bases]
        self.inputs = int(self._bases[0].in_features)
        self.outputs = sum(self.sizes)
        self._dense = self._joined()
        self._stored: list[Nf4Weight] = []
        self._pairs: list[tuple[nn.Parameter, nn.Parameter]] = []
        self._places: list[tuple[slice, slice]] = []
        """Of each pair: rows of ``outputs``, and of all ranks."""
        scales: set[float] = set()
        row = rank = 0
        for layer, size in zip(layers, self.sizes, strict=True):
            if hasattr(layer, "lora_A"):
                a, b = layer.lora_A[_ADAPTER].weight, layer.lora_B[_ADAPTER].weight
                self._pairs.append((a, b))
                self._places.append((slice(row, row + size), slice(rank, rank + len(a))))
                scales.add(float(layer.scaling[_ADAPTER]))
                rank += len(a)
            row += size
        if len(scales) > 1:
            raise ValueError("LoRA of joined layers has more than one scale")
        self._scale = scales.pop() if scales else 1.0
        device = self._bases[0].weight.device
        self._a = torch.zeros(rank, self.inputs, dtype=dtype, device=device)
        self._b = torch.zeros(self.outputs, rank, dtype=dtype, device=device)
        if self._dense is None and device.type == "cuda":
            self._stored = _stored(self._bases)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """A and B of each layer that has LoRA, in the order of the gradients of `backward`."""
        return [weight for pair in self._pairs for weight in pair]

    def casts(self) -> list[tuple[Tensor, Tensor]]:
        """Where the weights of LoRA are to be copied to before a forward pass, and these."""
        found = []
        for (a, b), (rows, ranks) in zip(self._pairs, self._places, strict=True):
            found += [(self._a[ranks], a.detach()), (self._b[rows, ranks], b.detach())]
        return found

    def scale(self) -> None:
        """After the copy: B times the scale of LoRA."""
        if self._scale != 1:
            self._b.mul_(self._scale)

    def weight(self) -> Tensor:
        """(outputs, inputs), until another of the same buffer is asked for."""
        if self._dense is not None:
            return self._dense
        like = self._bases[0].weight
        shape = (self.outputs, self.inputs)
        buffer, written = self._scratch.take(self._buffer, self, shape, like, self._dtype)
        if not written:  # frozen weights: what is there is right
            self._write(buffer)
        return buffer

    def _write(self, weight: Tensor) -> None:
        if self._stored:
            from generator.mllama.kernels.products import dequantize_into

            for stored, part in zip(
                self._stored, split_with_sizes(weight, self.sizes), strict=True
            ):
                dequantize_into(stored, part)
            return
        for base, part in zip(self._bases, split_with_sizes(weight, self.sizes), strict=True):
            if type(base) is nn.Linear:
                part.copy_(base.weight)
            else:
                from bitsandbytes.functional import dequantize_4bit

                stored = base.weight
                part.copy_(dequantize_4bit(stored.data, stored.quant_state).view_as(part))

    def forward(
        self, inputs: Tensor, residual: Tensor | None = None, factor: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """(tokens, outputs), times ``factor`` plus ``residual``, from (tokens, inputs), and
        (tokens, ranks) for `backward`.
        """
        inner = inputs @ self._a.t()
        outputs = inputs @ self.weight().t()
        if inner.shape[1]:
            outputs.addmm_(inner, self._b.t())
        if residual is not None:
            # last: in bfloat16 the little that LoRA adds would be rounded away beside the residual
            outputs = torch.add(residual, outputs, alpha=factor)
        return outputs, inner

    def backward(
        self,
        inputs: Tensor,
        inner: Tensor,
        doutputs: Tensor,
        *,
        needs_inputs: bool = True,
    ) -> tuple[Tensor | None, list[Tensor]]:
        """Gradients of ``inputs`` and of `parameters`, in the precision of the computation."""
        dinputs, dinner = self.backward_inputs(doutputs, needs_inputs=needs_inputs)
        return dinputs, self.backward_weights(inputs, inner, doutputs, dinner)

    def backward_inputs(
        self, doutputs: Tensor, *, needs_inputs: bool = True
    ) -> tuple[Tensor | None, Tensor]:
        """Gradients of the inputs, and of the inner values of LoRA for `backward_weights`."""
        dinner = doutputs @ self._b
        if not needs_inputs:
            return None, dinner
        dinputs = doutputs @ self.weight()
        if dinner.shape[1]:
            dinputs.addmm_(dinner, self._a)
        return dinputs, dinner

    def backward_weights(
        self, inputs: Tensor, inner: Tensor, doutputs: Tensor, dinner: Tensor
    ) -> list[Tensor]:
        """Gradients of `parameters`."""
        if not self._pairs:
            return []
        da = dinner.t() @ inputs
        db = doutputs.t() @ inner
        if self._scale != 1:
            db = db * self._scale
        return [part for rows, ranks in self._places for part in (da[ranks], db[rows, ranks])]

    def _joined(self) -> Tensor | None:
        """One matrix of plain weights, of which the layers' own become parts; None in 4 bits and in
        another precision."""
        if any(type(b) is not nn.Linear or b.weight.dtype != self._dtype for b in self._bases):
            return None
        weights = [base.weight for base in self._bases]
        if len(weights) == 1:
            alone: Tensor = weights[0].detach()
            return alone
        joined = torch.cat([weight.detach() for weight in weights])
        for base, part in zip(self._bases, split_with_sizes(joined, self.sizes), strict=True):
            base.weight = nn.Parameter(part, requires_grad=False)
        return joined


def _stored(bases: Sequence[Any]) -> list[Nf4Weight]:
    """The NF4 weights of all layers, whose bytes they share; none where the kernel does not read
    them all."""
    if find_spec("triton") is None or any(type(base) is nn.Linear for base in bases):
        return []
    found = [Nf4Weight.of(base) for base in bases]
    weights = [weight for weight in found if weight is not None]
    return weights if len(weights) == len(bases) else []


def fits(layer: Any) -> bool:
    """Whether a layer, with LoRA or without, can be joined: plain or in 4 bits, without bias,
    dropout or the magnitudes of DoRA."""
    base = getattr(layer, "base_layer", layer)
    if type(base) is not nn.Linear and type(base).__name__ != "Linear4bit":
        return False
    if base.bias is not None:
        return False
    if not hasattr(layer, "lora_A"):
        return base is layer
    plain = type(layer.lora_dropout[_ADAPTER]) is nn.Identity and not layer.lora_magnitude_vector
    return plain and list(layer.lora_A) == [_ADAPTER]
