"""Write about a study, for use from Python.

generator = load_generator()                     # the language model where its weights are
generator.report(retriever, "pa.png")
generator.ask(retriever, ["pa.png", "lateral.png"], "Is the heart enlarged?")
load_generator("none").report(retriever, "pa.png")      # extractive
"""

import datetime
import warnings
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from db.app.generation import Origin
from db.errors import UserError
from generator.assessment.calibration import Calibration, Sensitivity
from generator.engines.address import RemoteOptions
from generator.generation import origin_of, to_generation
from generator.grounding.report import GroundedReport
from generator.load import load_model
from generator.mllama.adapter_record import check_served
from generator.prior.comparison import PriorComparison
from generator.prior.request import PriorRequest
from generator.request import GenerationRequest
from generator.tasks import TaskRunner
from generator.vision_language import (
    GREEDY,
    NO_MODEL,
    DecodingOptions,
    VisionLanguageModel,
    default_model,
)
from generator.without_model import run_without_model
from grounded_cxr.report import Report
from retriever.options import SearchOptions, Strategy
from retriever.query import ImageSource, Query, image_query, read_images, views
from retriever.results import Retrieval
from retriever.search import Retriever

CREATED_BY = "python"

Images = ImageSource | Sequence[ImageSource]
"""One image or the views of one study: paths, bytes of files, PIL images, or arrays of grey
(height, width) or colour (height, width, 3)."""


def load_generator(
    model: str | Path | None = "auto",
    adapter: str | Path | None = None,
    *,
    device: str = "auto",
    quantization: str = "auto",
    allow_remote: bool = False,
    send_indication: bool = False,
) -> "Generator":
    """Load a generator.

    Args:
        model: Folder or hub id with the architecture of Llama 3.2 Vision; ``"auto"`` takes
            ``pretrained/generator`` where its weights are and otherwise none; ``"none"`` or None is
            the extractive generator, which needs no weights;
            ``"openai+http://127.0.0.1:8000/v1#NAME"`` is a model that another server runs.
        adapter: Folder or hub id of LoRA weights; the model's own one unless another is named.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        quantization: On a GPU ``auto``, ``none``, ``nf4`` or ``int8``.
        allow_remote: Whether X-rays and reports of similar cases may be sent to a model server that
            is not this machine.
        send_indication: Whether a model server may read the indication.

    Raises:
        UserError: The model or the adapter cannot be loaded, with what to do.
    """
    if model == "auto":
        model = default_model()
    if model is None or model == NO_MODEL:
        if adapter is not None:
            raise UserError("an adapter belongs to a language model: name the model as well")
        return Generator()
    loaded = load_model(
        model,
        adapter,
        device=device,
        quantization=quantization,  # type: ignore[arg-type]
        remote=RemoteOptions(allow_remote=allow_remote, send_indication=send_indication),
    )
    return Generator(loaded)


