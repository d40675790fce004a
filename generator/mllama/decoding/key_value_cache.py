"""The key-value cache of the rows being decoded, and attention over it."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from generator.mllama.vision.encoder import EncodedImage
from indexer.encoder.cuda_graph import RecordedCall


@dataclass(kw_only=True)
class DecoderState:
    """The key-value cache of the rows being decoded."""

    keys: list[Tensor]  # a self-attention layer: (rows, key heads, slots, head size)
    values: list[Tensor]
    lengths: Tensor  # (rows,) tokens of each prompt
    longest: int
    used: int
    """Slots that hold a token or padding; the next token goes into this one."""
    filled: Tensor | None  # (rows, slots), False for padding; None where all lengths are equal
    image: EncodedImage | None
    recorded: RecordedCall | None = None
    turns: tuple[Tensor, Tensor] | None = None
    """Cosines and sines of all positions, (slots, head size), for steps by kernels."""

    def keep_rows(self, rows: Tensor) -> None:
        """Drop all other rows."""
        self.recorded = None
        self.keys = [keys[rows] for keys in self.keys]
        self.values = [values[rows] for values in self.values]
        self.lengths = self.lengths[rows]
        if self.filled is not None:
            self.filled = self.filled[rows]
        if self.image is not None:
            self.image = self.image.rows(rows)


def put(held: Tensor, new: Tensor, start: int, slot: Tensor | None) -> Tensor:
    """Write into (rows, heads, slots, size); return the part that can be attended to."""
    if slot is not None:
        return held.index_copy_(2, slot, new)
    stop = start + new.shape[2]
    held[:, :, start:stop] = new
    return held[:, :, :stop]


def attend(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, *, causal: bool
) -> Tensor:
    """Attention over the keys: (rows, tokens, heads * head size)."""
    rows, heads, tokens, size = query.shape
    key_heads = keys.shape[1]
    if tokens == 1:  # heads that share a key head become its queries, so no key is copied
        query = query.view(rows, key_heads, -1, size)
        mixed = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        return mixed.reshape(rows, 1, heads * size)
    shared = mask is None
    if not shared:  # no fused kernel takes a mask and shared key heads together
        keys, values = (
            part.repeat_interleave(heads // key_heads, dim=1) for part in (keys, values)
        )
    mixed = functional.scaled_dot_product_attention(
        query, keys, values, attn_mask=mask, is_causal=causal and shared, enable_gqa=shared
    )
    return mixed.transpose(1, 2).reshape(rows, tokens, heads * size)
