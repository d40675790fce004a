"""Read forms and bodies as they arrive; files go to a spool, which ends with the request."""

import base64
import binascii
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any, TypeVar

from litestar import Request
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import ClientException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.utils.scope.state import ScopeState

from api.form_parts import (
    SpooledUpload,
    SpoolWriter,
    check_charset,
    read_form_parts,
    read_related_parts,
)
from api.middleware.access import the_caller
from api.middleware.bodies import body_of
from api.pipeline.scheduler import BusyError
from api.spool import Spool, SpooledFile
from db.errors import TooLargeError, UserError


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One uploaded file."""

    name: str
    """Its name in messages: the last part of the file name that the client sent."""
    file: SpooledFile
    accept_as_chest: bool = False
    """Whether to read it also if its header names another modality or part of the body."""
    window: int | None = None
    """Which of a DICOM file's own windows to show it with, from 1."""
    proportions: tuple[int, int] | None = None
    """Width and height that a preview is stretched to; None for those of the file."""


_MAX_URL_ENCODED_BYTES = 1_000_000
"""Of a form without files."""
_DECODED_AT_ONCE = 2**20
"""Characters of base64; a multiple of 4. Other threads run between two pieces."""

T = TypeVar("T")


async def read_form(request: Request[Any, Any, Any]) -> None:
    """Parse the form and keep it with the request; a ``before_request`` hook.

    Raises BusyError before reading anything if the server is busy, and later if there is no room
    for the body; a 415 or ClientException for a text that is not UTF-8, and a 408 if the body does
    not arrive in time. Raises UserError for a field that the form of the route does not have:
    Litestar would ignore it, and a misspelt ``exclude_patient`` would exclude no patient.
    """
    await check_place(request)
    form = request.route_handler.parsed_data_field
    assert form is not None  # the handler takes the form as `data`
    most = getattr(form.kwarg_definition, "multipart_form_part_limit", None)
    kind, options = request.content_type
    check_charset(options.get("charset"))
    state = ScopeState.from_scope(request.scope)
    if kind == RequestEncodingType.MULTI_PART:
        boundary = options.get("boundary")
        if not boundary:
            raise ClientException("the Content-Type names no boundary")
        most = most or request.app.multipart_form_part_limit
        writer = SpoolWriter(body_of(request).move_to_disk)
        state.form = await _read(
            request, lambda stream: read_form_parts(stream, boundary, writer, most=most)
        )
    elif kind == RequestEncodingType.URL_ENCODED:
        state.body = await _read(request, _read_texts)
    unknown = sorted(set(await request.form()) - set(form.annotation.__struct_fields__))
    if unknown:
        route = request.scope["path_template"]
        raise UserError(
            f"{route} has no field '{unknown[0][:80]}': leave it out; /schema lists the fields"
        )


async def read_body(request: Request[Any, Any, Any]) -> None:
    """Read the body into memory; a ``before_request`` hook. Raises as ``read_form`` does."""
    await check_place(request)
    await receive_body(request)


async def receive_body(request: Request[Any, Any, Any]) -> None:
    """Do as ``read_body``, even if the server is busy: for what needs no place."""
    ScopeState.from_scope(request.scope).body = await _read(request, _joined)


async def read_related(
    request: Request[Any, Any, Any], boundary: str, *, most: int
) -> list[SpooledFile]:
    """Read the parts of a ``multipart/related`` body. Raises as ``read_form`` does."""
    writer = SpoolWriter(body_of(request).move_to_disk)
    return await _read(
        request, lambda stream: read_related_parts(stream, boundary, writer, most=most)
    )


async def check_place(request: Request[Any, Any, Any]) -> None:
    """Raise BusyError if the server is busy; a ``before_request`` hook."""
    try:
        request.app.state.check_capacity(the_caller(request))
    except BusyError:
        await _let_answer_arrive(request)
        raise


async def _read(
    request: Request[Any, Any, Any],
    read: Callable[[AsyncIterator[bytes]], Coroutine[Any, Any, T]],
) -> T:
    try:
        return await read(request.stream())
    except BusyError:
        await _let_answer_arrive(request)
        raise


async def _let_answer_arrive(request: Request[Any, Any, Any]) -> None:
    """Read the body to its end if the connection closes after the answer: otherwise the client
    might never see the answer. On a connection that stays open the server skips the rest."""
    connection_options = request.headers.get("connection", "").lower().split(",")
    closes = "close" in map(str.strip, connection_options)
    if closes or request.scope["http_version"] == "1.0":
        await body_of(request).discard()


async def _joined(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def _read_texts(stream: AsyncIterator[bytes]) -> bytes:
    data = bytearray()
    async for chunk in stream:
        data += chunk
        if len(data) > _MAX_URL_ENCODED_BYTES:
            raise RequestEntityTooLarge
    return bytes(data)


def read_uploads(
    files: Sequence[UploadFile], *, limit: int, accept_as_chest: bool = False
) -> tuple[Upload, ...]:
    """Name the files of a form. Raises TooLargeError for more than ``limit`` files, and
    ClientException for what is no file."""
    _check_count(len(files), limit)
    return tuple(
        Upload(name=_last_part(file.filename), file=_spooled(file), accept_as_chest=accept_as_chest)
        for file in files
    )


def _spooled(file: UploadFile) -> SpooledFile:
    assert isinstance(file, SpooledUpload)  # as read_form leaves it
    return file.spooled


def _last_part(name: str) -> str:
    """Drop the folders from a POSIX or Windows file name: they may identify someone."""
    return PureWindowsPath(name).name or "the image"


def decode_uploads(
    images: Sequence[str], *, limit: int, accept_as_chest: bool = False
) -> list[Upload]:
    """Put images in base64 into a new spool; this takes a while, so call it in a thread.

    Raises UserError for what is not base64, and TooLargeError for more than ``limit`` images.
    """
    _check_count(len(images), limit)
    spool, uploads = Spool.open(), []
    for number, text in enumerate(images, start=1):
        start, name = spool.size, f"image {number}"
        try:
            for piece in _decoded(text):
                spool.write(piece)
        except ValueError as error:
            raise UserError(
                f"{name} is not base64: send the content of a file (paths and addresses are not "
                "opened)"
            ) from error
        file = spool.file_since(start)
        uploads.append(Upload(name=name, file=file, accept_as_chest=accept_as_chest))
    return uploads


def _decoded(text: str) -> Iterator[bytes]:
    """Decode base64 piece by piece. Raises ValueError for anything else."""
    for start in range(0, len(text), _DECODED_AT_ONCE):
        end = start + _DECODED_AT_ONCE
        piece = text[start:end]
        if end < len(text) and piece.endswith("="):
            raise binascii.Error("padding before the end")
        yield base64.b64decode(piece, validate=True)


def _check_count(images: int, limit: int) -> None:
    if images > limit:
        raise TooLargeError(
            f"{images} images were sent, one study may have {limit}: send its views only"
        )
