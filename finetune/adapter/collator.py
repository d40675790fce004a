"""From examples to the tensors of a training step, for any processor of the Mllama family.

    tokens = Rendering(processor).tokenise(example.prompt, example.answer, image=True)
    batch = Collator(processor, images)([tokens, ...])        # what the model's forward takes

The processor's own chat template renders a prompt, which is tokenised separately from its answer,
so that training uses exactly the token ids of inference. The loss counts only the answer and the
token that ends the turn. A prompt has at most one image.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers.models.mllama.processing_mllama import build_string_from_input

from db.errors import UserError
from finetune.adapter.backends import IGNORED
from finetune.fused.image_features import NUMBERS
from generator.prompts import messages


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """One example as token ids."""

    ids: tuple[int, ...]
    prompt_length: int
    """Ids before the answer."""
    image: int | None
    """Of the data's images; None without one."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counted(self) -> int:
        """What the example counts in the mean of a step: the tokens of its answer."""
        return len(self.ids) - self.prompt_length


class Rendering:
    """A processor's chat template, and the tokens that belong to it."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.special = set(self.tokenizer.all_special_ids) | {
            token_id
            for token_id, token in self.tokenizer.added_tokens_decoder.items()
            if token.special
        }
        self.pad_id = int(
            next(
                token_id
                for token_id in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, 0)
                if token_id is not None
            )
        )

    def tokenise(self, prompt: str, answer: str, *, image: int | None) -> Tokens:
        """Raises UserError for texts that cannot be trained on: empty, or with control tokens."""
        answer = answer.strip()
        for name, text in (("prompt", prompt), ("answer", answer)):
            if not text.strip():
                raise UserError(f"an example has an empty {name}: leave it out")
        for text in (prompt, answer):
            self._refuse_control_tokens(text)
        before = self.text(prompt, image=image is not None)
        whole = self._template(messages(prompt, answer, image=image is not None), opened=False)
        if not whole.startswith(before) or not whole[len(before) :].startswith(answer):
            raise UserError(
                "the chat template does not begin a whole conversation as it begins a prompt: "
                "a model cannot be trained with it, use the base model's own processor"
            )
        prompt_ids = self._ids(before)
        answer_ids = self._ids(whole[len(before) :])
        ends = [place for place, token in enumerate(answer_ids) if token in self.special]
        if not ends:
            raise UserError(
                "the chat template puts no control token after an answer, so that the model would "
                "never learn to stop: use the base model's own processor"
            )
        return Tokens(
            ids=(*prompt_ids, *answer_ids[: ends[0] + 1]),
            prompt_length=len(prompt_ids),
            image=image,
        )

    def text(self, prompt: str, *, image: bool) -> str:
        """A prompt as the model reads it, to the point where its answer begins."""
        return self._template(messages(prompt, image=image), opened=True)

    def _template(self, conversation: list[dict[str, Any]], *, opened: bool) -> str:
        text = self.processor.apply_chat_template(conversation, add_generation_prompt=opened)
        bos = self.tokenizer.bos_token
        return build_string_from_input(text, bos, self.processor.image_token) if bos else text

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _refuse_control_tokens(self, text: str) -> None:
        found = self.special.intersection(self._ids(text))
        if found:
            token = self.tokenizer.convert_ids_to_tokens(sorted(found)[0])
            raise UserError(
                f"a text holds '{token}', which controls the model: take it out of '{text[:60]}...'"
            )


@dataclass(frozen=True, kw_only=True)
class ImageTensors:
    """One image as the vision encoder takes it."""

    pixels: Tensor  # (tiles, channels, height, width); only tiles that are used
    aspect_ratio_id: int
    aspect_ratio_mask: Tensor  # (most tiles,)


class ImageCache:
    """An LRU cache of prepared images with a limit in bytes; safe to use from several threads."""

    def __init__(
        self,
        processor: Any,
        image: Callable[[int], Image.Image],
        *,
        dtype: torch.dtype = torch.float32,
        limit: int = 4 << 30,
    ) -> None:
        self._processor, self._image = processor.image_processor, image
        self._dtype, self._limit = dtype, limit
        self._kept: OrderedDict[int, ImageTensors] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __getitem__(self, number: int) -> ImageTensors:
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
        made = self._prepare(self._image(number))
        with self._lock:
            if number not in self._kept:
                self._kept[number] = made
                self._bytes += made.pixels.nbytes
            while self._bytes > self._limit and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].pixels.nbytes
        return made

    def _prepare(self, image: Image.Image) -> ImageTensors:
        given = self._processor(images=[[image]], return_tensors="pt")
        tiles = int(given["num_tiles"][0][0])
        return ImageTensors(
            pixels=given["pixel_values"][0, 0, :tiles].to(self._dtype),
            aspect_ratio_id=int(given["aspect_ratio_ids"][0, 0]),
            aspect_ratio_mask=given["aspect_ratio_mask"][0, 0],
        )


class Collator:
    """Pads on the right. The examples of a batch all have an image, or none has."""

    def __init__(
        self, processor: Any, images: ImageCache, *, pad_id: int, numbered: bool = False
    ) -> None:
        """``numbered`` adds the numbers of the images, which `ImageFeatures` keeps features by."""
        self._image_token = int(processor.image_token_id)
        self._images, self._pad_id, self._numbered = images, pad_id, numbered

    def __call__(self, examples: Sequence[Tokens]) -> dict[str, Tensor]:
        length = max(len(example) for example in examples)
        shape = (len(examples), length)
        ids = torch.full(shape, self._pad_id)
        labels = torch.full(shape, IGNORED)
        mask = torch.zeros(shape, dtype=torch.long)
        for row, example in enumerate(examples):
            ids[row, : len(example)] = torch.tensor(example.ids)
            answer = slice(example.prompt_length, len(example))
            labels[row, answer] = ids[row, answer]
            mask[row, : len(example)] = 1
        batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        images = [self._images[e.image] for e in examples if e.image is not None]
        if images:
            batch |= self._vision(examples, images, length)
            if self._numbered:
                batch[NUMBERS] = torch.tensor([e.image for e in examples])
        return batch

    def _vision(
        self, examples: Sequence[Tokens], images: Sequence[ImageTensors], length: int
    ) -> dict[str, Tensor]:
        rows, most = len(examples), len(images[0].aspect_ratio_mask)
        pixels = images[0].pixels.new_zeros((rows, 1, most, *images[0].pixels.shape[1:]))
        seen = torch.zeros((rows, length, 1, most), dtype=torch.long)
        for row, (example, image) in enumerate(zip(examples, images, strict=True)):
            tiles = len(image.pixels)
            pixels[row, 0, :tiles] = image.pixels
            seen[row, example.ids.index(self._image_token) :, 0, :tiles] = 1
        return {
            "pixel_values": pixels,
            "aspect_ratio_ids": torch.tensor([[image.aspect_ratio_id] for image in images]),
            "aspect_ratio_mask": torch.stack([image.aspect_ratio_mask for image in images])[
                :, None
            ],
            "cross_attention_mask": seen,
        }
