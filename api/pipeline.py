"""From uploaded films to a stored generation.

Everything slow (decoding, embedding, writing) runs in worker threads, a few at a time; the rest
wait their turn, so that the event loop answers and the processor is not divided among many.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

import anyio
import numpy as np
from anyio.to_thread import run_sync
from PIL import Image

from api.case_keys import split_case_key
from api.settings import Settings
from api.stored_report import to_generation
from api.uploads import Upload
from db.cases import Case
from db.errors import NotFoundError
from db.generations import Generation, GenerationStore, Page
from generator.grounded import GroundedReport
from indexer.encoder import Encoder
from indexer.film import Film
from indexer.images import encode_png, read_film, restore_size
from retriever.options import LabelFilter, SearchOptions
from retriever.query import has_text_tower
from retriever.retrieval import Retrieval

PREVIEW_SIDE = 1600
"""Longest side in pixels of a film that is shown; the search uses the film as it is."""


class Cases(Protocol):
    """The cases of the open index."""

    def find(self, source: str, study_id: str) -> Case | None: ...


class OpenIndex(Protocol):
    """What is read of an index: see ``indexer.index.Index``."""

    @property
    def manifest(self) -> Any:
        """``indexer.manifest.Manifest``."""

    @property
    def cases(self) -> Cases: ...


class StudySearch(Protocol):
    """What is needed of ``retriever.search.Retriever``."""

    @property
    def index(self) -> OpenIndex: ...

    @property
    def encoder(self) -> Encoder: ...

    def search(
        self,
        images: Sequence[Path | str | bytes | Film],
        *,
        text: str | None,
        text_weight: float,
        k: int,
        exclude_patient_ids: Collection[str],
        exclude_study_ids: Collection[str],
        exclude_near_copies: bool,
        distinct_reports: bool,
        labels: Collection[str],
        label_filter: LabelFilter,
        min_score: float | None,
        min_ratio: float | None,
        diversity: float,
    ) -> Retrieval: ...


WriteReport = Callable[[Retrieval], GroundedReport]
Clock = Callable[[], datetime]
"""Gives the time with its zone."""


class Pipeline:
    """One retriever, one generator and the store of what they made."""

    def __init__(
        self,
        *,
        retriever: StudySearch,
        write_report: WriteReport,
        store: GenerationStore,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._retriever = retriever
        self._write_report = write_report
        self._store = store
        self._clock = clock
        self._sample_path = settings.sample_path
        self._slots = anyio.CapacityLimiter(settings.workers)
        self._searching = threading.Lock()  # an encoder promises nothing about threads
        self.searches_text = has_text_tower(retriever.encoder)
        self.max_images = settings.max_images
        self.max_body_bytes = settings.max_body_bytes

    @property
    def manifest(self) -> Any:
        """Of the index that is open now; see ``indexer.manifest.Manifest``."""
        return self._retriever.index.manifest

    @property
    def has_sample(self) -> bool:
        return self._sample_path is not None

    async def report(self, uploads: Sequence[Upload], options: SearchOptions) -> Generation:
        """Search, write, store. Raises UserError, and then nothing is stored."""
        return await run_sync(self._report, uploads, options, limiter=self._slots)

    async def search(
        self, uploads: Sequence[Upload], options: SearchOptions, *, text: str | None
    ) -> Retrieval:
        return await run_sync(self._search, uploads, options, text, limiter=self._slots)

    async def preview(self, upload: Upload) -> bytes:
        """An uploaded film as the search sees it, as PNG."""
        return await run_sync(_preview, upload, limiter=self._slots)

    async def sample(self) -> bytes:
        """The file of the sample film. Raises NotFoundError where none was named."""
        if self._sample_path is None:
            raise NotFoundError("this server has no sample film: start it with --sample FILE")
        return await anyio.Path(self._sample_path).read_bytes()

    async def case(self, key: str) -> Case:
        """Raises NotFoundError for a study that the index does not hold."""
        return await run_sync(self._case, key)

    async def case_image(self, key: str, number: int) -> bytes:
        """An image of a case as PNG, numbered from 1.

        Raises NotFoundError where the case, the image or its file is missing.
        """
        return await run_sync(self._case_image, key, number, limiter=self._slots)

    async def generation(self, generation_id: UUID) -> Generation:
        return await run_sync(self._store.get, generation_id)

    async def generations(self, *, limit: int, before: UUID | None) -> Page:
        return await run_sync(lambda: self._store.page(limit=limit, before=before))

    async def available(self, studies: Collection[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Those of the studies (source, study id) that the open index holds."""
        find = self._retriever.index.cases.find
        return await run_sync(
            lambda: frozenset(study for study in set(studies) if find(*study) is not None)
        )

    def _search(
        self, uploads: Sequence[Upload], options: SearchOptions, text: str | None = None
    ) -> Retrieval:
        films = [read_film(upload.data, name=upload.name) for upload in uploads]
        with self._searching:
            return self._retriever.search(
                films,
                text=text,
                text_weight=options.text_weight,
                k=options.k,
                exclude_patient_ids=options.exclude_patient_ids,
                exclude_study_ids=options.exclude_study_ids,
                exclude_near_copies=options.exclude_near_copies,
                distinct_reports=options.distinct_reports,
                labels=options.labels,
                label_filter=options.label_filter,
                min_score=options.min_score,
                min_ratio=options.min_ratio,
                diversity=options.diversity,
            )

    def _report(self, uploads: Sequence[Upload], options: SearchOptions) -> Generation:
        retrieval = self._search(uploads, options)
        report = self._write_report(retrieval)
        generation = to_generation(
            report, retrieval, options, generation_id=uuid4(), created_at=self._clock()
        )
        self._store.add(generation)
        return generation

    def _case(self, key: str) -> Case:
        source, study_id = split_case_key(key)
        case = self._retriever.index.cases.find(source, study_id)
        if case is None:
            raise NotFoundError(f"the index holds no study {study_id} of source {source}")
        return case

    def _case_image(self, key: str, number: int) -> bytes:
        case = self._case(key)
        if not 1 <= number <= len(case.images):
            raise NotFoundError(f"study {case.study_id} has no image {number}")
        image = case.images[number - 1]
        path = None if image.path is None else Path(image.path)
        if path is None or not path.is_absolute() or not path.is_file():
            raise NotFoundError(
                f"image {number} of study {case.study_id} is not on this machine: the index was "
                "built without it, or it was moved"
            )
        film = read_film(path, name=f"image {number} of study {case.study_id}")
        return _shown(restore_size(film.pixels, image.width, image.height))


def _preview(upload: Upload) -> bytes:
    return _shown(read_film(upload.data, name=upload.name).pixels)


def _shown(pixels: np.ndarray) -> bytes:
    if max(pixels.shape) > PREVIEW_SIDE:
        image = Image.fromarray(pixels)
        image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
    return encode_png(pixels)
