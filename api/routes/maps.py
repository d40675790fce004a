"""What the score of an observation rests on: as PNG, as DICOM, and in the images of cases.

The regions of a generation itself are in its JSON.
"""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency, Provide
from litestar.enums import RequestEncodingType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Body, FromPath, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK

from api.export.dicom_sc import to_dicom_sc
from api.export.study_header import StudyHeader
from api.middleware.access import READ, Caller
from api.middleware.audit_queue import AuditQueue
from api.middleware.connection import while_connected
from api.middleware.problems import GUARDED, problems
from api.pipeline.pipeline import Pipeline
from api.routes.exports import DICOM, Exports, the_exports
from api.schemas.fields import AcceptAsChestField
from api.uploads import read_form, read_uploads
from db.app.generation import Generation, ScoreRegion
from db.errors import UserError
from db.labels import OBSERVATIONS
from generator.localization.files import as_png
from generator.localization.overlay import draw_map, draw_overlay
from indexer.images.radiograph import Radiograph

PNG = "image/png"

_MEANING = "An observation of the assessment, such as `Pleural Effusion`."
_PICTURE = ResponseSpec(bytes, media_type=PNG, description="PNG", generate_examples=False)
_FILE = ResponseSpec(bytes, media_type=DICOM, description="DICOM", generate_examples=False)


class MapForm(msgspec.Struct, kw_only=True):
    """An image that the report was made from, and the observation to map."""

    image: UploadFile
    observation: Annotated[
        str, msgspec.Meta(max_length=64, description=_MEANING, examples=["Pleural Effusion"])
    ]
    accept_as_chest: AcceptAsChestField = False


class MapController(Controller):
    path = "/generations/{generation_id:uuid}"
    tags = ("maps",)
    opt = READ
    dependencies = {"exports": Provide(the_exports, sync_to_thread=False)}  # noqa: RUF012

    @get(
        "/map",
        operation_id="getMap",
        summary="What a score rests on, as a transparent PNG",
        media_type=PNG,
        responses={200: _PICTURE, **problems(400, 404, *GUARDED)},
    )
    async def alone(
        self,
        generation_id: FromPath[UUID],
        exports: NamedDependency[Exports],
        observation: Annotated[str, QueryParameter(max_length=64, description=_MEANING)],
        image: Annotated[int, QueryParameter(ge=1, description="From 1.")] = 1,
    ) -> Response[bytes]:
        """Return the map of one image, in its proportions, to lay over it.

        It is made from image and observation alone and shows what the encoder's score rests on,
        not the outline of a lesion.
        """

        def write(made: Generation) -> bytes:
            return as_png(draw_map(made.region(image, observation)))

        return await exports.write(generation_id, write, PNG)

    @post(
        "/map",
        operation_id="getMapOnImage",
        summary="What a score rests on, over the image",
        status_code=HTTP_200_OK,
        media_type=PNG,
        before_request=read_form,
        responses={200: _PICTURE, **problems(400, 404, 408, 409, 413, 422, 503, *GUARDED)},
    )
    async def on_image(
        self,
        generation_id: FromPath[UUID],
        data: Annotated[MapForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        exports: NamedDependency[Exports],
        pipeline: NamedDependency[Pipeline],
        caller: NamedDependency[Caller],
    ) -> Response[bytes]:
        """Send an image that the report was made from; it is not stored, and others are refused."""
        await exports.require(generation_id)
        (upload,) = read_uploads([data.image], limit=1, accept_as_chest=data.accept_as_chest)
        with pipeline.enter(caller):
            images = await pipeline.images.read([upload], caller)

            def write(made: Generation) -> bytes:
                region = _region(made, images[0], data.observation)
                return as_png(draw_overlay(region, images[0].pixels))

            return await exports.write(generation_id, write, PNG, images)

    @post(
        "/dicom-sc",
        operation_id="exportDicomSc",
        summary="What a score rests on, as DICOM Secondary Capture",
        status_code=HTTP_200_OK,
        media_type=DICOM,
        before_request=read_form,
        responses={200: _FILE, **problems(400, 404, 408, 409, 413, 422, 503, *GUARDED)},
    )
    async def dicom_sc(
        self,
        generation_id: FromPath[UUID],
        data: Annotated[MapForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        exports: NamedDependency[Exports],
        pipeline: NamedDependency[Pipeline],
        caller: NamedDependency[Caller],
    ) -> Response[bytes]:
        """Send a DICOM image that the report was made from: the picture joins its study, beside
        the SR. Patient and study are copied from its header into the answer and not stored."""
        await exports.require(generation_id)
        (upload,) = read_uploads([data.image], limit=1, accept_as_chest=data.accept_as_chest)
        with pipeline.enter(caller):
            images = await pipeline.images.read([upload], caller)
            study = StudyHeader.of(await pipeline.images.study_attributes(upload, caller))

            def write(made: Generation) -> bytes:
                region = _region(made, images[0], data.observation)
                return to_dicom_sc(made, region, images[0], study)

            return await exports.write(generation_id, write, DICOM, images)


class CaseMapController(Controller):
    path = "/cases"
    tags = ("maps",)
    opt = READ

    @get(
        "/{key:str}/images/{number:int}/regions",
        operation_id="getCaseRegions",
        summary="What a score rests on in an image of a prior case",
        responses=problems(400, 404, 413, 422, *GUARDED),
    )
    async def regions(
        self,
        request: Request[Any, Any, Any],
        key: Annotated[str, PathParameter(description="The case as `source:study_id`.")],
        number: Annotated[int, PathParameter(description="From 1.")],
        observation: Annotated[list[str], QueryParameter(description=_MEANING)],
        pipeline: NamedDependency[Pipeline],
        audit: NamedDependency[AuditQueue],
        caller: NamedDependency[Caller],
    ) -> list[ScoreRegion]:
        """Return the regions of these observations in the image, in its pixels as indexed.

        The image is read and scored when asked; nothing is stored. 404 if it is not on this
        machine.
        """
        unknown = sorted(set(observation) - set(OBSERVATIONS))
        if unknown:
            raise UserError(f"unknown observation '{unknown[0]}': see GET /health for the names")
        file = await pipeline.current.case_image(key, number)
        with pipeline.enter(caller):
            found = await while_connected(
                request, partial(pipeline.case_regions, file, number, observation, caller)
            )
        audit.add("case image read", caller.name, case=key, image=number)
        return found


def _region(made: Generation, image: Radiograph, observation: str) -> ScoreRegion:
    """The region in an image of the generation. Raises NotFoundError where there is none."""
    return made.region(made.images_sha256.index(image.sha256) + 1, observation)
