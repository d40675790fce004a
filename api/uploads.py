"""Uploaded images, from a multipart form to named bytes. Nothing of them is written to a path."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import PureWindowsPath
from typing import Annotated, Any

import anyio
import msgspec
from litestar import Request
from litestar.datastructures import UploadFile
from litestar.exceptions import ClientException, HTTPException

from api.middleware.access import the_caller
from api.pipeline.request import Order
from api.pipeline.scheduler import BusyError
from db.errors import TooLargeError
from generator.prompts import MAX_QUESTION, Task
from retriever.options import LabelFilter, SearchOptions


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One uploaded file."""

    name: str
    """What messages call it: the last part of the name it was sent under."""
    data: bytes


_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class StudyForm(msgspec.Struct, kw_only=True):
    """The images of one study, and how to search with them."""

    images: list[UploadFile]
    """One file a view: PNG, JPEG, TIFF, BMP, WebP or DICOM."""
    k: Annotated[int, msgspec.Meta(ge=1, le=100, description="Number of hits.")] = 10
    exclude_patient: Annotated[
        list[_Id], msgspec.Meta(description="Patients whose cases must not be hits.")
    ] = []
    exclude_study: Annotated[
        list[_Id], msgspec.Meta(description="Studies that must not be hits.")
    ] = []
    keep_near_duplicates: Annotated[
        bool, msgspec.Meta(description="Whether the very same image may be a hit.")
    ] = False
    distinct_reports: Annotated[
        bool, msgspec.Meta(description="Leave out a case that says what a better hit says.")
    ] = False
    label: Annotated[
        list[_Id], msgspec.Meta(description="Observations that every hit must name.")
    ] = []
    label_filter: Annotated[
        LabelFilter,
        msgspec.Meta(
            description="Only cases whose findings are those that the encoder sees in the images "
            "(`exact`), or share one with them (`partial`)."
        ),
    ] = "none"
    min_score: (
        Annotated[float, msgspec.Meta(ge=-1, le=1, description="Least cosine of a hit.")] | None
    ) = None
    min_ratio: (
        Annotated[
            float,
            msgspec.Meta(ge=0, le=1, description="Least share of the best hit's score."),
        ]
        | None
    ) = None
    diversity: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=1, description="How much similarity to better hits counts against a case."
        ),
    ] = 0.0

    def options(self) -> SearchOptions:
        """Raises UserError for what no search can mean."""
        return SearchOptions(
            k=self.k,
            exclude_patient_ids=tuple(self.exclude_patient),
            exclude_study_ids=tuple(self.exclude_study),
            exclude_near_duplicates=not self.keep_near_duplicates,
            distinct_reports=self.distinct_reports,
            labels=tuple(self.label),
            label_filter=self.label_filter,
            min_score=self.min_score,
            min_ratio=self.min_ratio,
            diversity=self.diversity,
        )


class IndicationForm(StudyForm, kw_only=True):
    """The images of one study to write about, and how to search with them."""

    indication: Annotated[
        str, msgspec.Meta(max_length=1_000, description="Why the images were taken. It is stored.")
    ] = ""

    def order(self, task: Task) -> Order:
        """Raises UserError as `options` does."""
        return Order(task=task, options=self.options(), indication=self.indication)


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

    def order(self, task: Task) -> Order:
        """Raises UserError also for a question without words."""
        return replace(super().order("report"), task=task, question=self.question)


class SearchForm(StudyForm, kw_only=True):
    """Images, words or both, or an indexed case, and how to search with them."""

    images: list[UploadFile] = []
    """One file a view of one study; none to search by words alone."""
    text: Annotated[str, msgspec.Meta(description="What a report would say.")] | None = None
    case: (
        Annotated[str, msgspec.Meta(description="An indexed case, as `source:study_id`.")] | None
    ) = None
    text_weight: Annotated[
        float,
        msgspec.Meta(ge=0, le=1, description="What the words weigh beside the images."),
    ] = 0.5

    def options(self) -> SearchOptions:
        """Raises ClientException for nothing to search with, or too much."""
        if self.case is not None and (self.images or self.text is not None):
            raise ClientException("a case is searched with alone: leave out images and words")
        if not self.images and self.text is None and self.case is None:
            raise ClientException(
                "there is nothing to search with: choose an image file (multipart form field "
                "'images') or write words (field 'text')"
            )
        return replace(super().options(), text_weight=self.text_weight)


class ImageForm(msgspec.Struct, kw_only=True):
    """One image."""

    image: UploadFile


FIELDS = {"study"}.union(
    *(form.__struct_fields__ for form in (QuestionForm, SearchForm, ImageForm))
)
"""Fields that any form has, ``study`` that of a batch. Others are refused: a misspelt
``exclude_patient`` excludes nobody."""


async def read_form(request: Request[Any, Any, Any]) -> None:
    """``before_request`` hook: the parsed form is kept with the request.

    Raises BusyError before anything is read where there is no place for the request,
    ClientException for a field that no form has and for text fields that cannot be decoded, which
    Litestar takes for a defect of the server, and a 408 where the body does not come to its end in
    time.
    """
    await _check_place(request)
    try:
        await _in_time(request, request.form)
    except (UnicodeDecodeError, LookupError) as error:
        raise ClientException("a text field of the form is not UTF-8 text") from error
    unknown = sorted(set(await request.form()) - FIELDS)
    if unknown:
        raise ClientException(
            f"there is no field '{unknown[0][:80]}': see /schema for those there are"
        )


async def read_body(request: Request[Any, Any, Any]) -> None:
    """``before_request`` hook: the body in memory; a 503 or a 408 as of ``read_form``."""
    await _check_place(request)
    await _in_time(request, request.body)


async def _check_place(request: Request[Any, Any, Any]) -> None:
    """Raises BusyError. Of a connection that stays open the server passes over what still comes;
    one that it closes at the answer is read to the end first, or the client might never see it."""
    try:
        request.app.state.check_place(the_caller(request))
    except BusyError:
        if _ends_with_answer(request):
            await _in_time(request, lambda: _pass_over(request))
        raise


def _ends_with_answer(request: Request[Any, Any, Any]) -> bool:
    wishes = request.headers.get("connection", "").lower().split(",")
    return "close" in map(str.strip, wishes) or request.scope["http_version"] == "1.0"


async def _pass_over(request: Request[Any, Any, Any]) -> None:
    async for _ in request.stream():
        pass


async def _in_time(
    request: Request[Any, Any, Any], read: Callable[[], Coroutine[Any, Any, object]]
) -> None:
    try:
        with anyio.fail_after(request.app.state.body_seconds):
            await read()
    except TimeoutError as error:
        raise HTTPException(
            status_code=408, detail="the request came too slowly: send it again, or fewer images"
        ) from error


async def read_uploads(files: Sequence[UploadFile], *, limit: int) -> tuple[Upload, ...]:
    """The files in memory. Raises TooLargeError for more than ``limit``."""
    if len(files) > limit:
        raise TooLargeError(
            f"{len(files)} images were sent, one study may have {limit}: send its views only"
        )
    return tuple([Upload(name=_last_part(file.filename), data=await file.read()) for file in files])


def _last_part(name: str) -> str:
    """File names of either kind of system; the folders of a stranger's disk are not ours."""
    return PureWindowsPath(name).name or "the image"
