"""Any vision-language model behind an OpenAI-compatible API.

model = connect("openai+http://127.0.0.1:8000/v1#Qwen/Qwen3-VL-8B-Instruct")
model.generate([prompt]); model.loglikelihood(prompts, ["yes", "no"])
model.close()

It implements `generator.vision_language.StreamingModel`, so prompts, canvas and the check of
citations are those of any other model. A prompt is sent as one user turn: one PNG picture, without
metadata, and the text. Nothing else is sent.
"""

import base64
import hashlib
import io
import json
import os
import queue
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from openai.types import Model
from PIL import Image

from db.errors import NotFoundError, UserError
from generator.engines.address import KEY, ModelAddress, RemoteOptions
from generator.engines.failures import RequestRefusedError
from generator.engines.scoring import TOP, from_logprobs, from_samples
from generator.engines.server import ModelServer
from generator.prompts import Prompt, messages
from generator.vision_language import (
    GREEDY,
    DecodingOptions,
    ModelUnavailableError,
    PromptTooLongError,
)

ASSUMED_CONTEXT = 4096
"""Tokens, where neither the server nor the address says more; also what Ollama gives by default."""
SAMPLES = 8
"""Answers drawn for each question of a server without log-probabilities."""
_SAMPLED_TOKENS = 4
_GREETING = {"messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 1}
"""What a model that is not listed is asked, to see whether it is there."""
_LISTED = 20
"""Names of models that an error lists."""
_TOKEN = re.compile(r"\w+|[^\w\s]")
_LETTERS_OF_A_TOKEN = 5
_SPECIAL = re.compile(r"<[|/]?[A-Za-z_][\w-]*\|?>|\[/?INST\]")
"""What the tokenizer of some model would read as a turn, a thought or an image."""
_LOOK_SECONDS = 0.05
"""How often a cancellation is looked for while nothing arrives."""

_Arrival = tuple[int, str | Exception | None]


class OpenAIModel:
    """Prompts in, text out. Safe to use from several threads."""

    adapter_sha256 = None
    base_sha256 = None
    batch_size = 1
    """The server batches what it is asked at the same time."""

    def __init__(
        self,
        server: ModelServer,
        entry: Model,
        options: RemoteOptions,
        *,
        context_tokens: int | None = None,
    ) -> None:
        """``entry`` and ``context_tokens`` are what the server says of the model."""
        self._server = server
        self._address = address = server.address
        told = entry.model_extra or {}
        parent = told.get("parent")
        self.adapter = address.model if isinstance(parent, str) else None
        """The served name of a LoRA adapter, as vLLM lists it."""
        base = parent if isinstance(parent, str) else address.model
        self.name = address.name.removesuffix(address.model) + base
        self.reads_indication = options.send_indication
        self.concurrency = address.settings.concurrency
        self.tile_size = address.settings.tile_size
        known = address.settings.context_tokens or context_tokens
        self.context_tokens = known or ASSUMED_CONTEXT
        self.notes = self._notes(known)
        self.computed = f"at {address.base_url}"
        self.scoring_note: str | None = None
        identity = [address.base_url, address.model, parent, told.get("root")]
        self.weights_sha256 = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        self._has_logprobs = True

    @classmethod
    def of(cls, server: ModelServer, options: RemoteOptions) -> Self:
        """The model that the address of a server names.

        Raises NotFoundError for a name that the server neither lists nor answers to,
        ModelUnavailableError.
        """
        name = server.address.model
        listed = server.run(server.models())
        entries = {entry.id: entry for entry in listed}
        if entry := entries.get(name):
            base = entries.get(str((entry.model_extra or {}).get("parent")))
            context = _context_of(entry) or _context_of(base)
            return cls(server, entry, options, context_tokens=context)
        if name:
            try:
                server.run(server.complete({"model": name, **_GREETING}))
                unlisted = Model(id=name, created=0, object="model", owned_by="")
                return cls(server, unlisted, options)
            except RequestRefusedError:
                pass
        names = [entry.id for entry in listed[:_LISTED]] or ["one that it serves"]
        more = ", ..." if len(listed) > _LISTED else ""
        wrong = f"has no model '{name}'" if name else "needs the name of a model after '#'"
        raise NotFoundError(
            f"the model server {server.address.base_url} {wrong}: name {', '.join(names)}{more}"
        )

    def _notes(self, known: int | None) -> tuple[str, ...]:
        address = self._address
        indication = "the indication" if self.reads_indication else "not the indication"
        found = [
            f"the model server {address.base_url} is sent one picture of each study without the "
            f"header of its files, the reports of similar cases, the question, and {indication}; "
            "no patient or study id"
        ]
        if known is None:
            found.append(
                f"the server does not tell how many tokens the model reads, so "
                f"{ASSUMED_CONTEXT:,} are assumed: set ?context_tokens= in its address"
            )
        return tuple(found)

    def close(self) -> None:
        """End all requests."""
        self._server.close()

    def count_tokens(self, text: str) -> int:
        """An estimate from the words, since only the server has the tokenizer."""
        return sum(-(-len(word) // _LETTERS_OF_A_TOKEN) for word in _TOKEN.findall(text))

    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        bodies = self._bodies(prompts, options.max_new_tokens)
        return self._all([self._server.write(body | _decoding(options)) for body in bodies])

    def stream(self, prompt: Prompt, options: DecodingOptions = GREEDY) -> Iterator[str]:
        for _, piece in self.stream_all([prompt], options):
            if isinstance(piece, UserError):
                raise piece
            if piece is not None:
                yield piece

    def stream_all(
        self,
        prompts: Sequence[Prompt],
        options: DecodingOptions = GREEDY,
        *,
        cancelled: Callable[[int], bool] = lambda _: False,
    ) -> Iterator[tuple[int, str | UserError | None]]:
        bodies = self._bodies(prompts, options.max_new_tokens)
        return self._pieces([body | _decoding(options) for body in bodies], cancelled)

    def loglikelihood(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        """As `VisionLanguageModel` has it, of the first token of each answer.

        From drawn answers where the server gives no log-probabilities, which `scoring_note` says.
        """
        if not answers or not all(answers):
            raise UserError("there must be at least one answer to score, and none may be empty")
        bodies = self._bodies(prompts, _SAMPLED_TOKENS)
        rows = self._all([self._score(body, answers) for body in bodies])
        return np.array(rows, dtype=np.float64).reshape(len(prompts), len(answers))

    def _all(self, work: Sequence[Any]) -> list[Any]:
        """Wait for all results; the first error ends the others."""
        futures = [self._server.submit(one) for one in work]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def _pieces(
        self, bodies: Sequence[dict[str, Any]], cancelled: Callable[[int], bool]
    ) -> Iterator[tuple[int, str | UserError | None]]:
        arrived: queue.SimpleQueue[_Arrival] = queue.SimpleQueue()
        running = {
            number: self._server.submit(self._stream(number, body, arrived.put))
            for number, body in enumerate(bodies)
        }
        try:
            while running:
                for number in [number for number in running if cancelled(number)]:
                    running.pop(number).cancel()
                    yield number, None
                try:
                    number, piece = arrived.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    continue
                if number not in running:
                    continue
                if not isinstance(piece, str):
                    del running[number]
                if isinstance(piece, Exception) and not isinstance(piece, UserError):
                    raise piece
                yield number, piece
        finally:
            for future in running.values():
                future.cancel()

    async def _stream(
        self, number: int, body: dict[str, Any], put: Callable[[_Arrival], object]
    ) -> None:
        try:
            await self._server.write(body, emit=lambda piece: put((number, piece)))
        except Exception as error:
            put((number, error))
        else:
            put((number, None))

    async def _score(self, body: dict[str, Any], answers: Sequence[str]) -> list[float]:
        try:
            if self._has_logprobs:
                scores = await self._from_logprobs(body, answers)
                if scores is not None:
                    return scores
            return await self._from_samples(body, answers)
        except ValueError as error:
            raise ModelUnavailableError(
                f"the model {self.name} answers a question that is to be answered by "
                f"{' or '.join(answers)} with something else",
                retry_after=60,
            ) from error

    async def _from_logprobs(
        self, body: dict[str, Any], answers: Sequence[str]
    ) -> list[float] | None:
        asked = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": TOP}
        try:
            answer = await self._server.complete(body | asked)
        except RequestRefusedError:  # perhaps for `logprobs`; the next request shows
            found = None
        else:
            found = from_logprobs(answer.choices[0], answers)
        if found is None:
            self._has_logprobs = False
        return found

    async def _from_samples(self, body: dict[str, Any], answers: Sequence[str]) -> list[float]:
        self.scoring_note = (
            f"the language model's probabilities are shares of {SAMPLES} drawn answers, because "
            "its server gives no log-probabilities"
        )
        texts: list[str] = []
        while len(texts) < SAMPLES:  # a server that knows no `n` gives one at a time
            drawn = {
                "max_tokens": _SAMPLED_TOKENS,
                "temperature": 1,
                "seed": len(texts),
                "n": SAMPLES - len(texts),
            }
            answer = await self._server.complete(body | drawn)
            texts += [str(choice.message.content or "") for choice in answer.choices]
        return from_samples(texts[:SAMPLES], answers)

    def _bodies(self, prompts: Sequence[Prompt], room: int) -> list[dict[str, Any]]:
        """What is sent for each prompt; an image that prompts share is encoded once.

        Raises PromptTooLongError where ``room`` more tokens do not fit.
        """
        for prompt in prompts:
            tokens = self.count_tokens(prompt.text)
            if tokens + room > self.context_tokens:
                raise PromptTooLongError(
                    f"the prompt has about {tokens} tokens and its answer may have {room}, "
                    f"together more than the {self.context_tokens} that the model reads: shorten "
                    "the context"
                )
        images = {id(prompt.image): prompt.image for prompt in prompts}
        urls = {key: None if one is None else data_url(one) for key, one in images.items()}
        return [
            {
                "model": self._address.model,
                "messages": chat_messages(prompt.text, urls[id(prompt.image)]),
            }
            for prompt in prompts
        ]


def connect(model: str, options: RemoteOptions | None = None) -> OpenAIModel:
    """Ask the server of a `ModelAddress` for its model.

    Raises UserError for an address that cannot be read, ForbiddenError for another machine that is
    not allowed, ModelUnavailableError for a server that does not answer, and NotFoundError for a
    model that it does not have.
    """
    options = options or RemoteOptions()
    address = ModelAddress.parse(model)
    address.check(options)
    server = ModelServer(address, key=os.environ.get(KEY, ""))
    try:
        return OpenAIModel.of(server, options)
    except BaseException:
        server.close()
        raise


def chat_messages(text: str, image_url: str | None = None) -> list[dict[str, Any]]:
    """`generator.prompts.messages` as this API takes them, with the image where its place is."""
    turns = messages(_SPECIAL.sub(" ", text), image=image_url is not None)
    image = {"type": "image_url", "image_url": {"url": image_url}}
    return [
        turn | {"content": [image if one["type"] == "image" else one for one in turn["content"]]}
        for turn in turns
    ]


def data_url(image: Image.Image) -> str:
    """A PNG of the pixels alone."""
    out = io.BytesIO()
    Image.fromarray(np.asarray(image.convert("RGB"))).save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def _decoding(options: DecodingOptions) -> dict[str, Any]:
    drawn = {"seed": options.seed} if options.temperature else {}
    return {"max_tokens": options.max_new_tokens, "temperature": options.temperature, **drawn}


def _context_of(entry: Model | None) -> int | None:
    """The context that an entry of ``/v1/models`` tells, as vLLM and SGLang or others name it; that
    of an adapter tells none."""
    told = (entry and entry.model_extra) or {}
    for name in ("max_model_len", "context_length", "context_window"):
        value = told.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return None
