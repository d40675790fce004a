"""Serve a language model: write the texts of several requests in one batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from api.pipeline.backends import (
    BackendOptions,
    BackendRequest,
    More,
    Output,
    Token,
    TokenCount,
    nothing_more,
)
from api.pipeline.current_index import StudySearch
from db.app.generation import Origin
from db.errors import UserError
from generator.assessment.calibration import Calibration, Sensitivity
from generator.context.build import limit_hits
from generator.context.candidates import find_candidates
from generator.grounding.report import GroundedReport
from generator.load import load_model
from generator.mllama.adapter_record import AdapterRecord
from generator.prompts import Prompt, Task
from generator.request import GenerationRequest
from generator.retrieved_study import RetrievedStudy
from generator.study_canvas import frontal_first, study_canvas
from generator.tasks import TASKS, TaskRunner
from generator.vision_language import (
    DEFAULT_MODEL,
    GREEDY,
    DecodingOptions,
    ModelUnavailableError,
    PromptTooLongError,
    StreamingModel,
)
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.results import Retrieval
from retriever.search import Retriever

SHIPPED_CPU_RATE = 36.0
"""Reports a minute of the shipped model on two CPU cores, as ``tests/robustness/load.py``
measured."""


class LanguageModelBackend:
    """Writes reports, answers, classifications and captions with one model."""

    tasks: tuple[Task, ...] = tuple(TASKS)

    def __init__(
        self,
        retriever: Retriever,
        model: StreamingModel,
        *,
        record: AdapterRecord | None = None,
        calibration: Calibration | None = None,
        decoding: DecodingOptions = GREEDY,
        rate: float | None = None,
    ) -> None:
        """``calibration``: by default that of the index or the adapter, see `Calibration.find`.

        ``rate``: expected reports per minute, None if it was not measured.

        Raises MismatchError for an adapter that was trained with another encoder.
        """
        self._model = model
        self._record = record
        self._calibration = calibration
        self._decoding = decoding
        self._rate = rate
        self._runner = self._runner_on(retriever)

    @classmethod
    def open(cls, retriever: Retriever, options: BackendOptions) -> Self:
        """Load a model, with or without an adapter; see `generator.load`.

        Raises UserError if it cannot be loaded, MismatchError if adapter, model and index do not
        belong together.
        """
        model = load_model(
            options.model, options.adapter, device=options.device, remote=options.remote
        )
        shipped = options.model == DEFAULT_MODEL and options.adapter is None
        return cls(
            retriever,
            model,
            record=getattr(model, "record", None),
            decoding=options.decoding,
            rate=SHIPPED_CPU_RATE if shipped and _runs_on_cpu(model) else None,
        )

    @property
    def description(self) -> str:
        adapter = "" if self._model.adapter is None else f" with adapter {self._model.adapter}"
        rate = (
            "rate not measured on this machine"
            if self._rate is None
            else f"about {self._rate:.0f} reports a minute on two CPU cores"
        )
        notes = getattr(self._model, "notes", ())
        return "; ".join((f"language model {self._model.name}{adapter}", rate, *notes))

    def use(self, retriever: Retriever) -> None:
        self._runner = self._runner_on(retriever)

    def _runner_on(self, retriever: Retriever) -> TaskRunner:
        manifest = retriever.index.manifest
        if self._record is not None:
            self._record.check_index(encoder_sha256=manifest.encoder.weights_sha256)
        calibration = self._calibration
        if calibration is None:
            adapter = self._model.adapter or self._model.name
            calibration = Calibration.find(retriever.index, adapter)
        return TaskRunner(retriever, self._model, calibration=calibration)

    @property
    def batch_size(self) -> int:
        return self._model.batch_size

    @property
    def concurrency(self) -> int:
        """More than one for a model that other machines or processes compute."""
        return int(getattr(self._model, "concurrency", 1))

    @property
    def joins(self) -> bool:
        return bool(getattr(self._model, "joins", False))

    @property
    def calibration(self) -> Calibration | None:
        return self._runner.calibration

    def describe(self, origin: Origin) -> Origin:
        return self._runner.describe(origin, self._decoding)

    def find(
        self,
        retriever: StudySearch,
        query: Query,
        options: SearchOptions,
        sensitivity: Sensitivity = "balanced",
    ) -> Retrieval:
        """Retrieve more hits than the model is shown, so that each finding has one."""
        return find_candidates(retriever, query, self._runner.search_options(options))

    def write(
        self, writings: Sequence[BackendRequest], *, more: More = nothing_more
    ) -> Iterator[tuple[int, Output]]:
        texts: dict[int, _Text] = {}
        ready: list[tuple[int, Output]] = []
        count = len(writings)

        def join(places: int) -> list[Prompt]:
            nonlocal count
            started = [self._begin(count + n, one, ready) for n, one in enumerate(more(places))]
            numbers = range(count, count := count + len(started))
            new = {place: one for place, one in zip(numbers, started, strict=True) if one}
            texts.update(new)
            return [text.prompt() for text in new.values()]

        for place, writing in enumerate(writings):
            text = self._begin(place, writing, ready)
            if text is not None:
                texts[place] = text
            yield from _taken(ready)
        del writings, writing
        for output in self._stream(texts, join):
            yield from _taken(ready)
            yield output
        yield from _taken(ready)

    def _begin(
        self, place: int, writing: BackendRequest, ready: list[tuple[int, Output]]
    ) -> "_Text | None":
        """The text to generate; None, with all outputs in ``ready``, where there is none."""
        if writing.cancelled():
            return None
        runner, request, study = self._runner, writing.request, None
        try:
            study = _study(runner, writing)
            decided = runner.decide(request.task, study, request.question or "")
            text = _Text(writing=writing, study=study, runner=runner)
            if decided is None and not TASKS[request.task].answers:
                return replace(text, study=runner.assess(study))
            ready.append((place, self._count(text)))
            ready.append((place, decided or runner.write(request, study)))
        except UserError as error:
            ready.append((place, _or_instead(runner, request, study, error)))
        return None

    def _stream(
        self, texts: dict[int, "_Text"], join: Callable[[int], list[Prompt]] | None = None
    ) -> Iterator[tuple[int, Output]]:
        """Texts that ``join`` starts are added to ``texts``; those that end are removed."""
        places = list(texts)
        written = dict.fromkeys(places, "")

        def more(free: int) -> list[Prompt]:
            before = set(texts)
            prompts = join(free) if join else []
            new = [place for place in texts if place not in before]
            places.extend(new)
            written.update(dict.fromkeys(new, ""))
            return prompts

        def cancelled(number: int) -> bool:
            text = texts.get(places[number])
            return text is None or text.writing.cancelled()

        prompts = [text.prompt() for text in texts.values()]
        options = {"more": more} if self.joins else {}
        try:
            pieces = self._model.stream_all(prompts, self._decoding, cancelled=cancelled, **options)
        except PromptTooLongError as error:
            if len(texts) == 1:
                yield places[0], error
            else:  # the other prompts of the batch are still answered
                for place, text in texts.items():
                    yield from self._stream({place: text})
            return
        for number, piece in pieces:
            place = places[number]
            text = texts[place]
            if isinstance(piece, str):
                written[place] += piece
                yield place, Token(text=piece)
                continue
            if not text.writing.cancelled():
                if isinstance(piece, UserError):
                    yield place, _or_instead(text.runner, text.writing.request, text.study, piece)
                else:
                    yield place, self._count(text, written[place])
                    yield place, text.check(written[place])
            del texts[place], written[place]

    def _count(self, text: "_Text", written: str = "") -> TokenCount:
        count = self._model.count_tokens
        return TokenCount(
            prompt=sum(count(prompt.text) for prompt in text.prompts()),
            completion=count(written) if written else 0,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Text:
    """One text to generate token by token."""

    writing: BackendRequest
    study: RetrievedStudy
    runner: TaskRunner
    """On the index of when the text began."""

    def prompts(self) -> list[Prompt]:
        request = self.writing.request
        return TASKS[request.task].prompts(self.study, request.question or "")

    def prompt(self) -> Prompt:
        (prompt,) = self.prompts()
        return prompt

    def check(self, text: str) -> GroundedReport:
        request = self.writing.request
        return TASKS[request.task].check(self.runner, self.study, request.question or "", text)


def _taken(ready: list[tuple[int, Output]]) -> list[tuple[int, Output]]:
    """What is in the list, which is emptied."""
    outputs = list(ready)
    ready.clear()
    return outputs


def _or_instead(
    runner: TaskRunner, request: GenerationRequest, study: RetrievedStudy | None, error: UserError
) -> GroundedReport | UserError:
    """What can be written without a model that is unavailable; otherwise the error to show."""
    if study is None or not isinstance(error, ModelUnavailableError):
        return error
    try:
        return runner.write_instead(request, study, error)
    except UserError as other:
        return other


def _runs_on_cpu(model: object) -> bool:
    decoder = getattr(model, "decoder", None)
    return decoder is not None and decoder.device.type == "cpu"


def _study(runner: TaskRunner, writing: BackendRequest) -> RetrievedStudy:
    """Assemble the study for the model, with at most the requested number of cases."""
    images = [image.pixels for image in frontal_first(writing.images)]
    return runner.assemble(
        study_canvas(images, runner.model.tile_size),
        limit_hits(writing.retrieval, writing.request.options.k),
        dict(writing.votes),
        writing.request.indication or "",
        sensitivity=writing.request.sensitivity,
    )
