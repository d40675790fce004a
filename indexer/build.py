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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from db.cases import CaseStore
from db.errors import UserError
from indexer.encoder import Encoder, EncoderSpec, TextEncoder, file_sha256
from indexer.film_profile import PROFILE, FilmProfile, fit_profile, outlines_of
from indexer.film_vectors import FILM_VECTORS, write_film_vectors
from indexer.images import Limits
from indexer.index import CASES, VECTORS
from indexer.labeller import LABELLER_VERSION
from indexer.lock import locked
from indexer.manifest import Manifest
from indexer.sources.records import Record, SkippedStudy, Source
from indexer.staging import Staging
from indexer.studies import ReadStudy, embed_studies, identity, read_study, report_text, to_case
from indexer.vectors import VectorStore

STUDIES_PER_BATCH = 16

Progress = Callable[[Iterable[int], int], Iterable[int]]
"""Wraps the batch numbers, given how many there are; ``tqdm`` fits."""


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
    staging = Staging(out.absolute())
    again = "make room, then run the same command again, it goes on where it stopped"
    try:
        staging.out.parent.mkdir(parents=True, exist_ok=True)
        lock = staging.out.with_name(f".{out.name}.lock")
        with locked(lock, f"another build is writing {out}"):
            staging.recover()
            return _Build(source, encoder, staging, limits or Limits(), clock).run(progress)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror or error}): {again}") from error


class _Build:
    def __init__(
        self,
        source: Source,
        encoder: Encoder | EncoderSpec,
        staging: Staging,
        limits: Limits,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        self._source = source
        self._encoder = None if isinstance(encoder, EncoderSpec) else encoder
        self._spec = encoder if isinstance(encoder, EncoderSpec) else encoder.spec
        self._staging = staging
        self._limits = limits
        self._clock = clock

    def run(self, progress: Progress) -> Built:
        digest, total = self._plan()
        if total == 0:
            raise UserError(
                f"source '{self._source.name}' has no study in split '{self._source.split}'"
            )
        done = self._staging.take_up(digest)
        with CaseStore.create(self._staging.path / CASES) as cases:
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
            digest.update(repr(identity(record)).encode())
            total += 1
        return digest.hexdigest(), total

    def _index_batch(self, number: int, records: list[Record], cases: CaseStore) -> None:
        first_id = number * STUDIES_PER_BATCH
        skipped: list[SkippedStudy] = []
        studies: list[ReadStudy] = []
        for case_id, record in enumerate(records, start=first_id):
            if isinstance(record, SkippedStudy):
                skipped.append(record)
                continue
            try:
                studies.append(read_study(record, case_id, self._limits))
            except UserError as error:
                skipped.append(
                    SkippedStudy(
                        study_id=record.study_id, reason="unreadable image", detail=str(error)
                    )
                )
        films = [film.pixels for study in studies for film in study.films]
        film_vectors = self._embed(films)
        embedded = embed_studies(
            studies, film_vectors, self._embed_reports(studies), self._spec.report_weight
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
            film_ids=np.array([s.case_id for s in studies for _ in s.films], dtype=np.int64),
            film_vectors=film_vectors,
            image_vectors=np.concatenate(
                [np.zeros((0, self._spec.dim), np.float32), *(one.film_vectors for one in embedded)]
            ),
            film_outlines=outlines_of(films),
            skipped=np.array(json.dumps([asdict(study) for study in skipped])),
            images=np.array(sum(len(case.images) for case in new)),
        )

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

    def _finish(self, done: int) -> Built:
        ids, vectors, image_vectors, skipped, images = [], [], [], [], 0
        films: dict[str, list[np.ndarray]] = {name: [] for name in _FILM_ARRAYS}
        for path in self._staging.batches():
            with np.load(path) as batch:
                ids.append(batch["ids"])
                vectors.append(batch["vectors"])
                image_vectors.append(batch["image_vectors"])
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
        VectorStore.write(self._staging.path / VECTORS, all_ids, all_vectors)
        vectors_sha256 = file_sha256(self._staging.path / VECTORS)
        profile = self._profile(films, dict(zip(all_ids.tolist(), all_vectors, strict=True)))
        write_film_vectors(self._staging.path, np.concatenate(image_vectors))
        parts = [VECTORS, CASES, FILM_VECTORS]
        if profile is not None:
            profile.write(self._staging.path)
            parts.append(PROFILE)
        counts: dict[str, int] = {}
        for study in skipped:
            counts[study.reason] = counts.get(study.reason, 0) + 1
        with CaseStore.open(self._staging.path / CASES) as cases:
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
            file_bytes={name: (self._staging.path / name).stat().st_size for name in parts},
            film_quantiles=None if profile is None else profile.quantiles,
        )
        manifest.write(self._staging.path)
        self._staging.publish()
        return Built(manifest=manifest, skipped=tuple(skipped), resumed_batches=done)

    def _profile(
        self, films: dict[str, list[np.ndarray]], cases: dict[int, np.ndarray]
    ) -> FilmProfile | None:
        """Of the films that were read, or that which came with stored vectors."""
        case_ids, vectors, outlines = (np.concatenate(films[name]) for name in _FILM_ARRAYS)
        if len(vectors) == 0:
            return getattr(self._source, "film_profile", None)
        return fit_profile(vectors, outlines, case_ids, cases)


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


def _batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    batch = []
    for record in records:
        batch.append(record)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
