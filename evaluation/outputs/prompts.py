"""Prompts of an evaluation, to be answered on another machine: one with a GPU and no index.

python -m finetune evaluate --model MODEL ... --write-prompts PROMPTS       # here
python -m finetune answer --prompts PROMPTS --model MODEL --out ANSWERS     # there
python -m finetune evaluate --model MODEL ... --answers ANSWERS             # here again

``prompts.jsonl`` holds a prompt a line and ``images`` what they show, without loss; the answers are
one more such file. A prompt is known by its digest, so that an answer to a prompt that has changed
since is never taken for one to the new prompt. All of it is made of patients' data.
"""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.errors import MismatchError, NotFoundError, UserError
from generator.prompts import Prompt
from generator.vision_language import GREEDY, DecodingOptions, VisionLanguageModel

PROMPTS, IMAGES = "prompts.jsonl", "images"
BATCH = 128


class _Stand(ABC):
    """What stands in for a model; prompts are built with its tokens and its tile size."""

    def __init__(self, model: VisionLanguageModel) -> None:
        self.name, self.adapter = model.name, model.adapter
        self.weights_sha256 = model.weights_sha256
        self.tile_size, self.context_tokens = model.tile_size, model.context_tokens
        self.count_tokens = model.count_tokens

    @abstractmethod
    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        """As `VisionLanguageModel` has it."""

    def stream(self, prompt: Prompt, options: DecodingOptions = GREEDY) -> Iterator[str]:
        yield from self.generate([prompt], options)


class PromptRecorder(_Stand):
    """Writes down every prompt it is given, and answers nothing of worth."""

    def __init__(self, model: VisionLanguageModel, directory: Path) -> None:
        super().__init__(model)
        (directory / IMAGES).mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._lines: dict[str, dict[str, Any]] = {}

    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        for prompt in prompts:
            self._record(prompt, {"max_new_tokens": options.max_new_tokens})
        return ["" for _ in prompts]

    def loglikelihood(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        for prompt in prompts:
            self._record(prompt, {"answers": list(answers)})
        return np.zeros((len(prompts), len(answers)))

    def save(self) -> int:
        """Write the prompts; returns how many."""
        waiting = self._directory / f"{PROMPTS}.tmp"
        lines = (json.dumps(line) + "\n" for line in self._lines.values())
        waiting.write_text("".join(lines), encoding="utf-8")
        waiting.replace(self._directory / PROMPTS)
        return len(self._lines)

    def _record(self, prompt: Prompt, how: Mapping[str, Any]) -> None:
        image = None
        if prompt.image is not None:
            image = f"{_pixels_sha256(prompt.image)}.png"
            path = self._directory / IMAGES / image
            if not path.exists():
                prompt.image.save(path, "PNG")
        key = prompt_sha256(prompt)
        line = {"key": key, "task": prompt.task, "text": prompt.text, "image": image}
        self._lines[key] = {**line, **how}


class AnswerPlayer(_Stand):
    """Gives the answers that the same weights gave elsewhere."""

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
        return [str(self._answer(prompt)) for prompt in prompts]

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


def answer_prompts(
    model: VisionLanguageModel,
    directory: Path,
    out: Path,
    *,
    computed: str,
    progress: Callable[[int], object] = lambda prompts: None,
) -> None:
    """Answer all prompts of a directory; ``progress`` is told how many more are done.

    Answers are written a batch at a time to ``out`` with ``.tmp`` behind its name, which becomes
    ``out`` when all are there: a run that was cut goes on from it, with the same weights on the
    same kind of machine. Raises UserError for a directory that holds no prompts.
    """
    lines = read_prompts(directory)
    about = {"weights_sha256": model.weights_sha256, "computed": computed}
    waiting = out.with_name(out.name + ".tmp")
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = _unfinished(waiting, about)
    open_lines = [line for line in lines if line["key"] not in kept]
    progress(len(lines) - len(open_lines))
    with waiting.open("a", encoding="utf-8") as stream:
        if not kept:
            stream.truncate(0)
            _write(stream, [about])
        for options, some in _groups(open_lines):
            for start in range(0, len(some), BATCH):
                batch = some[start : start + BATCH]
                prompts = list(prompts_of(batch, directory))
                found: Sequence[Any]
                if isinstance(options, int):
                    found = model.generate(prompts, DecodingOptions(max_new_tokens=options))
                else:
                    found = model.loglikelihood(prompts, options).tolist()
                pairs = zip(batch, found, strict=True)
                _write(stream, [{"key": line["key"], "answer": one} for line, one in pairs])
                progress(len(batch))
    waiting.replace(out)


def _write(stream: TextIO, lines: Sequence[Mapping[str, Any]]) -> None:
    stream.write("".join(json.dumps(line) + "\n" for line in lines))
    stream.flush()


def _unfinished(path: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Answers of a run that was cut, and the line that it was writing taken off; none of others."""
    try:
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        found, kept = _parsed(whole.decode())
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    if found != about:
        return {}
    os.truncate(path, len(whole))
    return kept


def read_prompts(directory: Path) -> list[dict[str, Any]]:
    """The lines of `PromptRecorder`. Raises UserError for anything else."""
    path = directory / PROMPTS
    if not path.is_file():
        raise NotFoundError(f"{directory} holds no prompts: make them with --write-prompts")
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            prompt = (line["key"], line["task"], line["text"])
            known = {"max_new_tokens", "answers"} & line.keys()
            if not all(isinstance(one, str) for one in prompt) or len(known) != 1:
                raise ValueError(line)
            if line["image"] is not None and Path(line["image"]).name != line["image"]:
                raise ValueError(line["image"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} holds no prompts: make them again") from error
    return lines


def read_answers(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What they were computed with, and the answers by key of the prompt."""
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} holds no answers: make them with finetune answer") from error


def _parsed(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Raises ValueError, TypeError or KeyError for what `answer_prompts` does not write."""
    first, *lines = text.splitlines()
    about = json.loads(first)
    _ = about["weights_sha256"], about["computed"]
    rows = [json.loads(line) for line in lines]
    return about, {row["key"]: row["answer"] for row in rows}


def prompt_sha256(prompt: Prompt) -> str:
    """Of all that a model is given."""
    seen = "" if prompt.image is None else _pixels_sha256(prompt.image)
    return hashlib.sha256(json.dumps([prompt.task, prompt.text, seen]).encode()).hexdigest()


def _pixels_sha256(image: Image.Image) -> str:
    pixels = np.asarray(image.convert("RGB"))
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _groups(
    lines: Sequence[dict[str, Any]],
) -> Iterator[tuple[int | list[str], list[dict[str, Any]]]]:
    """Prompts that are answered in the same way: by length, or by image where one is chosen of."""
    ways = {json.dumps(line.get("answers", line.get("max_new_tokens"))) for line in lines}
    for way in sorted(ways):
        options = json.loads(way)
        some = [one for one in lines if one.get("answers", one.get("max_new_tokens")) == options]
        if isinstance(options, int):
            some.sort(key=lambda line: len(line["text"]))
        yield options, some


def prompts_of(lines: Sequence[dict[str, Any]], directory: Path) -> Iterator[Prompt]:
    """Prompts on the same image share one object, which is computed once."""
    images: dict[str, Image.Image] = {}
    for line in lines:
        name = line["image"]
        if name is not None and name not in images:
            try:
                images[name] = Image.open(directory / IMAGES / name).convert("RGB")
            except OSError as error:
                raise UserError(f"the image {name} of the prompts cannot be read") from error
        yield Prompt(
            task=line["task"], text=line["text"], image=None if name is None else images[name]
        )
