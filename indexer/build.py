"""From a source to an index directory: embedded once, resumed after a kill, renamed when whole.

    built = build(source, encoder, Path("data/index"))
    built.manifest.studies, built.skipped

Work goes into ``.<name>.building`` beside the target, batch by batch; batches are fixed by the
order of the records, so a build that was killed and taken up again gives the same vectors to the
last bit. The target is replaced at the very end and never touched before.
"""

import datetime
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sqlalchemy.exc import OperationalError

from db.cases import Case, CaseImage, CaseStore, Section, Sentence
from db.errors import UserError
from indexer.encoder import Encoder, EncoderSpec, combine_views, file_sha256
from indexer.film_profile import PROFILE, FilmProfile, fit_profile, outlines_of
from indexer.images import Film, Limits, difference_hash, read_film, restore_size
from indexer.index import CASES, VECTORS
from indexer.labeller import LABELLER_VERSION, label_report, label_sentence
from indexer.lock import locked
from indexer.manifest import Manifest
from indexer.reports import refers_to_prior, split_sentences
from indexer.sources.records import Embedded, ImageRecord, SkippedStudy, Source, StudyRecord
from indexer.vectors import VectorStore

log = logging.getLogger(__name__)

STUDIES_PER_BATCH = 16

Progress = Callable[[Iterable[int], int], Iterable[int]]
"""Wraps the batch numbers, given how many there are; ``tqdm`` fits."""


_Study = tuple[int, StudyRecord, list[tuple[ImageRecord, Film]]]
"""Case id, record and the films read for it; none for a study that was embedded earlier."""

