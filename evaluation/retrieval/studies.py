"""The studies of a split, read and embedded, to evaluate on; never a study that is indexed.

studies, without = read_studies(source, retriever)
queries = embed(retriever.encoder, studies, "both")
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from db.errors import UserError
from db.labels import Labels
from indexer.encoder.spec import Encoder
from indexer.images.reader import Limits, Radiograph
from indexer.ingest.studies import decode_study, to_case
from indexer.sources.records import Source, StudyRecord
from retriever.case_filter import normalise_report
from retriever.overlap import Overlap
from retriever.query import Query, image_queries
from retriever.search import Retriever

Views = Literal["both", "frontal"]

Progress = Callable[[Iterable[StudyRecord]], Iterable[StudyRecord]]
"""Wraps the records while they are read; ``tqdm`` fits."""

_STUDIES_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationStudy:
    """One study with the report that systems are measured against."""

    study_id: str
    patient_id: str | None
    images: tuple[Radiograph, ...]
    frontal: tuple[Radiograph, ...]
    """The images that are frontal views, or all of them where none is known to be."""
    findings: str
    """The reference text."""
    report: str
    labels: Labels
    """What the labeller reads in the whole report."""
    in_index: bool
    """Whether an indexed case has the very same findings, word for word."""


def read_studies(
    source: Source,
    retriever: Retriever,
    *,
    progress: Progress = lambda records: records,
) -> tuple[list[EvaluationStudy], int]:
    """Every study of the source with an image and findings, and how many had none of these.

    Raises UserError where a study of the split, another one of its patient, or one of its images is
    indexed, and where nothing is left to evaluate on.
    """
    known = {normalise_report(case.findings) for case in retriever.index.cases}
    overlap = Overlap([retriever])
    records = list(source.records())
    usable = [
        one for one in records if isinstance(one, StudyRecord) and one.images and one.findings
    ]
    for record in usable:
        _refuse(
            record,
            source,
            overlap.find_ids(
                source=source.name, study_id=record.study_id, patient_id=record.patient_id
            ),
        )
    if not usable:
        raise UserError(
            f"split '{source.split}' of {source.name} has no study with images and findings"
        )
    studies = []
    for record in progress(usable):
        study = _read(record, source.name, known)
        _refuse(record, source, overlap.find_images(study.images))
        studies.append(study)
    overlap.warn()
    return studies, len(records) - len(usable)


def embed(encoder: Encoder, studies: Sequence[EvaluationStudy], views: Views) -> list[Query]:
    """One query a study, from all its images or from the frontal ones."""
    queries: list[Query] = []
    for start in range(0, len(studies), _STUDIES_AT_ONCE):
        some = studies[start : start + _STUDIES_AT_ONCE]
        queries += image_queries(
            encoder, [one.images if views == "both" else one.frontal for one in some]
        )
    return queries


def _refuse(record: StudyRecord, source: Source, indexed: str | None) -> None:
    if indexed is not None:
        raise UserError(
            f"study {record.study_id} of split '{source.split}' is not held out, {indexed}: "
            "evaluate on studies and patients that were not indexed"
        )


def _read(record: StudyRecord, source: str, known: set[str]) -> EvaluationStudy:
    radiographs = [
        replace(radiograph, view_position=image.view_position or radiograph.view_position)
        for image, radiograph in zip(
            record.images, decode_study(record, 0, Limits()).images, strict=True
        )
    ]
    frontal = tuple(
        radiograph
        for radiograph in radiographs
        if radiograph.view_position in ("PA", "AP", "FRONTAL")
    )
    case = to_case(record, source, 0, images=())
    return EvaluationStudy(
        study_id=record.study_id,
        patient_id=record.patient_id,
        images=tuple(radiographs),
        frontal=frontal or tuple(radiographs),
        findings=record.findings,
        report=case.report,
        labels=case.labels,
        in_index=normalise_report(record.findings) in known,
    )
