"""Deliver a generation at once, as a stream of steps, or later."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Response, ServerSentEvent
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from api.events import StreamEvent, events, server_sent
from api.middleware.access import Caller
from api.middleware.connection import while_connected
from api.middleware.problems import GUARDED, problems
from api.pipeline.jobs import JobRunner
from api.pipeline.pipeline import Pipeline
from api.routes.generations import document
from api.schemas.jobs import PendingGeneration
from api.settings import Settings
from api.uploads import Upload, read_uploads
from db.app.generation import Generation
from db.app.jobs.study import JobStudy
from generator.request import GenerationRequest

EVENT_STREAM = "text/event-stream"

DELIVERED: dict[int, ResponseSpec] = {
    200: ResponseSpec(
        StreamEvent,
        media_type=EVENT_STREAM,
        description="Progress events, then the result.",
        generate_examples=False,
    ),
    202: ResponseSpec(
        PendingGeneration,
        description="Accepted; it will be at `Location`.",
        generate_examples=False,
    ),
    **problems(400, 408, 409, 413, 422, 503, *GUARDED),
}
"""Responses of a delivery besides a 201, for the OpenAPI entry of a route."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Runs one request for a generation and delivers the result."""

    request: Request[Any, Any, Any]
    pipeline: Pipeline
    runner: JobRunner
    settings: Settings
    caller: Caller

    async def deliver(
        self,
        images: Sequence[UploadFile],
        wanted: GenerationRequest,
        prior: Sequence[UploadFile] = (),
    ) -> Response[Generation]:
        """Return the stored generation; ``prior`` are the images of the patient's prior study.

        With ``Accept: text/event-stream`` return its progress as a stream; with
        ``Prefer: respond-async`` return at once the address where it will be.
        """
        request, pipeline, caller = self.request, self.pipeline, self.caller
        pipeline.check_task(wanted.task)
        later = _responds_later(request)
        if later:
            await self.runner.check_capacity(1)
            await pipeline.check_exclusions(wanted.options)
        uploads = read_uploads(
            images,
            limit=self.settings.max_images,
            accept_as_chest=wanted.options.accept_as_chest,
        )
        before: Sequence[Upload] = read_uploads(
            prior,
            limit=self.settings.max_images,
            accept_as_chest=wanted.options.accept_as_chest,
        )
        wanted, before = await pipeline.with_prior(wanted, before)
        if later:
            with pipeline.enter(caller):
                study = await while_connected(request, lambda: self._keep(uploads, wanted, before))
            return _later(PendingGeneration.of(study))
        if request.accept.best_match(["application/json", EVENT_STREAM]) == EVENT_STREAM:
            pipeline.check_capacity(caller)
            progress = events(
                lambda emit: pipeline.generate(uploads, wanted, caller, prior=before, emit=emit)
            )
            stream = server_sent(progress, lambda made: document(pipeline.current, made))
            return ServerSentEvent(stream, status_code=HTTP_200_OK)  # type: ignore[return-value]
        made = await while_connected(
            request, lambda: pipeline.generate(uploads, wanted, caller, prior=before)
        )
        return Response(
            await document(pipeline.current, made),
            headers={"Location": f"/generations/{made.id}"},
        )

    async def _keep(
        self, uploads: Sequence[Upload], wanted: GenerationRequest, prior: Sequence[Upload]
    ) -> JobStudy:
        images = await self.pipeline.images.encode(uploads, self.caller)
        before = await self.pipeline.images.encode(prior, self.caller)
        async with self.runner.receive(self.caller) as job:
            return await job.add(images, wanted, before)


def delivery(
    request: Request[Any, Any, Any],
    pipeline: NamedDependency[Pipeline],
    runner: NamedDependency[JobRunner],
    settings: NamedDependency[Settings],
    caller: NamedDependency[Caller],
) -> Delivery:
    """Provide the delivery of a request, as a dependency."""
    return Delivery(
        request=request, pipeline=pipeline, runner=runner, settings=settings, caller=caller
    )


def _responds_later(request: Request[Any, Any, Any]) -> bool:
    """Whether the client asked for an answer later (``Prefer: respond-async``, RFC 7240)."""
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
