"""Rows of their own length through the text model at once, on a CPU.

rows = RowDecoder(decoder)
row = rows.start(slots=700, image=image)
logits = rows.extend([Work(row, prompt), Work(other, [token]), Work(third, [token, *draft], 3)])

Each row has a cache of its own. A prompt, a part of one, a single token and a token with a draft
after it are the same to the decoder: tokens that come after those in the cache. So they may run
together, rows come and go between any two passes, and a draft that the model does not confirm is
undone by `CacheRow.truncate`. The linear layers read their weights once for the tokens of all rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from generator.mllama.decoding.layer import Layer
from generator.mllama.vision.encoder import EncodedImage

if TYPE_CHECKING:
    from generator.mllama.decoding.decoder import Decoder


@dataclass(kw_only=True, eq=False)
class CacheRow:
    """The key-value cache of one prompt and its answer."""

    keys: list[Tensor]  # a self-attention layer: (1, key heads, slots, head size)
    values: list[Tensor]
    image: EncodedImage | None
    used: int = 0
    """Tokens in the cache."""
    image_at: int | None = None
    """Place of the first image token; None until it is there."""

    @property
    def slots(self) -> int:
        """Tokens that there is room for."""
        return self.keys[0].shape[2]

    def truncate(self, used: int) -> None:
        """Forget the tokens after the first ``used``."""
        self.used = used
        if self.image_at is not None and self.image_at >= used:
            self.image_at = None

    def copy_prefix(self, other: "CacheRow", tokens: int) -> None:
        """Begin with the first ``tokens`` of another row, which has the same image."""
        for mine, theirs in zip(self.keys + self.values, other.keys + other.values, strict=True):
            mine[:, :, :tokens] = theirs[:, :, :tokens]
        self.image_at = other.image_at
        self.truncate(tokens)


class Work(NamedTuple):
    """Tokens to append to a row."""

    row: CacheRow
    tokens: Sequence[int]
    asked: int = 1
    """How many of the last tokens to return the next-token logits of."""


class RowDecoder:
    """The text model of a decoder, for rows that advance independently."""

    prompt_part = 256
    """Tokens of prompts to read in one pass while other rows are being written: so many that each
    costs little, and so few that the others do not wait for long."""
    whole_prompts = False
    """Whether prompts that are no longer than that are read in one pass each, not in parts."""
    drafted = 16
    """Tokens of all drafts in one pass; it takes little longer for so many."""
    kept_slots = 4096
    """Tokens of earlier prompts whose keys and values may be kept."""

    def __init__(self, decoder: "Decoder") -> None:
        self.decoder = decoder
        self._own = [layer for layer in decoder.layers if layer.cross is None]

    def start(self, *, slots: int, image: EncodedImage | None) -> CacheRow:
        """An empty row with room for ``slots`` tokens; ``image`` is that of this row alone."""
        decoder = self.decoder
        shape = (1, decoder.key_heads, slots, decoder.head_size)
        kind = {"device": decoder.device, "dtype": decoder.text.embed_tokens.weight.dtype}
        return CacheRow(
            keys=[torch.empty(shape, **kind) for _ in self._own],
            values=[torch.empty(shape, **kind) for _ in self._own],
            image=image,
        )

    def release(self, row: CacheRow) -> None:
        """Say that a row is not extended any more; its cache may be kept."""

    @torch.inference_mode()
    def extend(self, work: Sequence[Work]) -> Tensor:
        """Append tokens to rows; logits of the tokens asked for, (asked, vocabulary) float32."""
        decoder, device = self.decoder, self.decoder.device
        spans: list[_Span] = []
        asked: list[int] = []
        start = 0
        for row, tokens, count in work:
            spans.append(_Span(row, start, len(tokens), _causal(row, len(tokens), device)))
            start += len(tokens)
            asked += range(start - count, start)
            if row.image_at is None and decoder.image_token in tokens:
                row.image_at = row.used + list(tokens).index(decoder.image_token)
        ids = torch.tensor([token for one in work for token in one.tokens], device=device)
        places = [torch.arange(s.row.used, s.row.used + s.count, device=device) for s in spans]
        hidden = decoder.text.embed_tokens(ids)
        cos, sin = decoder.text.rotary_emb(hidden[None], torch.cat(places)[None])
        cos, sin = cos[0, :, None], sin[0, :, None]
        included = self._included(spans)
        own, crossed = 0, 0
        for layer in decoder.layers:
            if layer.cross is None:
                hidden = self._self_attention(layer, own, hidden, spans, (cos, sin))
                own += 1
            else:
                hidden = self._cross_attention(layer, crossed, hidden, spans, included)
                crossed += 1
        for span in spans:
            span.row.used += span.count
        logits: Tensor = decoder.head(decoder.text.norm(hidden[asked]))
        return logits.float()

    def _self_attention(
        self,
        layer: Layer,
        number: int,
        hidden: Tensor,
        spans: Sequence["_Span"],
        turns: tuple[Tensor, Tensor],
    ) -> Tensor:
        query, key, value = layer.rotated(layer.norm(hidden), *turns, self._split)
        mixed = []
        for span in spans:
            keys, values = span.row.keys[number], span.row.values[number]
            stop = span.row.used + span.count
            keys[0, :, span.row.used : stop] = key[span.tokens].transpose(0, 1)
            values[0, :, span.row.used : stop] = value[span.tokens].transpose(0, 1)
            mixed.append(
                attend_row(
                    query[span.tokens], keys[:, :, :stop], values[:, :, :stop], span.mask, True
                )
            )
        hidden = hidden + layer.output(_joined(mixed))
        return hidden + layer.feed_forward(hidden)

    def _split(self, projected: Tensor) -> Tensor:
        """(tokens, heads * head size) -> (tokens, heads, head size)"""
        return projected.view(len(projected), -1, self.decoder.head_size)

    def _cross_attention(
        self,
        layer: Layer,
        number: int,
        hidden: Tensor,
        spans: Sequence["_Span"],
        included: Tensor | None,
    ) -> Tensor:
        """Rows without an image pass unchanged."""
        if layer.gates is None or all(span.row.image is None for span in spans):
            return hidden
        (query,) = layer.project(layer.norm(hidden))
        query = layer.cross.q_norm(query.view(len(hidden), -1, self.decoder.head_size))
        mixed = []
        for span in spans:
            image = span.row.image
            if image is None:
                mixed.append(torch.zeros_like(query[span.tokens]).flatten(1))
                continue
            part = attend_row(query[span.tokens], *image.pairs[number], span.tiles(image), False)
            if image.hidden_before and span.before_image:
                part[: span.before_image] = 0
            mixed.append(part)
        between = hidden + layer.gates[0] * layer.output(_joined(mixed))
        forward = layer.feed_forward(between)
        if included is not None:
            forward = forward * included[:, None]
        summed: Tensor = between + layer.gates[1] * forward
        return summed

    def _included(self, spans: Sequence["_Span"]) -> Tensor | None:
        """(tokens,), False before the image; None where no token is before it."""
        if all(span.before_image == 0 for span in spans):
            return None
        included = torch.ones(
            spans[-1].start + spans[-1].count, dtype=torch.bool, device=self.decoder.device
        )
        for span in spans:
            included[span.start : span.start + span.before_image] = False
        return included


@dataclass(frozen=True)
class _Span:
    """New tokens of one row among those of a pass."""

    row: CacheRow
    start: int
    count: int
    mask: Tensor | None
    """(tokens, slots), what each may attend to in its row; None where that is plain."""

    @property
    def tokens(self) -> slice:
        return slice(self.start, self.start + self.count)

    @property
    def before_image(self) -> int:
        """How many of the tokens are before the image; all of them where there is none."""
        at = self.row.image_at
        return self.count if at is None else min(self.count, max(0, at - self.row.used))

    def tiles(self, image: EncodedImage) -> Tensor | None:
        """(tokens, tiles * patches): padding tiles are for tokens before the image alone."""
        if image.tile_mask is None:
            return None
        mask = image.tile_mask.expand(self.count, -1)
        if self.before_image:
            before = torch.arange(self.count, device=mask.device) < self.before_image
            mask = mask | before[:, None]
        return mask


def _causal(row: CacheRow, count: int, device: torch.device) -> Tensor | None:
    """What new tokens may attend to; None for a single token, or the first of a row."""
    if count == 1 or not row.used:
        return None
    whole = torch.ones(count, row.used + count, dtype=torch.bool, device=device)
    return whole.tril(row.used)


def attend_row(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool
) -> Tensor:
    """(tokens, heads, size) over (1, key heads, slots, size): (tokens, heads * size)

    Heads that share a key head become its queries, so no key is copied.
    """
    tokens, heads, size = query.shape
    key_heads, slots = keys.shape[1], keys.shape[2]
    if causal and mask is None and tokens > 1:
        mixed = functional.scaled_dot_product_attention(
            query.transpose(0, 1)[None], keys, values, is_causal=True, enable_gqa=True
        )
        return mixed[0].transpose(0, 1).reshape(tokens, heads * size)
    group = heads // key_heads
    shared = query.view(tokens, key_heads, group, size).permute(1, 2, 0, 3)
    shared = shared.reshape(1, key_heads, group * tokens, size)
    if mask is not None:
        mask = mask.expand(group, tokens, slots).reshape(group * tokens, slots)
    mixed = functional.scaled_dot_product_attention(shared, keys, values, attn_mask=mask)
    mixed = mixed.view(key_heads, group, tokens, size).permute(2, 0, 1, 3)
    return mixed.reshape(tokens, heads * size)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
