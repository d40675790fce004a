"""Examples of one length for the training benchmark: prompts of a pack, or drawn ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

CANVASES = 16
"""Images in turn."""


@dataclass(frozen=True, kw_only=True)
class BenchExamples:
    """Prompts, answers, and canvases of two images at a model's own resolution."""

    pairs: Sequence[tuple[str, str]]
    canvases: Sequence[Image.Image] = field(default_factory=list)

    @classmethod
    def read(cls, pack_dir: Path | None) -> Self:
        """Reports of a pack of ``finetune examples``; without one the same sentences repeated."""
        if pack_dir is None:
            case = "[1] (Cardiomegaly) Findings: The heart is large. No effusion is seen. "
            asked = "Prior cases: {} Image {}. Describe it."
            pairs = [(asked.format(case * 8, n), case[4:] * 4) for n in range(40)]
            grey = np.random.default_rng(0).integers(0, 255, (CANVASES, 224, 448), dtype=np.uint8)
            return cls(pairs=pairs, canvases=[Image.fromarray(x).convert("RGB") for x in grey])
        from finetune.examples.folder import ExampleFolder

        pack = ExampleFolder.load(pack_dir)
        reports = [e for e in pack.train if e.task == "report" and e.canvas is not None][:400]
        return cls(
            pairs=[(e.prompt, e.answer) for e in reports],
            canvases=[pack.canvas(int(e.canvas or 0)) for e in reports[:CANVASES]],
        )

    def texts(self) -> list[str]:
        return [text for pair in self.pairs for text in pair]

    def canvas(self, number: int, side: int) -> Image.Image:
        """Two tiles of the model, RGB."""
        return self.canvases[number % len(self.canvases)].resize((2 * side, side))

    def tokens(self, rendering: Any, count: int, length: int) -> list[Any]:
        """``count`` examples of exactly ``length`` tokens: prompts one after the other, cut where
        they begin."""
        from finetune.adapter.collator import Tokens

        made = []
        for number in range(count):
            prompt, answer = self.pairs[number % len(self.pairs)]
            tokens = rendering.tokenise(prompt, answer, image=number % CANVASES)
            following = number
            while len(tokens) < length:
                following += 1
                prompt = f"{prompt}\n\n{self.pairs[following % len(self.pairs)][0]}"
                tokens = rendering.tokenise(prompt, answer, image=number % CANVASES)
            extra = len(tokens) - length
            start = tokens.ids.index(int(rendering.processor.image_token_id)) + 1
            made.append(
                Tokens(
                    ids=(*tokens.ids[:start], *tokens.ids[start + extra :]),
                    prompt_length=tokens.prompt_length - extra,
                    image=tokens.image,
                )
            )
        return made
