"""Decode files in a process of its own, within limits on memory and processor time.

    python -m api.pipeline.decoding.worker SOCKET MEMORY SECONDS FILES

`api.pipeline.decoding.process` starts it and sends one job after another over the socket, FILES at
most, each with the descriptor of the file. The process ends with the socket. What it decodes may
come from anybody: answers are plain values, never pickles, and nothing is written to stderr.
"""

import math
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from api.pipeline.decoding.messages import HEAD, DecodingJob, Outcome
from db.errors import UserError
from indexer.images.dicom import read_identifiers, read_study_attributes
from indexer.images.radiograph import (
    Grey,
    Limits,
    Radiograph,
    out_of_memory,
    rescaled,
    restore_size,
)
from indexer.images.reader import encode_png, read_radiograph

PREVIEW_SIDE = 1600
"""Longest side of a preview in pixels; the search uses the full image."""
_START_SECONDS = 60
"""Of processor time, for the imports of a process on a slow machine."""


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    memory, seconds, files = map(int, sys.argv[2:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the server
    _limit_memory(memory)
    most = _START_SECONDS + files * (seconds + 1)  # a file's seconds are rounded up
    while (received := _receive(connection)) is not None:
        job, descriptor = received
        _limit_seconds(seconds, most)
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
        window=job.window,
        max_bytes=job.max_bytes,
        max_pixels=job.max_pixels,
        max_decoded_bytes=job.max_decoded_bytes,
    )
    data = _read(job, descriptor, limits)
    if job.kind == "identifiers":
        return Outcome(identifiers=read_identifiers(data, job.name, limits)), b""
    if job.kind == "study":
        return Outcome(study=read_study_attributes(data, job.name, limits)), b""
    image = read_radiograph(data, name=job.name, limits=limits)
    if job.proportions is not None:
        restored = restore_size(image.pixels, *job.proportions)
        same = restored.shape == image.pixels.shape
        image = replace(image, pixels=restored, display=image.display if same else None)
    if job.kind == "preview":
        small = _reduced(image.pixels)
        factor = image.pixels.shape[1] / small.shape[1]
        image = replace(image, pixels=small, display=rescaled(image.display, factor))
        body: bytes | memoryview = encode_png(small)
    else:
        body = encode_png(image.pixels) if job.kind == "png" else _bytes_of(image)
    height, width = image.pixels.shape
    outcome = Outcome(
        size=len(body),
        height=height,
        width=width,
        view_position=image.view_position,
        notes=image.notes,
        subject=image.subject,
        display=image.display,
    )
    return outcome, body


def _reduced(pixels: Grey) -> Grey:
    """Reduce an image to ``PREVIEW_SIDE``."""
    if max(pixels.shape) <= PREVIEW_SIDE:
        return pixels
    image = Image.fromarray(pixels)
    image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


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


def _limit_seconds(seconds: int, most: int) -> None:
    """Let the kernel end this process after so many further seconds of processor time.

    It may catch the signal of that limit, but not that of ``most`` seconds for all its files.
    """
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    end = math.ceil(usage.ru_utime + usage.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (min(end, most), most))


if __name__ == "__main__":
    main()
