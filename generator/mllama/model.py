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
from torch import Tensor
from transformers import MllamaProcessor

from db.errors import UserError
from generator.mllama.adapter import WEIGHTS, AdapterRecord
from generator.mllama.checkpoint import base_sha256
from generator.mllama.decoder import Decoder, Pixels, Radiograph
from generator.mllama.token_tree import grow
from generator.prompts import Prompt, messages
from generator.vision_language import GREEDY, DecodingOptions, PromptTooLongError
from indexer.encoder.weight_files import file_sha256

_TREE_TOKENS = 2048
"""Tokens that are scored in one pass; what they attend to is a square of this side."""


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
        base = base_sha256(self._folder)
        if self._adapter_folder is None:
            return base
        return sha256(f"{base}{file_sha256(self._adapter_folder / WEIGHTS)}".encode()).hexdigest()

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(self._plain(text), add_special_tokens=False))

    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        rows = [self.prompt_tokens(prompt, options.max_new_tokens) for prompt in prompts]
        answers: list[list[int]] = [[] for _ in prompts]
        for batch in self._batches(prompts, rows):
            image = self.see([prompts[number].image for number in batch])
            for picked in self._decode([rows[number] for number in batch], image, options):
                for row, token in picked.items():
                    answers[batch[row]].append(token)
        return [self._text(answer) for answer in answers]

    def stream(self, prompt: Prompt, options: DecodingOptions = GREEDY) -> Iterator[str]:
        told = self.stream_all([prompt], options)
        return (piece for _, piece in told if piece is not None)

    def stream_all(
        self,
        prompts: Sequence[Prompt],
        options: DecodingOptions = GREEDY,
        *,
        left: Callable[[int], bool] = lambda _: False,
    ) -> Iterator[tuple[int, str | None]]:
        rows = [self.prompt_tokens(prompt, options.max_new_tokens) for prompt in prompts]
        return self._pieces(prompts, rows, options, left)

    def choose(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> npt.NDArray[np.float64]:
        endings = [self._tokenizer.encode(answer, add_special_tokens=False) for answer in answers]
        if not answers or not all(endings):
            raise UserError("there must be answers to choose from, none of them empty")
        rows = [self.prompt_tokens(prompt, max(map(len, endings))) for prompt in prompts]
        scores = np.zeros((len(prompts), len(answers)))
        by_image: dict[int, list[int]] = {}
        for number, prompt in enumerate(prompts):
            by_image.setdefault(id(prompt.image), []).append(number)
        for numbers in by_image.values():
            image = self.see([prompts[numbers[0]].image])
            for group in self._trees([rows[number] for number in numbers]):
                chosen = [numbers[place] for place in group]
                scores[chosen] = self._scores([rows[number] for number in chosen], endings, image)
        return scores

    def _pieces(
        self,
        prompts: Sequence[Prompt],
        rows: Sequence[list[int]],
        options: DecodingOptions,
        left: Callable[[int], bool],
    ) -> Iterator[tuple[int, str | None]]:
        for alike in self._batches(prompts, rows):
            batch = [number for number in alike if not left(number)]
            if batch:
                images = [prompts[number].image for number in batch]
                given = [rows[number] for number in batch]
                gone = [partial(left, number) for number in batch]
                for row, piece in self._told(given, images, options, gone):
                    yield batch[row], piece

    def _told(
        self,
        rows: Sequence[list[int]],
        images: Sequence[Image.Image | None],
        options: DecodingOptions,
        gone: Sequence[Callable[[], bool]],
    ) -> Iterator[tuple[int, str | None]]:
        tellings = {row: _Telling(self._text) for row in range(len(rows))}
        for picked in self._decode(rows, self.see(images), options, gone):
            for row in [row for row in tellings if row not in picked]:
                yield from ((row, piece) for piece in tellings.pop(row).end())
            for row, token in picked.items():
                if piece := tellings[row].more(token):
                    yield row, piece
        for row, telling in tellings.items():
            yield from ((row, piece) for piece in telling.end())

    def _decode(
        self,
        rows: Sequence[list[int]],
        image: Radiograph | None,
        options: DecodingOptions,
        gone: Sequence[Callable[[], bool]] = (),
    ) -> Iterator[dict[int, int]]:
        """Token by token what each row that has not ended says next, by row number."""
        state, logits = self.decoder.read(rows, image, room=options.max_new_tokens)
        draws = [torch.Generator().manual_seed(options.seed) for _ in rows]
        numbers = list(range(len(rows)))
        ended: set[int] = set()
        for room in range(options.max_new_tokens - 1, -1, -1):
            tokens = _pick(logits, options.temperature, [draws[number] for number in numbers])
            picked = dict(zip(numbers, tokens.tolist(), strict=True))
            ended |= {number for number, token in picked.items() if token in self._ends}
            ended |= {number for number, left in enumerate(gone) if left()}
            yield {number: token for number, token in picked.items() if number not in ended}
            going = [place for place, number in enumerate(numbers) if number not in ended]
            if not going or not room:
                return
            if 2 * len(going) <= len(numbers):
                numbers = [numbers[place] for place in going]
                kept = torch.tensor(going, device=tokens.device)
                self.decoder.keep(state, kept)
                tokens = tokens[kept]
            logits = self.decoder.step(state, tokens)

    def _scores(
        self, rows: Sequence[list[int]], endings: Sequence[list[int]], image: Radiograph | None
    ) -> npt.NDArray[np.float64]:
        tree, paths = grow([row + ending[:-1] for row in rows for ending in endings])
        tokens = [ending for _ in rows for ending in endings]
        asked = [path[-len(ending) :] for path, ending in zip(paths, tokens, strict=True)]
        nodes = sorted({node for path in asked for node in path})
        logits = self.decoder.score(tree, image, torch.tensor(nodes))
        logs = dict(zip(nodes, logits.double().log_softmax(dim=-1).cpu(), strict=True))
        totals = [
            sum(float(logs[node][token]) for node, token in zip(path, ending, strict=True))
            for path, ending in zip(asked, tokens, strict=True)
        ]
        return np.array(totals).reshape(len(rows), len(endings))

    def prompt_tokens(self, prompt: Prompt, room: int = 0) -> list[int]:
        """The tokens of a prompt; raises PromptTooLongError where ``room`` more do not fit."""
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
        """Without what the tokenizer would read as a turn or an image."""
        return self._special.sub(" ", text)

    def _text(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def see(self, images: Sequence[Image.Image | None]) -> Radiograph | None:
        """What the decoder is to look at: an image a row, or None where no row has one."""
        given = [[image] for image in images if image is not None]
        if not given:
            return None
        read = self.processor.image_processor(given, return_tensors="pt")
        return self.decoder.see(
            Pixels(
                values=read["pixel_values"],
                aspect_ratio_ids=read["aspect_ratio_ids"],
                aspect_ratio_mask=read["aspect_ratio_mask"],
            )
        )

    def _batches(self, prompts: Sequence[Prompt], rows: Sequence[list[int]]) -> Iterator[list[int]]:
        """Prompts of like length together, those without an image by themselves."""
        for seeing in (True, False):
            alike = [n for n, prompt in enumerate(prompts) if (prompt.image is not None) == seeing]
            alike.sort(key=lambda number: len(rows[number]))
            for start in range(0, len(alike), self.batch_size):
                yield alike[start : start + self.batch_size]

    def _trees(self, rows: Sequence[list[int]]) -> Iterator[list[int]]:
        """Places of rows in runs whose tokens, the common beginning once, fit into one pass."""
        group: list[int] = []
        size = 0
        for place, row in enumerate(rows):
            added = len(row) - (_common(rows[group[0]], row) if group else 0)
            if group and size + added > _TREE_TOKENS:
                yield group
                group, size, added = [], 0, len(row)
            group.append(place)
            size += added
        if group:
            yield group

    def _end_tokens(self) -> frozenset[int]:
        ends = self.decoder.model.generation_config.eos_token_id
        several = ends if isinstance(ends, list) else [ends]
        return frozenset(
            token for token in (*several, self._tokenizer.eos_token_id) if token is not None
        )


class _Telling:
    """An answer in pieces, as its tokens come."""

    def __init__(self, read: Callable[[Sequence[int]], str]) -> None:
        self._read = read
        self._tokens: list[int] = []
        self._told = ""

    def more(self, token: int) -> str:
        """What can be told now; empty while a character is incomplete."""
        self._tokens.append(token)
        text = self._read(self._tokens)
        if text.endswith("\N{REPLACEMENT CHARACTER}"):
            return ""
        piece, self._told = text[len(self._told) :], text
        return piece

    def end(self) -> Iterator[str | None]:
        """What is left, and None."""
        if rest := self._read(self._tokens)[len(self._told) :]:
            yield rest
        yield None


def _pick(logits: Tensor, temperature: float, draws: Sequence[torch.Generator]) -> Tensor:
    """The next token of each row, (rows,)."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    chances = (logits.double() / temperature).softmax(dim=-1).cpu()
    drawn = [
        torch.multinomial(chance, 1, generator=draw)
        for chance, draw in zip(chances, draws, strict=True)
    ]
    return torch.cat(drawn).to(logits.device)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Tokens that both begin with."""
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))
