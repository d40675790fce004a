"""Answers that are written together, each of which may begin and end at any step.

batch = ContinuousBatch(rows, ends, prefixes=PrefixCache(slots=4096))
batch.join(Answering(number=0, tokens=prompt, image=image, options=options))
while batch.numbers:
    for number, tokens, ended in batch.step(): ...
    batch.join(...)                             # another prompt, while others are being written

A step is one pass: each answer adds its next token and a draft of those that may follow
(`PromptLookup`), of which the longest part that the model confirms is kept, and prompts that have
just joined are read together, in their order, up to a number of tokens in all. So the weights are
read once for all of them, a long prompt delays the others by one part of it at a time, and an
answer that is cancelled takes no part in the next step. A prompt that begins as another on the same
image does is read from where they part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from generator.mllama.decoding.prefix_cache import PrefixCache, common
from generator.mllama.decoding.prompt_lookup import PromptLookup
from generator.mllama.decoding.rows import CacheRow, RowDecoder, Work
from generator.mllama.decoding.sampling import sample
from generator.mllama.vision.encoder import EncodedImage
from generator.vision_language import DecodingOptions

IDLE_PARTS = 8
"""How many times more tokens of prompts there are in a step while no answer is being written."""
SHARED = 32
"""Tokens at the beginning of a prompt that are worth waiting for while another reads them."""


@dataclass(kw_only=True, eq=False)
class Answering:
    """A prompt and how to answer it."""

    number: int
    tokens: Sequence[int]
    image: EncodedImage | None
    """Of this prompt alone."""
    options: DecodingOptions
    cancelled: Callable[[], bool] = field(default=lambda: False)


class Written(NamedTuple):
    """What a step adds to an answer."""

    number: int
    tokens: list[int]
    ended: bool


class ContinuousBatch:
    """Runs on one thread at a time."""

    def __init__(
        self,
        rows: RowDecoder,
        ends: frozenset[int],
        prefixes: PrefixCache,
        *,
        drafted: int | None = None,
    ) -> None:
        """``ends`` are the tokens that end an answer; ``drafted`` is by default that of ``rows``, 0
        writes token by token."""
        self._rows, self._ends, self._prefixes = rows, ends, prefixes
        self._drafted = rows.drafted if drafted is None else drafted
        self._answers: list[_Answer] = []

    @property
    def numbers(self) -> list[int]:
        """Of the answers that have not ended."""
        return [answer.number for answer in self._answers]

    def join(self, asked: Answering) -> None:
        slots = len(asked.tokens) + asked.options.max_new_tokens + self._drafted
        drafts = self._drafted > 0 and asked.options.temperature == 0
        self._answers.append(
            _Answer(
                asked=asked,
                row=self._rows.start(slots=slots, image=asked.image),
                waiting=list(asked.tokens),
                left=asked.options.max_new_tokens,
                lookup=PromptLookup(asked.tokens) if drafts else None,
                draw=torch.Generator().manual_seed(asked.options.seed),
            )
        )

    def step(self) -> list[Written]:
        """Run one pass; what it adds, answers that were cancelled first."""
        written = [
            Written(answer.number, [], True) for answer in self._answers if answer.asked.cancelled()
        ]
        self._leave({one.number for one in written})
        work = self._work()
        if not work:
            return written
        logits = self._rows.extend([one.work for one in work])
        likeliest: list[int] = logits.argmax(dim=-1).tolist()  # one wait for the GPU, not a row
        start = 0
        for answer, given, draft in work:
            part = slice(start, start := start + given.asked)
            if not given.asked:
                continue
            picked = likeliest[part]
            if answer.asked.options.temperature > 0:
                draws = [answer.draw] * given.asked
                picked = sample(logits[part], answer.asked.options.temperature, draws).tolist()
            written.append(self._add(answer, draft, picked))
        self._leave({one.number for one in written if one.ended})
        return written

    def close(self) -> None:
        """End all answers; of use where nobody waits for them any more."""
        self._leave(set(self.numbers))

    def _work(self) -> list["_Planned"]:
        going = [answer for answer in self._answers if not answer.waiting]
        room = self._drafted // max(1, len(going))
        planned = []
        for answer in going:
            draft = [] if answer.lookup is None else answer.lookup.draft(min(room, answer.left - 1))
            tokens = [answer.last, *draft]
            planned.append(_Planned(answer, Work(answer.row, tokens, len(tokens)), draft))
        left = self._rows.prompt_part * (1 if going else IDLE_PARTS)
        reading: list[_Answer] = []
        for answer in self._answers:
            if reading and self._rows.whole_prompts and len(answer.waiting) > left:
                break
            if answer.waiting and left > 0 and not self._follows(answer, reading):
                tokens, answer.waiting = answer.waiting[:left], answer.waiting[left:]
                left -= len(tokens)
                work = Work(answer.row, tokens, 0 if answer.waiting else 1)
                planned.append(_Planned(answer, work, []))
                reading.append(answer)
        return planned

    def _follows(self, answer: "_Answer", reading: Sequence["_Answer"]) -> bool:
        """Whether a prompt waits for the beginning that it shares with one being read; otherwise it
        begins with what rows hold of it."""
        if answer.row.used:
            return False
        tokens = answer.asked.tokens
        others = [one for one in self._answers if one is not answer]
        held = self._prefixes.fill(
            answer.row, tokens, [(one.asked.tokens, one.row) for one in others]
        )
        for one in reading:
            same = one.row.image is answer.row.image
            if same and common(one.asked.tokens, tokens) >= held + SHARED:
                answer.row.truncate(0)
                return True
        answer.waiting = list(tokens[held:])
        return False

    def _add(self, answer: "_Answer", draft: Sequence[int], picked: Sequence[int]) -> Written:
        """Keep of a draft what the model would have written, and the token after it."""
        kept = 0
        while kept < len(draft) and draft[kept] == picked[kept]:
            kept += 1
        answer.row.truncate(answer.row.used - (len(draft) - kept))
        tokens = list(picked[: kept + 1])
        ended = next((place for place, one in enumerate(tokens) if one in self._ends), None)
        tokens = tokens[:ended]
        answer.left -= len(tokens)
        answer.last = picked[kept]
        if answer.lookup is not None:
            answer.lookup.append(tokens)
        return Written(answer.number, tokens, ended is not None or answer.left <= 0)

    def _leave(self, numbers: set[int]) -> None:
        for answer in self._answers:
            if answer.number not in numbers:
                continue
            if not answer.waiting:
                self._prefixes.keep(answer.row, answer.asked.tokens)
            self._rows.release(answer.row)
        self._answers = [one for one in self._answers if one.number not in numbers]


@dataclass(kw_only=True, eq=False)
class _Answer:
    asked: Answering
    row: CacheRow
    waiting: list[int]
    """Tokens of the prompt that are not in the row yet."""
    left: int
    """Tokens that the answer may still get."""
    lookup: PromptLookup | None
    draw: torch.Generator
    last: int = -1
    """The last token, which is not in the row yet."""

    @property
    def number(self) -> int:
        return self.asked.number


class _Planned(NamedTuple):
    answer: _Answer
    work: Work
    draft: list[int]
