"""A vision-language model that says what a test tells it to."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from generator.prompts import Prompt
from generator.vision_language import GREEDY, DecodingOptions


@dataclass
class ScriptedModel:
    """Answers by a function of the prompt; fails before the answer that ``fails_at`` counts."""

    script: Callable[[Prompt], str]
    yes: Callable[[Prompt], float] = lambda prompt: 0.3
    fails_at: int | None = None
    name: str = "scripted"
    adapter: str | None = None
    weights_sha256: str = "5c" * 32
    base_sha256: str = "5c" * 32
    adapter_sha256: str | None = None
    tile_size: int = 32
    context_tokens: int = 4096
    batch_size: int = 8
    prompts: list[Prompt] = field(default_factory=list)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        if self.fails_at is not None and len(self.prompts) + len(prompts) > self.fails_at:
            raise KeyboardInterrupt
        self.prompts += prompts
        return [self.script(prompt) for prompt in prompts]

    def stream(self, prompt: Prompt, options: DecodingOptions = GREEDY) -> Iterator[str]:
        yield from self.generate([prompt], options)

    def loglikelihood(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> np.ndarray:
        self.prompts += prompts
        return np.log([[self.yes(prompt), 1 - self.yes(prompt)] for prompt in prompts])
