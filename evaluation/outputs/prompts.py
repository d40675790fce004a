"""Prompts of an evaluation, answered on another machine: one with a GPU and without the index.

python -m evaluation model --model MODEL ... --write-prompts PROMPTS        # here
python -m evaluation answer --prompts PROMPTS --model MODEL --out ANSWERS   # there
python -m evaluation model --model MODEL ... --answers ANSWERS              # here again

``prompts.jsonl`` holds one prompt a line and ``images`` their images, lossless; the answers are
another such file. A prompt may be answered several times, drawn with several seeds. The digest of
a prompt identifies it, so an answer to a prompt that has changed since is never taken for an answer
to the new one. All of it is made of patients' data.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from PIL import Image

from db.errors import NotFoundError, UserError
from generator.prompts import Prompt
from generator.vision_language import DecodingOptions, VisionLanguageModel

PROMPTS, IMAGES = "prompts.jsonl", "images"
BATCH = 128
_WAYS = ("answers", "max_new_tokens", "temperature", "seeds")
"""Of a line: how its prompt is to be answered."""


def answer_prompts(
    model: VisionLanguageModel,
    directory: Path,
    out: Path,
    *,
    computed: str,
    progress: Callable[[int], object] = lambda prompts: None,
) -> None:
    """Answer all prompts of a directory; ``progress`` receives how many more are done.

    Answers are appended batch by batch to ``out`` with the suffix ``.tmp``, which becomes ``out``
    when all are there. An interrupted run continues from it, with the same weights on the same
    kind of machine. Raises UserError for a directory that holds no prompts.
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
        for way, some in _groups(open_lines):
            for start in range(0, len(some), BATCH):
                batch = some[start : start + BATCH]
                found = _answers(model, list(prompts_of(batch, directory)), way)
                pairs = zip(batch, found, strict=True)
                _write(stream, [{"key": line["key"], "answer": one} for line, one in pairs])
                progress(len(batch))
    waiting.replace(out)


def _write(stream: TextIO, lines: Sequence[Mapping[str, Any]]) -> None:
    stream.write("".join(json.dumps(line) + "\n" for line in lines))
    stream.flush()


def _unfinished(path: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Answers of an interrupted run of the same weights, its unfinished line cut off."""
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
    """What the answers were computed with, and the answers by key of the prompt."""
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path} holds no answers: make them with python -m evaluation answer"
        ) from error


def _parsed(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Raises ValueError, TypeError or KeyError for text that `answer_prompts` did not write."""
    first, *lines = text.splitlines()
    about = json.loads(first)
    _ = about["weights_sha256"], about["computed"]
    rows = [json.loads(line) for line in lines]
    return about, {row["key"]: row["answer"] for row in rows}


def prompt_sha256(prompt: Prompt) -> str:
    """The digest of task, text and image: all that a model gets."""
    seen = "" if prompt.image is None else pixels_sha256(prompt.image)
    return hashlib.sha256(json.dumps([prompt.task, prompt.text, seen]).encode()).hexdigest()


def pixels_sha256(image: Image.Image) -> str:
    pixels = np.asarray(image.convert("RGB"))
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _answers(
    model: VisionLanguageModel, prompts: list[Prompt], way: Mapping[str, Any]
) -> Sequence[Any]:
    """A text for each prompt, or texts by seed, or the log-likelihoods of given answers."""
    if "answers" in way:
        found: Sequence[Any] = model.loglikelihood(prompts, way["answers"]).tolist()
        return found
    if "seeds" not in way:
        return model.generate(prompts, DecodingOptions(max_new_tokens=way["max_new_tokens"]))
    drawn = {
        str(seed): model.generate(
            prompts,
            DecodingOptions(
                max_new_tokens=way["max_new_tokens"], temperature=way["temperature"], seed=seed
            ),
        )
        for seed in way["seeds"]
    }
    return [{seed: texts[place] for seed, texts in drawn.items()} for place in range(len(prompts))]


def _groups(
    lines: Sequence[dict[str, Any]],
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Prompts that are answered in the same way: by length, or by image where one is chosen of."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        way = {name: line[name] for name in _WAYS if name in line}
        groups.setdefault(json.dumps(way), []).append(line)
    for stated in sorted(groups):
        way, some = json.loads(stated), groups[stated]
        if "answers" not in way:
            some.sort(key=lambda line: len(line["text"]))
        yield way, some


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
