"""POST /reports: a grounded report for the films of one study."""

from typing import Annotated, Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Response

from api.access import GENERATE, Caller
from api.delivery import DELIVERED, deliver
from api.generation_schemas import GenerationDocument
from api.jobs import JobRunner
from api.pipeline import Pipeline
from api.settings import Settings
from api.uploads import IndicationForm, read_form


class ReportController(Controller):
    path = "/reports"
    tags = ("reports",)

    @post(
        operation_id="createReport",
        summary="Write a report for one study",
        opt=GENERATE,
        before_request=read_form,
        responses=DELIVERED,
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        data: Annotated[IndicationForm, Body(media_type=RequestEncodingType.MULTI_PART)],
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
        return await deliver(
            request,
            data.images,
            data.order("report"),
            pipeline=pipeline,
            runner=runner,
            settings=settings,
            caller=caller,
        )
