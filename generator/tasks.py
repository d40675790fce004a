"""The four tasks, and a vision-language model that does them on the images of one study.

reader = StudyReader(Retriever.open(Path("data/index")), load_model("pretrained/generator"))
study = reader.read(["pa.dcm", "lateral.dcm"], indication="dyspnea")
reader.report(study); reader.ask(study, "Is the heart enlarged?"); reader.classify(study)

`TASKS` is the one table of tasks: what the model reads, and how its output becomes a report. The
service, the command line and the evaluation go by it. The images are read and searched with once,
whatever is asked about them.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from PIL import Image

from db.app.generation import Origin
from db.labels import OBSERVATIONS
from generator.calibration import Calibration
from generator.candidates import find_candidates
from generator.canvas import MAX_VIEWS, canvas, frontal_first
from generator.classification import Classification, observe, to_classification
from generator.context import REPORT_CONTEXT, SHORT_CONTEXT, Context, build_context
from generator.grounding.answers import check_answer
from generator.grounding.citations import ground, parse_answer
from generator.grounding.completion import complete, left_out_notes
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
from generator.vision_language import GREEDY, DecodingOptions, VisionLanguageModel
from retriever.knn_votes import Vote
from retriever.options import SearchOptions
from retriever.query import ImageSource, Query, image_query, read_images
from retriever.results import Retrieval
from retriever.search import Retriever


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """The images of one study, read, and what the search found."""

    image: Image.Image | None
    """All views on one canvas; None to ask a model that is not to see them."""
    retrieval: Retrieval
    votes: dict[str, Vote]
    indication: str
    context: Context
    """For a report."""
    short_context: Context
    """For a question, a class or a caption."""


Event = tuple[str, str] | GroundedReport
"""``("stage", name)``, ``("text", piece)`` and, last, the report."""


class StudyReader:
    """One retriever and one model."""

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
        self.name = (
            f"{model.name}{f' + {model.adapter}' if model.adapter else ''}, {PROMPT_VERSION}"
        )

    def describe(self, origin: Origin, options: DecodingOptions = GREEDY) -> Origin:
        """``origin`` with model, adapter, prompt version, seed and sampling filled in."""
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

    def read(
        self,
        images: Sequence[ImageSource],
        options: SearchOptions | None = None,
        *,
        indication: str = "",
    ) -> Study:
        """Decode, embed and search. Raises UserError for an image that cannot be read."""
        query = image_query(self.retriever.encoder, read_images(images))
        return self.study(
            query,
            options,
            indication=indication,
        )

    def study(
        self,
        query: Query,
        options: SearchOptions | None = None,
        *,
        indication: str = "",
    ) -> Study:
        """A study whose images are embedded already."""
        options = options or SearchOptions()
        retrieval = find_candidates(self.retriever, query, options)
        votes = self.retriever.vote(
            query,
            exclude_patient_ids=options.exclude_patient_ids,
            exclude_study_ids=options.exclude_study_ids,
        )
        radiographs = frontal_first(query.images)
        image = canvas([radiograph.pixels for radiograph in radiographs], self.model.tile_size)
        return self.assemble(image, retrieval, votes, indication)

    def assemble(
        self,
        image: Image.Image | None,
        retrieval: Retrieval,
        votes: dict[str, Vote],
        indication: str = "",
    ) -> Study:
        """A study from its parts; the model is shown nothing but these."""
        count = self.model.count_tokens
        return Study(
            image=image,
            retrieval=retrieval,
            votes=votes,
            indication=indication,
            context=build_context(
                retrieval, indication=indication, count_tokens=count, options=REPORT_CONTEXT
            ),
            short_context=build_context(
                retrieval, indication=indication, count_tokens=count, options=SHORT_CONTEXT
            ),
        )

    def do(
        self, task: Task, study: Study, question: str = "", options: DecodingOptions = GREEDY
    ) -> GroundedReport:
        """One task of the table; ``question`` is that of the task ``ask``.

        Raises UserError for a question that is empty or too long.
        """
        definition = TASKS[task]
        prompts = definition.prompts(study, question)
        if definition.answers:
            likelihoods = self.model.loglikelihood(prompts, definition.answers)
            return definition.check(self, study, question, likelihoods)
        (text,) = self.model.generate(prompts, options)
        return definition.check(self, study, question, text)

    def report(self, study: Study, options: DecodingOptions = GREEDY) -> GroundedReport:
        """Findings and impression, every citation checked."""
        return self.do("report", study, options=options)

    def ask(self, study: Study, question: str, options: DecodingOptions = GREEDY) -> GroundedReport:
        """A short answer, as one statement. Raises UserError for no question or a long one."""
        return self.do("ask", study, question, options)

    def caption(self, study: Study, options: DecodingOptions = GREEDY) -> GroundedReport:
        """One statement on the image as a whole."""
        return self.do("caption", study, options=options)

    def classify(self, study: Study, observations: Sequence[str] = OBSERVATIONS) -> Classification:
        """Each observation's probability, from the model, the retrieved cases and the encoder."""
        prompts = classify_prompts(study.short_context, observations, study.image)
        return self.check_classes(study, self.model.loglikelihood(prompts, [YES, NO]), observations)

    def reports(
        self, studies: Sequence[Study], options: DecodingOptions = GREEDY
    ) -> list[GroundedReport]:
        """Several in one batch, which is faster."""
        prompts = [report_prompt(study.context, study.image) for study in studies]
        texts = self.model.generate(prompts, options)
        return [self.check_report(study, text) for study, text in zip(studies, texts, strict=True)]

    def stream_report(self, study: Study, options: DecodingOptions = GREEDY) -> Iterator[Event]:
        """What happens as it happens; closing the iterator stops the model."""
        yield "stage", "writing"
        pieces = []
        for piece in self.model.stream(report_prompt(study.context, study.image), options):
            pieces.append(piece)
            yield "text", piece
        yield "stage", "checking citations"
        yield self.check_report(study, "".join(pieces))

    def check_report(self, study: Study, written: str) -> GroundedReport:
        """A report as a model wrote it, with its citations resolved and checked, and omitted
        findings added."""
        report = self._grounded(study, written, study.context, written)
        statements = complete(report.statements, study.context, study.retrieval)
        notes = left_out_notes(statements, study.retrieval)
        return replace(report, statements=statements, notes=(*report.notes, *notes))

    def check_caption(self, study: Study, written: str) -> GroundedReport:
        """One sentence on the image as a whole, its citations resolved and checked."""
        caption = self._grounded(study, f"Impression: {written}", study.short_context, written)
        return replace(caption, statements=caption.statements[:1])

    def check_answer(self, study: Study, question: str, written: str) -> GroundedReport:
        """An answer as one statement, or none where the model answered nothing."""
        statement = check_answer(question, written, study.short_context, study.retrieval)
        silent = () if statement.text else ("the model wrote no answer",)
        return GroundedReport(
            statements=(statement,) if statement.text else (),
            hits=study.short_context.hits,
            generator=self.name,
            index_fingerprint=study.retrieval.index_fingerprint,
            notes=(*self._notes(study), *silent),
            label_scores=study.retrieval.label_scores,
            as_written=written,
        )

    def check_classes(
        self, study: Study, likelihoods: Any, observations: Sequence[str] = OBSERVATIONS
    ) -> Classification:
        """``likelihoods``: natural log-probabilities of yes and no, (observations, 2)."""
        scores, fitted_on = study.retrieval.label_scores, self.calibration.fitted_on
        return to_classification(
            [
                observe(
                    name,
                    study.votes[name],
                    language_model=1 / (1 + math.exp(min(float(no - yes), 500.0))),
                    label_head=None if scores is None else scores[name],
                    calibration=self.calibration,
                )
                for name, (yes, no) in zip(observations, likelihoods, strict=True)
            ],
            study.retrieval,
            hits=study.short_context.hits,
            generator=self.name,
            calibrated_on=None if fitted_on == Calibration().fitted_on else fitted_on,
            notes=self._notes(study),
        )

    def _grounded(self, study: Study, text: str, context: Context, written: str) -> GroundedReport:
        grounding = ground(parse_answer(text), context, study.retrieval)
        notes = [*self._notes(study), *grounding.notes]
        if not grounding.statements:
            notes.append("the model wrote no sentence that can stand")
        return GroundedReport(
            statements=grounding.statements,
            hits=context.hits,
            generator=self.name,
            index_fingerprint=study.retrieval.index_fingerprint,
            notes=tuple(notes),
            label_scores=study.retrieval.label_scores,
            as_written=written,
        )

    def _notes(self, study: Study) -> tuple[str, ...]:
        notes = list(study.retrieval.notes)
        ood = study.retrieval.ood
        if ood is not None and not ood.in_distribution:
            notes.append(f"do not rely on this: {ood.reason}")
        left_out = len(study.retrieval.images_sha256) - MAX_VIEWS
        if study.image is not None and left_out > 0:
            notes.append(
                f"the model was shown {MAX_VIEWS} images; {left_out} more were searched with"
            )
        return tuple(notes)


