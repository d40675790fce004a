"""Decoding over the modules of an Mllama model, in place of ``generate`` of transformers.

decoder = Decoder(model)                            # an MllamaForConditionalGeneration
film = decoder.see(pixels)                          # vision tower and cross-attention keys, once
state, logits = decoder.read(rows, film, room=80)   # prompts of different lengths
logits = decoder.step(state, tokens)                # one more token a row
logits = decoder.score(tree, film, nodes)           # many continuations of one prefix, in one pass

Keys and values lie in tensors that are allocated once; a step writes one slot of them. Prompts are
padded on the right: a row of n tokens fills the slots 0..n-1, the next free slot of all rows is
that behind the longest prompt, and a row's padding is masked in every later step. In float32 greedy
text equals that of transformers.

What is kept from transformers although it looks odd: tokens before the image attend to all tiles,
padding tiles too, and only their feed-forward part is silenced.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.token_tree import TokenTree

Projection = Callable[[Tensor], Sequence[Tensor]]
"""Several linear layers on one input."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Images as the processor of an Mllama model returns them, one a row."""

    values: Tensor  # (rows, 1, tiles, channels, side, side)
    aspect_ratio_ids: Tensor  # (rows, 1)
    aspect_ratio_mask: Tensor  # (rows, 1, tiles), 1 where a tile holds a part of the image


@dataclass(frozen=True, kw_only=True)
class Film:
    """What the cross-attention layers attend to."""

    pairs: list[tuple[Tensor, Tensor]]
    """Keys and values of each cross-attention layer, (rows, key heads, tiles * patches, size)."""
    seen: Tensor | None  # (rows, tiles * patches), False for padding tiles; None: there are none


@dataclass(kw_only=True)
class State:
    """Rows that are being decoded."""

    keys: list[Tensor]  # a self-attention layer: (rows, key heads, slots, head size)
    values: list[Tensor]
    lengths: Tensor  # (rows,) tokens of each prompt
    longest: int
    used: int
    """Slots that hold a token or padding; the next token goes here."""
    filled: Tensor | None  # (rows, slots), False for padding; None where all lengths are equal
    film: Film | None


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """A decoder layer; of a cross-attention layer ``project`` gives the queries alone."""

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


