"""GET /cases: show the prior cases that citations point to."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter

from api.middleware.access import READ, Caller
from api.middleware.audit_queue import AuditQueue
from api.middleware.connection import while_connected
from api.middleware.problems import GUARDED, problems
from api.pipeline.current_index import CurrentIndex
from api.pipeline.pipeline import Pipeline
from api.schemas.cases import CaseDocument
from api.schemas.display import DISPLAY_HEADER, display_headers

_Key = Annotated[str, PathParameter(description="The case as `source:study_id`.")]
_PNG = ResponseSpec(bytes, media_type="image/png", description="PNG", generate_examples=False)


class CaseController(Controller):
    path = "/cases"
    tags = ("cases",)

    @get(
        "/{key:str}",
        operation_id="getCase",
        summary="Read a prior case",
        opt=READ,
        responses=problems(400, 404, 422, *GUARDED),
    )
    async def read(
        self,
        key: _Key,
        current: NamedDependency[CurrentIndex],
        audit: NamedDependency[AuditQueue],
        caller: NamedDependency[Caller],
    ) -> CaseDocument:
        """Show the report, labels and images of an indexed study."""
        case = await current.case(key)
        audit.add("case read", caller.name, case=key)
        return CaseDocument.of(case)

    @get(
        "/{key:str}/images/{number:int}",
        operation_id="getCaseImage",
        summary="Fetch an image of a prior case",
        media_type="image/png",
        opt=READ,
        response_headers=[DISPLAY_HEADER],
        responses={200: _PNG, **problems(400, 404, 413, 422, *GUARDED)},
    )
    async def image(
        self,
        request: Request[Any, Any, Any],
        key: _Key,
        number: Annotated[int, PathParameter(description="From 1.")],
        pipeline: NamedDependency[Pipeline],
        audit: NamedDependency[AuditQueue],
        caller: NamedDependency[Caller],
    ) -> Response[bytes]:
        """Return the image as PNG; 404 if the data set is not on this machine."""
        file = await pipeline.current.case_image(key, number)
        image = await while_connected(request, lambda: pipeline.images.preview(file, caller))
        audit.add("case image read", caller.name, case=key, image=number)
        return Response(image.png, media_type="image/png", headers=display_headers(image))