@dataclass(frozen=True, kw_only=True)
class TaskDefinition:
    """One row of the table of tasks."""

    noun: str
    """What the task makes."""
    prompts: Callable[[Study, str], list[Prompt]]
    """What the model reads, given the study and the question: one prompt for a text, one for each
    observation for classes."""
    check: Callable[[StudyReader, Study, str, Any], GroundedReport]
    """The result, given reader, study, question and what the model gave: the text that it wrote,
    or the log-probabilities of ``answers``, (prompts, answers)."""
    answers: tuple[str, ...] = ()
    """What the model chooses from; empty where it writes."""


TASKS: Mapping[Task, TaskDefinition] = {
    "report": TaskDefinition(
        noun="report",
        prompts=lambda study, _: [report_prompt(study.context, study.image)],
        check=lambda reader, study, _, text: reader.check_report(study, text),
    ),
    "ask": TaskDefinition(
        noun="answer",
        prompts=lambda study, question: [ask_prompt(study.short_context, question, study.image)],
        check=lambda reader, study, question, text: reader.check_answer(study, question, text),
    ),
    "classify": TaskDefinition(
        noun="classification",
        prompts=lambda study, _: classify_prompts(study.short_context, image=study.image),
        check=lambda reader, study, _, likelihoods: reader.check_classes(study, likelihoods),
        answers=(YES, NO),
    ),
    "caption": TaskDefinition(
        noun="caption",
        prompts=lambda study, _: [caption_prompt(study.short_context, study.image)],
        check=lambda reader, study, _, text: reader.check_caption(study, text),
    ),
}
