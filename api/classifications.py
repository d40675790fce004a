"""POST /classifications: the 14 observations of one study, each with a probability."""

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


class ClassificationController(Controller):
    path = "/classifications"
    tags = ("classifications",)

    @post(
        operation_id="createClassification",
        summary="Say how likely each observation is",
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
        """From the votes of the retrieved cases, the encoder's label head and, where one is served,
        the language model. Stored and delivered as reports are.

        Observations that are more likely than not are stated, with the hits that name them.
        """
        return await deliver(
            request,
            data.images,
            data.order("classify"),
            pipeline=pipeline,
            runner=runner,
            settings=settings,
            caller=caller,
        )
