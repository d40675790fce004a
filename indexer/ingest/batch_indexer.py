"""Turn records into cases and vectors, batch by batch: the part of a build that can be resumed.

indexer = BatchIndexer("openi", encoder, info, base=None, limits=Limits())
for number, records in in_batches(source.records(), STUDIES_PER_BATCH):
    indexed = indexer.embed(indexer.decode(number, records))

Each batch is indexed independently, so its result does not depend on earlier batches, and batches
can be decoded and embedded in different processes.
"""

import copy
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from db.errors import UserError
from db.extras import importing
from indexer.encoder.spec import Encoder, EncoderSpec, TextEncoder
from indexer.erasure import is_withdrawn
from indexer.images.radiograph import TwoPatientsError
from indexer.images.reader import Limits
from indexer.index import Index
from indexer.ingest.assembly import VersionInfo
from indexer.ingest.batches import (
    ALREADY_INDEXED,
    CONSENT_WITHDRAWN,
    REPORT_CHANGED,
    STUDIES_PER_BATCH,
    Decoded,
    Fit,
    Indexed,
)
from indexer.ingest.build_log import IMAGE_MISSING, IMAGE_UNREADABLE
from indexer.ingest.fingerprint import sum_contents
from indexer.ingest.plan import image_count
from indexer.ingest.studies import (
    DecodedStudy,
    DroppedImage,
    case_images,
    case_vector,
    decode_study,
    earlier_embedding,
    foreign_language,
    report_text,
    to_case,
    without_identifiers,
)
from indexer.sources.records import (
    TWO_PATIENTS,
    Record,
    SkippedStudy,
    StudyRecord,
)
from indexer.typicality.profile import outline
from indexer.typicality.sample import ThumbnailSample


@dataclass
class _Reading:
    """What was read of a batch."""

    studies: list[DecodedStudy] = field(default_factory=list)
    skipped: list[SkippedStudy] = field(default_factory=list)
    dropped: list[DroppedImage] = field(default_factory=list)
    identifiers: Counter[str] = field(default_factory=Counter)