class Decoder:
    """Owns no weights: it reads those of ``model``, which must stay as it is meanwhile."""

    def __init__(
        self,
        model: Any,
        linear: Callable[[Tensor], nn.Module] | None = None,
    ) -> None:
        """``model`` is an MllamaForConditionalGeneration; ``linear`` makes of a weight a faster
        layer, to be used for the model's own.
        """
        self.model = model
        self.text = model.model.language_model
        text = model.config.text_config
        self.heads: int = text.num_attention_heads
        self.key_heads: int = text.num_key_value_heads
        self.head_size: int = text.hidden_size // text.num_attention_heads
        self.image_token: int = self.model.config.image_token_index
        self.device: torch.device = self.text.embed_tokens.weight.device
        self.layers = [_layer(layer, linear) for layer in self.text.layers]
        self.head: nn.Module = linear(self.model.lm_head.weight) if linear else self.model.lm_head

    @torch.inference_mode()
    def see(self, pixels: Pixels) -> Film:
        model = self.model.model
        states = model.vision_model(
            pixel_values=pixels.values.to(self.device),
            aspect_ratio_ids=pixels.aspect_ratio_ids.to(self.device),
            aspect_ratio_mask=pixels.aspect_ratio_mask.to(self.device),
        ).last_hidden_state  # (rows, 1, tiles, patches, size)
        rows, _, tiles, patches, _ = states.shape
        states = model.multi_modal_projector(states).reshape(rows, tiles * patches, -1)
        crossing = [layer.cross for layer in self.layers if layer.cross is not None]
        seen = pixels.aspect_ratio_mask.to(self.device).bool().reshape(rows, tiles)
        return Film(
            pairs=[
                (cross.k_norm(self._split(cross.k_proj(states))), self._split(cross.v_proj(states)))
                for cross in crossing
            ],
            seen=None if seen.all() else seen.repeat_interleave(patches, dim=1),
        )

    @torch.inference_mode()
    def read(
        self, rows: Sequence[Sequence[int]], film: Film | None, room: int
    ) -> tuple[State, Tensor]:
        """Runs the prompts; the logits of what follows each, (rows, vocabulary), float32.

        ``room`` is how many tokens may follow by `step`. All rows have an image or none has.
        """
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), rows[0][0], device=self.device)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row, device=self.device)
        slots = torch.arange(longest + room, device=self.device)
        filled = (slots < lengths[:, None]) | (slots >= longest)
        state = self._state(len(rows), longest + room, film)
        state.lengths, state.longest = lengths, longest
        state.filled = None if min(map(len, rows)) == longest else filled
        positions = slots[:longest].expand(len(rows), -1)
        hidden = self._run(state, ids, positions, heard=(ids == self.image_token).cumsum(1) > 0)
        last = hidden[torch.arange(len(rows), device=self.device), lengths - 1]
        return state, self._logits(last)

    @torch.inference_mode()
    def step(self, state: State, tokens: Tensor) -> Tensor:
        """Appends one token to each row, (rows,); the logits of the next, (rows, vocabulary)."""
        positions = state.lengths + (state.used - state.longest)
        mask = None
        if state.filled is not None:
            mask = state.filled[:, None, None, : state.used + 1]
        hidden = self._run(state, tokens[:, None], positions[:, None], mask=mask)
        return self._logits(hidden[:, 0])

    def keep(self, state: State, rows: Tensor) -> None:
        """Goes on with these rows alone."""
        state.keys = [keys[rows] for keys in state.keys]
        state.values = [values[rows] for values in state.values]
        state.lengths = state.lengths[rows]
        if state.filled is not None:
            state.filled = state.filled[rows]
        if state.film is not None:
            seen = state.film.seen
            state.film = Film(
                pairs=[(keys[rows], values[rows]) for keys, values in state.film.pairs],
                seen=None if seen is None else seen[rows],
            )

    @torch.inference_mode()
    def score(self, tree: TokenTree, film: Film | None, nodes: Tensor) -> Tensor:
        """Logits of what follows each of ``nodes``, (nodes, vocabulary), float32."""
        tokens, above = tree.tokens.to(self.device), tree.above.to(self.device)
        hidden = self._run(
            self._state(1, len(tokens), film),
            tokens[None],
            tree.depths[None].to(self.device),
            mask=above[None, None],
            heard=(above & (tokens == self.image_token)).any(1)[None],
        )
        return self._logits(hidden[0, nodes.to(self.device)])

    def _state(self, rows: int, slots: int, film: Film | None) -> State:
        shape = (rows, self.key_heads, slots, self.head_size)
        kind = {"device": self.device, "dtype": self.text.embed_tokens.weight.dtype}
        own = [layer for layer in self.layers if layer.cross is None]
        return State(
            keys=[torch.empty(shape, **kind) for _ in own],
            values=[torch.empty(shape, **kind) for _ in own],
            lengths=torch.zeros(rows, dtype=torch.long, device=self.device),
            longest=0,
            used=0,
            filled=None,
            film=film,
        )

    def _run(
        self,
        state: State,
        ids: Tensor,
        positions: Tensor,
        *,
        mask: Tensor | None = None,
        heard: Tensor | None = None,
    ) -> Tensor:
        """Hidden states of new tokens (rows, tokens), whose keys go behind those of the state.

        ``mask`` (rows, 1, tokens, slots up to and with the new ones) says what a token attends to;
        None: to all before it. ``heard`` (rows, tokens) is False for tokens before the image.
        """
        start, stop = state.used, state.used + ids.shape[1]
        hidden = self.text.embed_tokens(ids)
        cos, sin = (part[:, None] for part in self.text.rotary_emb(hidden, positions))
        film = state.film
        film_mask = (
            film.seen[:, None, None, :] if film is not None and film.seen is not None else None
        )
        if film_mask is not None and heard is not None:
            film_mask = film_mask | ~heard[:, None, :, None]
        own, crossed = zip(state.keys, state.values, strict=True), iter(film.pairs if film else ())
        for layer in self.layers:
            if layer.cross is None:
                keys, values = next(own)
                parts = layer.project(layer.norm(hidden))
                query, key, value = (self._split(part) for part in parts)
                keys[:, :, start:stop] = _rotate(key, cos, sin)
                values[:, :, start:stop] = value
                query = _rotate(query, cos, sin)
                mixed = self._attend(
                    query, keys[:, :, :stop], values[:, :, :stop], mask, causal=True
                )
                hidden = hidden + layer.output(mixed)
                hidden = hidden + _feed_forward(layer, hidden)
            elif film is not None and layer.gates is not None:
                keys, values = next(crossed)
                (query,) = layer.project(layer.norm(hidden))
                query = layer.cross.q_norm(self._split(query))
                mixed = self._attend(query, keys, values, film_mask, causal=False)
                hidden = hidden + layer.gates[0] * layer.output(mixed)
                forward = _feed_forward(layer, hidden)
                if heard is not None:
                    forward = forward * heard[:, :, None]
                hidden = hidden + layer.gates[1] * forward
        state.used = stop
        normed: Tensor = self.text.norm(hidden)
        return normed

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(hidden)
        return logits.float()

    def _split(self, projected: Tensor) -> Tensor:
        """(rows, tokens, heads * head size) -> (rows, heads, tokens, head size)"""
        rows, tokens, _ = projected.shape
        return projected.view(rows, tokens, -1, self.head_size).transpose(1, 2)

    def _attend(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, *, causal: bool
    ) -> Tensor:
        """Heads mixed over the keys: (rows, tokens, heads * head size)."""
        rows, heads, tokens, size = query.shape
        if tokens == 1:  # the heads that share a key head are so many queries: no key is copied
            query = query.view(rows, self.key_heads, -1, size)
            mixed = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
            return mixed.reshape(rows, 1, heads * size)
        mixed = functional.scaled_dot_product_attention(
            query, keys, values, attn_mask=mask, is_causal=causal and mask is None, enable_gqa=True
        )
        return mixed.transpose(1, 2).reshape(rows, tokens, heads * size)


