"""POST /searches: find the prior cases most similar to a study, a text or a case."""

from typing import Annotated, Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.status_codes import HTTP_200_OK

from api.middleware.access import GENERATE, Caller
from api.middleware.connection import while_connected
from api.middleware.problems import GUARDED, problems
from api.pipeline.pipeline import Pipeline
from api.schemas.forms import SearchForm
from api.schemas.searches import SearchDocument
from api.settings import Settings
from api.uploads import read_form, read_uploads


class SearchController(Controller):
    path = "/searches"
    tags = ("searches",)

    @post(
        operation_id="search",
        summary="Search prior cases",
        opt=GENERATE,
        status_code=HTTP_200_OK,
        before_request=read_form,
        responses=problems(400, 404, 408, 409, 413, 422, 503, *GUARDED),
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        data: Annotated[SearchForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        pipeline: NamedDependency[Pipeline],
        settings: NamedDependency[Settings],
        caller: NamedDependency[Caller],
    ) -> SearchDocument:
        """Return the cases most similar to the study, text or case, best first.

        Nothing is stored but an audit entry. A search by text needs an index whose encoder has a
        text tower; see `search_by_text` in `GET /health`.
        """
        options = data.options()
        uploads = read_uploads(
            data.images,
            limit=settings.max_images,
            accept_as_chest=options.accept_as_chest,
        )
        retrieval = await while_connected(
            request,
            lambda: pipeline.search(uploads, options, caller, text=data.text, case=data.case),
        )
        return SearchDocument.of(retrieval)
