"""The studies of a split, read and embedded, to evaluate on; never a study that is indexed.

studies, without = read_studies(source, retriever)
for query in embed(retriever.encoder, studies, "both"): ...

Images are decoded where they are used and then let go: those of a large split fill no memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from db.errors import UserError
from db.index.case import ViewPosition
from db.labels import Labels
from indexer.encoder.spec import Encoder
from indexer.images.radiograph import TwoPatientsError, as_one_study
from indexer.images.reader import Limits, Radiograph
from indexer.ingest.build_log import IMAGE_MISSING, IMAGE_UNREADABLE, NotIndexed
from indexer.ingest.studies import DroppedImage, decode_study, read_image, to_case
from indexer.sources.records import (
    NO_IMAGE,
    TWO_PATIENTS,
    ImageRecord,
    Record,
    RowCounts,
    SkippedStudy,
    Source,
    StudyRecord,
)
from retriever.case_filter import normalise_report
from retriever.overlap import Overlap
from retriever.query import Query, image_queries
from retriever.search import Retriever

Views = Literal["both", "frontal"]

Progress = Callable[[Iterable[StudyRecord]], Iterable[StudyRecord]]
"""Wraps the records while they are read; ``tqdm`` fits."""

FRONTAL = ("PA", "AP", "FRONTAL")

NO_FINDINGS = "report without findings"

_STUDIES_AT_ONCE = 16
_TOLD = 5
"""Patients on both sides that an error names."""
_CURE = (
    "evaluate on patients that were not indexed; --split-by patient:0.2 keeps them apart, if the "
    "index is built with it and --split train"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationStudy:
    """One study with the report that systems are measured against."""

    study_id: str
    patient_id: str | None
    images: tuple[ImageRecord, ...]
    """Those that can be read, each with its view where that is known."""
    findings: str
    """The reference text."""
    report: str
    labels: Labels
    """What the labeller reads in the whole report."""
    in_index: bool
    """Whether an indexed case has the very same findings, word for word."""

    @property
    def frontal(self) -> tuple[ImageRecord, ...]:
        """The images that are frontal views, or all of them where none is known to be."""
        found = tuple(one for one in self.images if one.view_position in FRONTAL)
        return found or self.images

    def decode(self, views: Views = "both") -> list[Radiograph]:
        """Read the images."""
        chosen = self.images if views == "both" else self.frontal
        read = [
            replace(read_image(one, Limits()), view_position=one.view_position) for one in chosen
        ]
        return list(as_one_study(read))


def read_studies(
    source: Source,
    retriever: Retriever,
    *,
    progress: Progress = lambda records: records,
) -> tuple[list[EvaluationStudy], NotIndexed]:
    """Every study of the source with findings and an image that can be read, and what was left out.

    Raises UserError where a study of the split, another one of its patient, or one of its images is
    indexed, and where nothing is left to evaluate on.
    """
    known = {normalise_report(case.findings) for case in retriever.index.cases}
    overlap = Overlap([retriever])
    records = list(source.records())
    usable, skipped = _usable(records)
    _check_apart(usable, source, retriever, overlap)
    studies: list[EvaluationStudy] = []
    dropped: list[DroppedImage] = []
    for record in progress(usable):
        try:
            read = decode_study(record, 0, Limits())
        except TwoPatientsError as error:
            skipped.append(_skipped(record, TWO_PATIENTS, str(error)))
            continue
        dropped += read.dropped
        if not read.images:
            missing = any(image.missing for image in read.dropped)
            skipped.append(_skipped(record, IMAGE_MISSING if missing else IMAGE_UNREADABLE))
            continue
        if (indexed := overlap.find_images(read.images)) is not None:
            raise UserError(
                f"study {record.study_id} of split '{source.split}' is not held out, {indexed}: "
                "give both studies the id of one patient if they are, or leave one of them out"
            )
        views = [image.view_position for image in read.images]
        studies.append(_to_study(read.record, views, source.name, known))
    if not studies:
        raise UserError(nothing_left(source))
    overlap.warn()
    rows: RowCounts | None = getattr(source, "rows", None)
    return studies, NotIndexed(studies=len(records), skipped=skipped, dropped=dropped, rows=rows)


def nothing_left(source: Source) -> str:
    """What to say where a split has no study to evaluate on."""
    return (
        f"split '{source.split}' of {source.name} has no study with images and findings: name the "
        "split of each study in a column 'split' or with --split-file, or draw one with --split-by "
        "patient:0.2"
    )


def embed(encoder: Encoder, studies: Sequence[EvaluationStudy], views: Views) -> Iterator[Query]:
    """Yield one query a study, from all its images or from the frontal ones."""
    for start in range(0, len(studies), _STUDIES_AT_ONCE):
        some = studies[start : start + _STUDIES_AT_ONCE]
        yield from image_queries(encoder, [one.decode(views) for one in some])


def _usable(records: Sequence[Record]) -> tuple[list[StudyRecord], list[SkippedStudy]]:
    """Studies with findings and images, whether there or not, and the others with the reason."""
    usable: list[StudyRecord] = []
    skipped: list[SkippedStudy] = []
    for one in records:
        if isinstance(one, SkippedStudy):
            skipped.append(one)
        elif not one.images:
            skipped.append(_skipped(one, NO_IMAGE))
        elif not one.findings:
            skipped.append(_skipped(one, NO_FINDINGS))
        else:
            usable.append(one)
    return usable, skipped


def _skipped(record: StudyRecord, reason: str, detail: str = "") -> SkippedStudy:
    return SkippedStudy(study_id=record.study_id, reason=reason, detail=detail)


def _check_apart(
    usable: Sequence[StudyRecord], source: Source, retriever: Retriever, overlap: Overlap
) -> None:
    """Raise UserError for patients that are indexed as well, each with all its studies."""
    held: dict[str, list[str]] = {}
    indexed: dict[str, list[str]] = {}
    for record in usable:
        place = overlap.find_ids(
            source=source.name, study_id=record.study_id, patient_id=record.patient_id
        )
        if place is None:
            continue
        who = f"patient {record.patient_id}" if record.patient_id else f"study {record.study_id}"
        held.setdefault(who, []).append(record.study_id)
        cases = retriever.index.cases
        patients = [record.patient_id] if record.patient_id else []
        found = cases.ids_of(patient_ids=patients, study_ids=[record.study_id])
        own = [one.study_id for one in cases.get(sorted(found)) if one.source == source.name]
        indexed[who] = sorted({*indexed.get(who, []), *own})
    if not held:
        return
    told = [
        f"{who} has {', '.join(studies)} in split '{source.split}' and "
        f"{', '.join(indexed[who])} in the index"
        for who, studies in held.items()
    ]
    more = f"; so have {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    raise UserError(f"not held out: {'; '.join(told[:_TOLD])}{more}: {_CURE}")


def _to_study(
    record: StudyRecord, views: Sequence[ViewPosition | None], source: str, known: set[str]
) -> EvaluationStudy:
    """``views`` are those of the images that could be read, as the file or the data set has it."""
    case = to_case(record, source, 0, images=())
    return EvaluationStudy(
        study_id=record.study_id,
        patient_id=record.patient_id,
        images=tuple(
            replace(image, view_position=image.view_position or view)
            for image, view in zip(record.images, views, strict=True)
        ),
        findings=record.findings,
        report=case.report,
        labels=case.labels,
        in_index=normalise_report(record.findings) in known,
    )
