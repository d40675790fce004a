"""Turn records into cases and vectors, batch by batch: the part of a build that can be resumed.

indexer = BatchIndexer("openi", encoder, info, base=None, limits=Limits())
for number, records in enumerate(in_batches(source.records())):
    arrays = indexer.index(number, records, cases)

Each batch is indexed independently, so its result does not depend on earlier batches.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from db.errors import UserError
from db.index.store import CaseStore
from indexer.encoder.spec import Encoder, EncoderSpec, TextEncoder
from indexer.erasure import is_withdrawn
from indexer.images.radiograph import TwoPatientsError
from indexer.images.reader import Limits
from indexer.index import Index
from indexer.ingest.assembly import VersionInfo
from indexer.ingest.build_log import IMAGE_MISSING, IMAGE_UNREADABLE
from indexer.ingest.fingerprint import sum_contents
from indexer.ingest.studies import (
    DecodedStudy,
    DroppedImage,
    decode_study,
    embed_studies,
    foreign_language,
    report_text,
    to_case,
    without_identifiers,
)
from indexer.sources.records import TWO_PATIENTS, Record, SkippedStudy, StudyRecord
from indexer.typicality.profile import outline
from indexer.typicality.sample import ThumbnailSample

STUDIES_PER_BATCH = 16

ALREADY_INDEXED = "already in the index"
REPORT_CHANGED = "already in the index with a different report: remove it first to replace it"
CONSENT_WITHDRAWN = "consent withdrawn"


def in_batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield records in batches, in their order; the last batch may be smaller."""
    batch = []
    for record in records:
        batch.append(record)
        if len(batch) == STUDIES_PER_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


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
    ) -> None:
        self._source = source
        self._encoder = None if isinstance(encoder, EncoderSpec) else encoder
        self._spec = info.encoder
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

    def first_id(self, number: int) -> int:
        """Return the case id of the first record of a batch."""
        return self._first_id + number * STUDIES_PER_BATCH

    def index(
        self, number: int, records: Sequence[Record], cases: CaseStore
    ) -> dict[str, np.ndarray]:
        """Add the cases of a batch to ``cases`` and return its arrays for `assemble`."""
        skipped: list[SkippedStudy] = []
        studies: list[DecodedStudy] = []
        dropped: list[DroppedImage] = []
        identifiers: Counter[str] = Counter()
        indexed = self._indexed_reports(records)
        for case_id, record in enumerate(records, start=self.first_id(number)):
            if isinstance(record, SkippedStudy):
                skipped.append(record)
                continue
            found: Mapping[str, int] = {}
            if not self._keep_identifiers:
                record, found = without_identifiers(record)
            reason = self._reason_to_skip(record, indexed)
            if reason is not None:
                skipped.append(SkippedStudy(study_id=record.study_id, reason=reason))
                continue
            try:
                study = decode_study(record, case_id, self._limits)
            except TwoPatientsError as error:
                skipped.append(
                    SkippedStudy(study_id=record.study_id, reason=TWO_PATIENTS, detail=str(error))
                )
                continue
            dropped += study.dropped
            if study.images or record.embedded is not None:
                studies.append(study)
                identifiers.update(found)
            else:
                skipped.append(_without_image(study))
        images = [image.pixels for study in studies for image in study.images]
        embedded = embed_studies(
            studies, self._embed(images), self._embed_reports(studies), self._spec.report_weight
        )
        foreign = [foreign_language(study.record) for study in studies]
        new = [
            to_case(
                study.record,
                self._source,
                study.case_id,
                images=vector.images,
                labelled=self._any_language or language is None,
            )
            for study, vector, language in zip(studies, embedded, foreign, strict=True)
        ]
        cases.add(new)
        vectors = np.array([study.vector for study in embedded], dtype=np.float32)
        none = np.zeros((0, self._spec.dim), np.float32)
        return {
            "ids": np.array([case.case_id for case in new], dtype=np.int64),
            "vectors": vectors.reshape(-1, self._spec.dim),
            "image_vectors": np.concatenate([none, *(one.image_vectors for one in embedded)]),
            "contents": np.array(sum_contents(zip(new, vectors, strict=True))),
            "notes": np.array(json.dumps(self._notes(studies, foreign))),
            "identifiers": np.array(json.dumps(identifiers)),
            "skipped": np.array(json.dumps([asdict(study) for study in skipped])),
            "dropped": np.array(json.dumps([asdict(image) for image in dropped])),
            **_sample(studies).arrays(),
        }

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

    def _embed(self, images: list[np.ndarray]) -> np.ndarray:
        """Embed images, one row each: (images, dim)."""
        if not images:
            return np.zeros((0, self._spec.dim), np.float32)
        if self._encoder is None:
            raise UserError("this source has images to embed: an encoder is needed")
        return self._encoder.embed_images(images).vectors

    def _embed_reports(self, studies: Sequence[DecodedStudy]) -> np.ndarray | None:
        """Embed reports, one row per study; None if case vectors use images alone."""
        read = [study for study in studies if study.record.embedded is None]
        if self._spec.report_weight == 0 or self._encoder is None or not read:
            return None
        if not isinstance(self._encoder, TextEncoder):
            raise UserError(f"encoder '{self._spec.name}' has no text tower for the reports")
        return self._encoder.embed_text([report_text(study.record) for study in studies])


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
