"""A Llama 3.2 Vision model that answers prompts; `generator.mllama.load.load_model` makes one.

It implements `generator.vision_language.VisionLanguageModel`.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path

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
from generator.mllama.decoding.static_batch import decode_together
from generator.mllama.processor import PromptProcessor
from generator.mllama.vision.encoder import EncodedImage
from generator.mllama.vision.feature_cache import FeatureCache
from generator.prompts import Prompt, messages
from generator.vision_language import GREEDY, DecodingOptions, PromptTooLongError
from indexer.encoder.weight_files import file_sha256

_PREFIX_SLOTS = 4096
"""Tokens of earlier prompts whose keys and values are kept on a CPU."""
_FEATURE_BYTES = 256_000_000
"""Memory of encoded images that are kept."""


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
        batch_size: int = 8,
    ) -> None:
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
        self.joins = decoder.device.type == "cpu"
        """Whether prompts may join others that are being answered."""
        self.rows = RowDecoder(decoder)
        self._prefixes = PrefixCache(slots=_PREFIX_SLOTS)
        self._features = FeatureCache(self._encode_some, max_bytes=_FEATURE_BYTES)

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
        rows = [self.prompt_tokens(prompt, options.max_new_tokens) for prompt in prompts]
        return self._pieces(prompts, rows, options, cancelled, more)

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
            image = self._image(prompts[numbers[0]])
            chosen = [rows[number] for number in numbers]
            scores[numbers] = loglikelihood(self.decoder, chosen, endings, image)
        return scores

    def _pieces(
        self,
        prompts: Sequence[Prompt],
        rows: Sequence[list[int]],
        options: DecodingOptions,
        cancelled: Callable[[int], bool],
        more: Callable[[int], Sequence[Prompt]],
    ) -> Iterator[tuple[int, str | UserError | None]]:
        texts: dict[int, IncrementalText] = {}
        written = (
            self._continuously(prompts, rows, options, cancelled, more)
            if self.joins
            else self._together(prompts, rows, options, cancelled)
        )
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

    def _continuously(
        self,
        prompts: Sequence[Prompt],
        rows: Sequence[list[int]],
        options: DecodingOptions,
        cancelled: Callable[[int], bool],
        more: Callable[[int], Sequence[Prompt]],
    ) -> Iterator[tuple[int, list[int] | UserError, bool]]:
        """Answers that begin as soon as others end, those of ``more`` included."""
        batch = ContinuousBatch(self.rows, self.ends, self._prefixes)
        waiting = deque(enumerate(zip(prompts, rows, strict=True)))
        count = len(prompts)
        while True:
            free = self.batch_size - len(batch.numbers) - len(waiting)
            for prompt in more(free) if free > 0 else ():
                try:
                    row = self.prompt_tokens(prompt, options.max_new_tokens)
                    waiting.append((count, (prompt, row)))
                except PromptTooLongError as error:
                    yield count, error, True
                count += 1
            while waiting and len(batch.numbers) < self.batch_size:
                number, (prompt, row) = waiting.popleft()
                if not cancelled(number):
                    batch.join(
                        Answering(
                            number=number,
                            tokens=row,
                            image=self._image(prompt),
                            options=options,
                            cancelled=partial(cancelled, number),
                        )
                    )
            if not batch.numbers:
                return
            yield from batch.step()

    def _together(
        self,
        prompts: Sequence[Prompt],
        rows: Sequence[list[int]],
        options: DecodingOptions,
        cancelled: Callable[[int], bool],
    ) -> Iterator[tuple[int, list[int], bool]]:
        """Batch after batch, each decoded from its first to its last token."""
        for alike in self._batches(prompts, rows):
            batch = [number for number in alike if not cancelled(number)]
            if not batch:
                continue
            image = self.encode_image([prompts[number].image for number in batch])
            given = [rows[number] for number in batch]
            checks = [partial(cancelled, number) for number in batch]
            going = set(range(len(batch)))
            for picked in decode_together(self.decoder, given, image, options, self.ends, checks):
                for row in sorted(going - picked.keys()):
                    yield batch[row], [], True
                going &= picked.keys()
                for row, token in picked.items():
                    yield batch[row], [token], False
            for row in sorted(going):
                yield batch[row], [], True

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

    def _image(self, prompt: Prompt) -> EncodedImage | None:
        return None if prompt.image is None else self._features.of(prompt.image)

    def _batches(self, prompts: Sequence[Prompt], rows: Sequence[list[int]]) -> Iterator[list[int]]:
        """Prompts of similar length together, those without an image apart."""
        for has_image in (True, False):
            alike = [n for n, p in enumerate(prompts) if (p.image is not None) == has_image]
            alike.sort(key=lambda number: len(rows[number]))
            for start in range(0, len(alike), self.batch_size):
                yield alike[start : start + self.batch_size]
