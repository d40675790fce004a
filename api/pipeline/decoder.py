"""Decode files in a process of its own, within limits on memory and processor time.

    python -m api.pipeline.decoder SOCKET MEMORY SECONDS

`api.pipeline.decoding` starts it and sends one job after another over the socket, each with the
descriptor of the file. The process ends with the socket. What it decodes may come from anybody:
answers are plain values, never pickles, and nothing is written to stderr.
"""

import math
import signal
import socket
import struct
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from db.errors import NotFoundError, TooLargeError, UserError
from db.index.case import ViewPosition
from indexer.images.dicom import Identifiers, read_identifiers
from indexer.images.radiograph import LargeImageError, Limits, Radiograph, Subject, out_of_memory
from indexer.images.reader import encode_png, read_radiograph

HEAD = struct.Struct(">I")
"""The length of the JSON that follows, of a job and of an outcome."""
_ERRORS: dict[str, type[UserError]] = {
    one.__name__: one for one in (UserError, TooLargeError, LargeImageError, NotFoundError)
}


DecodingKind = Literal["pixels", "png", "identifiers"]
"""What is asked for."""


class DecodingJob(msgspec.Struct, kw_only=True):
    """A file to decode, and what to answer."""

    kind: DecodingKind
    name: str
    """Of the file, for messages."""
    offset: int
    length: int
    """Where the file is in what the descriptor opens."""
    accept_as_chest: bool = False
    max_bytes: int
    max_pixels: int
    max_decoded_bytes: int
    """As in `Limits`."""


class Outcome(msgspec.Struct, kw_only=True):
    """What became of a job; ``size`` bytes of pixels or PNG follow it."""

    size: int = 0
    height: int = 0
    width: int = 0
    view_position: ViewPosition | None = None
    notes: tuple[str, ...] = ()
    subject: Subject | None = None
    identifiers: Identifiers | None = None
    error: str | None = None
    error_type: str = "UserError"
    defect: str | None = None
    """The traceback of an error in this program, without its message."""

    def raise_error(self) -> None:
        """Raise the error, if there is one."""
        if self.defect is not None:
            raise RuntimeError(f"a decoder failed:\n{self.defect}")
        if self.error is not None:
            raise _ERRORS.get(self.error_type, UserError)(self.error)


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    memory, seconds = int(sys.argv[2]), int(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the server
    _limit_memory(memory)
    while (received := _receive(connection)) is not None:
        job, descriptor = received
        _limit_seconds(seconds)
        outcome, body = _answer(job, descriptor)
        head = msgspec.json.encode(outcome)
        connection.sendall(HEAD.pack(len(head)) + head)
        connection.sendall(body)


def _receive(connection: socket.socket) -> tuple[DecodingJob, int] | None:
    """Return the next job and the descriptor of its file; None at the end."""
    data, descriptors, _, _ = socket.recv_fds(connection, 65536, 1)
    if not data:
        return None
    (length,) = HEAD.unpack_from(data)
    while len(data) < HEAD.size + length:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    return msgspec.json.decode(data[HEAD.size :], type=DecodingJob), descriptors[0]


def _answer(job: DecodingJob, descriptor: int) -> tuple[Outcome, bytes | memoryview]:
    try:
        return _decoded(job, descriptor)
    except UserError as error:
        return Outcome(error=str(error), error_type=type(error).__name__), b""
    except MemoryError:
        return Outcome(error=str(out_of_memory(job.name)), error_type="LargeImageError"), b""
    except Exception as error:  # a message may quote the header
        frames = "".join(traceback.format_tb(error.__traceback__))
        return Outcome(defect=f"{frames}{type(error).__qualname__}"), b""


def _decoded(job: DecodingJob, descriptor: int) -> tuple[Outcome, bytes | memoryview]:
    limits = Limits(
        accept_as_chest=job.accept_as_chest,
        max_bytes=job.max_bytes,
        max_pixels=job.max_pixels,
        max_decoded_bytes=job.max_decoded_bytes,
    )
    data = _read(job, descriptor, limits)
    if job.kind == "identifiers":
        return Outcome(identifiers=read_identifiers(data, job.name, limits)), b""
    image = read_radiograph(data, name=job.name, limits=limits)
    body = encode_png(image.pixels) if job.kind == "png" else _bytes_of(image)
    height, width = image.pixels.shape
    outcome = Outcome(
        size=len(body),
        height=height,
        width=width,
        view_position=image.view_position,
        notes=image.notes,
        subject=image.subject,
    )
    return outcome, body


def _bytes_of(image: Radiograph) -> memoryview:
    return image.pixels.reshape(-1).data


def _read(job: DecodingJob, descriptor: int, limits: Limits) -> bytes:
    import os

    parts: list[bytes] = []
    try:
        limits.check_bytes(job.length, job.name)
        while (done := sum(map(len, parts))) < job.length:
            parts.append(os.pread(descriptor, job.length - done, job.offset + done))
            if not parts[-1]:
                break
    finally:
        os.close(descriptor)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _limit_memory(limit: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # should memory run out, this process ends and not the server
        Path("/proc/self/oom_score_adj").write_text("1000")


def _limit_seconds(seconds: int) -> None:
    """Let the kernel end this process after so many further seconds of processor time."""
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    end = math.ceil(usage.ru_utime + usage.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
