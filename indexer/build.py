"""From a source to an index: embedded once, resumed after a kill, current when whole.

    built = build(source, encoder, Path("data/index"))
    built = add(more, encoder, Path("data/index"))       # the studies that are not there yet
    built.manifest.studies, built.skipped

Work goes into the folder ``.building`` of the index, batch by batch; batches are fixed by the
order of the records, so work that was killed and taken up again gives the same vectors to the
last bit. The index that is there is not touched before the new version is whole.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from db.cases import CaseStore
from db.errors import MismatchError, UserError
from indexer.assembly import About, Clock, Part, assemble, joined_names, utc_now
from indexer.contents import contents_of
from indexer.encoder import Encoder, EncoderSpec, TextEncoder
from indexer.film_profile import FilmProfile, outline
from indexer.film_sample import FilmSample
from indexer.images import Limits
from indexer.index import CASES, Index
from indexer.labeller import LABELLER_VERSION
from indexer.manifest import Manifest
from indexer.sources.records import Record, SkippedStudy, Source, StudyRecord
from indexer.staging import Staging
from indexer.studies import ReadStudy, embed_studies, identity, read_study, report_text, to_case
from indexer.vector_options import VectorOptions
from indexer.versions import KEPT, Versions, changing
from indexer.withdrawals import is_withdrawn

STUDIES_PER_BATCH = 16

ALREADY = "in the index already"
CHANGED = "in the index with another report: remove it first to take this one"
WITHDRAWN = "consent withdrawn"

_CURE = "make room or choose another place, then run the same command again: it goes on"

Progress = Callable[[Iterable[int], int], Iterable[int]]
"""Wraps the batch numbers, given how many there are; ``tqdm`` fits."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a build or an addition made."""

    manifest: Manifest
    skipped: tuple[SkippedStudy, ...]
    resumed_batches: int
    """Batches that interrupted work had left."""
    added: int
    """Studies that were not there before."""


def build(
    source: Source,
    encoder: Encoder | EncoderSpec,
    out: Path,
    *,
    options: VectorOptions | None = None,
    keep: int = KEPT,
    progress: Progress = lambda batches, _total: batches,
    limits: Limits | None = None,
    clock: Clock = utc_now,
) -> Built:
    """Index every study of ``source``; an index that is at ``out`` becomes its version before.

    A bare EncoderSpec is enough for a source whose studies are all embedded already.
    Raises UserError where there is nothing to index, other work is going on, or the disk fills
    (what was done is kept and taken up by the next call).
    """
    with changing(out, "building", cure=_CURE) as versions:
        before = None if versions.number() == 0 else Manifest.read(versions.current() or out)
        about = About(
            version=versions.number() + 1,
            made_by="build",
            created_at=clock().isoformat(timespec="seconds"),
            source=source.name,
            split=source.split,
            licence=source.licence,
            encoder=encoder if isinstance(encoder, EncoderSpec) else encoder.spec,
            labeller_version=LABELLER_VERSION,
            vector_options=options or VectorOptions(),
            withdrawn=() if before is None else before.withdrawn,
            history=() if before is None else (*before.history, before.past()),
        )
        work = _Work(source, encoder, versions, about, None, limits or Limits())
        return work.run(progress, keep)


