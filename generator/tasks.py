"""Report, ask, classify, caption: a vision-language model on the images of one study.

reader = FilmReader(Retriever.open(Path("data/index")), load_model("pretrained/generator"))
study = reader.read(["pa.dcm", "lateral.dcm"], indication="dyspnea")
reader.report(study); reader.ask(study, "Is the heart enlarged?"); reader.classify(study)

The images are read and searched with once, whatever is asked of them after.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from db.labels import OBSERVATIONS
from generator.calibration import Calibration
from generator.candidates import search_pool
from generator.canvas import MAX_VIEWS, canvas, frontal_first
from generator.context import BRIEF, DEFAULT, Context, build_context
from generator.grounding.answers import Answer, check_answer
from generator.grounding.citations import ground, parse_answer
from generator.grounding.completion import complete, left_out_notes
from generator.grounding.report import NOTICE, GroundedReport
from generator.prompts import (
    NO,
    PROMPT_VERSION,
    YES,
    ask_prompt,
    caption_prompt,
    classify_prompts,
    report_prompt,
)
from generator.vision_language import GREEDY, DecodingOptions, VisionLanguageModel
from retriever.knn_votes import Vote
from retriever.query import ImageSource, Query, image_query, read_images
from retriever.results import Hit, Retrieval
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
    brief: Context
    """For a question, a class or a caption."""


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """Whether an observation is there."""

    probability: float
    """Of the three below together, calibrated on the validation split, 0..1."""
    model: float
    """The model's own yes against its no."""
    vote: Vote
    """Of the retrieved cases."""
    image: float | None
    """Of the encoder's label head."""


@dataclass(frozen=True, kw_only=True)
class Classification:
    """The 14 observations of one study."""

    observations: dict[str, Opinion]
    hits: tuple[Hit, ...]
    generator: str
    index_fingerprint: str
    calibrated_on: str
    notes: tuple[str, ...] = ()
    notice: str = NOTICE


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

    def read(
        self,
        images: Sequence[ImageSource],
        *,
        indication: str = "",
        exclude_patient_ids: Collection[str] = (),
        exclude_study_ids: Collection[str] = (),
    ) -> Study:
        """Decode, embed and search. Raises UserError for an image that cannot be read."""
        query = image_query(self.retriever.encoder, read_images(images))
        return self.study(
            query,
            indication=indication,
            exclude_patient_ids=exclude_patient_ids,
            exclude_study_ids=exclude_study_ids,
        )

    def study(
        self,
        query: Query,
        *,
        indication: str = "",
        exclude_patient_ids: Collection[str] = (),
        exclude_study_ids: Collection[str] = (),
    ) -> Study:
        """A study whose images are embedded already."""
        retrieval = search_pool(
            self.retriever,
            query,
            exclude_patient_ids=exclude_patient_ids,
            exclude_study_ids=exclude_study_ids,
        )
        votes = self.retriever.vote(
            query, exclude_patient_ids=exclude_patient_ids, exclude_study_ids=exclude_study_ids
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
        """A study from its parts; what is left out of them the model is not shown."""
        count = self.model.count_tokens
        return Study(
            image=image,
            retrieval=retrieval,
            votes=votes,
            indication=indication,
            context=build_context(
                retrieval, indication=indication, count_tokens=count, options=DEFAULT
            ),
            brief=build_context(
                retrieval, indication=indication, count_tokens=count, options=BRIEF
            ),
        )

    def report(self, study: Study, options: DecodingOptions = GREEDY) -> GroundedReport:
        """Findings and impression, every citation checked."""
        return self.reports([study], options)[0]

    def reports(
        self, studies: Sequence[Study], options: DecodingOptions = GREEDY
    ) -> list[GroundedReport]:
        """Several at once, which is quicker."""
        prompts = [report_prompt(study.context, study.image) for study in studies]
        written = self.model.generate(prompts, options)
        return [self.checked(study, text) for study, text in zip(studies, written, strict=True)]

    def stream_report(self, study: Study, options: DecodingOptions = GREEDY) -> Iterator[Event]:
        """What happens as it happens; closing the iterator stops the model."""
        yield "stage", "writing"
        pieces = []
        for piece in self.model.stream(report_prompt(study.context, study.image), options):
            pieces.append(piece)
            yield "text", piece
        yield "stage", "checking citations"
        yield self.checked(study, "".join(pieces))

    def checked(self, study: Study, written: str) -> GroundedReport:
        """What a model wrote as a report: its citations resolved and checked, and what it left out
        added."""
        report = self._grounded(study, written, study.context, written)
        statements = complete(report.statements, study.context, study.retrieval)
        notes = left_out_notes(statements, study.retrieval)
        return replace(report, statements=statements, notes=(*report.notes, *notes))

    def checked_caption(self, study: Study, written: str) -> GroundedReport:
        """The same of one sentence on the image as a whole."""
        caption = self._grounded(study, f"Impression: {written}", study.brief, written)
        return replace(caption, statements=caption.statements[:1])

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

    def ask(self, study: Study, question: str, options: DecodingOptions = GREEDY) -> Answer:
        """A short answer. Raises UserError for a question that is empty or too long."""
        prompt = ask_prompt(study.brief, question, study.image)
        (written,) = self.model.generate([prompt], options)
        return check_answer(
            question,
            written,
            study.brief,
            study.retrieval,
            generator=self.name,
            notes=self._notes(study),
        )

    def caption(self, study: Study, options: DecodingOptions = GREEDY) -> GroundedReport:
        """One statement on the image as a whole."""
        (written,) = self.model.generate([caption_prompt(study.brief, study.image)], options)
        return self.checked_caption(study, written)

    def classify(self, study: Study, observations: Sequence[str] = OBSERVATIONS) -> Classification:
        """Each observation's probability, from the model, the retrieved cases and the encoder."""
        prompts = classify_prompts(study.brief, observations, study.image)
        chosen = self.model.loglikelihood(prompts, [YES, NO])
        scores = study.retrieval.label_scores
        opinions = {}
        for name, (yes, no) in zip(observations, chosen, strict=True):
            model = 1 / (1 + math.exp(min(float(no - yes), 500.0)))
            vote = study.votes[name]
            image = None if scores is None else scores[name]
            opinions[name] = Opinion(
                probability=self.calibration.probability(
                    name, model=model, vote=vote.probability, image=image
                ),
                model=model,
                vote=vote,
                image=image,
            )
        return Classification(
            observations=opinions,
            hits=study.brief.hits,
            generator=self.name,
            index_fingerprint=study.retrieval.index_fingerprint,
            calibrated_on=self.calibration.fitted_on,
            notes=self._notes(study),
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
