"""POST /reports: a grounded report for the films of one study."""

from typing import Annotated, Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Response

from api.access import GENERATE, Caller
from api.connection import while_connected
from api.generation_schemas import GenerationDocument
from api.generations import document
from api.pipeline import Pipeline
from api.problems import GUARDED, problems
from api.settings import Settings
from api.uploads import StudyForm, read_form, read_uploads


class ReportController(Controller):
    path = "/reports"
    tags = ("reports",)

    @post(
        operation_id="createReport",
        summary="Write a report for one study",
        opt=GENERATE,
        before_request=read_form,
        responses=problems(400, 408, 409, 413, 422, 503, *GUARDED),
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        data: Annotated[StudyForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        pipeline: NamedDependency[Pipeline],
        settings: NamedDependency[Settings],
        caller: NamedDependency[Caller],
    ) -> Response[GenerationDocument]:
        """Search prior cases for the films and write a report in which every sentence cites them.

        The report is stored; the films are not.
        """
        uploads = await read_uploads(data.images, limit=settings.max_images)
        options = data.options()
        generation = await while_connected(
            request, lambda: pipeline.report(uploads, options, caller)
        )
        return Response(
            await document(pipeline.current, generation),
            headers={"Location": f"/generations/{generation.id}"},
        )
