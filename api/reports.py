"""POST /reports: a grounded report for the films of one study."""

from typing import Annotated

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Response

from api.generations import document
from api.pipeline import Pipeline
from api.problems import problems
from api.schemas import GenerationDocument
from api.uploads import StudyForm, read_form, read_uploads


class ReportController(Controller):
    path = "/reports"
    tags = ("reports",)

    @post(
        operation_id="createReport",
        summary="Write a report for one study",
        before_request=read_form,
        responses=problems(400, 403, 409, 413, 421, 422, 500),
    )
    async def create(
        self,
        data: Annotated[StudyForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        pipeline: NamedDependency[Pipeline],
    ) -> Response[GenerationDocument]:
        """Search prior cases for the films and write a report in which every sentence cites them.

        The report is stored; the films are not.
        """
        uploads = await read_uploads(data.images, limit=pipeline.max_images)
        generation = await pipeline.report(uploads, data.options())
        return Response(
            await document(pipeline, generation),
            headers={"Location": f"/generations/{generation.id}"},
        )
