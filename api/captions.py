"""POST /captions: one sentence on the films of one study."""

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


class CaptionController(Controller):
    path = "/captions"
    tags = ("captions",)

    @post(
        operation_id="createCaption",
        summary="Describe one study in one sentence",
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
        """One statement with the prior cases that it rests on.

        Stored and delivered as reports are.
        """
        return await deliver(
            request,
            data.images,
            data.order("caption"),
            pipeline=pipeline,
            runner=runner,
            settings=settings,
            caller=caller,
        )
