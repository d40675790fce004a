"""Films before any search: POST /films shows one, GET /sample hands out one to try."""

from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Body
from litestar.status_codes import HTTP_200_OK

from api.pipeline import Pipeline
from api.problems import problems
from api.uploads import FilmForm, read_form, read_uploads

_PNG = ResponseSpec(bytes, media_type="image/png", description="PNG", generate_examples=False)
_FILE = ResponseSpec(
    bytes,
    media_type="application/octet-stream",
    description="The file as it is",
    generate_examples=False,
)


class FilmController(Controller):
    tags = ("films",)

    @post(
        "/films",
        operation_id="previewFilm",
        summary="See a film as the search sees it",
        status_code=HTTP_200_OK,
        media_type="image/png",
        before_request=read_form,
        responses={200: _PNG, **problems(400, 403, 413, 421, 422, 500)},
    )
    async def preview(
        self,
        data: Annotated[FilmForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        pipeline: NamedDependency[Pipeline],
    ) -> Response[bytes]:
        """The decoded film as PNG, lungs dark; browsers cannot show DICOM. Nothing is stored."""
        (upload,) = await read_uploads([data.image], limit=1)
        return Response(await pipeline.preview(upload), media_type="image/png")

    @get(
        "/sample",
        operation_id="getSampleFilm",
        summary="Fetch the sample film",
        media_type="application/octet-stream",
        responses={200: _FILE, **problems(400, 404, 421, 500)},
    )
    async def sample(self, pipeline: NamedDependency[Pipeline]) -> Response[bytes]:
        """The file named by `--sample` when the server was started."""
        return Response(
            await pipeline.sample(),
            media_type="application/octet-stream",
            headers={"Content-Disposition": "attachment"},
        )
