"""POST /searches: the prior cases most like one study, some words, or both."""

from typing import Annotated

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.status_codes import HTTP_200_OK

from api.pipeline import Pipeline
from api.problems import problems
from api.schemas import SearchDocument
from api.uploads import SearchForm, read_form, read_uploads


class SearchController(Controller):
    path = "/searches"
    tags = ("searches",)

    @post(
        operation_id="search",
        summary="Search prior cases",
        status_code=HTTP_200_OK,
        before_request=read_form,
        responses=problems(400, 403, 409, 413, 421, 422, 500),
    )
    async def create(
        self,
        data: Annotated[SearchForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        pipeline: NamedDependency[Pipeline],
    ) -> SearchDocument:
        """The cases most like the study or the words, best first. Nothing is stored.

        Words need an index whose encoder has a text tower; see `search_by_text` in `GET /health`.
        """
        options = data.options()
        uploads = await read_uploads(data.images, limit=pipeline.max_images)
        return SearchDocument.of(await pipeline.search(uploads, options, text=data.text))