def add(
    source: Source,
    encoder: Encoder | EncoderSpec,
    index_dir: Path,
    *,
    options: VectorOptions | None = None,
    keep: int = KEPT,
    progress: Progress = lambda batches, _total: batches,
    limits: Limits | None = None,
    clock: Clock = utc_now,
) -> Built:
    """A new version of an index, with those studies of ``source`` that it does not hold yet.

    A study that is there stays as it is, also where the source now has another report for it;
    it is then named among the skipped. Without a new study there is no new version. Raises
    UserError as `build` does, and MismatchError for another encoder or labeller.
    """
    Manifest.read(index_dir)
    with changing(index_dir, "adding to", cure=_CURE) as versions:
        base = Index.open(index_dir)
        base.require(encoder)
        before = base.manifest
        if before.labeller_version != LABELLER_VERSION:
            raise MismatchError(
                f"{index_dir} was labelled by '{before.labeller_version}', new studies would be "
                f"by '{LABELLER_VERSION}': build the index again"
            )
        about = About(
            version=before.version + 1,
            made_by="add",
            created_at=clock().isoformat(timespec="seconds"),
            source=joined_names([before.source, source.name], "+"),
            split=joined_names([before.split, source.split], ","),
            licence=joined_names([before.licence, source.licence], "; "),
            encoder=before.encoder,
            labeller_version=LABELLER_VERSION,
            vector_options=options or before.vector_options,
            withdrawn=before.withdrawn,
            history=(*before.history, before.past()),
        )
        work = _Work(source, encoder, versions, about, base, limits or Limits())
        return work.run(progress, keep)


