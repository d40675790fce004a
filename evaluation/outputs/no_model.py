"""What stands where a language model would: an evaluation of the index and encoder alone."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from db.errors import UserError
from generator.prompts import Prompt
from generator.vision_language import GREEDY, NO_MODEL, DecodingOptions


class NoModel:
    """A `VisionLanguageModel` that is never asked: baselines and the extractive report need none.

    Its weights are those of the encoder, on which all its outputs depend.
    """

    name = NO_MODEL
    adapter = None
    adapter_sha256 = None
    tile_size = 64
    context_tokens = 4_096

    def __init__(self, encoder_sha256: str) -> None:
        self.weights_sha256 = self.base_sha256 = encoder_sha256

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        if prompts:
            raise UserError(f"'{NO_MODEL}' writes nothing: name a language model with --model")
        return []

    def stream(self, prompt: Prompt, options: DecodingOptions = GREEDY) -> Iterator[str]:
        yield from self.generate([prompt], options)

    def loglikelihood(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        self.generate(prompts)
        return np.zeros((0, len(answers)))
