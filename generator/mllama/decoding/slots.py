"""Rows in caches of fixed shape, so that one recorded step serves all requests that come and go.

rows = SlotDecoder(decoder, places=32, slots=1024, image_tokens=1601)
row = rows.start(slots=700, image=image)        # takes a place, which `release` frees
logits = rows.extend([Work(row, prompt), Work(other, [token])])

`generator.mllama.decoding.rows.RowDecoder` for a GPU. Single tokens of several rows run as one step
over the first places: in buckets of places and of slots, so that attention reads little more than
what is filled, and few steps are recorded. A prompt is padded to a bucket of tokens and runs as a
recorded pass too. Anything else, as a part of a prompt, runs as it does there, in the same caches,
and a row for which no place is free or long enough has one of its own.
"""

from collections.abc import Sequence
from threading import Lock
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from generator.mllama.decoding.decoder import Decoder
from generator.mllama.decoding.layer import Layer, rotate
from generator.mllama.decoding.rows import CacheRow, RowDecoder, Work, attend_row
from generator.mllama.decoding.step_cache import StepCache
from generator.mllama.vision.encoder import EncodedImage
from indexer.encoder.cuda_graph import RecordedCall

SLOT_BUCKET = 256
"""Slots that attention reads are a multiple of it."""
PROMPT_BUCKET = 64
"""Tokens that a recorded pass over a prompt reads are a multiple of it."""


