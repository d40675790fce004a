"""Prefill and step-by-step decoding of an Mllama model, in place of ``generate`` of transformers.

decoder = Decoder(model)                                # an MllamaForConditionalGeneration
image = decoder.encode_image(pixels)                    # vision encoder and cross-attention keys
state, logits = decoder.prefill(rows, image, room=80)   # prompts of different lengths
logits = decoder.decode_step(state, tokens)             # one more token per row
logits = decoder.tree_logits(tree, image, nodes)        # many continuations of one prefix at once

Keys and values are allocated once; a step writes one slot of them, and on a GPU it is recorded as a
CUDA graph. Prompts are padded on the right: a row of n tokens fills the slots 0..n-1, the next free
slot of all rows is the one after the longest prompt, and a row's padding is masked in every later
step. In float32 greedy text equals that of transformers.

With ``tiles="all"``, as in transformers, tokens before the image attend to all tiles, padding tiles
included, and only their feed-forward part is zeroed. With ``"real"``, as in the reference
implementation, they get nothing from cross-attention, and there are no padding tiles.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from generator.mllama.adapter_record import TileUse
from generator.mllama.decoding.key_value_cache import DecoderState, attend, put
from generator.mllama.decoding.layer import Layer, MakeLinear
from generator.mllama.decoding.step_cache import Step, StepCache
from generator.mllama.decoding.token_tree import TokenTree
from generator.mllama.kernels.available import decoding_step, kernel_layers
from generator.mllama.vision.encoder import EncodedImage, ImageEncoder, Pixels
from indexer.encoder.cuda_graph import RecordedCall


class Decoder:
    """Runs the text model of ``model``, whose weights it shares and which must not change."""

    def __init__(
        self,
        model: Any,
        linear: MakeLinear | None = None,
        *,
        records: bool | None = None,
        tiles: TileUse = "all",
        kernels: bool = False,
    ) -> None:
        """``model`` is an MllamaForConditionalGeneration; ``linear`` builds a faster layer from a
        weight, in place of the model's own. ``records`` says whether steps are recorded as a CUDA
        graph; None records on a GPU unless a layer multiplies in 8 bits, where bitsandbytes waits
        for the GPU. ``kernels`` says whether those of `generator.mllama.kernels` compute what they
        can, on a GPU.
        """
        self.model = model
        self.text = model.model.language_model
        text = model.config.text_config
        self.heads: int = text.num_attention_heads
        self.key_heads: int = text.num_key_value_heads
        self.head_size: int = text.hidden_size // text.num_attention_heads
        self.image_token: int = self.model.config.image_token_index
        self.device: torch.device = self.text.embed_tokens.weight.device
        waits = any(type(module).__name__ == "Linear8bitLt" for module in model.modules())
        self.records = self.device.type == "cuda" and not waits if records is None else records
        found = kernel_layers(model) if kernels and linear is None else None
        if found is None:
            with ThreadPoolExecutor(max_workers=4) as pool:  # packing weights leaves Python's lock
                found = list(pool.map(partial(Layer.of, linear=linear), self.text.layers))
        self.layers = found
        self.head: nn.Module = linear(self.model.lm_head.weight) if linear else self.model.lm_head
        self.step: Step | None = decoding_step(self)
        """A step by kernels; None where these do not compute the layers."""
        crossing = [layer.cross for layer in self.layers if layer.cross is not None]
        self._images = ImageEncoder(
            model, crossing, head_size=self.head_size, tiles=tiles, records=self.records
        )

    def encode_image(self, pixels: Pixels) -> EncodedImage:
        """Encode one image per row for the cross-attention layers."""
        return self._images.encode(pixels)

    @torch.inference_mode()
    def prefill(
        self, rows: Sequence[Sequence[int]], image: EncodedImage | None, room: int
    ) -> tuple[DecoderState, Tensor]:
        """Run the prompts; return the cache and the next-token logits, (rows, vocabulary) float32.

        ``room`` is how many tokens `decode_step` may append. All rows have an image or none has.
        """
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        longest = max(map(len, rows))
        if self.step is not None and image is not None:
            image = image.contiguous()
        ids = torch.full((len(rows), longest), rows[0][0], device=self.device)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row, device=self.device)
        slots = torch.arange(longest + room, device=self.device)
        filled = (slots < lengths[:, None]) | (slots >= longest)
        state = self._state(len(rows), longest + room, image)
        state.lengths, state.longest = lengths, longest
        state.filled = None if min(map(len, rows)) == longest else filled
        state.turns = None if self.step is None else self.step.turns(longest + room)
        positions = slots[:longest].expand(len(rows), -1)
        hidden = self._run(state, ids, positions, included=(ids == self.image_token).cumsum(1) > 0)
        last = hidden[torch.arange(len(rows), device=self.device), lengths - 1]
        return state, self._logits(last)

    @torch.inference_mode()
    def decode_step(self, state: DecoderState, tokens: Tensor) -> Tensor:
        """Append one token per row, (rows,); return the next logits, (rows, vocabulary)."""
        if self.records:
            slot = torch.full((1,), state.used, device=self.device)  # which waits for no other step
            if state.recorded is None:
                run = partial(self._step_at, replace(state))  # of no cycle, which would keep caches
                state.recorded = RecordedCall(run, [tokens, slot], what="decoding")
            logits = state.recorded(tokens, slot)
            state.used += 1
            return logits
        positions = state.lengths + (state.used - state.longest)
        mask = None
        if state.filled is not None:
            mask = state.filled[:, None, None, : state.used + 1]
        hidden = self._run(state, tokens[:, None], positions[:, None], mask=mask)
        return self._logits(hidden[:, 0])

    def _step_at(self, state: DecoderState, tokens: Tensor, slot: Tensor) -> Tensor:
        """`decode_step` with the slot (1,) in a tensor, so that no shape changes between steps."""
        if self.step is not None and state.turns is not None:
            return self.step(
                tokens,
                StepCache(
                    keys=state.keys,
                    values=state.values,
                    pairs=state.image.pairs if state.image else [],
                    counts=state.image.counts if state.image else state.lengths,
                    lengths=state.lengths,
                    begin=torch.full_like(slot, state.longest),
                    slots=slot.repeat(len(tokens)),
                    active=torch.ones_like(tokens, dtype=torch.bool),
                    turns=state.turns,
                ),
            )
        slots = torch.arange(state.keys[0].shape[2], device=self.device)
        open_slots = (
            (slots <= slot)[None] if state.filled is None else state.filled & (slots <= slot)
        )
        hidden = self._run(
            state,
            tokens[:, None],
            (state.lengths + (slot - state.longest))[:, None],
            mask=open_slots[:, None, None],
            slot=slot,
        )
        return self._logits(hidden[:, 0])

    @torch.inference_mode()
    def tree_logits(self, tree: TokenTree, image: EncodedImage | None, nodes: Tensor) -> Tensor:
        """Next-token logits after each of ``nodes``, (nodes, vocabulary) float32."""
        tokens, above = tree.tokens.to(self.device), tree.above.to(self.device)
        hidden = self._run(
            self._state(1, len(tokens), image),
            tokens[None],
            tree.depths[None].to(self.device),
            mask=above[None, None],
            included=(above & (tokens == self.image_token)).any(1)[None],
        )
        return self._logits(hidden[0, nodes.to(self.device)])

    def _state(self, rows: int, slots: int, image: EncodedImage | None) -> DecoderState:
        shape = (rows, self.key_heads, slots, self.head_size)
        kind = {"device": self.device, "dtype": self.text.embed_tokens.weight.dtype}
        own = [layer for layer in self.layers if layer.cross is None]
        return DecoderState(
            keys=[torch.zeros(shape, **kind) for _ in own],
            values=[torch.zeros(shape, **kind) for _ in own],
            lengths=torch.zeros(rows, dtype=torch.long, device=self.device),
            longest=0,
            used=0,
            filled=None,
            image=image,
        )

    def _run(
        self,
        state: DecoderState,
        ids: Tensor,
        positions: Tensor,
        *,
        mask: Tensor | None = None,
        included: Tensor | None = None,
        slot: Tensor | None = None,
    ) -> Tensor:
        """Hidden states of new tokens (rows, tokens). Their keys are appended to the state, or
        written into ``slot`` (1,), in which case the state's own count stays as it is.

        ``mask`` (rows, 1, tokens, slots up to and including the new ones) says what a token attends
        to; None means all tokens before it. ``included`` (rows, tokens) is False for tokens before
        the image.
        """
        start = state.used
        hidden = self.text.embed_tokens(ids)
        cos, sin = (part[:, None] for part in self.text.rotary_emb(hidden, positions))
        image = state.image
        image_mask = (
            image.tile_mask[:, None, None, :]
            if image is not None and image.tile_mask is not None
            else None
        )
        if image_mask is not None and included is not None:  # no row without anything to attend to
            image_mask = image_mask | ~included[:, None, :, None]
        hides = image is not None and image.hidden_before and included is not None
        own, crossed = (
            zip(state.keys, state.values, strict=True),
            iter(image.pairs if image else ()),
        )
        for layer in self.layers:
            if layer.cross is None:
                keys, values = next(own)
                query, key, value = layer.rotated(layer.norm(hidden), cos, sin, self._split)
                keys = put(keys, key, start, slot)
                values = put(values, value, start, slot)
                mixed = attend(query, keys, values, mask, causal=True)
                hidden = hidden + layer.output(mixed)
                hidden = hidden + layer.feed_forward(hidden)
            elif image is not None and layer.gates is not None:
                keys, values = next(crossed)
                (query,) = layer.project(layer.norm(hidden))
                query = layer.cross.q_norm(self._split(query))
                mixed = attend(query, keys, values, image_mask, causal=False)
                if hides and included is not None:
                    mixed = mixed * included[:, :, None]
                hidden = hidden + layer.gates[0] * layer.output(mixed)
                forward = layer.feed_forward(hidden)
                if included is not None:
                    forward = forward * included[:, :, None]
                hidden = hidden + layer.gates[1] * forward
        if slot is None:
            state.used += ids.shape[1]
        normed: Tensor = self.text.norm(hidden)
        return normed

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(hidden)
        return logits.float()

    def _split(self, projected: Tensor) -> Tensor:
        """(rows, tokens, heads * head size) -> (rows, heads, tokens, head size)"""
        rows, tokens, _ = projected.shape
        return projected.view(rows, tokens, -1, self.head_size).transpose(1, 2)
