"""The examples of a run as token ids, and one prompt whose answers are logged."""

import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Any, Protocol, Self

import torch
from PIL import Image

from db.errors import UserError
from finetune.adapter.answers import sample_answer, write_answer
from finetune.adapter.backends import Trainable
from finetune.adapter.collator import Collator, ImageCache, Rendering, Tokens
from finetune.adapter.config import TrainConfig
from finetune.examples.folder import Example

_log = logging.getLogger(__name__)
COMPARED = 20
"""Prompts whose answers are compared before and after a merge, and tokens of each answer."""
COMPARED_TOKENS = 32


class TrainingData(Protocol):
    """Where examples come from: a pack made from an index, or a data set of images and texts."""

    @property
    def train(self) -> Sequence[Example]: ...

    @property
    def val(self) -> Sequence[Example]: ...

    @property
    def about(self) -> Mapping[str, Any]:
        """``prompt_version``, ``data_sha256``, and of an index ``index_fingerprint``,
        ``encoder_sha256`` and ``strategy``."""
        ...

    def canvas(self, number: int) -> Image.Image:
        """RGB."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What the training loop needs of the examples."""

    train: Sequence[Tokens]
    val: Sequence[Tokens]
    collate: Collator
    rendering: Rendering
    tasks: Sequence[str]
    """Of the training examples."""
    too_long: int = 0
    """Examples left out because they have more tokens than the config allows."""
    val_too_long: int = 0
    """The same of the examples to validate with."""
    sample: Callable[[Trainable], str] | None = None
    """Writes an answer to one validation prompt, to be read in the log."""

    @classmethod
    def make(
        cls, data: TrainingData, processor: Any, config: TrainConfig, dtype: torch.dtype
    ) -> Self:
        """Raises UserError where an example cannot be trained on, or none is left."""
        rendering = Rendering(processor)
        train = [cls.tokenise(example, rendering) for example in data.train]
        fits = [len(tokens) <= config.max_tokens for tokens in train]
        kept = list(compress(train, fits))
        if not kept:
            shortest = min((len(tokens) for tokens in train), default=0)
            raise UserError(
                f"none of {len(train)} examples fits into {config.max_tokens} tokens "
                f"(the shortest has {shortest}): raise max_tokens"
                if train
                else "the data holds no training example: check where it was made"
            )
        whole_val = [(example, cls.tokenise(example, rendering)) for example in data.val]
        fitting = [pair for pair in whole_val if len(pair[1]) <= config.max_tokens]
        val = [tokens for _, tokens in _choose(fitting, config)]
        if len(train) > len(kept) or len(whole_val) > len(fitting):
            _log.warning(
                "%d of %d training and %d of %d validation examples are longer than %d tokens: "
                "left out",
                *(len(train) - len(kept), len(train)),
                *(len(whole_val) - len(fitting), len(whole_val)),
                config.max_tokens,
            )
        collate = Collator(
            processor,
            ImageCache(processor, data.canvas, dtype=dtype),
            pad_id=rendering.pad_id,
            numbered=bool(config.fused) and not config.vision,
        )
        return cls(
            train=kept,
            val=val,
            collate=collate,
            rendering=rendering,
            tasks=list(compress(map(cls.kind, data.train), fits)),
            too_long=len(train) - len(kept),
            val_too_long=len(whole_val) - len(fitting),
            sample=(
                partial(sample_answer, val[0], collate, rendering, config.sample_tokens)
                if val and config.sample_tokens
                else None
            ),
        )

    @staticmethod
    def tokenise(example: Any, rendering: Rendering) -> Tokens:
        """The token ids of an example of the data."""
        return rendering.tokenise(example.prompt, example.answer, image=example.canvas)

    @staticmethod
    def kind(example: Any) -> str:
        """What a dry run shows one example of."""
        return str(example.task)

    def describe(self, number: int) -> Iterator[str]:
        """A training example for a person, with all control tokens."""
        tokens, decode = self.train[number], self.rendering.tokenizer.decode
        yield (
            f"--- example {number} ({self.tasks[number]}): {len(tokens)} tokens, of which the loss "
            f"counts the last {tokens.counted}; image {tokens.image}"
        )
        yield (
            f"{decode(tokens.ids[: tokens.prompt_length])}>>> "
            f"{decode(tokens.ids[tokens.prompt_length :])}"
        )

    def greedy_texts(self, model: Any, device: torch.device) -> list[str]:
        """Answers to the first prompts, those of the validation before the others."""
        prompts = [*self.val, *self.train][:COMPARED]
        return [
            write_answer(model, device, one, self.collate, self.rendering, COMPARED_TOKENS)
            for one in prompts
        ]


def _choose(
    examples: Sequence[tuple[Example, Tokens]], config: TrainConfig
) -> list[tuple[Example, Tokens]]:
    """As many as a validation looks at; the first is a report, where there is one."""
    drawn = random.Random(config.seed).sample(
        range(len(examples)), min(len(examples), config.eval_examples)
    )
    chosen = [examples[place] for place in sorted(drawn)]
    return sorted(chosen, key=lambda pair: pair[0].task != "report")
