"""POST /reports: a grounded report for the films of one study, at once, in steps, or later."""

import re
from typing import Annotated, Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Body
from litestar.response import Response, ServerSentEvent
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from api.access import GENERATE, Caller
from api.connection import while_connected
from api.events import events, server_sent
from api.generation_schemas import GenerationDocument
from api.generations import document
from api.job_schemas import PendingGeneration
from api.jobs import JobRunner
from api.pipeline import Pipeline
from api.problems import GUARDED, problems
from api.settings import Settings
from api.uploads import StudyForm, read_form, read_uploads

EVENT_STREAM = "text/event-stream"
_STREAM = ResponseSpec(
    str,
    media_type=EVENT_STREAM,
    description="Events `stage`, `token`, and at the end `report` or `problem`.",
    generate_examples=False,
)
_LATER = ResponseSpec(
    PendingGeneration,
    description="Accepted; the report will be at `Location`.",
    generate_examples=False,
)


class ReportController(Controller):
    path = "/reports"
    tags = ("reports",)

    @post(
        operation_id="createReport",
        summary="Write a report for one study",
        opt=GENERATE,
        before_request=read_form,
        responses={
            200: _STREAM,
            202: _LATER,
            **problems(400, 408, 409, 413, 422, 503, *GUARDED),
        },
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        data: Annotated[StudyForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        pipeline: NamedDependency[Pipeline],
        runner: NamedDependency[JobRunner],
        settings: NamedDependency[Settings],
        caller: NamedDependency[Caller],
    ) -> Response[GenerationDocument]:
        """Search prior cases for the films and write a report in which every sentence cites them.

        The report is stored; the films are not. `Accept: text/event-stream` tells of each step as
        it is taken. `Prefer: respond-async` answers 202 at once and keeps the films, without their
        headers, until the report is stored.
        """
        uploads = await read_uploads(data.images, limit=settings.max_images)
        options = data.options()
        if _is_patient(request):
            with pipeline.enter(caller):
                films = await pipeline.read(uploads, caller)
                (study,) = await runner.accept([films], options, caller)
            return _later(PendingGeneration.of(study))
        if request.accept.best_match(["application/json", EVENT_STREAM]) == EVENT_STREAM:
            pipeline.check_place(caller)
            happening = events(lambda tell: pipeline.report(uploads, options, caller, tell=tell))
            stream = server_sent(happening, lambda made: document(pipeline.current, made))
            return ServerSentEvent(stream, status_code=HTTP_200_OK)  # type: ignore[return-value]
        made = await while_connected(request, lambda: pipeline.report(uploads, options, caller))
        return Response(
            await document(pipeline.current, made),
            headers={"Location": f"/generations/{made.id}"},
        )


def _is_patient(request: Request[Any, Any, Any]) -> bool:
    """Whether the client would rather ask again later (RFC 7240)."""
    preferences = re.split(r"[,;\s]+", request.headers.get("prefer", "").lower())
    return "respond-async" in preferences


def _later(pending: PendingGeneration) -> Response[Any]:
    return Response(
        pending,
        status_code=HTTP_202_ACCEPTED,
        headers={
            "Location": f"/generations/{pending.id}",
            "Preference-Applied": "respond-async",
            "Retry-After": "1",
        },
    )
