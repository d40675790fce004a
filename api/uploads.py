"""Read forms and bodies as they arrive; files go to a spool, which ends with the request."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import anyio
import msgspec
from litestar import Request
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import ClientException, HTTPException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.utils.scope.state import ScopeState

from api.form_parts import SpooledUpload, check_charset, read_form_parts, read_related_parts
from api.middleware.access import the_caller
from api.pipeline.scheduler import BusyError
from api.spool import Spool, SpooledFile
from db.errors import TooLargeError, UserError
from generator.assessment.calibration import Sensitivity
from generator.prompts import MAX_QUESTION, Task
from generator.request import GenerationRequest
from retriever.options import Parameter, SearchOptions, parameters


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One uploaded file."""

    name: str
    """Its name in messages: the last part of the file name that the client sent."""
    file: SpooledFile
    accept_as_chest: bool = False
    """Whether to read it also if its header names another modality or part of the body."""


_MAX_URL_ENCODED_BYTES = 1_000_000
"""Of a form without files."""

T = TypeVar("T")

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


def _search_field(one: Parameter) -> tuple[str, Any, Any]:
    """Describe one search option as a form field for ``msgspec.defstruct``."""
    default = _SEARCH_DEFAULTS.get(one.option, one.default)
    most = _MOST_HITS if one.option == "k" else one.most
    description = f"{one.help[:1].upper()}{one.help[1:]}."
    kind: Any = list[_Id] if one.many else one.type
    meta = msgspec.Meta(ge=one.least, le=most, description=description)
    annotated: Any = Annotated[kind, meta]
    if one.many:
        return one.name, annotated, msgspec.field(default_factory=list)
    return one.name, annotated | None if default is None else annotated, default


_SEARCH_DEFAULTS = {"k": 10}
_MOST_HITS = 100
_SEARCH_FIELDS = {one.option: _search_field(one) for one in parameters()}
_TEXT_WEIGHT = _SEARCH_FIELDS.pop("text_weight")

if TYPE_CHECKING:
    _SearchFields = msgspec.Struct
else:
    _SearchFields = msgspec.defstruct("_SearchFields", _SEARCH_FIELDS.values(), kw_only=True)


class StudyForm(_SearchFields, kw_only=True):
    """The images of one study, and how to search with them."""

    images: list[UploadFile]
    """One file per view: PNG, JPEG, TIFF, BMP, WebP or DICOM."""

    def options(self) -> SearchOptions:
        """Raises UserError for a value out of range."""
        return SearchOptions.of(msgspec.structs.asdict(self))


MAX_INDICATION = 1_000
"""Characters."""

SensitivityField = Annotated[
    Sensitivity,
    msgspec.Meta(
        description="How readily a finding is called: `high` finds more, `specific` errs less."
    ),
]


class IndicationForm(StudyForm, kw_only=True):
    """The images of one study to write about, and how to search with them."""

    indication: Annotated[
        str,
        msgspec.Meta(
            max_length=MAX_INDICATION, description="Why the images were taken. It is stored."
        ),
    ] = ""
    sensitivity: SensitivityField = "balanced"

    def request(self, task: Task) -> GenerationRequest:
        """Raises UserError as `options` does."""
        return GenerationRequest(
            task=task,
            options=self.options(),
            indication=self.indication,
            sensitivity=self.sensitivity,
        )


class QuestionForm(IndicationForm, kw_only=True):
    """The images of one study, and a question about them."""

    question: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=MAX_QUESTION,
            description="About the images.",
            examples=["Is the heart enlarged?"],
        ),
    ]

    def request(self, task: Task) -> GenerationRequest:
        """Raises UserError also for an empty question."""
        return replace(super().request("report"), task=task, question=self.question)