class BatchIndexer:
    """Indexes the studies of one source, except those already in ``base``, the index added to."""

    def __init__(
        self,
        source: str,
        encoder: Encoder | EncoderSpec,
        info: VersionInfo,
        base: Index | None,
        limits: Limits,
        *,
        any_language: bool = False,
        keep_identifiers: bool = False,
        studies_per_batch: int = STUDIES_PER_BATCH,
    ) -> None:
        self.studies_per_batch = studies_per_batch
        self._source = source
        self._encoder = None if isinstance(encoder, EncoderSpec) else encoder
        self._spec = info.encoder
        self.labeller = info.labeller_version
        self._withdrawn = info.withdrawn
        self._base = base
        self._first_id = 0 if base is None else base.cases.next_id()
        self._limits = limits
        self._any_language = any_language
        self._keep_identifiers = keep_identifiers

    @property
    def settings(self) -> list[bool]:
        """What the cases depend on besides records, encoder and labeller."""
        return [self._any_language, self._keep_identifiers, self._limits.accept_as_chest]

    @property
    def spec(self) -> EncoderSpec:
        return self._spec

    def first_id(self, number: int) -> int:
        """Return the case id of the first record of a batch."""
        return self._first_id + number * self.studies_per_batch

    def with_encoder(self, encoder: Encoder | None) -> "BatchIndexer":
        """Return a copy with another encoder; with None it can be sent to a process to decode."""
        other = copy.copy(self)
        other._encoder = encoder
        return other

    def decode(self, number: int, records: Sequence[Record], *, fit: Fit | None = None) -> Decoded:
        """Read the images and reports of a batch; ``fit`` reduces images to what is embedded."""
        batch = _Reading()
        indexed = self._indexed_reports(records)
        for case_id, record in enumerate(records, start=self.first_id(number)):
            if isinstance(record, SkippedStudy):
                batch.skipped.append(record)
                continue
            found: Mapping[str, int] = {}
            if not self._keep_identifiers:
                record, found = without_identifiers(record)
            reason = self._reason_to_skip(record, indexed)
            if reason is not None:
                batch.skipped.append(SkippedStudy(study_id=record.study_id, reason=reason))
                continue
            try:
                study = decode_study(record, case_id, self._limits)
            except TwoPatientsError as error:
                batch.skipped.append(
                    SkippedStudy(study_id=record.study_id, reason=TWO_PATIENTS, detail=str(error))
                )
                continue
            batch.dropped += study.dropped
            if study.images or record.embedded is not None:
                batch.studies.append(study)
                batch.identifiers.update(found)
            else:
                batch.skipped.append(_without_image(study))
        studies = batch.studies
        foreign = [foreign_language(study.record) for study in studies]
        embedded = tuple(earlier_embedding(study.record) for study in studies)
        cases = tuple(
            to_case(
                study.record,
                self._source,
                study.case_id,
                images=case_images(study) if known is None else known.images,
                labelled=self._any_language or language is None,
            )
            for study, known, language in zip(studies, embedded, foreign, strict=True)
        )
        pixels = [image.pixels for study in studies for image in study.images]
        return Decoded(
            cases=cases,
            embedded=embedded,
            texts=tuple(report_text(study.record) for study in studies),
            pixels=pixels if fit is None else [fit(image) for image in pixels],
            images=image_count(records),
            arrays={
                "notes": np.array(json.dumps(self._notes(studies, foreign))),
                "identifiers": np.array(json.dumps(batch.identifiers)),
                "skipped": np.array(json.dumps([asdict(study) for study in batch.skipped])),
                "dropped": np.array(json.dumps([asdict(image) for image in batch.dropped])),
                **_sample(studies).arrays(),
            },
        )

    def embed(self, batch: Decoded) -> Indexed:
        """Embed a batch that was decoded without ``fit``."""
        if not batch.pixels:
            return self.combine(batch, np.zeros((0, self._spec.dim), np.float32))
        if self._encoder is None:
            raise UserError("this source has images to embed: an encoder is needed")
        return self.combine(batch, self._encoder.embed_images(batch.pixels).vectors)

    def combine(self, batch: Decoded, image_vectors: np.ndarray) -> Indexed:
        """Make the vectors of cases from those of their images, (images, dim) in the order of
        ``batch.pixels``, and their reports."""
        reports = self._embed_reports(batch)
        vectors: list[np.ndarray] = []
        views: list[np.ndarray] = [np.zeros((0, self._spec.dim), np.float32)]
        start = 0
        for place, (case, known) in enumerate(zip(batch.cases, batch.embedded, strict=True)):
            if known is not None:
                vectors.append(known.vector)
                views.append(known.image_vectors)
                continue
            views.append(image_vectors[start : start + len(case.images)])
            start += len(case.images)
            report = None if reports is None else reports[place]
            vectors.append(case_vector(views[-1], report, self._spec.report_weight))
        rows = np.array(vectors, dtype=np.float32)
        return Indexed(
            cases=batch.cases,
            images=batch.images,
            arrays={
                "ids": np.array([case.case_id for case in batch.cases], dtype=np.int64),
                "vectors": rows.reshape(-1, self._spec.dim),
                "image_vectors": np.concatenate(views),
                "contents": np.array(sum_contents(zip(batch.cases, rows, strict=True))),
                **batch.arrays,
            },
        )

    def _notes(
        self, studies: Sequence[DecodedStudy], foreign: Sequence[str | None]
    ) -> dict[str, list[str]]:
        """Map each note on the reading of reports and images to the ids of its studies."""
        notes: dict[str, list[str]] = {}
        how = "labelled as if it were English" if self._any_language else "indexed without labels"
        for study, language in zip(studies, foreign, strict=True):
            told = study.record.notes
            images = {f"an image: {note}": None for one in study.images for note in one.notes}
            told = (*told, *images)
            if language is not None:
                told = (f"report in {language}: {how}", *told)
            for note in told:
                notes.setdefault(note, []).append(study.record.study_id)
        return notes

    def _indexed_reports(self, records: Sequence[Record]) -> dict[str, tuple[str, str, str]]:
        """Map the study ids of records that are already in the index to their indexed sections."""
        if self._base is None:
            return {}
        cases = self._base.cases
        ids = cases.find_all(self._source, [record.study_id for record in records])
        return {
            case.study_id: (case.indication, case.findings, case.impression)
            for case in cases.get(sorted(ids.values()))
        }

    def _reason_to_skip(
        self, record: StudyRecord, indexed: dict[str, tuple[str, str, str]]
    ) -> str | None:
        if is_withdrawn(self._withdrawn, self._source, record.study_id, record.patient_id):
            return CONSENT_WITHDRAWN
        if record.study_id not in indexed:
            return None
        same = indexed[record.study_id] == (record.indication, record.findings, record.impression)
        return ALREADY_INDEXED if same else REPORT_CHANGED

    def _embed_reports(self, batch: Decoded) -> np.ndarray | None:
        """Embed reports, one row per study; None if case vectors use images alone."""
        if self._spec.report_weight == 0 or self._encoder is None or None not in batch.embedded:
            return None
        if not isinstance(self._encoder, TextEncoder):
            raise UserError(f"encoder '{self._spec.name}' has no text tower for the reports")
        with importing():
            from indexer.encoder.device import one_thread
        with one_thread():  # so that the last bits do not depend on the number of cores
            return self._encoder.embed_text(batch.texts)


def _without_image(study: DecodedStudy) -> SkippedStudy:
    """Say why a study without a readable image is skipped."""
    missing = all(image.missing for image in study.dropped)
    return SkippedStudy(
        study_id=study.record.study_id,
        reason=IMAGE_MISSING if missing else IMAGE_UNREADABLE,
        detail=study.dropped[0].detail,
    )


def _sample(studies: Sequence[DecodedStudy]) -> ThumbnailSample:
    images = [
        (image, study.case_id, position)
        for study in studies
        for position, image in enumerate(study.images)
    ]
    if not images:
        return ThumbnailSample.empty()
    read, case_ids, positions = zip(*images, strict=True)
    return ThumbnailSample.from_images(
        [image.sha256 for image in read],
        case_ids,
        positions,
        np.stack([outline(image.pixels)[0] for image in read]),
    )