class Generator:
    """Reports, answers, classes and captions, each checked against the cases it cites."""

    def __init__(
        self, model: VisionLanguageModel | None = None, *, calibration: Calibration | None = None
    ) -> None:
        """``model`` None composes texts from sentences of the retrieved cases.

        ``calibration`` is by default that of the index, the adapter or the encoder.
        """
        self.model = model
        self._calibration = calibration

    def __repr__(self) -> str:
        if self.model is None:
            return "Generator(extractive)"
        adapter = f" + {self.model.adapter}" if self.model.adapter else ""
        return f"Generator({self.model.name}{adapter})"

    def report(
        self,
        retriever: Retriever,
        images: Images,
        *,
        indication: str = "",
        k: int = 10,
        exclude_patient_ids: Collection[str] = (),
        exclude_study_ids: Collection[str] = (),
        strategy: Strategy | None = None,
        sensitivity: Sensitivity = "balanced",
        decoding: DecodingOptions = GREEDY,
        prior: Images = (),
        prior_date: datetime.date | None = None,
        prior_report: str = "",
        study_date: datetime.date | None = None,
        find_prior_of: str | None = None,
    ) -> Report:
        """Findings and impression of one study.

        Args:
            retriever: Where prior cases are searched.
            images: One image, or the views of one study.
            indication: Why the images were taken; a language model reads it.
            k: The most cases to write from; a language model is shown at most nine.
            exclude_patient_ids: Patients none of whose cases may appear.
            exclude_study_ids: Studies that may not appear.
            strategy: ``similar`` for the nearest cases, ``findings`` for some of each likely
                finding; None for what the language model's adapter was trained with.
            sensitivity: How readily a finding is called: high finds more, specific errs less.
            decoding: Length, temperature and seed of what a language model writes.
            prior: The images of the patient's own prior study: the report then also says what is
                new, unchanged or no longer seen.
            prior_date: Of the prior study.
            prior_report: Of the prior study; a change that it contradicts is not stated.
            study_date: Of the study itself.
            find_prior_of: The id of a patient whose latest earlier study is found in the index.

        Raises:
            UserError: An image cannot be read, the prior study cannot be compared with, or no case
                passes the rules of the search.
            MismatchError: The adapter was trained with another encoder than that of the index.
        """
        options = _options(k, exclude_patient_ids, exclude_study_ids, strategy)
        request = GenerationRequest(
            task="report",
            indication=indication,
            options=options,
            sensitivity=sensitivity,
            prior=PriorRequest.of(
                has_images=len(views(prior)) > 0,
                date=prior_date,
                report=prior_report,
                study_date=study_date,
                patient_id=find_prior_of,
                find=find_prior_of is not None,
            ),
        )
        return self._do(retriever, images, request, decoding, prior)

    def ask(
        self,
        retriever: Retriever,
        images: Images,
        question: str,
        *,
        exclude_patient_ids: Collection[str] = (),
        exclude_study_ids: Collection[str] = (),
        strategy: Strategy | None = None,
        sensitivity: Sensitivity = "balanced",
        decoding: DecodingOptions = GREEDY,
    ) -> Report:
        """A short answer to a question about the images, with its citations.

        Without a language model the assessment answers. Raises UserError for a question that it
        does not answer, and for one that is empty or too long; otherwise as `report`.
        """
        options = _options(10, exclude_patient_ids, exclude_study_ids, strategy)
        request = GenerationRequest(
            task="ask", question=question, options=options, sensitivity=sensitivity
        )
        return self._do(retriever, images, request, decoding)

    def classify(
        self,
        retriever: Retriever,
        images: Images,
        *,
        exclude_patient_ids: Collection[str] = (),
        exclude_study_ids: Collection[str] = (),
        strategy: Strategy | None = None,
        sensitivity: Sensitivity = "balanced",
    ) -> Report:
        """The 14 CheXpert observations, each with a probability, in ``observations``.

        They come from the votes of the cases and the encoder's label head, and from a language
        model to which the calibration gives weight. Raises as `report`.
        """
        options = _options(10, exclude_patient_ids, exclude_study_ids, strategy)
        request = GenerationRequest(task="classify", options=options, sensitivity=sensitivity)
        return self._do(retriever, images, request)

    def caption(
        self,
        retriever: Retriever,
        images: Images,
        *,
        exclude_patient_ids: Collection[str] = (),
        exclude_study_ids: Collection[str] = (),
        strategy: Strategy | None = None,
        sensitivity: Sensitivity = "balanced",
        decoding: DecodingOptions = GREEDY,
    ) -> Report:
        """One sentence about the images as a whole. Raises as `report`."""
        options = _options(10, exclude_patient_ids, exclude_study_ids, strategy)
        request = GenerationRequest(task="caption", options=options, sensitivity=sensitivity)
        return self._do(retriever, images, request, decoding)

    def _do(
        self,
        retriever: Retriever,
        images: Images,
        request: GenerationRequest,
        decoding: DecodingOptions = GREEDY,
        prior_images: Images = (),
    ) -> Report:
        retriever.check_exclusions(request.options)
        radiographs = tuple(read_images(images, request.options.limits))
        origin = origin_of(retriever.encoder.spec)
        query = image_query(retriever.encoder, radiographs)
        prior = PriorComparison.read(retriever, query, prior_images, request)
        searching = request if prior is None else replace(request, options=prior.options)
        calibration = self._calibration_for(retriever)
        if self.model is None:
            retrieval, written = run_without_model(
                retriever, query, searching, calibration=calibration
            )
        else:
            retrieval, written, origin = self._write(
                self.model, retriever, query, searching, decoding, origin
            )
        if prior is not None:
            written = prior.compared(written, retrieval, request, calibration)
        generation = to_generation(
            written,
            retrieval,
            request,
            created_at=datetime.datetime.now(datetime.UTC),
            created_by=CREATED_BY,
            origin=origin,
        )
        cases = {hit.rank: hit.case for hit in written.hits}
        return Report(
            generation=generation,
            images=radiographs,
            prior_images=() if prior is None else prior.images,
            cases=cases,
        )

    def _calibration_for(self, retriever: Retriever) -> Calibration:
        if self._calibration is not None:
            return self._calibration
        adapter = None if self.model is None else self.model.adapter or self.model.name
        return Calibration.find(retriever.index, adapter)

    def _write(
        self,
        model: VisionLanguageModel,
        retriever: Retriever,
        query: Query,
        request: GenerationRequest,
        decoding: DecodingOptions,
        origin: Origin,
    ) -> tuple[Retrieval, GroundedReport, Origin]:
        for note in check_served(model, retriever.index.manifest):
            warnings.warn(note, stacklevel=4)
        runner = TaskRunner(retriever, model, calibration=self._calibration_for(retriever))
        study = runner.retrieve_query(
            query,
            request.options,
            indication=request.indication or "",
            max_cases=request.options.k if request.task == "report" else None,
            sensitivity=request.sensitivity,
        )
        written = runner.write(request, study, decoding)
        return study.retrieval, written, runner.describe(origin, decoding)


def _options(
    k: int, patients: Collection[str], studies: Collection[str], strategy: Strategy | None
) -> SearchOptions:
    return SearchOptions(
        k=k,
        strategy=strategy,
        exclude_patient_ids=tuple(patients),
        exclude_study_ids=tuple(studies),
    )
