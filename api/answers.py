"""POST /answers: a short answer to a question about the films of one study."""

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
from api.uploads import QuestionForm, read_form


class AnswerController(Controller):
    path = "/answers"
    tags = ("answers",)

    @post(
        operation_id="createAnswer",
        summary="Answer a question about one study",
        opt=GENERATE,
        before_request=read_form,
        responses=DELIVERED,
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        data: Annotated[QuestionForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        pipeline: NamedDependency[Pipeline],
        runner: NamedDependency[JobRunner],
        settings: NamedDependency[Settings],
        caller: NamedDependency[Caller],
    ) -> Response[GenerationDocument]:
        """A language model answers in a few words, with the prior cases that bear the answer out.

        Stored and delivered as reports are. A server without a language model answers 409.
        """
        return await deliver(
            request,
            data.images,
            data.order("ask"),
            pipeline=pipeline,
            runner=runner,
            settings=settings,
            caller=caller,
        )
