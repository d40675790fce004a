"""The interface of a vision-language model, and how it is asked to decode.

`generator.mllama.model.MllamaModel` implements `VisionLanguageModel`, as do
`generator.engines.openai.OpenAIModel` and the fakes of the tests; another family of models needs no
more than that. Nothing heavy is imported here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

import numpy as np
import numpy.typing as npt

from db.errors import UnavailableError, UserError
from generator.prompts import Prompt
from indexer.encoder.weight_files import local_folder
from retriever.options import Strategy

DEFAULT_MODEL = "pretrained/generator"
NO_MODEL = "none"


def default_model() -> str:
    """The shipped language model where it can run, or ``none``."""
    return DEFAULT_MODEL if why_no_default() is None else NO_MODEL


def why_no_default() -> str | None:
    """Why the shipped language model cannot run here; None if it can."""
    folder = local_folder(DEFAULT_MODEL)
    if folder is None or not any(folder.glob("*.safetensors")):
        return f"{DEFAULT_MODEL} holds no weights"
    if find_spec("torch") is None:
        return "torch is not installed (scripts/install model)"
    return None


def strategy_of(model: object) -> Strategy:
    """How cases were chosen for the prompts that a model's adapter was trained on.

    The most similar ones for a model without an adapter, or with one that was made elsewhere.
    """
    record = getattr(model, "record", None)
    strategy: Strategy = "similar" if record is None else record.strategy
    return strategy


def reads_indication(model: object) -> bool:
    """Whether a model is shown why the images were taken; one of another server only if asked."""
    return bool(getattr(model, "reads_indication", True))


def scoring_note(model: object) -> str | None:
    """What a reader must know of a model's probabilities of yes and no, if anything."""
    note: str | None = getattr(model, "scoring_note", None)
    return note


class PromptTooLongError(UserError, ValueError):
    """A prompt and its answer do not fit into the context of the model."""


class ModelUnavailableError(UnavailableError):
    """The model cannot write at present; what needs no model can still be written."""


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How the tokens of an answer are chosen."""

    max_new_tokens: int = 160
    temperature: float = 0.0
    """0 takes the likeliest token (greedy); above 0, tokens are drawn."""
    seed: int = 0
    """Seed of the draws; a prompt draws the same whatever it is batched with."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise UserError(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")
        if not 0 <= self.temperature <= 10:
            raise UserError(f"temperature must be between 0 and 10, not {self.temperature}")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed must be between 0 and 2^63 - 1, not {self.seed}")


GREEDY = DecodingOptions()


class VisionLanguageModel(Protocol):
    """A model that answers a text, with or without one image, in text."""

    @property
    def name(self) -> str:
        """Folder, hub id or address of the base model."""
        ...

    @property
    def adapter(self) -> str | None:
        """Folder, hub id or served name of the adapter on it, or None."""
        ...

    @property
    def weights_sha256(self) -> str:
        """Digest of base model and adapter together; of what names them where the weights are not
        at hand."""
        ...

    @property
    def base_sha256(self) -> str | None:
        """Of the base model's weights; None where they are not at hand."""
        ...

    @property
    def adapter_sha256(self) -> str | None:
        """Of the adapter's weights; None without one, or where they are not at hand."""
        ...

    @property
    def tile_size(self) -> int:
        """Side in pixels of the square tiles that an image is given in."""
        ...

    @property
    def context_tokens(self) -> int:
        """The most tokens of a prompt and its answer together."""
        ...

    def count_tokens(self, text: str) -> int:
        """The number of tokens of a text, without what the chat template adds."""
        ...

    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        """One answer per prompt, computed together.

        Raises PromptTooLongError and ModelUnavailableError, as the next two do.
        """
        ...

    def stream(self, prompt: Prompt, options: DecodingOptions = GREEDY) -> Iterator[str]:
        """The answer in pieces; closing the iterator ends the computation.

        Joined they are what `generate` returns. Raises PromptTooLongError.
        """
        ...

    def loglikelihood(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        """Natural log-probability of each answer after each prompt, (prompts, answers).

        It counts the tokens of the answer, not the end after them. Prompts with the same image
        object and a common prefix share that computation. Raises PromptTooLongError.
        """
        ...


class StreamingModel(VisionLanguageModel, Protocol):
    """A model that streams several answers while it computes them together."""

    @property
    def batch_size(self) -> int:
        """How many answers are computed together; more are computed batch after batch."""
        ...

    def stream_all(
        self,
        prompts: Sequence[Prompt],
        options: DecodingOptions = GREEDY,
        *,
        cancelled: Callable[[int], bool] = lambda _: False,
    ) -> Iterator[tuple[int, str | UserError | None]]:
        """Pairs of a prompt's number and a piece of its answer; None marks the end of the answer,
        and an error ends the answer to this prompt alone.

        Joined, the pieces are what `generate` returns. ``cancelled`` is called with the number of
        every prompt between two tokens; where it returns True the answer ends there. Raises
        PromptTooLongError.
        """
        ...


class JoiningModel(StreamingModel, Protocol):
    """A streaming model whose answers may begin while it computes others."""

    @property
    def joins(self) -> bool:
        """Whether it asks for ``more``."""
        ...

    def stream_all(
        self,
        prompts: Sequence[Prompt],
        options: DecodingOptions = GREEDY,
        *,
        cancelled: Callable[[int], bool] = lambda _: False,
        more: Callable[[int], Sequence[Prompt]] = lambda _: (),
    ) -> Iterator[tuple[int, str | UserError | None]]:
        """As `StreamingModel.stream_all`.

        ``more`` is called between two tokens with a number of free places, for at most so many
        prompts, which join those being answered and are numbered after them. One that is too long
        gets its error and ends no other.
        """
        ...
