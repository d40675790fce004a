"""The loss of a batch, through layers whose both passes are written out.

step = FusedStep(model, tiles="real", vision=False, dtype=torch.bfloat16, ...)
loss = step.loss(batch)                     # mean over the answers' tokens; loss.backward()

It is the function that `finetune.adapter.backends.answer_loss` computes through transformers and
peft, up to rounding. What makes it faster: LoRA is cast once per forward pass, layers that share an
input are multiplied together, weights in 4 bits are dequantized once forward and once backward into
buffers, the rest of a layer runs in compiled kernels, the backward pass repeats only what memory
does not hold, image features are computed for the tiles in use and kept, and logits exist for
answers alone.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from finetune.fused.attention import ImagePlaces
from finetune.fused.elementwise import Kernels
from finetune.fused.image_features import Found, ImageFeatures
from finetune.fused.layers import CrossLayer, SelfLayer, TextBatch, TextLayer, run
from finetune.fused.linear import JointLinear, Scratch, fits
from finetune.fused.loss import (
    Answers,
    OutputHead,
    answer_cross_entropy,
    cross_entropy,
    hidden_gradient,
)
from finetune.fused.recorded import RecordedPasses
from generator.mllama.adapter_record import TileUse

_IGNORED = -100
_SPARE = 0.06
"""Share of the memory left to the allocator."""
_BUCKET = 64
"""Tokens, and answer tokens, that recorded passes are padded to a multiple of."""


@dataclass(frozen=True, kw_only=True)
class FusedBatch:
    """A batch as the text model takes it."""

    batch: TextBatch
    hidden: Tensor
    """Embedded tokens, (rows * tokens, width)."""
    image: Tensor | None  # (rows, patches, width)
    answers: Answers
    layers: Sequence[TextLayer]
    keeping: int
    """How many of the last layers keep the products of gate and up."""

    def keeps(self, number: int) -> bool:
        # what the last layers keep is released first
        return number >= len(self.layers) - self.keeping

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [weight for layer in self.layers for weight in layer.parameters]


class FusedStep:
    """Shares the weights of ``model``, which stays as it is but for joined plain weights."""

    def __init__(
        self,
        model: Any,
        *,
        tiles: TileUse,
        vision: bool,
        dtype: torch.dtype,
        compiled: bool,
        checkpointing: bool,
        memory: float | None,
        graphs: bool,
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        """``model`` is an ``MllamaForConditionalGeneration`` with LoRA of peft on its layers.

        ``vision`` says whether the vision encoder is trained; ``memory`` is how many bytes of a
        GPU may be in use, by default what is free; ``graphs`` replays passes of one shape as a
        CUDA graph. Raises ValueError for layers that it does not know.
        """
        text = model.model.language_model
        if text.config.hidden_act != "silu":
            raise ValueError(f"a feed-forward part with {text.config.hidden_act} is not known")
        self._text, self._dtype, self._tiles = text, dtype, tiles
        self._image_token = int(model.config.image_token_index)
        self._scratch = scratch = Scratch()
        kernels = Kernels(compiled=compiled)
        self.layers: list[TextLayer] = [
            (CrossLayer if hasattr(layer, "cross_attn") else SelfLayer)(
                layer, scratch, kernels, dtype
            )
            for layer in text.layers
        ]
        self._linears: list[JointLinear] = [one for layer in self.layers for one in layer.linears]
        self._head = OutputHead(text.norm, JointLinear([model.lm_head], scratch, "large", dtype))
        self._recorded = RecordedPasses() if graphs else None
        self._features = ImageFeatures(
            model,
            tiles=tiles,
            trained=vision,
            checkpointing=checkpointing,
            autocast=autocast,
            passes=self._recorded,
        )
        self._checkpointing, self._memory = checkpointing, memory

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean cross-entropy over the labelled tokens of a batch of `Collator`."""
        found = self._features(batch) if "pixel_values" in batch else None
        self._scratch.forget()
        work = self._work(batch["input_ids"], batch["labels"], found)
        if not torch.is_grad_enabled():
            self._cast()
            with self._passing(work.hidden.device):
                hidden = self._forward(work)
                value = cross_entropy(hidden, work.answers, self._head, gradient=False)[0]
            return value.clone()
        trains_image = work.image is not None and work.image.requires_grad
        if trains_image or self._dtype == torch.float16:
            # gradients of an image go on through its encoder; float16 wants them scaled throughout
            self._cast()
            return answer_cross_entropy(self._forward(work), work.answers, self._head)
        apply: Any = _BothPasses.apply
        loss: Tensor = apply(self, work, *work.parameters)
        return loss

    def _passing(self, device: torch.device) -> AbstractContextManager[None]:
        """Memory for what is needed until the passes of a batch are done."""
        return nullcontext() if self._recorded is None else self._recorded.memory(device)

    @torch.no_grad()
    def _cast(self) -> None:
        """LoRA in the precision of the computation, for both passes."""
        pairs = [pair for linear in self._linears for pair in linear.casts()]
        alike = [pair for pair in pairs if pair[0].stride() == pair[1].stride()]
        if alike:
            torch._foreach_copy_([to for to, _ in alike], [given for _, given in alike])
        for to, given in pairs:
            if to.stride() != given.stride():
                to.copy_(given)
        for linear in self._linears:
            linear.scale()

    def _work(self, ids: Tensor, labels: Tensor, found: Found | None) -> FusedBatch:
        rows = len(ids)
        aims = pad(labels[:, 1:], (0, 1), value=_IGNORED)
        starts = None
        if found is not None:
            starts = (ids == self._image_token).int().argmax(dim=1).tolist()
        if self._recorded is not None:
            more = -ids.shape[1] % _BUCKET
            ids, aims = pad(ids, (0, more)), pad(aims, (0, more), value=_IGNORED)
        flat = aims.flatten()
        places = (flat != _IGNORED).nonzero()[:, 0]
        shares = torch.full(places.shape, 1 / max(1, len(places)), device=ids.device)
        if self._recorded is not None:
            more = -len(places) % _BUCKET
            places, shares = pad(places, (0, more)), pad(shares, (0, more))
        embedded = self._text.embed_tokens(ids)
        cos, sin = self._text.rotary_emb(
            embedded, torch.arange(ids.shape[1], device=ids.device)[None]
        )
        image = None if found is None else found.states.to(self._dtype)
        layers = [x for x in self.layers if image is not None or not isinstance(x, CrossLayer)]
        patches = 0 if image is None else image.shape[0] * image.shape[1]
        return FusedBatch(
            batch=TextBatch(
                rows=rows,
                cos=cos[:, :, None].to(self._dtype),
                sin=sin[:, :, None].to(self._dtype),
                places=None
                if found is None or starts is None
                else ImagePlaces(
                    image_at=starts,
                    patches=found.patches,
                    before="none" if self._tiles == "real" else "all",
                ),
            ),
            hidden=embedded.flatten(0, 1).to(self._dtype),
            image=image,
            answers=Answers(places=places, aims=flat[places].clamp(min=0), shares=shares),
            layers=layers,
            keeping=self._keeping(layers, ids.numel(), patches),
        )

    def _forward(self, work: FusedBatch) -> Tensor:
        """Hidden states after the last layer, (rows * tokens, width), for autograd."""
        hidden = work.hidden
        for number, layer in enumerate(work.layers):
            hidden = run(layer, work.batch, hidden, work.image, keeps=work.keeps(number))
        return hidden

    def both_passes(self, work: FusedBatch) -> tuple[Tensor, list[Tensor]]:
        """The loss, and its gradients of ``work.parameters``, in the computation's precision."""
        if self._recorded is None:
            return self._both_passes(work)
        return self._recorded(work, self._both_passes, self._scratch.forget)

    @torch.no_grad()
    def _both_passes(self, work: FusedBatch) -> tuple[Tensor, list[Tensor]]:
        self._cast()
        hidden, image, batch = work.hidden, work.image, work.batch
        kept: list[tuple[Tensor, list[Tensor | None]]] = []
        for number, layer in enumerate(work.layers):
            after, more = layer.forward(batch, hidden, image, keeps=work.keeps(number))
            kept.append((hidden, more))
            hidden = after
        loss, found = cross_entropy(hidden, work.answers, self._head, gradient=True)
        assert found is not None
        dhidden: Tensor | None = hidden_gradient(hidden, work.answers, self._head, found, 1.0)
        del hidden, after, found
        gradients: list[list[Tensor]] = []
        for number, layer in reversed(list(enumerate(work.layers))):
            before, more = kept.pop()
            assert dhidden is not None
            dhidden, _, mine = layer.backward(
                batch, before, image, more, dhidden, needs=(number > 0, False)
            )
            gradients.append(mine)
        return loss, [gradient for mine in reversed(gradients) for gradient in mine]

    def _keeping(self, layers: list[TextLayer], tokens: int, patches: int) -> int:
        """How many layers keep the products of gate and up, within the memory."""
        if not self._checkpointing:
            return len(layers)
        device = self._text.embed_tokens.weight.device
        if device.type != "cuda" or not torch.is_grad_enabled():
            return 0
        limit = self._memory
        held = torch.cuda.memory_allocated(device)
        if limit is None:
            free, _ = torch.cuda.mem_get_info(device)
            limit = float(free + torch.cuda.memory_reserved(device))
        size = self._dtype.itemsize
        always = sum(
            tokens * (2 * layer.down.outputs + layer.linears[0].outputs)
            + (patches * layer.pairs.outputs if isinstance(layer, CrossLayer) else 0)
            for layer in layers
        )
        wide = max(layer.gate_up.outputs for layer in layers)
        # activations of one layer, its buffers for weights, and gradients of the adapter
        buffers = size * 3 * wide * layers[0].gate_up.inputs // 2
        working = size * tokens * 3 * wide + max(0, buffers - self._scratch.nbytes)
        adapter = 4 * sum(w.numel() for linear in self._linears for w in linear.parameters)
        left = limit * (1 - _SPARE) - held - adapter - size * always - working
        return max(0, min(len(layers), int(left // (size * tokens * wide))))


class _BothPasses(torch.autograd.Function):
    """The forward pass computes the gradients too, which spares autograd's own work."""

    @staticmethod
    def forward(ctx: Any, step: FusedStep, work: FusedBatch, *weights: Tensor) -> Tensor:
        loss, ctx.gradients = step.both_passes(work)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:
        found: list[Tensor] = ctx.gradients
        ctx.gradients = None
        scaled = [
            torch.empty_like(one, dtype=torch.float32, memory_format=torch.contiguous_format)
            for one in found
        ]
        whole = [number for number, one in enumerate(found) if one.is_contiguous()]
        torch._foreach_copy_([scaled[n] for n in whole], [found[n] for n in whole])
        for to, one in zip(scaled, found, strict=True):
            if not one.is_contiguous():
                to.copy_(one)
        torch._foreach_mul_(scaled, given[0])
        return None, None, *scaled


def unfit(model: Any) -> str | None:
    """Why the text model of ``model`` cannot run so, in words for a person; None if it can."""
    for name, module in model.model.language_model.named_modules():
        if name.endswith("_proj") and not fits(module):
            kind = type(getattr(module, "base_layer", module)).__name__
            return f"its layer {name} ({kind}) is no plain or 4-bit layer with plain LoRA"
    return None
