"""A study with everything a language model is shown of it: one image, prior cases and votes."""

from dataclasses import dataclass

from PIL import Image

from generator.assessment.assess import Assessment, assess
from generator.assessment.calibration import Calibration, Sensitivity
from generator.context.build import REPORT_CONTEXT, SHORT_CONTEXT, Context, build_context
from generator.context.shown_case import CountTokens
from generator.study_canvas import MAX_VIEWS
from retriever.knn_votes import Vote
from retriever.results import Retrieval


@dataclass(frozen=True, kw_only=True, eq=False)
class RetrievedStudy:
    """The images of one study and the results of searching with them."""

    image: Image.Image | None
    """All views on one canvas; None for a model that answers without the images."""
    retrieval: Retrieval
    votes: dict[str, Vote]
    indication: str
    context: Context
    """For a report."""
    short_context: Context
    """For a question, a classification or a caption."""
    assessment: Assessment

    @classmethod
    def assemble(
        cls,
        image: Image.Image | None,
        retrieval: Retrieval,
        votes: dict[str, Vote],
        indication: str = "",
        *,
        count_tokens: CountTokens,
        calibration: Calibration | None = None,
        sensitivity: Sensitivity = "balanced",
    ) -> "RetrievedStudy":
        """Build both contexts from the hits, and assess; ``count_tokens`` is that of the model."""
        return cls(
            image=image,
            retrieval=retrieval,
            votes=votes,
            indication=indication,
            context=build_context(
                retrieval, indication=indication, count_tokens=count_tokens, options=REPORT_CONTEXT
            ),
            short_context=build_context(
                retrieval, indication=indication, count_tokens=count_tokens, options=SHORT_CONTEXT
            ),
            assessment=assess(retrieval, votes, calibration=calibration, sensitivity=sensitivity),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Search notes, and how many images were not shown."""
        notes = list(self.retrieval.notes)
        left_out = len(self.retrieval.images_sha256) - MAX_VIEWS
        if self.image is not None and left_out > 0:
            notes.append(
                f"the model was shown {MAX_VIEWS} images; {left_out} more were searched with"
            )
        return tuple(notes)
