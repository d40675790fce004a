"""A Llama 3.2 Vision model that answers prompts; `generator.mllama.load.load_model` makes one.

It implements `generator.vision_language.VisionLanguageModel`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from transformers import MllamaProcessor

from db.errors import UserError
from generator.mllama.adapter import WEIGHTS
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.checkpoint import base_sha256
from generator.mllama.decoder import Decoder
from generator.mllama.image_encoder import EncodedImage, Pixels
from generator.mllama.sampling import IncrementalText, sample
from generator.mllama.token_tree import build_tree, group_by_size
from generator.prompts import Prompt, messages
from generator.vision_language import GREEDY, DecodingOptions, PromptTooLongError
from indexer.encoder.weight_files import file_sha256

_TREE_TOKENS = 2048
"""Tokens that are scored in one pass; their attention mask is a square of this side."""


class MllamaModel:
    """Prompts in, text out. Safe to use from several threads."""

    def __init__(
        self,
        *,
        decoder: Decoder,
        processor: MllamaProcessor,
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
        self._tokenizer = processor.tokenizer
        added = self._tokenizer.added_tokens_decoder.values()
        special = [re.escape(token.content) for token in added if token.special]
        self._special = re.compile("|".join(special) or "(?!)")
        self._ends = self._end_tokens()

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
        return len(self._tokenizer.encode(self._plain(text), add_special_tokens=False))

    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        rows = [self.prompt_tokens(prompt, options.max_new_tokens) for prompt in prompts]
        answers: list[list[int]] = [[] for _ in prompts]
        for batch in self._batches(prompts, rows):
            image = self.encode_image([prompts[number].image for number in batch])
            for picked in self._decode([rows[number] for number in batch], image, options):
                for row, token in picked.items():
                    answers[batch[row]].append(token)
        return [self._text(answer) for answer in answers]

    def stream(self, prompt: Prompt, options: DecodingOptions = GREEDY) -> Iterator[str]:
        emitted = self.stream_all([prompt], options)
        return (piece for _, piece in emitted if piece is not None)

    def stream_all(
        self,
        prompts: Sequence[Prompt],
        options: DecodingOptions = GREEDY,
        *,
        cancelled: Callable[[int], bool] = lambda _: False,
    ) -> Iterator[tuple[int, str | None]]:
        rows = [self.prompt_tokens(prompt, options.max_new_tokens) for prompt in prompts]
        return self._pieces(prompts, rows, options, cancelled)

    def loglikelihood(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        endings = [self._tokenizer.encode(answer, add_special_tokens=False) for answer in answers]
        if not answers or not all(endings):
            raise UserError("there must be at least one answer to score, and none may be empty")
        rows = [self.prompt_tokens(prompt, max(map(len, endings))) for prompt in prompts]
        scores = np.zeros((len(prompts), len(answers)))
        by_image: dict[int, list[int]] = {}
        for number, prompt in enumerate(prompts):
            by_image.setdefault(id(prompt.image), []).append(number)
        for numbers in by_image.values():
            image = self.encode_image([prompts[numbers[0]].image])
            for group in group_by_size([rows[n] for n in numbers], limit=_TREE_TOKENS):
                chosen = [numbers[place] for place in group]
                scores[chosen] = self._scores([rows[number] for number in chosen], endings, image)
        return scores

    def _pieces(
        self,
        prompts: Sequence[Prompt],
        rows: Sequence[list[int]],
        options: DecodingOptions,
        cancelled: Callable[[int], bool],
    ) -> Iterator[tuple[int, str | None]]:
        for alike in self._batches(prompts, rows):
            batch = [number for number in alike if not cancelled(number)]
            if batch:
                images = [prompts[number].image for number in batch]
                given = [rows[number] for number in batch]
                checks = [partial(cancelled, number) for number in batch]
                for row, piece in self._stream_batch(given, images, options, checks):
                    yield batch[row], piece

    def _stream_batch(
        self,
        rows: Sequence[list[int]],
        images: Sequence[Image.Image | None],
        options: DecodingOptions,
        cancelled: Sequence[Callable[[], bool]],
    ) -> Iterator[tuple[int, str | None]]:
        texts = {row: IncrementalText(self._text) for row in range(len(rows))}
        for picked in self._decode(rows, self.encode_image(images), options, cancelled):
            for row in [row for row in texts if row not in picked]:
                yield from _last_pieces(row, texts.pop(row))
            for row, token in picked.items():
                if piece := texts[row].append(token):
                    yield row, piece
        for row, text in texts.items():
            yield from _last_pieces(row, text)

    def _decode(
        self,
        rows: Sequence[list[int]],
        image: EncodedImage | None,
        options: DecodingOptions,
        cancelled: Sequence[Callable[[], bool]] = (),
    ) -> Iterator[dict[int, int]]:
        """The next token of every row that has not ended, by row number, step by step."""
        state, logits = self.decoder.prefill(rows, image, room=options.max_new_tokens)
        draws = [torch.Generator().manual_seed(options.seed) for _ in rows]
        numbers = list(range(len(rows)))
        ended: set[int] = set()
        for room in range(options.max_new_tokens - 1, -1, -1):
            tokens = sample(logits, options.temperature, [draws[number] for number in numbers])
            picked = dict(zip(numbers, tokens.tolist(), strict=True))
            ended |= {number for number, token in picked.items() if token in self._ends}
            ended |= {number for number, check in enumerate(cancelled) if check()}
            yield {number: token for number, token in picked.items() if number not in ended}
            going = [place for place, number in enumerate(numbers) if number not in ended]
            if not going or not room:
                return
            if 2 * len(going) <= len(numbers):
                numbers = [numbers[place] for place in going]
                kept = torch.tensor(going, device=tokens.device)
                state.keep_rows(kept)
                tokens = tokens[kept]
            logits = self.decoder.decode_step(state, tokens)

    def _scores(
        self, rows: Sequence[list[int]], endings: Sequence[list[int]], image: EncodedImage | None
    ) -> npt.NDArray[np.float64]:
        tree, paths = build_tree([row + ending[:-1] for row in rows for ending in endings])
        tokens = [ending for _ in rows for ending in endings]
        asked = [path[-len(ending) :] for path, ending in zip(paths, tokens, strict=True)]
        nodes = sorted({node for path in asked for node in path})
        logits = self.decoder.tree_logits(tree, image, torch.tensor(nodes))
        logs = dict(zip(nodes, logits.double().log_softmax(dim=-1).cpu(), strict=True))
        totals = [
            sum(float(logs[node][token]) for node, token in zip(path, ending, strict=True))
            for path, ending in zip(asked, tokens, strict=True)
        ]
        return np.array(totals).reshape(len(rows), len(endings))

    def prompt_tokens(self, prompt: Prompt, room: int = 0) -> list[int]:
        """The tokens of a prompt. Raises PromptTooLongError where ``room`` more do not fit."""
        turns = messages(self._plain(prompt.text), image=prompt.image is not None)
        text = self.processor.apply_chat_template(turns, add_generation_prompt=True)
        row: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        if len(row) + room > self.context_tokens:
            raise PromptTooLongError(
                f"the prompt has {len(row)} tokens and its answer may have {room}, together more "
                f"than the {self.context_tokens} that the model reads: shorten the context"
            )
        return row

    def _plain(self, text: str) -> str:
        """The text without what the tokenizer would read as a turn or an image."""
        return self._special.sub(" ", text)

    def _text(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def encode_image(self, images: Sequence[Image.Image | None]) -> EncodedImage | None:
        """What the decoder attends to, one image per row; None where no row has one."""
        given = [[image] for image in images if image is not None]
        if not given:
            return None
        read = self.processor.image_processor(given, return_tensors="pt")
        return self.decoder.encode_image(
            Pixels(
                values=read["pixel_values"],
                aspect_ratio_ids=read["aspect_ratio_ids"],
                aspect_ratio_mask=read["aspect_ratio_mask"],
            )
        )

    def _batches(self, prompts: Sequence[Prompt], rows: Sequence[list[int]]) -> Iterator[list[int]]:
        """Prompts of similar length together, those without an image apart."""
        for has_image in (True, False):
            alike = [n for n, p in enumerate(prompts) if (p.image is not None) == has_image]
            alike.sort(key=lambda number: len(rows[number]))
            for start in range(0, len(alike), self.batch_size):
                yield alike[start : start + self.batch_size]

    def _end_tokens(self) -> frozenset[int]:
        ends = self.decoder.model.generation_config.eos_token_id
        several = ends if isinstance(ends, list) else [ends]
        return frozenset(
            token for token in (*several, self._tokenizer.eos_token_id) if token is not None
        )


def _last_pieces(row: int, text: IncrementalText) -> Iterator[tuple[int, str | None]]:
    """What is left of an answer, and None for its end."""
    if rest := text.rest():
        yield row, rest
    yield row, None
