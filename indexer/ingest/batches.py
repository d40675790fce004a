"""Records to cases and vectors, some at a time: the part of a build that can be resumed.

indexer = BatchIndexer("openi", encoder, about, base=None, limits=Limits())
for number, records in enumerate(in_batches(source.records())):
    arrays = indexer.index(number, records, cases)

Every batch is indexed on its own, so that a batch gives the same whatever came before it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import numpy as np

from db.errors import UserError
from db.index.store import CaseStore
from indexer.encoder.spec import Encoder, EncoderSpec, TextEncoder
from indexer.erasure import is_withdrawn
from indexer.images.reader import Limits
from indexer.index import Index
from indexer.ingest.assembly import VersionInfo
from indexer.ingest.fingerprint import contents_of
from indexer.ingest.studies import ReadStudy, embed_studies, read_study, report_text, to_case
from indexer.sources.records import Record, SkippedStudy, StudyRecord
from indexer.typicality.profile import outline
from indexer.typicality.sample import ThumbnailSample

STUDIES_PER_BATCH = 16

ALREADY = "in the index already"
CHANGED = "in the index with another report: remove it first to take this one"
WITHDRAWN = "consent withdrawn"


def in_batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records in the order they come; the last batch may be smaller."""
    batch = []
    for record in records:
        batch.append(record)
        if len(batch) == STUDIES_PER_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


class BatchIndexer:
    """Indexes the studies of one source that ``base``, the index added to, does not hold."""

    def __init__(
        self,
        source: str,
        encoder: Encoder | EncoderSpec,
        about: VersionInfo,
        base: Index | None,
        limits: Limits,
    ) -> None:
        self._source = source
        self._encoder = None if isinstance(encoder, EncoderSpec) else encoder
        self._spec = about.encoder
        self._withdrawn = about.withdrawn
        self._base = base
        self._first_id = 0 if base is None else base.cases.next_id()
        self._limits = limits

    def first_id(self, number: int) -> int:
        """The case id of the first record of a batch."""
        return self._first_id + number * STUDIES_PER_BATCH

    def index(
        self, number: int, records: Sequence[Record], cases: CaseStore
    ) -> dict[str, np.ndarray]:
        """Adds the cases, and returns what the draft needs of the batch with this number."""
        skipped: list[SkippedStudy] = []
        studies: list[ReadStudy] = []
        there = self._reports_there(records)
        for case_id, record in enumerate(records, start=self.first_id(number)):
            left_out = record if isinstance(record, SkippedStudy) else self._left_out(record, there)
            if left_out is None and isinstance(record, StudyRecord):
                try:
                    studies.append(read_study(record, case_id, self._limits))
                except UserError as error:
                    left_out = SkippedStudy(
                        study_id=record.study_id, reason="unreadable image", detail=str(error)
                    )
            if left_out is not None:
                skipped.append(left_out)
        images = [image.pixels for study in studies for image in study.images]
        embedded = embed_studies(
            studies, self._embed(images), self._embed_reports(studies), self._spec.report_weight
        )
        new = [
            to_case(study.record, self._source, study.case_id, images=vector.images)
            for study, vector in zip(studies, embedded, strict=True)
        ]
        cases.add(new)
        vectors = np.array([study.vector for study in embedded], dtype=np.float32)
        none = np.zeros((0, self._spec.dim), np.float32)
        return {
            "ids": np.array([case.case_id for case in new], dtype=np.int64),
            "vectors": vectors.reshape(-1, self._spec.dim),
            "image_vectors": np.concatenate([none, *(one.image_vectors for one in embedded)]),
            "contents": np.array(contents_of(zip(new, vectors, strict=True))),
            "skipped": np.array(json.dumps([asdict(study) for study in skipped])),
            **_sample(studies).arrays(),
        }

    def _reports_there(self, records: Sequence[Record]) -> dict[str, tuple[str, str, str]]:
        """Study id to sections, of those of the records that are in the index already."""
        if self._base is None:
            return {}
        cases = self._base.cases
        ids = cases.find_all(self._source, [record.study_id for record in records])
        return {
            case.study_id: (case.indication, case.findings, case.impression)
            for case in cases.get(sorted(ids.values()))
        }

    def _left_out(
        self, record: StudyRecord, there: dict[str, tuple[str, str, str]]
    ) -> SkippedStudy | None:
        if is_withdrawn(self._withdrawn, self._source, record.study_id, record.patient_id):
            return SkippedStudy(study_id=record.study_id, reason=WITHDRAWN)
        if record.study_id not in there:
            return None
        same = there[record.study_id] == (record.indication, record.findings, record.impression)
        return SkippedStudy(study_id=record.study_id, reason=ALREADY if same else CHANGED)

    def _embed(self, images: list[np.ndarray]) -> np.ndarray:
        """One row an image: (images, dim)."""
        if not images:
            return np.zeros((0, self._spec.dim), np.float32)
        if self._encoder is None:
            raise UserError("this source has images to embed: give an encoder")
        return self._encoder.embed_images(images).vectors

    def _embed_reports(self, studies: Sequence[ReadStudy]) -> np.ndarray | None:
        """One row a study, or None where the encoder's case vectors are of images alone."""
        read = [study for study in studies if study.record.embedded is None]
        if self._spec.report_weight == 0 or self._encoder is None or not read:
            return None
        if not isinstance(self._encoder, TextEncoder):
            raise UserError(f"encoder '{self._spec.name}' has no text tower for the reports")
        return self._encoder.embed_text([report_text(study.record) for study in studies])


def _sample(studies: Sequence[ReadStudy]) -> ThumbnailSample:
    images = [
        (image, study.case_id, position)
        for study in studies
        for position, image in enumerate(study.images)
    ]
    if not images:
        return ThumbnailSample.none()
    read, case_ids, positions = zip(*images, strict=True)
    return ThumbnailSample.of(
        [image.sha256 for image in read],
        case_ids,
        positions,
        np.stack([outline(image.pixels)[0] for image in read]),
    )
