"""The four tasks, and a vision-language model that runs them on the images of one study.

runner = TaskRunner(Retriever.open(Path("data/index")), load_model("pretrained/generator"))
study = runner.retrieve(["pa.dcm", "lateral.dcm"], indication="dyspnea")
study.assessment["Cardiomegaly"].state          # the texts below agree with it
runner.report(study); runner.ask(study, "Is the heart enlarged?"); runner.classify(study)

`TASKS` is the one table of tasks: the prompts that the model reads, and how its output becomes a
report. The service, the command line and the evaluation all use it. The images are decoded and
searched with once, however many tasks follow.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from PIL import Image

from db.app.generation import Origin
from generator import checks
from generator.assessment.assess import assess
from generator.assessment.calibration import Calibration, Sensitivity
from generator.assessment.classification import Classification
from generator.context.build import limit_hits
from generator.context.candidates import find_candidates
from generator.grounding.report import GroundedReport
from generator.prompts import (
    NO,
    PROMPT_VERSION,
    YES,
    Prompt,
    Task,
    ask_prompt,
    caption_prompt,
    classify_prompts,
    report_prompt,
)
from generator.request import GenerationRequest
from generator.retrieved_study import RetrievedStudy
from generator.study_canvas import frontal_first, study_canvas
from generator.vision_language import (
    GREEDY,
    DecodingOptions,
    ModelUnavailableError,
    VisionLanguageModel,
    reads_indication,
    scoring_note,
    strategy_of,
)
from generator.without_model import write_without_model
from retriever.knn_votes import Vote
from retriever.options import SearchOptions
from retriever.query import ImageSource, Query, image_query, read_images
from retriever.results import Retrieval
from retriever.search import Retriever

Event = tuple[str, str] | GroundedReport
"""``("stage", name)``, ``("text", piece)`` and, last, the report."""

_WITHHELD = "the indication was not sent to the model server"


def _with_note(retrieval: Retrieval, note: str) -> Retrieval:
    return replace(retrieval, notes=tuple(dict.fromkeys((*retrieval.notes, note))))


class TaskRunner:
    """Retrieve prior cases for a study and run tasks on it with one model."""

    def __init__(
        self,
        retriever: Retriever,
        model: VisionLanguageModel,
        *,
        calibration: Calibration | None = None,
    ) -> None:
        self.retriever = retriever
        self.model = model
        self.calibration = calibration or Calibration()
        self._assessed: WeakKeyDictionary[RetrievedStudy, RetrievedStudy] = WeakKeyDictionary()
        self.name = (
            f"{model.name}{f' + {model.adapter}' if model.adapter else ''}, {PROMPT_VERSION}"
        )

    def describe(self, origin: Origin, options: DecodingOptions = GREEDY) -> Origin:
        """Return ``origin`` with model, adapter, prompt version, seed and sampling filled in."""
        sampling = asdict(options)
        return replace(
            origin,
            model=self.model.name,
            model_sha256=self.model.base_sha256,
            adapter=self.model.adapter,
            adapter_sha256=self.model.adapter_sha256,
            prompt_version=PROMPT_VERSION,
            seed=sampling.pop("seed"),
            sampling=sampling,
        )

    def search_options(self, options: SearchOptions | None = None) -> SearchOptions:
        """The options of a search for cases, by default chosen as for the adapter's training."""
        options = options or SearchOptions()
        return replace(options, strategy=options.strategy or strategy_of(self.model))

    def retrieve(
        self,
        images: Sequence[ImageSource],
        options: SearchOptions | None = None,
        *,
        indication: str = "",
        max_cases: int | None = None,
        sensitivity: Sensitivity = "balanced",
    ) -> RetrievedStudy:
        """Decode, embed, search and assess; the model is shown at most ``max_cases``.

        Raises UserError for an image that cannot be read.
        """
        query = image_query(self.retriever.encoder, read_images(images))
        return self.retrieve_query(
            query, options, indication=indication, max_cases=max_cases, sensitivity=sensitivity
        )

    def retrieve_query(
        self,
        query: Query,
        options: SearchOptions | None = None,
        *,
        indication: str = "",
        max_cases: int | None = None,
        sensitivity: Sensitivity = "balanced",
    ) -> RetrievedStudy:
        """Search with images that are already embedded; otherwise as `retrieve`."""
        options = self.search_options(options)
        retrieval = find_candidates(self.retriever, query, options)
        if max_cases is not None:
            retrieval = limit_hits(retrieval, max_cases)
        votes = self.retriever.vote(query, options)
        views = [image.pixels for image in frontal_first(query.images)]
        image = study_canvas(views, self.model.tile_size)
        return self.assemble(image, retrieval, votes, indication, sensitivity=sensitivity)

    def assemble(
        self,
        image: Image.Image | None,
        retrieval: Retrieval,
        votes: dict[str, Vote],
        indication: str = "",
        *,
        sensitivity: Sensitivity = "balanced",
    ) -> RetrievedStudy:
        """Put a study together from its parts; the model is shown nothing else."""
        if indication and not reads_indication(self.model):
            indication, retrieval = "", _with_note(retrieval, _WITHHELD)
        return RetrievedStudy.assemble(
            image,
            retrieval,
            votes,
            indication,
            count_tokens=self.model.count_tokens,
            calibration=self.calibration,
            sensitivity=sensitivity,
        )

    def assess(self, study: RetrievedStudy) -> RetrievedStudy:
        """The study with the language model's opinions in its assessment.

        Without asking the model where the calibration gives it no weight. A study is asked about
        once, however many tasks follow.
        """
        if self.calibration.language_model == 0:
            return study
        return self._with_opinions(study)

    def _with_opinions(self, study: RetrievedStudy) -> RetrievedStudy:
        if study not in self._assessed:
            prompts = classify_prompts(study.short_context, image=study.image)
            opinions = self.model.loglikelihood(prompts, [YES, NO])
            self._assessed[study] = self._assessed_with(study, opinions)
        return self._assessed[study]

    def _assessed_with(self, study: RetrievedStudy, likelihoods: Any) -> RetrievedStudy:
        note = scoring_note(self.model)
        return replace(
            study,
            retrieval=study.retrieval if note is None else _with_note(study.retrieval, note),
            assessment=assess(
                study.retrieval,
                study.votes,
                calibration=self.calibration,
                sensitivity=study.assessment.sensitivity,
                language_model=checks.yes_probabilities(likelihoods),
            ),
        )

    def run(
        self,
        task: Task,
        study: RetrievedStudy,
        question: str = "",
        options: DecodingOptions = GREEDY,
    ) -> GroundedReport:
        """Run one task of the table; ``question`` is for the task ``ask``.

        Raises UserError for a question that is empty or too long.
        """
        definition = TASKS[task]
        prompts = definition.prompts(study, question)
        if (decided := self.decide(task, study, question)) is not None:
            return decided
        if definition.answers:
            likelihoods = self.model.loglikelihood(prompts, definition.answers)
            return definition.check(self, study, question, likelihoods)
        (text,) = self.model.generate(prompts, options)
        return definition.check(self, self.assess(study), question, text)

    def write(
        self, request: GenerationRequest, study: RetrievedStudy, options: DecodingOptions = GREEDY
    ) -> GroundedReport:
        """Run the task of a request, without the model while that is unavailable."""
        try:
            return self.run(request.task, study, request.question or "", options)
        except ModelUnavailableError as error:
            return self.write_instead(request, study, error)

    def write_instead(
        self, request: GenerationRequest, study: RetrievedStudy, error: ModelUnavailableError
    ) -> GroundedReport:
        """Do without the model what the request asks for; a warning says why."""
        retrieval = replace(study.retrieval, hits=study.context.hits)
        report = write_without_model(request, retrieval, study.votes, calibration=self.calibration)
        return replace(
            report,
            instead_of_model=True,
            warnings=(f"Written without the language model: {error}.", *report.warnings),
        )

    def decide(self, task: Task, study: RetrievedStudy, question: str) -> GroundedReport | None:
        """The answer to a question that needs no model, of the assessment; None for any other."""
        return checks.decided_answer(self.assess(study), question) if task == "ask" else None

    def report(self, study: RetrievedStudy, options: DecodingOptions = GREEDY) -> GroundedReport:
        """Write findings and impression, every citation checked."""
        return self.run("report", study, options=options)

    def ask(
        self, study: RetrievedStudy, question: str, options: DecodingOptions = GREEDY
    ) -> GroundedReport:
        """Answer in one statement. Raises UserError for a question that is empty or too long."""
        return self.run("ask", study, question, options)

    def caption(self, study: RetrievedStudy, options: DecodingOptions = GREEDY) -> GroundedReport:
        """Describe the image as a whole in one statement."""
        return self.run("caption", study, options=options)

    def classify(self, study: RetrievedStudy) -> Classification:
        """Return each observation's probability, from model, retrieved cases and encoder."""
        assessed = self._with_opinions(study)
        return checks.check_classes(assessed, assessed.assessment, generator=self.name)

    def reports(
        self, studies: Sequence[RetrievedStudy], options: DecodingOptions = GREEDY
    ) -> list[GroundedReport]:
        """Write several reports in one batch, which is faster."""
        prompts = [report_prompt(study.context, study.image) for study in studies]
        texts = self.model.generate(prompts, options)
        return [
            checks.check_report(self.assess(study), text, generator=self.name)
            for study, text in zip(studies, texts, strict=True)
        ]

    def stream_report(
        self, study: RetrievedStudy, options: DecodingOptions = GREEDY
    ) -> Iterator[Event]:
        """Yield events while a report is written; closing the iterator stops the model."""
        yield "stage", "writing"
        pieces = []
        for piece in self.model.stream(report_prompt(study.context, study.image), options):
            pieces.append(piece)
            yield "text", piece
        yield "stage", "checking citations"
        yield checks.check_report(self.assess(study), "".join(pieces), generator=self.name)

    def check_classes(self, study: RetrievedStudy, likelihoods: Any) -> Classification:
        """The classes from the model's answers, (14, 2); see `checks.check_classes`."""
        assessed = self._assessed_with(study, likelihoods)
        return checks.check_classes(assessed, assessed.assessment, generator=self.name)


