"""A Llama 3.2 Vision model that answers prompts; `generator.mllama.load.load_model` makes one.

It implements `generator.vision_language.VisionLanguageModel`.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.errors import UserError
from generator.mllama.adapter import WEIGHTS
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.checkpoint import base_sha256
from generator.mllama.decoding.continuous import Answering, ContinuousBatch
from generator.mllama.decoding.decoder import Decoder
from generator.mllama.decoding.loglikelihood import loglikelihood
from generator.mllama.decoding.prefix_cache import PrefixCache
from generator.mllama.decoding.rows import RowDecoder
from generator.mllama.decoding.sampling import IncrementalText
from generator.mllama.processor import PromptProcessor
from generator.mllama.vision.encoder import EncodedImage
from generator.mllama.vision.feature_cache import FeatureCache
from generator.prompts import Prompt, messages
from generator.vision_language import GREEDY, DecodingOptions, PromptTooLongError
from indexer.encoder.weight_files import file_sha256

_FEATURE_BYTES = 256_000_000
"""Memory of encoded images that are kept."""
_IMAGES_BETWEEN = 8
"""Images to encode between two steps of others on a GPU, which does so together; on a CPU one."""


class MllamaModel:
    """Prompts in, text out. Safe to use from several threads."""

    def __init__(
        self,
        *,
        decoder: Decoder,
        processor: PromptProcessor,
        ends: frozenset[int],
        folder: Path,
        name: str,
        adapter_folder: Path | None = None,
        adapter: str | None = None,
        record: AdapterRecord | None = None,
        notes: Sequence[str] = (),
        rows: RowDecoder | None = None,
        batch_size: int = 8,
    ) -> None:
        """``rows`` computes on the weights of ``decoder``; None for caches of their own."""
        self.name, self.adapter = name, adapter
        self.record = record
        self.notes = tuple(notes)
        """What a person should know about this model, a sentence each."""
        config = decoder.model.config
        self.tile_size: int = config.vision_config.image_size
        self.context_tokens: int = config.text_config.max_position_embeddings
        self.batch_size = batch_size
        self.decoder, self.processor = decoder, processor
        self._folder, self._adapter_folder = folder, adapter_folder
        self._special = re.compile("|".join(map(re.escape, processor.special)) or "(?!)")
        self.ends = ends
        """The tokens that end an answer."""
        self.rows = RowDecoder(decoder) if rows is None else rows
        self._prefixes = PrefixCache(slots=self.rows.kept_slots)
        self._images_between = 1 if decoder.device.type == "cpu" else _IMAGES_BETWEEN
        self._features = FeatureCache(self._encode_some, max_bytes=_FEATURE_BYTES)

    @property
    def joins(self) -> bool:
        """Prompts may join others that are being answered."""
        return True

    @cached_property
    def weights_sha256(self) -> str:
        if self.adapter_sha256 is None:
            return self.base_sha256
        return sha256(f"{self.base_sha256}{self.adapter_sha256}".encode()).hexdigest()

    @cached_property
    def base_sha256(self) -> str:
        return base_sha256(self._folder) if self.record is None else self.record.base_sha256

    @cached_property
    def adapter_sha256(self) -> str | None:
        folder = self._adapter_folder
        return None if folder is None else file_sha256(folder / WEIGHTS)

    def count_tokens(self, text: str) -> int:
        return len(self.processor.encode(self._plain(text)))

    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        answers = [""] * len(prompts)
        for number, piece in self.stream_all(prompts, options):
            if isinstance(piece, str):
                answers[number] += piece
        return answers

    def stream(self, prompt: Prompt, options: DecodingOptions = GREEDY) -> Iterator[str]:
        emitted = self.stream_all([prompt], options)
        return (piece for _, piece in emitted if isinstance(piece, str))

    def stream_all(
        self,
        prompts: Sequence[Prompt],
        options: DecodingOptions = GREEDY,
        *,
        cancelled: Callable[[int], bool] = lambda _: False,
        more: Callable[[int], Sequence[Prompt]] = lambda _: (),
    ) -> Iterator[tuple[int, str | UserError | None]]:
        return self._pieces(self.stream_tokens(prompts, options, cancelled=cancelled, more=more))

    def stream_tokens(
        self,
        prompts: Sequence[Prompt],
        options: DecodingOptions = GREEDY,
        *,
        cancelled: Callable[[int], bool] = lambda _: False,
        more: Callable[[int], Sequence[Prompt]] = lambda _: (),
    ) -> Iterator[tuple[int, list[int] | UserError, bool]]:
        """As `stream_all`, in tokens: a prompt's number, what a step adds to its answer, and
        whether the answer ends."""
        rows = [self.prompt_tokens(prompt, options.max_new_tokens) for prompt in prompts]
        return self._tokens(prompts, rows, options, cancelled, more)

    def loglikelihood(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        endings = [self.processor.encode(answer) for answer in answers]
        if not answers or not all(endings):
            raise UserError("there must be at least one answer to score, and none may be empty")
        rows = [self.prompt_tokens(prompt, max(map(len, endings))) for prompt in prompts]
        scores = np.zeros((len(prompts), len(answers)))
        by_image: dict[int, list[int]] = {}
        for number, prompt in enumerate(prompts):
            by_image.setdefault(id(prompt.image), []).append(number)
        for numbers in by_image.values():
            (image,) = self._encoded([prompts[numbers[0]]])
            chosen = [rows[number] for number in numbers]
            scores[numbers] = loglikelihood(self.decoder, chosen, endings, image)
        return scores

    def _pieces(
        self, written: Iterator[tuple[int, list[int] | UserError, bool]]
    ) -> Iterator[tuple[int, str | UserError | None]]:
        texts: dict[int, IncrementalText] = {}
        for number, tokens, ended in written:
            if isinstance(tokens, UserError):
                yield number, tokens
                continue
            text = texts.setdefault(number, IncrementalText(self.processor.decode))
            for token in tokens:
                if piece := text.append(token):
                    yield number, piece
            if ended:
                if rest := text.rest():
                    yield number, rest
                yield number, None
                del texts[number]

    def _tokens(
        self,
        prompts: Sequence[Prompt],
        rows: Sequence[list[int]],
        options: DecodingOptions,
        cancelled: Callable[[int], bool],
        more: Callable[[int], Sequence[Prompt]],
    ) -> Iterator[tuple[int, list[int] | UserError, bool]]:
        """Answers that begin as soon as others end, those of ``more`` included."""
        waiting = deque(map(_Waiting, range(len(prompts)), prompts, rows))
        number = len(prompts)
        with closing(ContinuousBatch(self.rows, self.ends, self._prefixes)) as batch:
            while True:
                free = self.batch_size - len(batch.numbers) - len(waiting)
                for prompt in more(free) if free > 0 else ():
                    try:
                        row = self.prompt_tokens(prompt, options.max_new_tokens)
                        waiting.append(_Waiting(number, prompt, row))
                    except PromptTooLongError as error:
                        yield number, error, True
                    number += 1
                self._join(batch, waiting, options, cancelled)
                if not batch.numbers and not waiting:
                    return
                yield from batch.step()

    def _join(
        self,
        batch: ContinuousBatch,
        waiting: deque["_Waiting"],
        options: DecodingOptions,
        cancelled: Callable[[int], bool],
    ) -> None:
        """Let prompts into a batch, with few images at once where others would wait for them."""
        free = self.batch_size - len(batch.numbers)
        most = min(free, self._images_between) if batch.numbers else free
        joining: list[_Waiting] = []
        while waiting and len(joining) < most:
            one = waiting.popleft()
            if not cancelled(one.number):
                joining.append(one)
        images = self._encoded([one.prompt for one in joining])
        for one, image in zip(joining, images, strict=True):
            batch.join(
                Answering(
                    number=one.number,
                    tokens=one.tokens,
                    image=image,
                    options=options,
                    cancelled=partial(cancelled, one.number),
                )
            )

    def prompt_tokens(self, prompt: Prompt, room: int = 0) -> list[int]:
        """The tokens of a prompt. Raises PromptTooLongError where ``room`` more do not fit."""
        turns = messages(self._plain(prompt.text), image=prompt.image is not None)
        row = self.processor.encode(self.processor.render(turns))
        if len(row) + room > self.context_tokens:
            raise PromptTooLongError(
                f"the prompt has {len(row)} tokens and its answer may have {room}, together more "
                f"than the {self.context_tokens} that the model reads: shorten the context"
            )
        return row

    def _plain(self, text: str) -> str:
        """The text without what the tokenizer would read as a turn or an image."""
        return self._special.sub(" ", text)

    def _encode_some(self, images: Sequence[Image.Image]) -> EncodedImage:
        encoded = self.encode_image(images)
        assert encoded is not None
        return encoded

    def encode_image(self, images: Sequence[Image.Image | None]) -> EncodedImage | None:
        """What the decoder attends to, one image per row; None where no row has one."""
        given = [image for image in images if image is not None]
        return self.decoder.encode_image(self.processor.tiling.pixels(given)) if given else None

    def _encoded(self, prompts: Sequence[Prompt]) -> list[EncodedImage | None]:
        """The image of each prompt; those that are not kept are encoded together."""
        images = [prompt.image for prompt in prompts if prompt.image is not None]
        found = iter(self._features.of(images))
        return [None if prompt.image is None else next(found) for prompt in prompts]


class _Waiting(NamedTuple):
    """A prompt that no batch has taken in yet."""

    number: int
    prompt: Prompt
    tokens: list[int]