class _Work:
    """One build or addition; ``base`` is the index added to."""

    def __init__(
        self,
        source: Source,
        encoder: Encoder | EncoderSpec,
        versions: Versions,
        about: About,
        base: Index | None,
        limits: Limits,
    ) -> None:
        self._source = source
        self._encoder = None if isinstance(encoder, EncoderSpec) else encoder
        self._spec = about.encoder
        self._versions = versions
        self._staging = Staging(versions.building)
        self._about = about
        self._base = base
        self._first_id = 0 if base is None else base.cases.next_id()
        self._limits = limits

    def run(self, progress: Progress, keep: int) -> Built:
        digest, total = self._plan()
        if total == 0:
            raise UserError(
                f"source '{self._source.name}' has no study in split '{self._source.split}'"
            )
        done = self._staging.take_up(digest)
        with CaseStore.create(self._staging.draft / CASES) as cases:
            if self._base is not None and cases.count() == 0:
                cases.copy_from(self._base.path / CASES)
            cases.remove_from(self._first_id + done * STUDIES_PER_BATCH)
            batches = _batches(self._source.records(), STUDIES_PER_BATCH)
            for _ in range(done):
                next(batches)
            count = -(-total // STUDIES_PER_BATCH)
            for number in progress(range(done, count), count):
                self._index_batch(number, next(batches), cases)
        return self._finish(done, keep)

    def _plan(self) -> tuple[str, int]:
        """A digest of everything that the vectors and cases follow from, and the record count."""
        head = [
            asdict(self._spec),
            LABELLER_VERSION,
            STUDIES_PER_BATCH,
            self._source.name,
            self._about.made_by,
            self._about.version,
            self._about.withdrawn,
            None if self._base is None else self._base.manifest.fingerprint,
        ]
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        total = 0
        for record in self._source.records():
            digest.update(repr(identity(record)).encode())
            total += 1
        return digest.hexdigest(), total

    def _index_batch(self, number: int, records: list[Record], cases: CaseStore) -> None:
        skipped: list[SkippedStudy] = []
        studies: list[ReadStudy] = []
        there = self._reports_there(records)
        first_id = self._first_id + number * STUDIES_PER_BATCH
        for case_id, record in enumerate(records, start=first_id):
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
        films = [film.pixels for study in studies for film in study.films]
        embedded = embed_studies(
            studies, self._embed(films), self._embed_reports(studies), self._spec.report_weight
        )
        new = [
            to_case(study.record, self._source.name, study.case_id, images=vector.images)
            for study, vector in zip(studies, embedded, strict=True)
        ]
        cases.add(new)
        vectors = np.array([study.vector for study in embedded], dtype=np.float32)
        self._staging.write_batch(
            number,
            ids=np.array([case.case_id for case in new], dtype=np.int64),
            vectors=vectors.reshape(-1, self._spec.dim),
            image_vectors=np.concatenate(
                [np.zeros((0, self._spec.dim), np.float32), *(one.film_vectors for one in embedded)]
            ),
            contents=np.array(contents_of(zip(new, vectors, strict=True))),
            skipped=np.array(json.dumps([asdict(study) for study in skipped])),
            **_sample(studies).arrays(),
        )

    def _reports_there(self, records: Sequence[Record]) -> dict[str, tuple[str, str, str]]:
        """Study id to sections, of those of the records that are in the index already."""
        if self._base is None:
            return {}
        cases = self._base.cases
        ids = cases.find_all(self._source.name, [record.study_id for record in records])
        return {
            case.study_id: (case.indication, case.findings, case.impression)
            for case in cases.get(sorted(ids.values()))
        }

    def _left_out(
        self, record: StudyRecord, there: dict[str, tuple[str, str, str]]
    ) -> SkippedStudy | None:
        if is_withdrawn(
            self._about.withdrawn, self._source.name, record.study_id, record.patient_id
        ):
            return SkippedStudy(study_id=record.study_id, reason=WITHDRAWN)
        if record.study_id not in there:
            return None
        same = there[record.study_id] == (record.indication, record.findings, record.impression)
        return SkippedStudy(study_id=record.study_id, reason=ALREADY if same else CHANGED)

    def _embed(self, films: list[np.ndarray]) -> np.ndarray:
        """One row a film: (films, dim)."""
        if not films:
            return np.zeros((0, self._spec.dim), np.float32)
        if self._encoder is None:
            raise UserError("this source has images to embed: give an encoder")
        return self._encoder.read(films).vectors

    def _embed_reports(self, studies: Sequence[ReadStudy]) -> np.ndarray | None:
        """One row a study, or None where the encoder's case vectors are of films alone."""
        read = [study for study in studies if study.record.embedded is None]
        if self._spec.report_weight == 0 or self._encoder is None or not read:
            return None
        if not isinstance(self._encoder, TextEncoder):
            raise UserError(f"encoder '{self._spec.name}' has no text tower for the reports")
        return self._encoder.embed_text([report_text(study.record) for study in studies])

    def _finish(self, done: int, keep: int) -> Built:
        skipped: list[SkippedStudy] = []
        added = 0
        for batch in self._staging.batches():
            added += len(batch["ids"])
            skipped += [SkippedStudy(**study) for study in json.loads(str(batch["skipped"]))]
        if added == 0 and self._base is not None:
            self._staging.discard()
            manifest = self._base.manifest
        elif added == 0:
            first = skipped[0]
            raise UserError(
                f"none of the {len(skipped)} studies could be indexed; the first, "
                f"{first.study_id}: {first.detail or first.reason}"
            )
        else:
            manifest = self._publish(skipped, keep)
        return Built(manifest=manifest, skipped=tuple(skipped), resumed_batches=done, added=added)

    def _publish(self, skipped: Sequence[SkippedStudy], keep: int) -> Manifest:
        counts: dict[str, int] = {}
        for study in skipped:
            counts[study.reason] = counts.get(study.reason, 0) + 1
        profile: FilmProfile | None = getattr(self._source, "film_profile", None)
        manifest = assemble(
            self._staging.draft,
            [] if self._base is None else [Part(index=self._base)],
            self._staging.batches(),
            replace(self._about, skipped=counts),
            film_profile=profile if self._base is None else None,
        )
        self._versions.publish(self._staging.draft, manifest, keep=keep)
        return manifest


def _sample(studies: Sequence[ReadStudy]) -> FilmSample:
    films = [
        (film, study.case_id, position)
        for study in studies
        for position, film in enumerate(study.films)
    ]
    if not films:
        return FilmSample.none()
    read, case_ids, positions = zip(*films, strict=True)
    return FilmSample.of(
        [film.sha256 for film in read],
        case_ids,
        positions,
        np.stack([outline(film.pixels)[0] for film in read]),
    )


def _batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    batch = []
    for record in records:
        batch.append(record)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
