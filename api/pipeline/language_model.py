"""Serve a language model: write the texts of several requests in one batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from api.pipeline.backends import (
    BackendOptions,
    BackendRequest,
    Output,
    Token,
    TokenCount,
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

    def write(self, writings: Sequence[BackendRequest]) -> Iterator[tuple[int, Output]]:
        runner = self._runner  # one for the whole batch, even if `use` replaces it
        texts: dict[int, _Text] = {}
        for place, writing in enumerate(writings):
            if writing.cancelled():
                continue
            request = writing.request
            study = None
            try:
                study = _study(runner, writing)
                decided = runner.decide(request.task, study, request.question or "")
                text = _Text(writing=writing, study=study)
                if decided is not None:
                    yield place, self._count(text)
                    yield place, decided
                elif TASKS[request.task].answers:
                    yield place, self._count(text)
                    yield place, runner.write(request, study)
                else:
                    texts[place] = replace(text, study=runner.assess(study))
            except UserError as error:
                yield place, _or_instead(runner, request, study, error)
        yield from self._stream(runner, texts)

    def _stream(
        self, runner: TaskRunner, texts: dict[int, "_Text"]
    ) -> Iterator[tuple[int, Output]]:
        places = list(texts)
        written = dict.fromkeys(places, "")
        try:
            pieces = self._model.stream_all(
                [texts[place].prompt() for place in places],
                self._decoding,
                cancelled=lambda number: texts[places[number]].writing.cancelled(),
            )
        except PromptTooLongError as error:
            if len(texts) == 1:
                yield places[0], error
            else:  # the other prompts of the batch are still answered
                for place, text in texts.items():
                    yield from self._stream(runner, {place: text})
            return
        for number, piece in pieces:
            place = places[number]
            if isinstance(piece, UserError):
                text = texts[place]
                if not text.writing.cancelled():
                    yield place, _or_instead(runner, text.writing.request, text.study, piece)
            elif piece is not None:
                written[place] += piece
                yield place, Token(text=piece)
            elif not texts[place].writing.cancelled():
                yield place, self._count(texts[place], written[place])
                yield place, texts[place].check(runner, written[place])

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

    def prompts(self) -> list[Prompt]:
        request = self.writing.request
        return TASKS[request.task].prompts(self.study, request.question or "")

    def prompt(self) -> Prompt:
        (prompt,) = self.prompts()
        return prompt

    def check(self, runner: TaskRunner, text: str) -> GroundedReport:
        request = self.writing.request
        return TASKS[request.task].check(runner, self.study, request.question or "", text)


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