class SearchForm(StudyForm, kw_only=True):
    """Images, text or both, or an indexed case, and how to search with them."""

    images: list[UploadFile] = msgspec.field(default_factory=list)
    """One file per view of one study; none to search by text alone."""
    text: Annotated[str, msgspec.Meta(description="What a report would say.")] | None = None
    case: (
        Annotated[str, msgspec.Meta(description="An indexed case, as `source:study_id`.")] | None
    ) = None
    text_weight: _TEXT_WEIGHT[1] = _TEXT_WEIGHT[2]  # type: ignore[valid-type]

    def options(self) -> SearchOptions:
        """Raises ClientException for an empty search, or for a case with images or text."""
        if self.case is not None and (self.images or self.text is not None):
            raise ClientException("a search by case takes neither images nor text: leave them out")
        if not self.images and self.text is None and self.case is None:
            raise ClientException(
                "there is nothing to search with: choose an image file (multipart form field "
                "'images') or enter text (field 'text')"
            )
        return super().options()


class ImageForm(msgspec.Struct, kw_only=True):
    """One image."""

    image: UploadFile
    accept_as_chest: Annotated[
        bool,
        msgspec.Meta(
            description="Read DICOM also if the header names another modality or body part."
        ),
    ] = False


async def read_form(request: Request[Any, Any, Any]) -> None:
    """Parse the form and keep it with the request; a ``before_request`` hook.

    Raises BusyError before reading anything if the server is busy, a 415 or ClientException for a
    text that is not UTF-8, and a 408 if the body does not arrive in time. Raises UserError for a
    field that the form of the route does not have: Litestar would ignore it, and a misspelt
    ``exclude_patient`` would exclude no patient.
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
        state.form = await _in_time(
            request,
            lambda stream: read_form_parts(stream, boundary, Spool.open(), most=most),
        )
    elif kind == RequestEncodingType.URL_ENCODED:
        state.body = await _in_time(request, _read_texts)
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
    ScopeState.from_scope(request.scope).body = await _in_time(request, _joined)


async def read_related(
    request: Request[Any, Any, Any], boundary: str, *, most: int
) -> list[SpooledFile]:
    """Read the parts of a ``multipart/related`` body. Raises as ``read_form`` does."""
    return await _in_time(
        request, lambda stream: read_related_parts(stream, boundary, Spool.open(), most=most)
    )


async def check_place(request: Request[Any, Any, Any]) -> None:
    """Raise BusyError if the server is busy; a ``before_request`` hook.

    If the connection closes after the answer, the body is read to its end first: otherwise the
    client might never see the answer. On a connection that stays open the server skips the rest.
    """
    try:
        request.app.state.check_capacity(the_caller(request))
    except BusyError:
        if _ends_with_answer(request):
            await _in_time(request, _discard)
        raise


def _ends_with_answer(request: Request[Any, Any, Any]) -> bool:
    connection_options = request.headers.get("connection", "").lower().split(",")
    return "close" in map(str.strip, connection_options) or request.scope["http_version"] == "1.0"


async def _discard(stream: AsyncIterator[bytes]) -> None:
    async for _ in stream:
        pass


async def _joined(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def _read_texts(stream: AsyncIterator[bytes]) -> bytes:
    data = bytearray()
    async for chunk in stream:
        data += chunk
        if len(data) > _MAX_URL_ENCODED_BYTES:
            raise RequestEntityTooLarge
    return bytes(data)


async def _in_time(
    request: Request[Any, Any, Any],
    read: Callable[[AsyncIterator[bytes]], Coroutine[Any, Any, T]],
) -> T:
    """Read the body: ``body_seconds`` for up to ``max_body_bytes``, and again for as many more."""
    state = request.app.state
    begun = anyio.current_time()

    async def stream(scope: anyio.CancelScope) -> AsyncIterator[bytes]:
        received = 0
        async for chunk in request.stream():
            received += len(chunk)
            times = 1 + received // state.max_body_bytes
            scope.deadline = begun + times * state.body_seconds
            yield chunk

    try:
        with anyio.fail_after(state.body_seconds) as scope:
            return await read(stream(scope))
    except TimeoutError as error:
        raise HTTPException(
            status_code=408, detail="the request arrived too slowly: send it again, or fewer images"
        ) from error


def read_uploads(
    files: Sequence[UploadFile], *, limit: int, accept_as_chest: bool = False
) -> tuple[Upload, ...]:
    """Name the files of a form. Raises TooLargeError for more than ``limit`` files, and
    ClientException for what is no file."""
    if len(files) > limit:
        raise TooLargeError(
            f"{len(files)} images were sent, one study may have {limit}: send its views only"
        )
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
