"""Requests to a language model at moments that are given, and when each was answered."""

import time
from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.errors import UserError
from generator.mllama.decoding.sampling import IncrementalText
from generator.mllama.model import MllamaModel
from generator.prompts import Prompt
from generator.vision_language import DecodingOptions


class ServedRequests:
    """The model as the service asks it: prompts with images, which join while others are written.

    Its texts mean nothing, so each ends at a length that is given.
    """

    def __init__(self, model: MllamaModel, *, prompt: int, size: tuple[int, int]) -> None:
        """``prompt``: tokens of each, about; ``size``: width and height of its image."""
        self._model, self._size = model, size
        self._draw = np.random.default_rng(3)
        self._text = _text(model, prompt)

    def all(self, lengths: Sequence[int]) -> None:
        """Reports of these lengths, all asked for at once."""
        self._write([0.0] * len(lengths), list(lengths))

    def at(self, seconds: npt.NDArray[np.float64], tokens: int) -> list[float]:
        """Seconds from request to end of reports that are asked for at these moments."""
        return self._write(list(map(float, seconds)), [tokens] * len(seconds))

    def _write(self, moments: Sequence[float], lengths: Sequence[int]) -> list[float]:
        waiting = deque(moments)
        left = list(lengths)
        ended = [0.0] * len(left)
        texts = [IncrementalText(self._model.processor.decode) for _ in left]
        options = DecodingOptions(max_new_tokens=max(left))
        began = time.perf_counter()
        start = 0
        while waiting:  # again where nothing was to be written for a while
            time.sleep(max(0.0, began + waiting[0] - time.perf_counter()))

            def more(free: int) -> list[Prompt]:
                prompts: list[Prompt] = []
                while waiting and len(prompts) < free:
                    if began + waiting[0] > time.perf_counter():
                        break
                    waiting.popleft()
                    prompts.append(self._prompt())
                return prompts

            first = start
            for number, tokens, over in self._model.stream_tokens(
                [],
                options,
                cancelled=lambda number, first=first: left[first + number] <= 0,
                more=more,
            ):
                assert not isinstance(tokens, UserError), tokens
                left[first + number] -= len(tokens)
                for token in tokens:
                    texts[first + number].append(token)
                if over:
                    ended[first + number] = time.perf_counter() - began
                    start += 1
        return [end - moment for end, moment in zip(ended, moments, strict=True)]

    def _prompt(self) -> Prompt:
        """With an image that no other prompt has."""
        wide, high = self._size
        grey = self._draw.integers(0, 255, (high, wide), dtype=np.uint8)
        return Prompt(task="report", text=self._text, image=Image.fromarray(grey).convert("RGB"))


def _text(model: MllamaModel, tokens: int) -> str:
    """Words that make a prompt of about so many tokens."""
    image = Image.new("RGB", (model.tile_size, model.tile_size))

    def size(words: int) -> int:
        prompt = Prompt(task="report", text="the " * words, image=image)
        return len(model.prompt_tokens(prompt))

    words = 1
    while size(2 * words) <= tokens:
        words *= 2
    for step in range(words.bit_length() - 1, -1, -1):
        if size(words + 2**step) <= tokens:
            words += 2**step
    return "the " * words