_FILM_ARRAYS = ("film_ids", "film_vectors", "film_outlines")


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a build made."""

    manifest: Manifest
    skipped: tuple[SkippedStudy, ...]
    resumed_batches: int
    """Batches that an interrupted build had left."""


def build(
    source: Source,
    encoder: Encoder | EncoderSpec,
    out: Path,
    *,
    progress: Progress = lambda batches, _total: batches,
    limits: Limits | None = None,
    clock: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
) -> Built:
    """Index every study of ``source``; an existing index at ``out`` is replaced when it is done.

    A bare EncoderSpec is enough for a source whose studies are all embedded already.
    Raises UserError where there is nothing to index, another build is at work, or the disk fills
    (what was done is kept and taken up by the next call).
    """
    out = out.absolute()
    staging = out.with_name(f".{out.name}.building")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with locked(out.with_name(f".{out.name}.lock"), f"another build is writing {out}"):
            _recover(out)
            return _Build(source, encoder, out, staging, limits or Limits(), clock).run(progress)
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror or error}): make room, then run the same "
            "command again, it goes on where it stopped"
        ) from error
    except OperationalError as error:
        raise UserError(
            f"{staging / CASES} cannot be written ({error.orig}): make room, then run the same "
            "command again, it goes on where it stopped"
        ) from error


class _Build:
    def __init__(
        self,
        source: Source,
        encoder: Encoder | EncoderSpec,
        out: Path,
        staging: Path,
        limits: Limits,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        self._source = source
        self._encoder = None if isinstance(encoder, EncoderSpec) else encoder
        self._spec = encoder if isinstance(encoder, EncoderSpec) else encoder.spec
        self._out = out
        self._staging = staging
        self._limits = limits
        self._clock = clock

    def run(self, progress: Progress) -> Built:
        digest, total = self._plan()
        if total == 0:
            raise UserError(
                f"source '{self._source.name}' has no study in split '{self._source.split}'"
            )
        done = self._take_up(digest)
        with CaseStore.create(self._staging / CASES) as cases:
            cases.remove_from(done * STUDIES_PER_BATCH)
            batches = _batches(self._source.records(), STUDIES_PER_BATCH)
            for _ in range(done):
                next(batches)
            count = -(-total // STUDIES_PER_BATCH)
            for number in progress(range(done, count), count):
                self._index_batch(number, next(batches), cases)
        return self._finish(done)

    def _plan(self) -> tuple[str, int]:
        """A digest of everything that the vectors and cases follow from, and the record count."""
        digest = hashlib.sha256(
            json.dumps(
                [
                    asdict(self._spec),
                    LABELLER_VERSION,
                    STUDIES_PER_BATCH,
                    self._source.name,
                    _FILM_ARRAYS,
                ],
                sort_keys=True,
            ).encode()
        )
        total = 0
        for record in self._source.records():
            digest.update(repr(_identity(record)).encode())
            total += 1
        return digest.hexdigest(), total

    def _take_up(self, digest: str) -> int:
        """Ready the staging folder; how many batches of an equal earlier build it holds."""
        plan = self._staging / "plan"
        if not (plan.is_file() and plan.read_text() == digest):
            if self._staging.exists():
                log.warning("an unfinished build of other data was found and is discarded")
                shutil.rmtree(self._staging)
            self._staging.mkdir(parents=True)
            _write(plan, digest.encode())
            return 0
        done = 0
        while self._batch_path(done).is_file():
            done += 1
        return done

    def _batch_path(self, number: int) -> Path:
        return self._staging / f"batch-{number:06d}.npz"

    def _index_batch(
        self, number: int, records: list[StudyRecord | SkippedStudy], cases: CaseStore
    ) -> None:
        first_id = number * STUDIES_PER_BATCH
        skipped: list[SkippedStudy] = []
        films: list[_Study] = []
        for case_id, record in enumerate(records, start=first_id):
            if isinstance(record, SkippedStudy):
                skipped.append(record)
                continue
            try:
                films.append((case_id, record, self._read(record)))
            except UserError as error:
                skipped.append(
                    SkippedStudy(
                        study_id=record.study_id, reason="unreadable image", detail=str(error)
                    )
                )
        film_vectors = self._read_vectors(films)
        embedded = _embedded(films, film_vectors)
        new = [
            to_case(record, self._source.name, case_id, images=study.images)
            for (case_id, record, _), study in zip(films, embedded, strict=True)
        ]
        cases.add(new)
        path = self._batch_path(number)
        with path.with_suffix(".tmp").open("wb") as stream:
            np.savez(
                stream,
                ids=np.array([case.case_id for case in new], dtype=np.int64),
                vectors=np.array([study.vector for study in embedded], dtype=np.float32).reshape(
                    -1, self._spec.dim
                ),
                film_ids=np.array([i for i, _, read in films for _ in read], dtype=np.int64),
                film_vectors=film_vectors,
                film_outlines=outlines_of([film.pixels for *_, read in films for _, film in read]),
                skipped=json.dumps([asdict(study) for study in skipped]),
                images=sum(len(case.images) for case in new),
            )
        path.with_suffix(".tmp").replace(path)

    def _read(self, record: StudyRecord) -> list[tuple[ImageRecord, Film]]:
        if record.embedded is not None:
            return []
        read = []
        for image in record.images:
            film = read_film(image.path, limits=self._limits)
            if image.original_size is not None:
                film = Film(
                    pixels=restore_size(film.pixels, *image.original_size),
                    view_position=film.view_position,
                    notes=film.notes,
                )
            read.append((image, film))
        return read

    def _read_vectors(self, studies: list[_Study]) -> np.ndarray:
        """One row a film, in the order of the studies: (films, dim)."""
        pixels = [film.pixels for _, _, read in studies for _, film in read]
        if not pixels:
            return np.zeros((0, self._spec.dim), np.float32)
        if self._encoder is None:
            raise UserError("this source has images to embed: give an encoder")
        return self._encoder.read(pixels).vectors

    def _finish(self, done: int) -> Built:
        ids, vectors, skipped, images = [], [], [], 0
        films: dict[str, list[np.ndarray]] = {name: [] for name in _FILM_ARRAYS}
        paths = sorted(self._staging.glob("batch-*.npz"))
        for path in paths:
            with np.load(path) as batch:
                ids.append(batch["ids"])
                vectors.append(batch["vectors"])
                for name, rows in films.items():
                    rows.append(batch[name])
                skipped += [SkippedStudy(**study) for study in json.loads(str(batch["skipped"]))]
                images += int(batch["images"])
        all_ids, all_vectors = np.concatenate(ids), np.concatenate(vectors)
        if len(all_ids) == 0:
            first = skipped[0]
            raise UserError(
                f"none of the {len(skipped)} studies could be indexed; the first, "
                f"{first.study_id}: {first.detail or first.reason}"
            )
        VectorStore.write(self._staging / VECTORS, all_ids, all_vectors)
        vectors_sha256 = file_sha256(self._staging / VECTORS)
        profile = self._profile(films, dict(zip(all_ids.tolist(), all_vectors, strict=True)))
        parts = [VECTORS, CASES]
        if profile is not None:
            profile.write(self._staging)
            parts.append(PROFILE)
        counts: dict[str, int] = {}
        for study in skipped:
            counts[study.reason] = counts.get(study.reason, 0) + 1
        with CaseStore.open(self._staging / CASES) as cases:
            fingerprint = _fingerprint(vectors_sha256, self._spec, cases)
        manifest = Manifest(
            fingerprint=fingerprint,
            created_at=self._clock().isoformat(timespec="seconds"),
            source=self._source.name,
            split=self._source.split,
            studies=len(all_ids),
            images=images,
            skipped=counts,
            encoder=self._spec,
            metric="cosine",
            labeller_version=LABELLER_VERSION,
            vectors_sha256=vectors_sha256,
            licence=self._source.licence,
            file_bytes={name: (self._staging / name).stat().st_size for name in parts},
            film_quantiles=None if profile is None else profile.quantiles,
        )
        for path in [*paths, self._staging / "plan"]:
            path.unlink()
        manifest.write(self._staging)
        _swap(self._staging, self._out)
        return Built(manifest=manifest, skipped=tuple(skipped), resumed_batches=done)

    def _profile(
        self, films: dict[str, list[np.ndarray]], cases: dict[int, np.ndarray]
    ) -> FilmProfile | None:
        """Of the films that were read, or that which came with stored vectors."""
        case_ids, vectors, outlines = (np.concatenate(films[name]) for name in _FILM_ARRAYS)
        if len(vectors) == 0:
            return getattr(self._source, "film_profile", None)
        return fit_profile(vectors, outlines, case_ids, cases)


def to_case(
    record: StudyRecord, source: str, case_id: int, *, images: tuple[CaseImage, ...]
) -> Case:
    """A record as a case: its report cut into sentences, each labelled."""
    sections: tuple[tuple[Section, str], ...] = (
        ("findings", record.findings),
        ("impression", record.impression),
    )
    sentences = tuple(
        Sentence(
            section=section,
            text=text,
            labels=label_sentence(text),
            refers_to_prior=refers_to_prior(text),
        )
        for section, part in sections
        for text in split_sentences(part)
    )
    labels = record.labels
    if labels is None:
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
    )


def _embedded(studies: list[_Study], film_vectors: np.ndarray) -> list[Embedded]:
    embedded, start = [], 0
    for _, record, read in studies:
        if record.embedded is not None:
            embedded.append(_with_paths(record.embedded, record.images))
            continue
        views = film_vectors[start : start + len(read)]
        start += len(read)
        embedded.append(
            Embedded(
                vector=combine_views(views),
                images=tuple(_describe(image, film) for image, film in read),
            )
        )
    return embedded


def _describe(image: ImageRecord, film: Film) -> CaseImage:
    height, width = film.pixels.shape
    return CaseImage(
        path=str(image.path.absolute()),
        view_position=image.view_position or film.view_position,
        width=width,
        height=height,
        pixels_sha256=film.sha256,
        dhash=difference_hash(film.pixels),
    )


def _with_paths(embedded: Embedded, images: tuple[ImageRecord, ...]) -> Embedded:
    """Link the user's own image files to a study that was embedded elsewhere, where they match."""
    if len(images) != len(embedded.images):
        return embedded
    linked = tuple(
        CaseImage(**{**asdict(known), "path": str(image.path.absolute())})
        for known, image in zip(embedded.images, images, strict=True)
    )
    return Embedded(vector=embedded.vector, images=linked)


