"""Decode the images of requests and jobs, in bounded memory and in processes of their own.

with images.kept():
    radiographs = await images.read(uploads, caller)       # count until the end of the block
image = await images.preview(upload, caller)           # a PngRadiograph
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

import anyio
from anyio.to_thread import run_sync

from api.middleware.access import Caller
from api.pipeline.byte_budget import ByteBudget, ByteShare
from api.pipeline.decoding.messages import DecodingKind
from api.pipeline.decoding.processes import Decoded
from api.pipeline.scheduler import Scheduler, WorkCancelledError
from api.pipeline.stages import DecodeInput, Schedulers
from api.uploads import Upload
from db.app.jobs.study import JobImage
from indexer.images.dicom import Identifiers, StudyAttributes
from indexer.images.radiograph import Limits, PngRadiograph, Radiograph, as_one_study
from indexer.images.reader import read_radiograph

_TOGETHER = 2
"""Files of one study that are decoded at the same time."""
_share: ContextVar[ByteShare] = ContextVar("share")
"""Of the budget for pixels, of the request that is active."""


class ImageReading:
    """Decodes uploads; those of one study at a time."""

    def __init__(self, schedulers: Schedulers, budget: ByteBudget) -> None:
        self._decoding = schedulers.decoding
        self._receiving = schedulers.receiving
        self._budget = budget

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Let the pixels that ``read`` returns count until the end of the block."""
        with self._budget.share() as share:
            before = _share.set(share)
            try:
                yield
            finally:
                _share.reset(before)

    async def read(self, uploads: Sequence[Upload], caller: Caller) -> tuple[Radiograph, ...]:
        """Decode the images of one study, within ``kept``.

        Raises UserError for the first unreadable one.
        """

        images, _ = await self.read_with_prior(uploads, (), caller)
        return images

    async def read_with_prior(
        self, uploads: Sequence[Upload], prior: Sequence[Upload], caller: Caller
    ) -> tuple[tuple[Radiograph, ...], tuple[Radiograph, ...]]:
        """Decode the images of a study and those of the patient's own prior study, as ``read``."""
        every = (*uploads, *prior)

        async def decode() -> list[Radiograph]:
            found = await self._together(every, caller)
            return [one for one in found if isinstance(one, Radiograph)]

        most = Limits().max_kept_pixels * len(every)  # taken at once, so that none waits for room
        read = await _decoded(_share.get(), most, decode)
        own, before = read[: len(uploads)], read[len(uploads) :]
        return tuple(as_one_study(own)), tuple(as_one_study(before))

    async def _together(self, uploads: Sequence[Upload], caller: Caller) -> list[Decoded]:
        """Decode a few files of a study at a time; raise the error of the first in order."""
        scopes = [anyio.CancelScope() for _ in uploads]
        found: list[Decoded | Exception] = [WorkCancelledError() for _ in uploads]
        turn = anyio.Semaphore(_TOGETHER)

        async def decode(place: int, upload: Upload) -> None:
            with scopes[place]:
                async with turn:
                    try:
                        (found[place],) = await _run(self._decoding, "pixels", [upload], caller)
                    except Exception as error:  # raised below: the task group would wrap it
                        found[place] = error
                        for later in scopes[place + 1 :]:
                            later.cancel()

        async with anyio.create_task_group() as tasks:
            for place, upload in enumerate(uploads):
                tasks.start_soon(decode, place, upload)
        for one in found:
            if isinstance(one, Exception):
                raise one
        return [one for one in found if not isinstance(one, Exception)]

    @asynccontextmanager
    async def restored(self, images: Sequence[JobImage]) -> AsyncIterator[tuple[Radiograph, ...]]:
        """Decode the images of a job, for the block."""

        async def decode() -> list[Radiograph]:
            return await run_sync(lambda: [_restored(image) for image in images])

        most = sum(width * height for width, height in map(_png_size, images))
        with self._budget.share() as share:
            yield tuple(await _decoded(share, most, decode))

    async def encode(self, uploads: Sequence[Upload], caller: Caller) -> tuple[PngRadiograph, ...]:
        """Decode images to keep them, as PNG, one after another: other callers' come between them.

        Raises UserError for the first unreadable one.
        """
        found = [
            one
            for upload in uploads
            for one in await _run(self._receiving, "png", [upload], caller)
        ]
        return tuple(one for one in found if isinstance(one, PngRadiograph))

    async def identify(self, upload: Upload, caller: Caller) -> Identifiers:
        """Read the UIDs of a DICOM file. Raises UserError if it cannot be read."""
        found = await _run(self._receiving, "identifiers", [upload], caller)
        (identifiers,) = (one for one in found if isinstance(one, Identifiers))
        return identifiers

    async def study_attributes(self, upload: Upload, caller: Caller) -> StudyAttributes:
        """Read patient and study of a DICOM file. Raises UserError if it cannot be read."""
        found = await _run(self._decoding, "study", [upload], caller)
        (attributes,) = (one for one in found if isinstance(one, dict))
        return attributes

    async def preview(self, upload: Upload, caller: Caller) -> PngRadiograph:
        """Return an image as the search uses it, as PNG of a size for a page.

        Raises UserError if it cannot be read.
        """
        found = await _run(self._decoding, "preview", [upload], caller)
        (image,) = (one for one in found if isinstance(one, PngRadiograph))
        return image


async def _run(
    scheduler: Scheduler[DecodeInput, tuple[Decoded, ...]],
    kind: DecodingKind,
    uploads: Sequence[Upload],
    caller: Caller,
) -> tuple[Decoded, ...]:
    return await scheduler.run(DecodeInput(kind=kind, uploads=tuple(uploads)), owner=caller.name)


async def _decoded(
    share: ByteShare, most: int, decode: Callable[[], Awaitable[list[Radiograph]]]
) -> list[Radiograph]:
    """Decode images of at most so many bytes, which then count with their real size."""
    await share.take(most)
    images = await decode()
    share.give(most - sum(image.pixels.nbytes for image in images))
    return images


def _png_size(image: JobImage) -> tuple[int, int]:
    """Return width and height of a PNG."""
    return int.from_bytes(image.png[16:20], "big"), int.from_bytes(image.png[20:24], "big")


def _restored(image: JobImage) -> Radiograph:
    return Radiograph(
        pixels=read_radiograph(image.png).pixels,
        view_position=image.view_position,
        notes=image.notes,
    )
