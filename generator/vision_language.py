"""What the generator asks of a vision-language model, whichever it is.

`generator.mllama.model.MllamaModel` is one; a test passes a fake, and another model family needs no
more than this. Nothing heavy is imported here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from db.errors import UserError
from generator.prompts import Prompt


class PromptTooLongError(UserError, ValueError):
    """A prompt and its answer do not fit in what the model can read."""


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How an answer is chosen, token by token."""

    max_new_tokens: int = 160
    temperature: float = 0.0
    """0 takes the likeliest token (greedy); above, tokens are drawn."""
    seed: int = 0
    """Of the draws; a prompt draws the same whatever prompts it is batched with."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise UserError(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")
        if not 0 <= self.temperature <= 10:
            raise UserError(f"temperature must lie between 0 and 10, not {self.temperature}")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"a seed lies between 0 and 2^63 - 1, not {self.seed}")


GREEDY = DecodingOptions()


class VisionLanguageModel(Protocol):
    """A model that reads at most one image and a text, and answers in text."""

    @property
    def name(self) -> str:
        """Folder or hub id of the base model."""
        ...

    @property
    def adapter(self) -> str | None:
        """Folder or hub id of what was trained on top."""
        ...

    @property
    def weights_sha256(self) -> str:
        """Of base and adapter together."""
        ...

    @property
    def tile_size(self) -> int:
        """Pixels: an image is best given as a square of this side."""
        ...

    @property
    def context_tokens(self) -> int:
        """Tokens that a prompt and its answer may have together."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of a text inside a prompt, without what the chat template adds."""
        ...

    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        """One answer a prompt, computed together. Raises PromptTooLongError."""
        ...

    def stream(self, prompt: Prompt, options: DecodingOptions = GREEDY) -> Iterator[str]:
        """The answer in pieces; closing the iterator ends the computation.

        Joined they are what `generate` returns. Raises PromptTooLongError.
        """
        ...

    def choose(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> npt.NDArray[np.float64]:
        """Natural log-probability of each answer after each prompt, (prompts, answers).

        Of the answer's tokens alone, not of stopping after them. Prompts with the same image object
        and a common beginning share that computation. Raises PromptTooLongError.
        """
        ...


class StreamingModel(VisionLanguageModel, Protocol):
    """A model that can tell of several answers while it computes them together."""

    @property
    def batch_size(self) -> int:
        """How many answers it computes together; more are done one batch after the other."""
        ...

    def stream_all(
        self,
        prompts: Sequence[Prompt],
        options: DecodingOptions = GREEDY,
        *,
        left: Callable[[int], bool] = lambda _: False,
    ) -> Iterator[tuple[int, str | None]]:
        """Pairs of the number of a prompt and a piece of its answer; None where that has ended.

        Joined, the pieces are what `generate` returns. ``left`` is asked for every prompt between
        two tokens; one that nobody waits for any more is ended there. Raises PromptTooLongError.
        """
        ...
