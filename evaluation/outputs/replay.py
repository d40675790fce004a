"""Record prompts for a model on another machine, and replay its answers here.

`PromptRecorder` writes the prompts that the model would receive, `AnswerReplayer` returns its
answers to them (`evaluation.outputs.prompts`).
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from db.errors import MismatchError
from db.files import write_text
from evaluation.outputs.prompts import (
    IMAGES,
    PROMPTS,
    pixels_sha256,
    prompt_sha256,
    read_answers,
)
from generator.prompts import Prompt
from generator.vision_language import (
    GREEDY,
    DecodingOptions,
    VisionLanguageModel,
    reads_indication,
)


class _RemoteModel(ABC):
    """Builds prompts with the tokens and the tile size of a model, without running it."""

    def __init__(self, model: VisionLanguageModel) -> None:
        self.name, self.adapter = model.name, model.adapter
        self.weights_sha256 = model.weights_sha256
        self.base_sha256, self.adapter_sha256 = model.base_sha256, model.adapter_sha256
        self.tile_size, self.context_tokens = model.tile_size, model.context_tokens
        self.count_tokens = model.count_tokens
        self.record = getattr(model, "record", None)
        self.reads_indication = reads_indication(model)

    @abstractmethod
    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        """As `VisionLanguageModel` has it."""

    def stream(self, prompt: Prompt, options: DecodingOptions = GREEDY) -> Iterator[str]:
        yield from self.generate([prompt], options)


class PromptRecorder(_RemoteModel):
    """Records every prompt; its answers are empty."""

    def __init__(self, model: VisionLanguageModel, directory: Path) -> None:
        super().__init__(model)
        (directory / IMAGES).mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._lines: dict[str, dict[str, Any]] = {}

    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        for prompt in prompts:
            line = self._record(prompt, {"max_new_tokens": options.max_new_tokens})
            if options.temperature:
                line["temperature"] = options.temperature
                seeds = line.setdefault("seeds", [])
                seeds += [options.seed] if options.seed not in seeds else []
        return ["" for _ in prompts]

    def loglikelihood(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        for prompt in prompts:
            self._record(prompt, {"answers": list(answers)})
        return np.zeros((len(prompts), len(answers)))

    def save(self) -> int:
        """Write the prompts; returns how many."""
        lines = (json.dumps(line) + "\n" for line in self._lines.values())
        write_text(self._directory / PROMPTS, "".join(lines))
        return len(self._lines)

    def _record(self, prompt: Prompt, how: Mapping[str, Any]) -> dict[str, Any]:
        image = None
        if prompt.image is not None:
            image = f"{pixels_sha256(prompt.image)}.png"
            path = self._directory / IMAGES / image
            if not path.exists():
                prompt.image.save(path, "PNG")
        key = prompt_sha256(prompt)
        line = {"key": key, "task": prompt.task, "text": prompt.text, "image": image, **how}
        return self._lines.setdefault(key, line)


class AnswerReplayer(_RemoteModel):
    """Returns the answers that the same weights gave on another machine."""

    def __init__(self, model: VisionLanguageModel, path: Path) -> None:
        """Raises MismatchError for answers of other weights, UserError for no such file."""
        super().__init__(model)
        about, self._answers = read_answers(path)
        self._path = path
        self.computed = str(about["computed"])
        """Device and form of the weights there."""
        if about["weights_sha256"] != model.weights_sha256:
            raise MismatchError(
                f"{path} was answered with weights {str(about['weights_sha256'])[:12]}, not with "
                f"{model.weights_sha256[:12]}: answer the prompts with {model.name}"
            )

    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        found = [self._answer(prompt) for prompt in prompts]
        if not options.temperature:
            return [str(one) for one in found]
        try:
            return [str(one[str(options.seed)]) for one in found]
        except (KeyError, TypeError):
            raise MismatchError(
                f"{self._path} has no answer that was drawn with seed {options.seed}: write the "
                "prompts and answer them again"
            ) from None

    def loglikelihood(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        return np.array([self._answer(prompt) for prompt in prompts], dtype=np.float64)

    def _answer(self, prompt: Prompt) -> Any:
        try:
            return self._answers[prompt_sha256(prompt)]
        except KeyError:
            raise MismatchError(
                f"{self._path} has no answer to a prompt of this evaluation: write the prompts "
                "and answer them again"
            ) from None
