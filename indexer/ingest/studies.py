"""Turn a record of a source into a case: decode images, embed them, split and label the report."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from db.errors import NotFoundError, UserError
from db.index.store import Case, CaseImage, Section, Sentence
from indexer.encoder.spec import combine_case, combine_views
from indexer.images.radiograph import as_one_study
from indexer.images.reader import Limits, Radiograph, difference_hash, read_radiograph, restore_size
from indexer.reports.identifiers.replace import replace_identifiers
from indexer.reports.labeller import label_report, label_sentence
from indexer.reports.language import ENGLISH, language_name, report_language
from indexer.reports.sentences import refers_to_prior, split_sentences
from indexer.sources.records import EmbeddedStudy, ImageRecord, Record, SkippedStudy, StudyRecord


@dataclass(frozen=True, kw_only=True)
class DroppedImage:
    """An image of a study that was not indexed."""

    study_id: str
    missing: bool
    """Whether there is no such file; else it could not be read."""
    detail: str
    """The sentence that names the file."""


@dataclass(frozen=True, kw_only=True)
class DecodedStudy:
    """A record with its decoded images; none if it was embedded earlier, or none could be read."""

    case_id: int
    record: StudyRecord
    """Without the images that were dropped."""
    images: tuple[Radiograph, ...]
    dropped: tuple[DroppedImage, ...] = ()


def decode_study(record: StudyRecord, case_id: int, limits: Limits) -> DecodedStudy:
    """Decode the images of a record in their original aspect ratios.

    Images that are missing or cannot be read are dropped. Raises TwoPatientsError for images of two
    patients.
    """
    read: list[tuple[ImageRecord, Radiograph]] = []
    dropped = []
    for image in () if record.embedded is not None else record.images:
        try:
            read.append((image, read_image(image, limits)))
        except UserError as error:
            missing = isinstance(error, NotFoundError)
            dropped.append(
                DroppedImage(study_id=record.study_id, missing=missing, detail=str(error))
            )
    if dropped:
        record = replace(record, images=tuple(image for image, _ in read))
    images = tuple(as_one_study([radiograph for _, radiograph in read]))
    return DecodedStudy(case_id=case_id, record=record, images=images, dropped=tuple(dropped))


def read_image(image: ImageRecord, limits: Limits) -> Radiograph:
    """Decode one image in its original aspect ratio.

    Raises UserError if it cannot be read.
    """
    radiograph = read_radiograph(image.path, limits=limits)
    if image.original_size is None:
        return radiograph
    return replace(radiograph, pixels=restore_size(radiograph.pixels, *image.original_size))


def earlier_embedding(record: StudyRecord) -> EmbeddedStudy | None:
    """Return the embedding that came with a record, linked to the user's image files if their
    number matches."""
    embedded, images = record.embedded, record.images
    if embedded is None or len(images) != len(embedded.images):
        return embedded
    linked = tuple(
        CaseImage(**{**asdict(known), "path": str(image.path.absolute())})
        for known, image in zip(embedded.images, images, strict=True)
    )
    return replace(embedded, images=linked)


def case_images(study: DecodedStudy) -> tuple[CaseImage, ...]:
    """Describe the decoded images of a study."""
    images = zip(study.record.images, study.images, strict=True)
    return tuple(_describe(image, radiograph) for image, radiograph in images)


def case_vector(
    views: np.ndarray, report_vector: np.ndarray | None, report_weight: float
) -> np.ndarray:
    """Combine the vectors of the images (views, dim), and of the report if there is one: (dim,)."""
    if report_vector is None:
        return combine_views(views)
    return combine_case(views, report_vector, report_weight)


def report_text(record: StudyRecord) -> str:
    """Return the text to embed for a case: findings and impression, else the label sentences."""
    written = f"{record.findings} {record.impression}".strip()
    return written or " ".join(sentence.text for sentence in record.label_sentences)


def foreign_language(record: StudyRecord) -> str | None:
    """Name the language of a report that is not English; None for English or no report."""
    written = f"{record.findings} {record.impression}".strip()
    code = report_language(written) if written else ENGLISH
    return None if code == ENGLISH else language_name(code)


def without_identifiers(record: StudyRecord) -> tuple[StudyRecord, Mapping[str, int]]:
    """Replace what identifies a person in the report by marks; return how many of each kind."""
    counts: Counter[str] = Counter()

    def cleaned(text: str) -> str:
        replaced = replace_identifiers(text)
        counts.update(replaced.counts)
        return replaced.text

    clean = replace(
        record,
        indication=cleaned(record.indication),
        comparison=cleaned(record.comparison),
        findings=cleaned(record.findings),
        impression=cleaned(record.impression),
    )
    return clean, counts


def to_case(
    record: StudyRecord,
    source: str,
    case_id: int,
    *,
    images: tuple[CaseImage, ...],
    labelled: bool = True,
) -> Case:
    """Make a case of a record: split its report into sentences and label each.

    Without ``labelled`` the labeller, which is made for English, is not used: sentences have no
    labels, and the case has only those of its data set.
    """
    sections: tuple[tuple[Section, str], ...] = (
        ("findings", record.findings),
        ("impression", record.impression),
    )
    sentences = tuple(
        Sentence(
            section=section,
            text=text,
            labels=label_sentence(text) if labelled else {},
            refers_to_prior=refers_to_prior(text),
        )
        for section, part in sections
        for text in split_sentences(part)
    ) + tuple(
        Sentence(section="labels", text=stated.text, labels=stated.labels)
        for stated in record.label_sentences
    )
    labels = record.labels
    if labels is None and not (labelled or record.label_sentences):
        labels = {}
    elif labels is None:
        labels = label_report(sentence.text for sentence in sentences)
    return Case(
        case_id=case_id,
        source=source,
        study_id=record.study_id,
        patient_id=record.patient_id,
        indication=record.indication,
        findings=record.findings,
        impression=record.impression,
        labels=labels,
        sentences=sentences,
        images=images,
        study_date=record.study_date,
    )


def _describe(image: ImageRecord, radiograph: Radiograph) -> CaseImage:
    height, width = radiograph.pixels.shape
    return CaseImage(
        path=str(image.path.absolute()),
        view_position=image.view_position or radiograph.view_position,
        width=width,
        height=height,
        pixels_sha256=radiograph.sha256,
        dhash=difference_hash(radiograph.pixels),
    )


def record_inputs(record: Record) -> tuple[object, ...]:
    """Return all that a record's case and vector depend on; files by size and modification time."""
    if isinstance(record, SkippedStudy):
        return (record.study_id, record.reason)
    files = []
    for image in record.images:
        try:
            stat = image.path.stat()
            files.append((str(image.path), stat.st_size, stat.st_mtime_ns, image.original_size))
        except OSError:
            files.append((str(image.path), -1, -1, image.original_size))
    vector = b"" if record.embedded is None else record.embedded.vector.tobytes()
    return (
        record.study_id,
        record.patient_id,
        record.indication,
        record.findings,
        record.impression,
        [(stated.text, sorted(stated.labels.items())) for stated in record.label_sentences],
        sorted(record.labels.items()) if record.labels is not None else None,
        files,
        None if record.study_date is None else record.study_date.isoformat(),
        hashlib.sha256(vector).hexdigest(),
    )
