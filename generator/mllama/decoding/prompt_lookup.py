"""Guess the next tokens of an answer from where the prompt goes on after the same words.

lookup = PromptLookup(prompt)
lookup.append([token])
lookup.draft(8)             # at most 8 tokens; empty where the last token stands nowhere before

An answer mostly repeats sentences of the cases in its prompt. The model checks a whole draft in one
pass and keeps what it would have written itself, so that a draft changes no text, only the time.
"""

from collections.abc import Sequence

_COMPARED = 16
"""Tokens before a place that are compared; places that agree on all of them are alike."""


class PromptLookup:
    """Prompt and answer as one sequence of tokens, searched for what the last ones repeat."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._places: dict[int, list[int]] = {}
        self.append(prompt)

    def append(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            self._places.setdefault(token, []).append(len(self._tokens))
            self._tokens.append(token)

    def draft(self, limit: int) -> list[int]:
        """The tokens after the longest repetition of the last ones; after the first of several.

        One more than the repetition is long: the longer it is, the likelier it goes on.
        """
        if limit < 1 or not self._tokens:
            return []
        last = len(self._tokens) - 1
        best, longest = last, 0
        for place in self._places[self._tokens[last]]:
            if place < last and (alike := self._alike(place, last)) > longest:
                best, longest = place, alike
        return self._tokens[best + 1 : best + 1 + min(limit, longest + 1)]

    def _alike(self, place: int, last: int) -> int:
        """How many tokens up to both places are equal."""
        count, most = 0, min(place + 1, _COMPARED)
        while count < most and self._tokens[place - count] == self._tokens[last - count]:
            count += 1
        return count
