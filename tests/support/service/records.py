"""Whole records of the application database."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from db.app.database import AppDatabase
from db.app.generation import (
    Citation,
    ExcludedCase,
    Generation,
    GenerationHit,
    IndexReference,
    OodCheck,
    Origin,
    RemovedCitation,
    ScoreRegion,
    Statement,
)
from db.app.jobs.study import JobImage, JobStudy
from db.app.observations import Observation
from db.errors import ForbiddenError
from tests.support.service.services import NOW, a_png

FINGERPRINT = "ab" * 32


def a_generation(generation_id: UUID | None = None) -> Generation:
    """With every part that one can have."""
    return Generation(
        id=generation_id or uuid4(),
        created_at=datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC),
        task="report",
        text="A calm film.",
        generator="drawn-1",
        index=IndexReference(fingerprint=FINGERPRINT, source="drawn"),
        images_sha256=("cd" * 32,),
        options={"k": 3, "labels": ["Edema"], "min_score": None},
        warnings=("Do not rely on this: no whole film.",),
        notes=("one note",),
        technical_notes=("mid-tones balanced",),
        label_scores={"Edema": 0.25},
        ood=OodCheck(in_distribution=False, score=-4.5, threshold=-2.25, reason="no whole film"),
        statements=(
            Statement(
                section="findings",
                text="A calm film.",
                labels={"Edema": "negative"},
                citations=(
                    Citation(
                        number=2,
                        source="drawn",
                        study_id="s/2",
                        index_fingerprint=FINGERPRINT,
                        quote="Calm, this film.",
                        score=0.75,
                    ),
                ),
                citations_added=True,
                added_by_rule=True,
                removed_citations=(RemovedCitation(number=9, reason="no case has this number"),),
                case_support=0.5,
                image_support=0.25,
                contradiction="classifier score for Edema is 0.90",
            ),
            Statement(section="impression", text="Nothing cited."),
        ),
        question="Is it calm?",
        indication="a drawing",
        observations=(
            Observation(
                name="Edema",
                probability=0.25,
                low=0.125,
                high=0.5,
                state="possible",
                language_model=None,
                knn=0.5,
                knn_low=0.25,
                knn_high=0.75,
                label_head=0.125,
                cases=(2,),
                cases_against=(1,),
            ),
        ),
        calibrated_on="drawn val",
        regions=(
            ScoreRegion(
                image=1,
                observation="Edema",
                score=0.25,
                width=40,
                height=30,
                polygons=(((0.0, 0.0), (20.0, 0.5), (20.0, 15.0)),),
                map=((100, 0), (50, 0)),
            ),
        ),
        hits=(
            GenerationHit(number=1, source="drawn", study_id="s1", score=0.875),
            GenerationHit(number=2, source="drawn", study_id="s/2", score=0.75),
        ),
        excluded_cases=(
            ExcludedCase(source="drawn", study_id="s9", score=1.0, reason="near-copy"),
        ),
        created_by="reading-room",
        origin=Origin(
            program="0.1.0",
            encoder="drawn-encoder",
            encoder_sha256="ef" * 32,
            model="drawn-model",
            prompt_version="p1",
            seed=7,
            sampling={"temperature": 0.5},
        ),
    )


def a_study(owner: str = "ward", job_id: UUID | None = None) -> JobStudy:
    """Of two views, not yet claimed."""
    return JobStudy(
        job_id=job_id or uuid4(),
        generation_id=uuid4(),
        created_at=NOW,
        created_by=owner,
        request_id="abcdef01",
        request={"k": 3, "labels": ["Edema"]},
        images=(
            JobImage(png=a_png(1, size=(64, 64)), view_position="PA", notes=("lossy",)),
            JobImage(png=a_png(2, size=(64, 64)), view_position=None, notes=()),
        ),
    )


def accept(database: AppDatabase, studies: Sequence[JobStudy]) -> None:
    """Store studies of jobs, as the service does when their requests have arrived."""
    for study in studies:
        database.jobs.receive(study)
    for job_id, count in Counter(study.job_id for study in studies).items():
        try:
            database.jobs.accept(job_id, count)
        except ForbiddenError:
            database.jobs.discard(job_id)
            raise
