"""One process that decodes one file after another, and ends if one takes too much."""

import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from api.pipeline.decoding.messages import HEAD, DecodingJob, Outcome
from api.pipeline.scheduler import BusyError, WorkCancelledError
from indexer.images.radiograph import Grey, Limits


@dataclass(frozen=True, kw_only=True)
class DecodingLimits:
    """What one file may take; any ordinary radiograph stays within the default."""

    memory: int = 600 * 2**20
    """Bytes of address space of the process, of which its libraries take up to 300 MB."""
    seconds: int = 2
    """Of processor time; full-size radiographs take .1 to 1."""
    files: int = 100
    """Which one process decodes before another takes its place."""
    image: Limits = Limits(  # noqa: RUF009  # immutable
        max_bytes=64 * 2**20, max_pixels=Limits.max_kept_pixels, max_decoded_bytes=80_000_000
    )


ORDINARY = DecodingLimits()
LARGE = DecodingLimits(memory=1_200 * 2**20, seconds=20, image=Limits())
"""For a file that needs more than the default. One is decoded at a time."""
_WALL_SECONDS = 300
"""For one file, however busy the machine is."""
_CHECK_SECONDS = 0.1
_MAX_HEAD_BYTES = 2**20
_MAX_BODY_BYTES = 4 * Limits().max_kept_pixels
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")
_PASSED = (
    *("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT"),
    *("LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP"),
)
"""What a process needs of the environment, which may hold credentials: its files are anybody's."""


class EndedError(Exception):
    """The process ended before it answered."""

    def __init__(self, exit_code: int | None) -> None:
        super().__init__()
        self.exit_code = exit_code
        """Negative for a signal; None if the process took too long."""


class DecodingProcess:
    """One decoding process, and the socket to it."""

    def __init__(self, limits: DecodingLimits) -> None:
        self._left = limits.files
        ours, theirs = socket.socketpair()
        words = [sys.executable, "-m", "api.pipeline.decoding.worker", str(theirs.fileno())]
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [*words, str(limits.memory), str(limits.seconds), str(limits.files)],
                    env=_environment(),
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
    def is_usable(self) -> bool:
        """Whether it runs, and may decode another file."""
        return self._left > 0 and self._process.poll() is None

    def run(
        self, job: DecodingJob, descriptor: int, cancelled: threading.Event
    ) -> tuple[Outcome, Grey]:
        """Return the outcome, and the bytes that follow it.

        Ends the process, and raises WorkCancelledError, if the work is cancelled.
        """
        wait = _Wait(cancelled)
        self._left -= 1
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
            raise EndedError(self.end()) from error
        except TimeoutError as error:
            self.kill()
            raise EndedError(None) from error
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


def _environment() -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
    return {**passed, **_ONE_THREAD, "PYTHONPATH": path}
