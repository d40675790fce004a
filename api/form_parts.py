"""Read multipart bodies as they arrive: texts into memory, files into a spool."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from anyio.to_thread import run_sync
from litestar.datastructures import UploadFile
from litestar.exceptions import ClientException, HTTPException
from multipart import MultipartSegment, ParserError, ParserLimitReached, PushMultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from api.spool import Spool, SpooledFile
from db.errors import TooLargeError

MAX_TEXT_BYTES = 100_000
"""Of one text field."""
_MAX_TEXTS_BYTES = 8_000_000
"""Of all text fields of a form."""
_MAX_PREAMBLE_BYTES = 65_536
_WRITTEN_AT_ONCE = 2**20
_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")


class SpooledUpload(UploadFile):
    """A file of a form; it ends with its spool."""

    def __init__(self, *, filename: str, content_type: str, spooled: SpooledFile) -> None:
        self.filename = filename
        self.content_type = content_type
        self.headers = {}
        self.spooled = spooled

    async def read(self, size: int = -1) -> bytes:
        return self.spooled.read() if size < 0 else self.spooled.read()[:size]

    async def close(self) -> None: ...

    @property
    def rolled_to_disk(self) -> bool:
        return True


class SpoolWriter:
    """Writes one file after another to a new spool, in large pieces."""

    def __init__(self, before: Callable[[int], Awaitable[None]]) -> None:
        """``before`` is called with the number of bytes before they are written."""
        self._spool = Spool.open()
        self._before = before
        self._start = 0
        self._waiting = bytearray()

    async def write(self, data: bytes) -> None:
        self._waiting += data
        if len(self._waiting) >= _WRITTEN_AT_ONCE:
            await self._flush()

    async def end_file(self) -> SpooledFile:
        await self._flush()
        file, self._start = self._spool.file_since(self._start), self._spool.size
        return file

    async def _flush(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        await self._before(len(waiting))
        await run_sync(_save, self._spool, waiting)


def _save(spool: Spool, data: bytearray) -> None:
    try:
        spool.write(data)
    except OSError as error:
        raise HTTPException(
            status_code=503,
            detail="the server has no room to receive images: try again later",
            headers={"Retry-After": "60"},
        ) from error


def check_charset(charset: str | None) -> None:
    """Raise a 415 unless a text is UTF-8: other decoders take long, or fail in other ways."""
    if charset is not None and charset.strip().lower() not in _UTF8:
        raise HTTPException(status_code=415, detail="send the texts of a form in UTF-8")


async def read_form_parts(
    stream: AsyncIterator[bytes], boundary: str, writer: SpoolWriter, *, most: int
) -> dict[str, Any]:
    """Read a ``multipart/form-data`` body of at most so many parts: texts, and SpooledUploads.

    The values of a name that is repeated are a list. Raises ClientException for a damaged body or
    too many parts, TooLargeError for a long text, and a 415 for one that is not UTF-8.
    """
    fields: defaultdict[str, list[Any]] = defaultdict(list)
    reader = _FormReader(writer)
    try:
        with PushMultipartParser(boundary.encode(), max_segment_count=most) as parser:
            async for chunk in stream:
                for event in parser.parse(chunk) if chunk else ():
                    if (found := await reader.read(event)) is not None:
                        name, value = found
                        fields[name].append(value)
    except ParserError as error:
        raise ClientException("Invalid multipart/form-data") from error
    except ParserLimitReached:
        raise ClientException("Request Entity Too Large") from None
    except UnicodeDecodeError as error:
        raise ClientException("a text field of the form is not UTF-8 text") from error
    return {name: values if len(values) > 1 else values[0] for name, values in fields.items()}


class _FormReader:
    """Turns the events of the parser into fields."""

    def __init__(self, writer: SpoolWriter) -> None:
        self._writer = writer
        self._segment: MultipartSegment | None = None
        self._text = bytearray()
        self._texts = 0

    async def read(self, event: Any) -> tuple[str, str | SpooledUpload] | None:
        """Return name and value at the end of a part."""
        if isinstance(event, MultipartSegment):
            check_charset(event.charset)
            self._segment, self._text = event, bytearray()
        elif event is None:
            return await self._end()
        elif self._segment is not None and self._segment.filename:
            await self._writer.write(event)
        else:
            self._add_text(event)
        return None

    def _add_text(self, data: bytes) -> None:
        self._text += data
        self._texts += len(data)
        if len(self._text) > MAX_TEXT_BYTES or self._texts > _MAX_TEXTS_BYTES:
            raise TooLargeError(
                f"the texts of the form are too long: one may have {MAX_TEXT_BYTES:,} bytes, and "
                "a file needs a file name"
            )

    async def _end(self) -> tuple[str, str | SpooledUpload]:
        segment = self._segment
        if segment is None:
            raise ClientException("Invalid multipart/form-data")
        if not segment.filename:
            return segment.name, self._text.decode()
        upload = SpooledUpload(
            filename=segment.filename,
            content_type=segment.content_type or "text/plain",
            spooled=await self._writer.end_file(),
        )
        return segment.name, upload


async def read_related_parts(
    stream: AsyncIterator[bytes], boundary: str, writer: SpoolWriter, *, most: int
) -> list[SpooledFile]:
    """Read the parts of a ``multipart/related`` body (RFC 2387), without their headers.

    A last part that is cut short is a part. Raises ClientException for a body without parts, and
    TooLargeError for more than ``most``.
    """
    reader = _RelatedReader(boundary.encode("latin-1", "replace"))
    parts: list[SpooledFile] = []
    try:
        async for chunk in stream:
            for event in reader.read(chunk):
                if event is not None:
                    await writer.write(event)
                    continue
                parts.append(await writer.end_file())
                if len(parts) > most:
                    raise TooLargeError(
                        f"more than {most:,} instances were sent: send them in several requests"
                    )
        if reader.is_within_part:
            parts.append(await writer.end_file())
    except FormParserError as error:
        raise ClientException("the body is damaged or cut short: send it again") from error
    if not parts:
        raise ClientException("the body has no parts, or is cut short: send it again")
    return parts


class _RelatedReader:
    """Turns chunks of the body into the data of parts, and None at the end of each."""

    def __init__(self, boundary: bytes) -> None:
        self._start = b"--" + boundary
        self._preamble: bytearray | None = bytearray()
        self._events: list[bytes | None] = []
        self.is_within_part = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_headers_finished": self._begin,
                "on_part_data": self._add,
                "on_part_end": self._end,
            },
        )

    def read(self, chunk: bytes) -> list[bytes | None]:
        """Raises FormParserError for a damaged body."""
        if self._preamble is not None:
            self._preamble += chunk
            begin = self._preamble.find(self._start)
            if begin < 0:
                if len(self._preamble) > _MAX_PREAMBLE_BYTES:
                    raise FormParserError("no boundary")
                return []
            chunk, self._preamble = bytes(self._preamble[begin:]), None
        self._events = []
        self._parser.write(chunk)
        return self._events

    def _begin(self) -> None:
        self.is_within_part = True

    def _add(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _end(self) -> None:
        self.is_within_part = False
        self._events.append(None)
