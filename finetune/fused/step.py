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

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from finetune.fused.attention import ImagePlaces
from finetune.fused.elementwise import Kernels
from finetune.fused.image_features import Found, ImageFeatures
from finetune.fused.layers import CrossLayer, SelfLayer, TextBatch, TextLayer, run
from finetune.fused.linear import JointLinear, Scratch, fits
from finetune.fused.loss import Head, answer_cross_entropy
from generator.mllama.adapter_record import TileUse

_IGNORED = -100
_SPARE = 0.06
"""Share of the memory left to the allocator."""


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
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        """``model`` is an ``MllamaForConditionalGeneration`` with LoRA of peft on its layers.

        ``vision`` says whether the vision encoder is trained; ``memory`` is how many bytes of a
        GPU may be in use, by default what is free. Raises ValueError for layers that it does not
        know.
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
        self._head = Head(text.norm, JointLinear([model.lm_head], scratch, "large", dtype))
        self._features = ImageFeatures(
            model,
            tiles=tiles,
            trained=vision,
            checkpointing=checkpointing,
            autocast=autocast,
        )
        self._checkpointing, self._memory = checkpointing, memory

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean cross-entropy over the labelled tokens of a batch of `Collator`."""
        ids, labels = batch["input_ids"], batch["labels"]
        found = self._features(batch) if "pixel_values" in batch else None
        self._cast()
        hidden = self._run(ids, found)
        aims = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=_IGNORED).flatten()
        places = (aims != _IGNORED).nonzero()[:, 0]
        return answer_cross_entropy(hidden, places, aims[places], self._head)

    @torch.no_grad()
    def _cast(self) -> None:
        """LoRA in the precision of the computation, for both passes."""
        pairs = [pair for linear in self._linears for pair in linear.casts()]
        if pairs:
            torch._foreach_copy_([to for to, _ in pairs], [given for _, given in pairs])
        for linear in self._linears:
            linear.scale()

    def _run(self, ids: Tensor, found: Found | None) -> Tensor:
        """Hidden states after the last layer, (rows * tokens, width)."""
        rows, tokens = ids.shape
        embedded = self._text.embed_tokens(ids)
        positions = torch.arange(tokens, device=ids.device)[None]
        cos, sin = self._text.rotary_emb(embedded, positions)
        places = None
        if found is not None:
            starts = (ids == self._image_token).int().argmax(dim=1).tolist()
            places = ImagePlaces(
                image_at=starts,
                patches=found.patches,
                before="none" if self._tiles == "real" else "all",
            )
        batch = TextBatch(
            rows=rows, cos=cos[:, :, None].to(self._dtype), sin=sin[:, :, None].to(self._dtype),
            places=places,
        )  # fmt: skip
        hidden: Tensor = embedded.flatten(0, 1).to(self._dtype)
        image = None if found is None else found.states.to(self._dtype)
        used = [x for x in self.layers if image is not None or not isinstance(x, CrossLayer)]
        patches = 0 if image is None else image.shape[0] * image.shape[1]
        keeping = self._keeping(used, rows * tokens, patches)
        for number, layer in enumerate(used):
            # the last layers: what they keep is released first
            hidden = run(layer, batch, hidden, image, keeps=number >= len(used) - keeping)
        return hidden

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


def unfit(model: Any) -> str | None:
    """Why the text model of ``model`` cannot run so, in words for a person; None if it can."""
    for name, module in model.model.language_model.named_modules():
        if name.endswith("_proj") and not fits(module):
            kind = type(getattr(module, "base_layer", module)).__name__
            return f"its layer {name} ({kind}) is no plain or 4-bit layer with plain LoRA"
    return None