def _layer(layer: Any, linear: Callable[[Tensor], nn.Module] | None = None) -> _Layer:
    crossing = hasattr(layer, "cross_attn")
    attention = layer.cross_attn if crossing else layer.self_attn
    projections = ("q_proj",) if crossing else ("q_proj", "k_proj", "v_proj")
    return _Layer(
        norm=layer.input_layernorm,
        project=_joined([getattr(attention, name) for name in projections], linear),
        output=linear(attention.o_proj.weight) if linear else attention.o_proj,
        mlp_norm=layer.post_attention_layernorm,
        gate_up=_joined([layer.mlp.gate_proj, layer.mlp.up_proj], linear),
        down=linear(layer.mlp.down_proj.weight) if linear else layer.mlp.down_proj,
        activation=layer.mlp.act_fn,
        cross=attention if crossing else None,
        gates=(layer.cross_attn_attn_gate.tanh(), layer.cross_attn_mlp_gate.tanh())
        if crossing
        else None,
    )


def _joined(layers: Sequence[Any], linear: Callable[[Tensor], nn.Module] | None) -> Projection:
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


def _feed_forward(layer: _Layer, hidden: Tensor) -> Tensor:
    gate, up = layer.gate_up(layer.mlp_norm(hidden))
    forward: Tensor = layer.down(layer.activation(gate) * up)
    return forward


def _rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, halves paired, as Llama has it."""
    first, second = heads.chunk(2, dim=-1)
    return heads * cos + torch.cat((-second, first), dim=-1) * sin
