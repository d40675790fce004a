"""Examples as a model reads them: token ids, tiles on the training device, and batches of both.

Images are held as bytes and normalised where they are used, exactly as the model's own image
processor would; a test compares the two.
"""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import MllamaProcessor

from db.errors import UserError
from finetune.examples.folder import Example, ExampleFolder
from generator.prompts import messages

PADDING = 32
"""A batch's length is a multiple of it, so that few shapes occur."""

_TEXT = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for an example's text."""

_CHUNK = 32
"""Images prepared together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sequenced:
    """One example in tokens."""

    task: str
    ids: Tensor  # (length,) int32: prompt, answer, end of turn
    prompt: int
    """Tokens before the answer."""
    canvas: int | None


def tokenise(examples: Sequence[Example], processor: MllamaProcessor) -> list[Sequenced]:
    """Prompt and answer are split into tokens apart, as they are when the model writes.

    The template is rendered once, not for every example.
    """
    tokenizer = processor.tokenizer
    frames = {
        seeing: processor.apply_chat_template(
            messages(_TEXT, image=seeing), add_generation_prompt=True, tokenize=False
        ).split(_TEXT)
        for seeing in (True, False)
    }
    prompts = [example.prompt.join(frames[example.canvas is not None]) for example in examples]
    answers = [example.answer + tokenizer.eos_token for example in examples]
    before, after = (
        tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]
        for texts in (prompts, answers)
    )
    return [
        Sequenced(
            task=example.task,
            ids=torch.tensor(prompt + answer, dtype=torch.int32),
            prompt=len(prompt),
            canvas=example.canvas,
        )
        for example, prompt, answer in zip(examples, before, after, strict=True)
    ]


class Tiles:
    """Every image of a pack as grey tiles, (n, tiles, side, side) uint8 on ``device``."""

    def __init__(
        self, pack: ExampleFolder, processor: MllamaProcessor, device: torch.device
    ) -> None:
        images = processor.image_processor
        self.side, self.most = images.size["height"], images.max_image_tiles
        self.mean, self.std = (
            torch.tensor(values, device=device).view(1, 1, 3, 1, 1)
            for values in (images.image_mean, images.image_std)
        )
        values = np.zeros((pack.canvases, self.most, self.side, self.side), np.uint8)
        ratios, counts = np.ones(pack.canvases, np.int64), np.ones(pack.canvases, np.int64)

        def fill(first: int) -> None:
            part = slice(first, min(first + _CHUNK, pack.canvases))
            canvases = [[pack.canvas(number)] for number in range(part.start, part.stop)]
            seen = images(canvases, do_rescale=False, do_normalize=False, return_tensors="pt")
            # Grey: the three channels are one.
            values[part] = seen["pixel_values"][:, 0, :, 0].to(torch.uint8).numpy()
            ratios[part] = seen["aspect_ratio_ids"][:, 0].numpy()
            counts[part] = seen["aspect_ratio_mask"][:, 0].sum(dim=1).numpy()

        with ThreadPoolExecutor() as pool:
            list(pool.map(fill, range(0, pack.canvases, _CHUNK)))
        self.values = torch.from_numpy(values).to(device)
        self.ratios, self.counts = (torch.from_numpy(v).to(device) for v in (ratios, counts))

    def __len__(self) -> int:
        return len(self.values)

    def normalised(self, grey: Tensor, counts: Tensor) -> Tensor:
        """(b, tiles, side, side) from 0 to 1 -> (b, 1, tiles, 3, side, side) for the model.

        A tile that an image does not have is 0, as the image processor leaves it.
        """
        pixels: Tensor = (grey[:, :, None] - self.mean) / self.std
        return (pixels * self.mask(counts)[:, :, None, None, None])[:, None]

    def mask(self, counts: Tensor) -> Tensor:
        """(b,) -> (b, tiles), 1 where an image has a tile."""
        return (torch.arange(self.most, device=counts.device) < counts[:, None]).long()

    def grey(self, rows: Tensor) -> Tensor:
        """(b, tiles, side, side) float32, 0 to 1."""
        return self.values[rows].float() / 255


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptBatch:
    """Examples that all have an image, or all have none."""

    inputs: dict[str, Tensor]
    """For the model, without pixels."""
    rows: Tensor | None  # (b,), numbers of the images
    answers: Tensor
    """(b, length) bool, on the CPU: the token is one of an answer."""
    prompts: Tensor
    """The same for what stands before the answer: neither the first token nor the image."""
    tasks: tuple[str, ...]


class Batches:
    """Batches of examples of like length."""

    def __init__(
        self,
        examples: Sequence[Sequenced],
        tiles: Tiles,
        *,
        image_token: int,
        pad_token: int,
        tokens: int,
    ) -> None:
        for example in examples:
            if example.canvas is not None and not 0 <= example.canvas < len(tiles):
                raise UserError(f"an example names image {example.canvas}, which the pack lacks")
        self.examples = list(examples)
        self._tiles, self._tokens = tiles, tokens
        self._image_token, self._pad_token = image_token, pad_token

    def groups(self, seed: int) -> list[list[int]]:
        """Every example once, in batches of at most so many tokens, padding counted."""
        draw = random.Random(seed)
        groups: list[list[int]] = []
        for seeing in (True, False):
            order = [n for n, e in enumerate(self.examples) if (e.canvas is not None) == seeing]
            draw.shuffle(order)
            # Sorted within pools, so that batches differ from one epoch to the next.
            for start in range(0, len(order), 4096):
                pool = sorted(order[start : start + 4096], key=self._padded)
                group: list[int] = []
                for number in pool:
                    if group and (len(group) + 1) * self._padded(number) > self._tokens:
                        groups.append(group)
                        group = []
                    group.append(number)
                if group:
                    groups.append(group)
        draw.shuffle(groups)
        return groups

    def epoch(self, seed: int) -> Iterator[PromptBatch]:
        for group in self.groups(seed):
            yield self.batch(group)

    def batch(self, numbers: Sequence[int]) -> PromptBatch:
        """Padded on the right; a causal model then needs no mask over its text."""
        chosen = [self.examples[number] for number in numbers]
        device = self._tiles.values.device
        length = max(self._padded(number) for number in numbers)
        ids = torch.full((len(chosen), length), self._pad_token, dtype=torch.int64)
        for row, example in enumerate(chosen):
            ids[row, : len(example.ids)] = example.ids
        ends = torch.tensor([len(e.ids) for e in chosen])[:, None]
        starts = torch.tensor([e.prompt for e in chosen])[:, None]
        place = torch.arange(length)
        prompts = (place > 0) & (place < starts) & (ids != self._image_token)
        ids = (ids.pin_memory() if device.type == "cuda" else ids).to(device, non_blocking=True)
        inputs = {"input_ids": ids}
        rows = None
        canvases = [e.canvas for e in chosen if e.canvas is not None]
        if canvases:
            rows = torch.tensor(canvases).to(device)
            mask = self._tiles.mask(self._tiles.counts[rows])
            seen = (ids == self._image_token).cumsum(dim=1) > 0
            inputs |= {
                "aspect_ratio_ids": self._tiles.ratios[rows][:, None],
                "aspect_ratio_mask": mask[:, None],
                "cross_attention_mask": (seen[:, :, None] & (mask[:, None] > 0))[:, :, None].long(),
            }
        return PromptBatch(
            inputs=inputs,
            rows=rows,
            answers=(place >= starts) & (place < ends),
            prompts=prompts,
            tasks=tuple(e.task for e in chosen),
        )

    def _padded(self, number: int) -> int:
        return -(-len(self.examples[number].ids) // PADDING) * PADDING


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of each token, float32. (n, vocabulary), (n,) -> (n,)."""
    return functional.cross_entropy(logits.float(), targets, reduction="none")
