"""Prompts decoded together from the first to the last token, as recorded steps need it.

for picked in decode_together(decoder, rows, image, options, ends): ...    # {row: token}
"""

from collections.abc import Callable, Iterator, Sequence

import torch

from generator.mllama.decoding.decoder import Decoder
from generator.mllama.decoding.sampling import sample
from generator.mllama.vision.encoder import EncodedImage
from generator.vision_language import DecodingOptions


def decode_together(
    decoder: Decoder,
    rows: Sequence[Sequence[int]],
    image: EncodedImage | None,
    options: DecodingOptions,
    ends: frozenset[int],
    cancelled: Sequence[Callable[[], bool]] = (),
) -> Iterator[dict[int, int]]:
    """The next token of every row that has not ended, by row number, step by step."""
    state, logits = decoder.prefill(rows, image, room=options.max_new_tokens)
    draws = [torch.Generator().manual_seed(options.seed) for _ in rows]
    numbers = list(range(len(rows)))
    ended: set[int] = set()
    for room in range(options.max_new_tokens - 1, -1, -1):
        tokens = sample(logits, options.temperature, [draws[number] for number in numbers])
        picked = dict(zip(numbers, tokens.tolist(), strict=True))
        ended |= {number for number, token in picked.items() if token in ends}
        ended |= {number for number, check in enumerate(cancelled) if check()}
        yield {number: token for number, token in picked.items() if number not in ended}
        going = [place for place, number in enumerate(numbers) if number not in ended]
        if not going or not room:
            return
        if 2 * len(going) <= len(numbers):
            numbers = [numbers[place] for place in going]
            kept = torch.tensor(going, device=tokens.device)
            state.keep_rows(kept)
            tokens = tokens[kept]
        logits = decoder.decode_step(state, tokens)
