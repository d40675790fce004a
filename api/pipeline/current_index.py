"""Hold the open index, and replace it while requests run."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

import anyio
from anyio.to_thread import run_sync

from api.spool import Spool
from api.uploads import Upload
from db.engines.location import Location
from db.errors import ForbiddenError, NotFoundError, UserError
from db.index.case import split_case_key
from db.index.image_root import is_below
from db.index.store import Case
from indexer.encoder.load import load_encoder
from indexer.encoder.spec import Encoder
from indexer.images.radiograph import Radiograph
from indexer.published.opening import open_index
from retriever.knn_votes import Vote
from retriever.options import SearchOptions
from retriever.query import Query, has_text_tower
from retriever.results import Retrieval
from retriever.search import Retriever


class Cases(Protocol):
    """The cases of the open index."""

    def find(self, source: str, study_id: str) -> Case | None: ...

    def studies_of(self, patient_id: str) -> list[Case]: ...


class OpenIndex(Protocol):
    """The part of ``indexer.index.Index`` that the service uses."""

    @property
    def manifest(self) -> Any:
        """``indexer.manifest.Manifest``."""

    @property
    def cases(self) -> Cases: ...

    @property
    def vectors(self) -> Any:
        """``indexer.vectors.store.VectorStore``."""

    def check_files(self) -> None:
        """Raise UnavailableError if a mapped file was cut short since it was opened."""


class StudySearch(Protocol):
    """The part of ``retriever.search.Retriever`` that the service uses."""

    @property
    def index(self) -> OpenIndex: ...

    @property
    def encoder(self) -> Encoder: ...

    def check_exclusions(self, options: SearchOptions) -> None: ...

    def find(self, query: Query, options: SearchOptions) -> Retrieval: ...

    def vote(self, query: Query, options: SearchOptions) -> dict[str, Vote]: ...

    def near_duplicates(self, query: Query) -> list[Case]: ...

    def search(
        self, images: Sequence[Radiograph], options: SearchOptions, *, text: str | None
    ) -> Retrieval: ...


Reopen = Callable[[StudySearch], StudySearch]
"""Opens the index directory again, given the current retriever."""


def reopening(
    location: Location,
    use: Callable[[Retriever], None] = lambda _: None,
    *,
    device: str = "cpu",
) -> Reopen:
    """Return a function that opens an index again, with the same encoder if it fits.

    ``use`` gets the new retriever before any request does, and may raise to refuse it. ``device``
    is where a new encoder runs: ``cpu`` or ``cuda``.
    """

    def reopen(before: StudySearch) -> Retriever:
        index = open_index(location)
        try:
            spec = index.manifest.encoder
            same = spec.same_space(before.encoder.spec)
            encoder = before.encoder if same else load_encoder(spec.name, device=device)
            retriever = Retriever(index, encoder)
            use(retriever)
        except BaseException:
            index.close()
            raise
        return retriever

    return reopen


class CurrentIndex:
    """The open retriever; a request reads it once and keeps that one to its end."""

    def __init__(
        self,
        retriever: StudySearch,
        reopen: Reopen | None = None,
        *,
        image_roots: Collection[Path] = (),
    ) -> None:
        """``image_roots``: folders, besides that of the index's images, from which images of cases
        may be read."""
        self.retriever = retriever
        self._reopen = reopen
        self._image_roots = tuple(image_roots)
        self._reloading = anyio.Lock()
        self.searches_text = has_text_tower(retriever.encoder)

    @property
    def manifest(self) -> Any:
        """See ``indexer.manifest.Manifest``."""
        return self.retriever.index.manifest

    async def reload(self) -> None:
        """Open the index at the same path; requests in progress finish on the old one.

        Raises UserError if it cannot be opened; the old index then stays in use.
        """
        reopen = self._reopen
        if reopen is None:
            raise UserError(
                "this server was started with an open index and cannot reopen it: restart it"
            )
        async with self._reloading:
            retriever = await run_sync(reopen, self.retriever)
            self.searches_text = await run_sync(has_text_tower, retriever.encoder)
            self.retriever = retriever

    async def case(self, key: str) -> Case:
        """Raises NotFoundError for a study that the index does not hold."""
        return await run_sync(find_case, self.retriever, key)

    async def case_image(self, key: str, number: int) -> Upload:
        """Open the file of an image of a case; images are numbered from 1.

        Raises NotFoundError if the case, the image or its file is missing, ForbiddenError for a
        file outside the folders of images, and UserError for one that cannot be opened.
        """
        return await run_sync(_case_image, self.retriever, key, number, self._image_roots)

    async def available(self, studies: Collection[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Return those of the studies (source, study id) that the open index holds."""
        find = self.retriever.index.cases.find
        return await run_sync(
            lambda: frozenset(study for study in set(studies) if find(*study) is not None)
        )


def find_case(retriever: StudySearch, key: str) -> Case:
    """Raises NotFoundError for a study that the index does not hold."""
    source, study_id = split_case_key(key)
    case = retriever.index.cases.find(source, study_id)
    if case is None:
        raise NotFoundError(f"the index holds no study {study_id} of source {source}")
    return case


def _case_image(
    retriever: StudySearch, key: str, number: int, image_roots: Sequence[Path]
) -> Upload:
    case = find_case(retriever, key)
    if not 1 <= number <= len(case.images):
        raise NotFoundError(f"study {case.study_id} has no image {number}")
    image = case.images[number - 1]
    path = None if image.path is None else Path(image.path)
    root = retriever.index.manifest.image_root
    if (
        path is not None
        and path.is_absolute()
        and not is_below(path, [*image_roots, *([] if root is None else [Path(root)])])
    ):
        raise ForbiddenError(
            f"image {number} of study {case.study_id} is outside the folder of the index's images: "
            "start the server with --image-root FOLDER"
        )
    if path is None or not path.is_absolute() or not path.is_file():
        raise NotFoundError(
            f"image {number} of study {case.study_id} is not on this machine: the index was "
            "built without it, or it was moved"
        )
    name = f"image {number} of study {case.study_id}"
    try:
        file = Spool.existing(path)
    except OSError as error:
        raise UserError(f"{name} cannot be read ({error.strerror}): check the file") from error
    return Upload(
        name=name,
        file=file,
        accept_as_chest=True,  # when it was indexed
        proportions=(image.width, image.height),
    )
