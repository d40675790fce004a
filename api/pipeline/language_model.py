"""A language model behind the service: studies of several requests are written about together.

writer = LanguageWriter(retriever, load_model("pretrained/generator"), record=model.record)
for place, written in writer.write(writings): ...         # tokens, then each text as it ends
writer.use(Retriever.open(rebuilt))                       # for what comes after
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from api.pipeline.backends import Finder, Token, Writing, Written
from api.pipeline.observations import Classified, classified, observation
from db.app.generation import StoredOrigin
from db.errors import UserError
from generator.calibration import Calibration
from generator.candidates import search_pool_by
from generator.canvas import canvas, frontal_first
from generator.context import DEFAULT, ContextOptions, choose_hits
from generator.grounding.answers import Answer, check_answer, claimed_labels
from generator.grounding.report import GroundedReport, Statement
from generator.mllama.adapter_record import AdapterRecord
from generator.prompts import (
    PROMPT_VERSION,
    TASKS,
    Prompt,
    Task,
    ask_prompt,
    caption_prompt,
    report_prompt,
)
from generator.tasks import Study, StudyReader
from generator.vision_language import (
    GREEDY,
    DecodingOptions,
    PromptTooLongError,
    StreamingModel,
)
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.results import Retrieval
from retriever.search import Retriever


@dataclass(frozen=True, kw_only=True)
class Digests:
    """SHA-256 of what was loaded."""

    model: str
    adapter: str | None = None


class LanguageWriter:
    """Reports, answers, classes and captions by one model; implements
    ``api.pipeline.backends.Writer``."""

    tasks: tuple[Task, ...] = TASKS

    def __init__(
        self,
        retriever: Retriever,
        model: StreamingModel,
        *,
        digests: Digests,
        record: AdapterRecord | None = None,
        calibration: Calibration | None = None,
        decoding: DecodingOptions = GREEDY,
    ) -> None:
        """Raises MismatchError for an adapter that was trained with another encoder."""
        self._model = model
        self._digests = digests
        self._record = record
        self._calibration = calibration
        self._decoding = decoding
        self._reader = self._reader_on(retriever)

    def use(self, retriever: Retriever) -> None:
        """Write with another index from now on. Raises MismatchError as at the start."""
        self._reader = self._reader_on(retriever)

    def _reader_on(self, retriever: Retriever) -> StudyReader:
        manifest = retriever.index.manifest
        if self._record is not None:
            self._record.check_index(
                index_fingerprint=manifest.fingerprint,
                encoder_sha256=manifest.encoder.weights_sha256,
            )
        return StudyReader(retriever, self._model, calibration=self._calibration)

    @property
    def at_once(self) -> int:
        return self._model.batch_size

    def describe(self, origin: StoredOrigin) -> StoredOrigin:
        sampling = asdict(self._decoding)
        return replace(
            origin,
            model=self._model.name,
            model_sha256=self._digests.model,
            adapter=self._model.adapter,
            adapter_sha256=self._digests.adapter,
            prompt_version=PROMPT_VERSION,
            seed=sampling.pop("seed"),
            sampling=sampling,
        )

    def find(self, retriever: Finder, query: Query, options: SearchOptions) -> Retrieval:
        """Many more hits than a model is shown, so that one for every finding is among them."""
        return search_pool_by(retriever, query, options)

    def write(self, writings: Sequence[Writing]) -> Iterator[tuple[int, Written]]:
        reader = self._reader  # one for the whole batch, also when another takes its place
        works: dict[int, _Work] = {}
        for place, writing in enumerate(writings):
            if writing.cancelled():
                continue
            try:
                study = _study(reader, writing)
                if writing.order.task == "classify":
                    yield place, _classes(reader, study)
                else:
                    works[place] = _Work(writing=writing, study=study)
            except UserError as error:
                yield place, error
        yield from self._emit(reader, works)

    def _emit(
        self, reader: StudyReader, works: dict[int, "_Work"]
    ) -> Iterator[tuple[int, Written]]:
        places = list(works)
        texts = dict.fromkeys(places, "")
        try:
            emitted = self._model.stream_all(
                [works[place].prompt() for place in places],
                self._decoding,
                cancelled=lambda number: works[places[number]].writing.cancelled(),
            )
        except PromptTooLongError as error:
            if len(works) == 1:
                yield places[0], error
            else:  # one long prompt spoils no other
                for place, work in works.items():
                    yield from self._emit(reader, {place: work})
            return
        for number, piece in emitted:
            place = places[number]
            if piece is None:
                if not works[place].writing.cancelled():
                    yield place, works[place].checked(reader, texts[place])
            else:
                texts[place] += piece
                yield place, Token(text=piece)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Work:
    writing: Writing
    study: Study

    def prompt(self) -> Prompt:
        order, study = self.writing.order, self.study
        if order.task == "ask":
            return ask_prompt(study.brief, order.question or "", study.image)
        if order.task == "caption":
            return caption_prompt(study.brief, study.image)
        return report_prompt(study.context, study.image)

    def checked(self, reader: StudyReader, text: str) -> GroundedReport:
        """What the model wrote, its citations resolved and checked."""
        order, study = self.writing.order, self.study
        if order.task == "ask":
            question = order.question or ""
            answer = check_answer(
                question, text, study.brief, study.retrieval, generator=reader.name
            )
            return _as_report(answer, study)
        if order.task == "caption":
            return reader.checked_caption(study, text)
        return reader.checked(study, text)


def _study(reader: StudyReader, writing: Writing) -> Study:
    """The study as the model is shown it, with no more cases than were asked for."""
    retrieval = writing.retrieval
    nearest = min(DEFAULT.nearest, writing.order.options.k)
    more = min(DEFAULT.for_findings, writing.order.options.k - nearest)
    shown = choose_hits(
        retrieval.hits,
        retrieval.seen_findings or (),
        ContextOptions(nearest=nearest, for_findings=more),
    )
    images = [image.pixels for image in frontal_first(writing.images)]
    return reader.assemble(
        canvas(images, reader.model.tile_size),
        replace(retrieval, hits=tuple(shown)),
        dict(writing.votes),
        writing.order.indication or "",
    )


def _classes(reader: StudyReader, study: Study) -> Classified:
    result = reader.classify(study)
    fitted = result.calibrated_on
    return classified(
        [
            observation(name, one.probability, one.vote, model=one.model, image=one.image)
            for name, one in result.observations.items()
        ],
        study.retrieval,
        hits=result.hits,
        generator=result.generator,
        calibrated_on=None if fitted == Calibration().fitted_on else fitted,
        notes=result.notes,
    )


def _as_report(answer: Answer, study: Study) -> GroundedReport:
    """An answer as a report of one statement, or of none where the model said nothing."""
    statement = Statement(
        section="impression",
        text=answer.text,
        citations=answer.citations,
        labels=dict(claimed_labels(answer.question, answer.text)),
        removed=answer.removed,
        image_support=answer.image_support,
    )
    silent = ("the model wrote no answer",) if not answer.text else ()
    return GroundedReport(
        statements=(statement,) if answer.text else (),
        hits=answer.hits,
        generator=answer.generator,
        index_fingerprint=answer.index_fingerprint,
        notes=(*answer.notes, *silent),
        label_scores=study.retrieval.label_scores,
        as_written=answer.as_written,
    )
