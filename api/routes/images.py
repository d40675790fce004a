"""POST /images: preview an image. GET /sample: fetch the sample image."""

from dataclasses import replace
from typing import Annotated

import anyio
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Body
from litestar.status_codes import HTTP_200_OK

from api.middleware.access import GENERATE, READ, Caller
from api.middleware.problems import GUARDED, problems
from api.pipeline.pipeline import Pipeline
from api.schemas.display import DISPLAY_HEADER, display_headers
from api.schemas.forms import ImageForm
from api.settings import Settings
from api.uploads import read_form, read_uploads
from db.errors import NotFoundError

_PNG = ResponseSpec(bytes, media_type="image/png", description="PNG", generate_examples=False)
_FILE = ResponseSpec(
    bytes,
    media_type="application/octet-stream",
    description="The file as it is",
    generate_examples=False,
)


class ImageController(Controller):
    tags = ("images",)

    @post(
        "/images",
        operation_id="previewImage",
        summary="Preview an image as the search uses it",
        opt=GENERATE,
        status_code=HTTP_200_OK,
        media_type="image/png",
        before_request=read_form,
        response_headers=[DISPLAY_HEADER],
        responses={200: _PNG, **problems(400, 408, 413, 422, 503, *GUARDED)},
    )
    async def preview(
        self,
        data: Annotated[ImageForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        pipeline: NamedDependency[Pipeline],
        caller: NamedDependency[Caller],
    ) -> Response[bytes]:
        """Return the decoded image as PNG, lungs dark: browsers cannot show DICOM.

        Of a DICOM file, the header `Image-Display` states the size of its pixels and its own
        windows, as far as its header does. Nothing is stored.
        """
        (upload,) = read_uploads([data.image], limit=1, accept_as_chest=data.accept_as_chest)
        with pipeline.enter(caller):
            image = await pipeline.images.preview(replace(upload, window=data.window), caller)
        return Response(image.png, media_type="image/png", headers=display_headers(image))

    @get(
        "/sample",
        operation_id="getSampleImage",
        summary="Fetch the sample image",
        opt=READ,
        media_type="application/octet-stream",
        responses={200: _FILE, **problems(400, 404, *GUARDED)},
    )
    async def sample(self, settings: NamedDependency[Settings]) -> Response[bytes]:
        """Return the file that the server was started with as `--sample`."""
        if settings.sample_path is None:
            raise NotFoundError("this server has no sample image: start it with --sample FILE")
        return Response(
            await anyio.Path(settings.sample_path).read_bytes(),
            media_type="application/octet-stream",
            headers={"Content-Disposition": "attachment"},
        )