def _identity(record: StudyRecord | SkippedStudy) -> tuple[object, ...]:
    """What a record's case and vector depend on; files by size and time of change."""
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
        sorted(record.labels.items()) if record.labels is not None else None,
        files,
        hashlib.sha256(vector).hexdigest(),
    )


def _fingerprint(vectors_sha256: str, spec: EncoderSpec, cases: CaseStore) -> str:
    """Equal for equal content, wherever and whenever it was built: paths and dates are left out."""
    digest = hashlib.sha256(vectors_sha256.encode())
    digest.update(json.dumps(asdict(spec), sort_keys=True).encode())
    for case in cases:
        values = asdict(case)
        for image in values["images"]:
            del image["path"]
        digest.update(json.dumps(values, sort_keys=True).encode())
    return digest.hexdigest()


def _batches(
    records: Iterable[StudyRecord | SkippedStudy], size: int
) -> Iterator[list[StudyRecord | SkippedStudy]]:
    batch = []
    for record in records:
        batch.append(record)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _previous(out: Path) -> Path:
    return out.with_name(f".{out.name}.previous")


def _recover(out: Path) -> None:
    """Undo a swap that was cut between its two renames."""
    previous = _previous(out)
    if previous.exists():
        if out.exists():
            shutil.rmtree(previous)
        else:
            previous.rename(out)


def _swap(staging: Path, out: Path) -> None:
    for path in staging.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    if out.exists():
        out.rename(_previous(out))
    staging.rename(out)
    shutil.rmtree(_previous(out), ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.tmp")
    partial.write_bytes(content)
    partial.replace(path)