class SlotDecoder(RowDecoder):
    """Rows of one decoder in ``places`` of ``slots`` tokens each. Safe to use from several threads,
    one after another."""

    prompt_part = 1024
    whole_prompts = True
    drafted = 0
    kept_slots = 0

    def __init__(
        self,
        decoder: Decoder,
        *,
        places: int,
        slots: int,
        image_tokens: int,
    ) -> None:
        """``image_tokens``: the most of an image, tiles times patches."""
        super().__init__(decoder)
        kind = {"device": decoder.device, "dtype": decoder.text.embed_tokens.weight.dtype}
        shape = (places, decoder.key_heads, slots, decoder.head_size)
        self._keys = [torch.zeros(shape, **kind) for _ in self._own]
        self._values = [torch.zeros(shape, **kind) for _ in self._own]
        shape = (places, decoder.key_heads, image_tokens, decoder.head_size)
        crossing = [layer for layer in decoder.layers if layer.cross is not None]
        self._pairs = [(torch.zeros(shape, **kind), torch.zeros(shape, **kind)) for _ in crossing]
        self._seen = torch.zeros(places, image_tokens, dtype=torch.bool, device=decoder.device)
        self._counts = torch.zeros(places, dtype=torch.long, device=decoder.device)
        self._none = torch.zeros(places, dtype=torch.long, device=decoder.device)
        self._turns = None if decoder.step is None else decoder.step.turns(slots)
        self._free = list(range(places))
        self._places: dict[int, int] = {}
        self._steps: dict[tuple[int, int, bool], RecordedCall] = {}
        self._prompts: dict[tuple[int, int, bool], RecordedCall] = {}
        self._where = {"pool": torch.cuda.graph_pool_handle()} if torch.cuda.is_available() else {}
        self._lock = Lock()

    @classmethod
    def fitting(cls, decoder: Decoder, *, places: int, slots: int) -> Self:
        """As many places as half of the GPU's free memory holds, at most ``places``."""
        vision, text = decoder.model.config.vision_config, decoder.text.embed_tokens.weight
        patches = (vision.image_size // vision.patch_size) ** 2 + 1
        image_tokens = vision.max_num_tiles * patches
        crossing = sum(layer.cross is not None for layer in decoder.layers)
        tokens = (len(decoder.layers) - crossing) * slots + crossing * image_tokens
        place = 2 * tokens * decoder.key_heads * decoder.head_size * text.itemsize
        free, _ = torch.cuda.mem_get_info(decoder.device)
        fitting = max(1, min(places, free // 2 // place))
        return cls(decoder, places=fitting, slots=slots, image_tokens=image_tokens)

    @property
    def places(self) -> int:
        return len(self._seen)

    @property
    def bytes(self) -> int:
        """Memory of the caches."""
        pairs = [part for pair in self._pairs for part in pair]
        return sum(part.nbytes for part in (*self._keys, *self._values, *pairs))

    def start(self, *, slots: int, image: EncodedImage | None) -> CacheRow:
        with self._lock:
            fits = self._free and slots <= self._keys[0].shape[2]
            return self._place(image) if fits else super().start(slots=slots, image=image)

    def _place(self, image: EncodedImage | None) -> CacheRow:
        place = min(self._free)
        self._free.remove(place)
        part = slice(place, place + 1)
        if image is not None:
            count = image.pairs[0][0].shape[2]
            self._seen[place] = False
            self._seen[place, :count] = True if image.tile_mask is None else image.tile_mask[0]
            self._counts[place] = image.counts[0]
            for held, given in zip(self._pairs, image.pairs, strict=True):
                for mine, theirs in zip(held, given, strict=True):
                    mine[place, :, :count] = theirs[0]
        row = CacheRow(
            keys=[keys[part] for keys in self._keys],
            values=[values[part] for values in self._values],
            image=image,
        )
        self._places[id(row)] = place
        return row

    def release(self, row: CacheRow) -> None:
        with self._lock:
            place = self._places.pop(id(row), None)
            if place is not None:
                self._free.append(place)

    def extend(self, work: Sequence[Work]) -> Tensor:
        with self._lock, torch.inference_mode():
            return self._extend(work)

    def _extend(self, work: Sequence[Work]) -> Tensor:
        single = [
            one
            for one in work
            if len(one.tokens) == 1
            and one.asked == 1
            and one.row.used
            and id(one.row) in self._places
        ]
        with_image = [one for one in single if one.row.image is not None]
        if len(with_image) not in (0, len(single)):  # a step has an image in all rows or in none
            single = with_image
        whole = [one for one in work if self._recordable(one)]
        other = [one for one in work if one not in single and one not in whole]
        parts = {id(one): self._prompt(one) for one in whole}
        if other:
            found = super().extend(other)
            split = torch.split_with_sizes(found, [one.asked for one in other])
            parts |= {id(one): part for one, part in zip(other, split, strict=True)}
        if single:
            places = [self._places[id(one.row)] for one in single]
            logits = self._single(single, places)
            parts |= {id(one): logits[p : p + 1] for one, p in zip(single, places, strict=True)}
        return torch.cat([parts[id(one)] for one in work])

    def _recordable(self, one: Work) -> bool:
        """Whether it is a whole prompt in a place, after whose image no padding is attended to."""
        row = one.row
        tokens = _bucket(len(one.tokens), PROMPT_BUCKET)
        return (
            self.decoder.records
            and id(row) in self._places
            and not row.used
            and one.asked == 1
            and 1 < len(one.tokens) <= self.prompt_part
            and tokens <= row.slots
            and (row.image is None or row.image.tile_mask is None)
        )

    def _prompt(self, one: Work) -> Tensor:
        """The logits after a prompt, (1, vocabulary)."""
        row, given = one.row, list(one.tokens)
        tokens = _bucket(len(given), PROMPT_BUCKET)
        image_at = tokens
        if self.decoder.image_token in given:
            image_at = row.image_at = given.index(self.decoder.image_token)
        count = 0 if row.image is None else row.image.pairs[0][0].shape[2]
        hides = row.image is not None and row.image.hidden_before
        padded = given + given[:1] * (tokens - len(given))
        places = [self._places[id(row)], image_at, len(given) - 1]
        inputs = [torch.tensor(padded, device=self._seen.device)]
        inputs += list(torch.tensor(places, device=self._seen.device)[:, None])

        def run(ids: Tensor, place: Tensor, image_at: Tensor, last: Tensor) -> Tensor:
            return self._read(ids, place, image_at, last, count, hides)

        key = (tokens, count, hides)
        if key not in self._prompts:
            self._prompts[key] = RecordedCall(run, inputs, what="reading", where=self._where)
        logits = self._prompts[key](*inputs)
        row.used = len(given)
        return logits

    def _read(
        self, ids: Tensor, place: Tensor, image_at: Tensor, last: Tensor, count: int, hides: bool
    ) -> Tensor:
        """Write the keys and values of ``ids`` (tokens,) into a place; logits after ``last`` (1,).

        Tokens of padding come after all others, which do not attend to them; their slots are
        written over by what follows. ``count`` tokens of the image are attended to.
        """
        decoder, tokens = self.decoder, len(ids)
        hidden = decoder.text.embed_tokens(ids)
        every = torch.arange(tokens, device=ids.device)
        cos, sin = (part[0, :, None] for part in decoder.text.rotary_emb(hidden[None], every[None]))
        after = (every >= image_at)[:, None]
        own, crossed = 0, 0
        for layer in decoder.layers:
            if layer.cross is None:
                query, key, value = layer.rotated(layer.norm(hidden), cos, sin, self._split)
                key, value = (part.transpose(0, 1)[None] for part in (key, value))
                self._keys[own][:, :, :tokens].index_copy_(0, place, key)
                self._values[own][:, :, :tokens].index_copy_(0, place, value)
                own += 1
                hidden = hidden + layer.output(attend_row(query, key, value, None, True))
                hidden = hidden + layer.feed_forward(hidden)
            elif count and layer.gates is not None:
                keys, values = (part[:, :, :count][place] for part in self._pairs[crossed])
                crossed += 1
                (query,) = layer.project(layer.norm(hidden))
                query = layer.cross.q_norm(self._split(query))
                mixed = attend_row(query, keys, values, None, False)
                if hides:
                    mixed = mixed * after
                hidden = hidden + layer.gates[0] * layer.output(mixed)
                hidden = hidden + layer.gates[1] * (layer.feed_forward(hidden) * after)
        logits: Tensor = decoder.head(decoder.text.norm(hidden[last]))
        return logits.float()

    def _single(self, work: Sequence[Work], places: Sequence[int]) -> Tensor:
        """The logits of all places up to the last; those of no row of ``work`` mean nothing."""
        rows = min(_power(max(places) + 1), len(self._seen))
        slots = self._keys[0].shape[2]
        if self.decoder.step is None:  # whose attention does not stop at a row's own slot
            longest = max(one.row.used for one in work) + 1
            slots = min(_bucket(longest, SLOT_BUCKET), slots)
        last, filled, active = [0] * rows, [slots - 1] * rows, [False] * rows
        for one, place in zip(work, places, strict=True):
            last[place], filled[place], active[place] = one.tokens[0], one.row.used, True
            one.row.used += 1
        inputs = [torch.tensor(part, device=self._seen.device) for part in (last, filled, active)]
        image = work[0].row.image is not None

        def run(tokens: Tensor, used: Tensor, active: Tensor) -> Tensor:
            return self._step(tokens, used, active, slots, image)

        if not self.decoder.records:
            return run(*inputs)
        key = (rows, slots, image)
        if key not in self._steps:
            self._steps[key] = RecordedCall(run, inputs, what="decoding")
        return self._steps[key](*inputs)

    def _step(
        self, tokens: Tensor, used: Tensor, active: Tensor, slots: int, image: bool
    ) -> Tensor:
        """The first ``len(tokens)`` places add a token each at their slot ``used``, if active."""
        decoder, rows = self.decoder, len(tokens)
        if decoder.step is not None and self._turns is not None:
            return decoder.step(
                tokens,
                StepCache(
                    keys=[keys[:rows] for keys in self._keys],
                    values=[values[:rows] for values in self._values],
                    pairs=[(keys[:rows], values[:rows]) for keys, values in self._pairs]
                    if image
                    else [],
                    counts=self._counts[:rows],
                    lengths=self._none[:rows],
                    begin=self._none[:1],
                    slots=used,
                    active=active,
                    turns=self._turns,
                ),
            )
        hidden = decoder.text.embed_tokens(tokens[:, None])
        cos, sin = (part[:, None] for part in decoder.text.rotary_emb(hidden, used[:, None]))
        every = torch.arange(slots, device=tokens.device)
        filled = (every <= used[:, None])[:, None, None]
        seen = self._seen[:rows, None, None]
        writes = (torch.arange(rows, device=tokens.device), used, active[:, None, None])
        own, crossed = 0, 0
        for layer in decoder.layers:
            if layer.cross is None:
                keys, values = self._keys[own][:rows], self._values[own][:rows]
                own += 1
                parts = layer.project(layer.norm(hidden))
                query, key, value = (
                    part.view(rows, 1, -1, decoder.head_size).transpose(1, 2) for part in parts
                )
                _put(keys, rotate(key, cos, sin), *writes)
                _put(values, value, *writes)
                query = rotate(query, cos, sin)
                mixed = _attend(query, keys[:, :, :slots], values[:, :, :slots], filled)
                hidden = hidden + layer.output(mixed)
                hidden = hidden + layer.feed_forward(hidden)
            elif image and layer.gates is not None:
                keys, values = self._pairs[crossed]
                crossed += 1
                hidden = self._crossed(layer, hidden, keys[:rows], values[:rows], seen)
        logits: Tensor = decoder.head(decoder.text.norm(hidden[:, 0]))
        return logits.float()

    def _crossed(
        self, layer: Layer, hidden: Tensor, keys: Tensor, values: Tensor, seen: Tensor
    ) -> Tensor:
        assert layer.gates is not None
        (query,) = layer.project(layer.norm(hidden))
        query = query.view(len(hidden), 1, -1, self.decoder.head_size).transpose(1, 2)
        mixed = _attend(layer.cross.q_norm(query), keys, values, seen)
        hidden = hidden + layer.gates[0] * layer.output(mixed)
        return hidden + layer.gates[1] * layer.feed_forward(hidden)


def _bucket(count: int, size: int) -> int:
    """The next multiple."""
    return -(-count // size) * size


def _power(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length()


def _put(held: Tensor, new: Tensor, rows: Tensor, used: Tensor, active: Tensor) -> None:
    """Write (rows, heads, 1, size) into the slot of each row that is active."""
    before = held[rows, :, used]
    held[rows, :, used] = torch.where(active, new[:, :, 0], before)


def _attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """One query a row, (rows, heads, 1, size); (rows, 1, heads * size)"""
    rows, heads, _, size = query.shape
    query = query.view(rows, keys.shape[1], -1, size)
    mixed = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
    return mixed.reshape(rows, 1, heads * size)