@dataclass(frozen=True, kw_only=True)
class TaskDefinition:
    """One row of the table of tasks."""

    noun: str
    """The product of the task."""
    prompts: Callable[[RetrievedStudy, str], list[Prompt]]
    """Prompts for a study and a question: one for a text, one per observation for classes."""
    check: Callable[[TaskRunner, RetrievedStudy, str, Any], GroundedReport]
    """Turns the model's output into a report, given runner, study, question and output: a text, or
    the log-probabilities of ``answers``, (prompts, answers)."""
    answers: tuple[str, ...] = ()
    """The answers that the model chooses from; empty where it writes freely."""


TASKS: Mapping[Task, TaskDefinition] = {
    "report": TaskDefinition(
        noun="report",
        prompts=lambda study, _: [report_prompt(study.context, study.image)],
        check=lambda runner, study, _, text: checks.check_report(
            study, text, generator=runner.name
        ),
    ),
    "ask": TaskDefinition(
        noun="answer",
        prompts=lambda study, question: [ask_prompt(study.short_context, question, study.image)],
        check=lambda runner, study, question, text: checks.check_answer(
            study, question, text, generator=runner.name
        ),
    ),
    "classify": TaskDefinition(
        noun="classification",
        prompts=lambda study, _: classify_prompts(study.short_context, image=study.image),
        check=lambda runner, study, _, likelihoods: runner.check_classes(study, likelihoods),
        answers=(YES, NO),
    ),
    "caption": TaskDefinition(
        noun="caption",
        prompts=lambda study, _: [caption_prompt(study.short_context, study.image)],
        check=lambda runner, study, _, text: checks.check_caption(
            study, text, generator=runner.name
        ),
    ),
}
