"""Decode uploads in processes of their own, so that no file can hold or end the service.

    with DecodingProcesses(count=2) as decoding:
        image = decoding.run("pixels", upload, cancelled)

A process decodes one file at a time, in bounded memory and processor time (`api.pipeline.decoder`).
It is started when it is first needed, and ended when the client leaves; the next file gets another.
"""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import msgspec
import numpy as np

from api.pipeline.decoder import HEAD, DecodingJob, DecodingKind, Outcome
from api.pipeline.scheduler import BusyError, WorkCancelledError
from api.uploads import Upload
from db.errors import UserError
from indexer.images.dicom import Identifiers
from indexer.images.radiograph import Grey, LargeImageError, Limits, PngRadiograph, Radiograph


@dataclass(frozen=True, kw_only=True)
class DecodingLimits:
    """What one file may take; any ordinary radiograph stays within the default."""

    memory: int = 600 * 2**20
    """Bytes of address space of the process, of which its libraries take up to 300 MB."""
    seconds: int = 2
    """Of processor time; full-size radiographs take .1 to 1."""
    image: Limits = Limits(  # noqa: RUF009  # immutable
        max_bytes=64 * 2**20, max_pixels=Limits.max_kept_pixels, max_decoded_bytes=80_000_000
    )


LARGE = DecodingLimits(memory=1_200 * 2**20, seconds=20, image=Limits())
"""For a file that needs more than the default. One is decoded at a time."""
_WALL_SECONDS = 300
"""For one file, however busy the machine is."""
_CHECK_SECONDS = 0.1
_MAX_HEAD_BYTES = 2**20
_MAX_BODY_BYTES = 4 * Limits().max_kept_pixels
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")


Decoded = Radiograph | PngRadiograph | Identifiers


class Decoding(Protocol):
    """Decodes uploads for the pipeline, in the threads that call it."""

    def run(self, kind: DecodingKind, upload: Upload, cancelled: threading.Event) -> Decoded:
        """Return a Radiograph for ``pixels``, an PngRadiograph for ``png``, or the Identifiers.

        Raises UserError if the upload cannot be read, and WorkCancelledError once cancelled.
        """
        ...


class DecodingProcesses:
    """A few processes that decode; a context manager that ends them.

    ``count`` of them decode ordinary files. What they refuse as too large, or as taking too long,
    one more process decodes again, with higher limits, so that large files wait for each other and
    others do not wait for them.
    """

    def __init__(
        self,
        *,
        count: int,
        limits: DecodingLimits = DecodingLimits(),  # immutable
        large: DecodingLimits = LARGE,
    ) -> None:
        self._ordinary = _Pool(count, limits)
        self._large = _Pool(1, large)

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
            return self._ordinary.run(kind, upload, cancelled)
        except LargeImageError:
            return self._large.run(kind, upload, cancelled)


class _Pool:
    """Processes with the same limits."""

    def __init__(self, count: int, limits: DecodingLimits) -> None:
        self._count = count
        self._limits = limits
        self._places: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(count):
            self._places.put(None)

    def start(self) -> None:
        places = [self._places.get() for _ in range(self._count)]
        for place in places:
            self._places.put(place or _Process(self._limits))

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
            max_bytes=image.max_bytes,
            max_pixels=image.max_pixels,
            max_decoded_bytes=image.max_decoded_bytes,
        )
        outcome, body = self._answer(job, upload.file.spool.descriptor, cancelled)
        outcome.raise_error()
        if kind == "identifiers":
            return outcome.identifiers or Identifiers()
        view, notes, subject = outcome.view_position, outcome.notes, outcome.subject
        if kind == "png":
            return PngRadiograph(
                png=body.tobytes(), view_position=view, notes=notes, subject=subject
            )
        pixels = body.reshape(outcome.height, outcome.width)
        return Radiograph(pixels=pixels, view_position=view, notes=notes, subject=subject)

    def _answer(
        self, job: DecodingJob, descriptor: int, cancelled: threading.Event
    ) -> tuple[Outcome, Grey]:
        process = self._free(cancelled)
        try:
            if process is None or process.has_ended:
                process = _Process(self._limits)
            return process.run(job, descriptor, cancelled)
        except _EndedError as ended:
            raise self._reason(ended, job.name) from None
        finally:
            alive = process is not None and not process.has_ended
            self._places.put(process if alive else None)

    def _free(self, cancelled: threading.Event) -> "_Process | None":
        """Wait for a place; None if its process is not started."""
        while True:
            try:
                return self._places.get(timeout=_CHECK_SECONDS)
            except queue.Empty:
                if cancelled.is_set():
                    raise WorkCancelledError from None

    def _reason(self, ended: "_EndedError", name: str) -> Exception:
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


class _EndedError(Exception):
    """The process ended before it answered."""

    def __init__(self, exit_code: int | None) -> None:
        super().__init__()
        self.exit_code = exit_code
        """Negative for a signal; None if the process took too long."""


class _Process:
    """One decoding process, and the socket to it."""

    def __init__(self, limits: DecodingLimits) -> None:
        ours, theirs = socket.socketpair()
        words = [sys.executable, "-m", "api.pipeline.decoder", str(theirs.fileno())]
        path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [*words, str(limits.memory), str(limits.seconds)],
                    env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # libraries quote headers
                )
        except OSError as error:
            ours.close()
            raise BusyError(10) from error
        self._socket = ours
        self._socket.settimeout(_CHECK_SECONDS)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def run(
        self, job: DecodingJob, descriptor: int, cancelled: threading.Event
    ) -> tuple[Outcome, Grey]:
        """Return the outcome, and the bytes that follow it.

        Ends the process, and raises WorkCancelledError, if the work is cancelled.
        """
        wait = _Wait(cancelled)
        try:
            words = msgspec.json.encode(job)
            socket.send_fds(self._socket, [HEAD.pack(len(words)) + words], [descriptor])
            (length,) = HEAD.unpack(self._receive(HEAD.size, wait).tobytes())
            if length > _MAX_HEAD_BYTES:
                raise RuntimeError("a decoder answered too much")
            head = self._receive(length, wait).tobytes()
            outcome = msgspec.json.decode(head, type=Outcome)
            if outcome.size > _MAX_BODY_BYTES:
                raise RuntimeError("a decoder answered too much")
            return outcome, self._receive(outcome.size, wait)
        except ConnectionError as error:
            raise _EndedError(self.end()) from error
        except TimeoutError as error:
            self.kill()
            raise _EndedError(None) from error
        except BaseException:
            self.kill()
            raise

    def _receive(self, count: int, wait: "_Wait") -> Grey:
        """Receive so many bytes, (count,) uint8."""
        received = np.empty(count, np.uint8)
        left = received.data
        while left:
            try:
                got = self._socket.recv_into(left)
            except TimeoutError:
                wait.check()
                continue
            if got == 0:
                raise ConnectionError
            left = left[got:]
        return received

    def end(self) -> int:
        """Let the process end, and return its exit code."""
        self._socket.close()
        try:
            return self._process.wait(10)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End the process at once."""
        self._socket.close()
        self._process.kill()
        return self._process.wait()


class _Wait:
    """What ends the wait for an answer."""

    def __init__(self, cancelled: threading.Event) -> None:
        self._cancelled = cancelled
        self._end = time.monotonic() + _WALL_SECONDS

    def check(self) -> None:
        if self._cancelled.is_set():
            raise WorkCancelledError
        if time.monotonic() > self._end:
            raise TimeoutError
