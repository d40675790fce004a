"""From logits to tokens, and from tokens to text that can be streamed.

tokens = sample(logits, temperature=0.7, draws=[torch.Generator().manual_seed(0)])
piece = IncrementalText(decode).append(token)
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def sample(logits: Tensor, temperature: float, draws: Sequence[torch.Generator]) -> Tensor:
    """The next token of each row, (rows,), from logits (rows, vocabulary).

    A temperature of 0 takes the likeliest; above, each row draws from its own generator.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    chances = (logits.double() / temperature).softmax(dim=-1).cpu()
    drawn = [
        torch.multinomial(chance, 1, generator=draw)
        for chance, draw in zip(chances, draws, strict=True)
    ]
    return torch.cat(drawn).to(logits.device)


class IncrementalText:
    """The text of an answer in pieces, while its tokens arrive."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        """``decode`` turns tokens of an answer into text."""
        self._decode = decode
        self._before: list[int] = []
        """Tokens of the last piece: a tokenizer may treat the first of a text as special."""
        self._new: list[int] = []
        """Tokens after these, whose text was not returned yet."""

    def append(self, token: int) -> str:
        """The text that ``token`` adds; empty while a character is incomplete."""
        self._new.append(token)
        text = self.rest()
        if text.endswith("\N{REPLACEMENT CHARACTER}"):
            return ""
        self._before, self._new = self._new, []
        return text

    def rest(self) -> str:
        """What no `append` has returned yet."""
        begun = len(self._decode(self._before))
        return self._decode([*self._before, *self._new])[begun:]
