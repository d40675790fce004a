"""Decode uploads in processes of their own, so that no file can hold or end the service.

    with DecodingProcesses(count=2) as decoding:
        image = decoding.run("pixels", upload, cancelled)

A process decodes one file at a time, in bounded memory and processor time (`worker`). It is started
when it is first needed, and ended when the client leaves or after many files; the next file gets
another.
"""

import queue
import signal
import threading
from contextlib import nullcontext
from types import TracebackType
from typing import Protocol, Self

from api.pipeline.decoding.messages import DecodingJob, DecodingKind, Outcome
from api.pipeline.decoding.process import (
    LARGE,
    ORDINARY,
    DecodingLimits,
    DecodingProcess,
    EndedError,
)
from api.pipeline.scheduler import BusyError, WorkCancelledError
from api.uploads import Upload
from db.errors import UserError
from indexer.images.dicom import Identifiers, StudyAttributes
from indexer.images.radiograph import Grey, LargeImageError, PngRadiograph, Radiograph

_CHECK_SECONDS = 0.1
_FOR_LATER: frozenset[DecodingKind] = frozenset({"png", "identifiers"})
"""What is decoded to be kept, as of a batch."""


Decoded = Radiograph | PngRadiograph | Identifiers | StudyAttributes


class Decoding(Protocol):
    """Decodes uploads for the pipeline, in the threads that call it."""

    def run(self, kind: DecodingKind, upload: Upload, cancelled: threading.Event) -> Decoded:
        """Return a Radiograph for ``pixels``, a PngRadiograph for ``png`` and ``preview``, else the
        Identifiers or StudyAttributes.

        Raises UserError if the upload cannot be read, and WorkCancelledError once cancelled.
        """
        ...


class DecodingProcesses:
    """A few processes that decode; a context manager that ends them.

    ``count`` of them decode ordinary files. What they refuse as too large, or as taking too long,
    one more process decodes again, with higher limits, so that large files wait for each other and
    others do not wait for them. Files that are kept for later leave one process to those that
    somebody waits for.
    """

    def __init__(
        self,
        *,
        count: int,
        limits: DecodingLimits = ORDINARY,
        large: DecodingLimits = LARGE,
    ) -> None:
        self._ordinary = _Pool(count, limits)
        self._large = _Pool(1, large)
        self._for_later = threading.Semaphore(max(1, count - 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the processes for ordinary files now, so that the first do not wait for them."""
        self._ordinary.start()

    def close(self) -> None:
        """End the processes. Files that are being decoded are finished first."""
        self._ordinary.close()
        self._large.close()

    def run(self, kind: DecodingKind, upload: Upload, cancelled: threading.Event) -> Decoded:
        try:
            with self._for_later if kind in _FOR_LATER else nullcontext():
                return self._ordinary.run(kind, upload, cancelled)
        except LargeImageError:
            return self._large.run(kind, upload, cancelled)


class _Pool:
    """Processes with the same limits."""

    def __init__(self, count: int, limits: DecodingLimits) -> None:
        self._count = count
        self._limits = limits
        self._places: queue.LifoQueue[DecodingProcess | None] = queue.LifoQueue()
        for _ in range(count):
            self._places.put(None)

    def start(self) -> None:
        places = [self._places.get() for _ in range(self._count)]
        for place in places:
            self._places.put(place or DecodingProcess(self._limits))

    def close(self) -> None:
        for _ in range(self._count):
            process = self._places.get()
            if process is not None:
                process.end()
        for _ in range(self._count):
            self._places.put(None)

    def run(self, kind: DecodingKind, upload: Upload, cancelled: threading.Event) -> Decoded:
        image = self._limits.image
        job = DecodingJob(
            kind=kind,
            name=upload.name,
            offset=upload.file.offset,
            length=upload.file.length,
            accept_as_chest=upload.accept_as_chest,
            window=upload.window,
            proportions=upload.proportions,
            max_bytes=image.max_bytes,
            max_pixels=image.max_pixels,
            max_decoded_bytes=image.max_decoded_bytes,
        )
        outcome, body = self._answer(job, upload.file.spool.descriptor, cancelled)
        outcome.raise_error()
        if kind == "identifiers":
            return outcome.identifiers or Identifiers()
        if kind == "study":
            return outcome.study or {}
        view, notes, subject = outcome.view_position, outcome.notes, outcome.subject
        if kind in ("png", "preview"):
            return PngRadiograph(
                png=body.tobytes(),
                view_position=view,
                notes=notes,
                subject=subject,
                display=outcome.display,
            )
        pixels = body.reshape(outcome.height, outcome.width)
        return Radiograph(pixels=pixels, view_position=view, notes=notes, subject=subject)

    def _answer(
        self, job: DecodingJob, descriptor: int, cancelled: threading.Event
    ) -> tuple[Outcome, Grey]:
        process = self._free(cancelled)
        try:
            if process is None or not process.is_usable:
                process = DecodingProcess(self._limits)
            return process.run(job, descriptor, cancelled)
        except EndedError as ended:
            raise self._reason(ended, job.name) from None
        finally:
            if process is not None and not process.is_usable:
                process.end()
                process = None
            self._places.put(process)

    def _free(self, cancelled: threading.Event) -> DecodingProcess | None:
        """Wait for a place; None if its process is not started."""
        while True:
            try:
                return self._places.get(timeout=_CHECK_SECONDS)
            except queue.Empty:
                if cancelled.is_set():
                    raise WorkCancelledError from None

    def _reason(self, ended: EndedError, name: str) -> Exception:
        """Say why a process ended while it decoded a file."""
        if ended.exit_code is not None and ended.exit_code >= 0:  # no decoder ends it so
            return RuntimeError(f"a decoding process ended with {ended.exit_code}")
        if ended.exit_code is None or ended.exit_code == -signal.SIGXCPU:
            return LargeImageError(
                f"{name} takes more than {self._limits.seconds} s to decode: send a smaller image, "
                "or export it uncompressed"
            )
        if ended.exit_code == -signal.SIGKILL:  # by the kernel: no memory is left
            return BusyError(10)
        return UserError(f"{name} is damaged and cannot be decoded: export or upload it again")
