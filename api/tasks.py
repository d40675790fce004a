"""POST /reports, /answers, /classifications, /captions: what is written of the films of a study."""

from typing import Annotated

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Response

from api.access import GENERATE
from api.delivery import DELIVERED, Delivery
from api.generation_schemas import GenerationDocument
from api.uploads import IndicationForm, QuestionForm, read_form

MULTIPART = Body(media_type=RequestEncodingType.MULTI_PART)
Study = Annotated[IndicationForm, MULTIPART]
Question = Annotated[QuestionForm, MULTIPART]


class TaskController(Controller):
    """One route a task; all are stored and delivered alike."""

    opt = GENERATE

    @post(
        "/reports",
        operation_id="createReport",
        summary="Write a report for one study",
        tags=["reports"],
        before_request=read_form,
        responses=DELIVERED,
    )
    async def report(
        self, data: Study, delivery: NamedDependency[Delivery]
    ) -> Response[GenerationDocument]:
        """Search prior cases for the films and write a report in which every sentence cites them.

        The report is stored; the films are not. `Accept: text/event-stream` tells of each step as
        it is taken. `Prefer: respond-async` answers 202 at once and keeps the films, without their
        headers, until the report is stored.
        """
        return await delivery.deliver(data.images, data.order("report"))

    @post(
        "/answers",
        operation_id="createAnswer",
        summary="Answer a question about one study",
        tags=["answers"],
        before_request=read_form,
        responses=DELIVERED,
    )
    async def answer(
        self, data: Question, delivery: NamedDependency[Delivery]
    ) -> Response[GenerationDocument]:
        """A language model answers in a few words, with the prior cases that bear the answer out.

        Stored and delivered as reports are. A server without a language model answers 409.
        """
        return await delivery.deliver(data.images, data.order("ask"))

    @post(
        "/classifications",
        operation_id="createClassification",
        summary="Say how likely each observation is",
        tags=["classifications"],
        before_request=read_form,
        responses=DELIVERED,
    )
    async def classification(
        self, data: Study, delivery: NamedDependency[Delivery]
    ) -> Response[GenerationDocument]:
        """From the votes of the retrieved cases, the encoder's label head and, where one is served,
        the language model. Stored and delivered as reports are.

        Observations that are more likely than not are stated, with the hits that name them.
        """
        return await delivery.deliver(data.images, data.order("classify"))

    @post(
        "/captions",
        operation_id="createCaption",
        summary="Describe one study in one sentence",
        tags=["captions"],
        before_request=read_form,
        responses=DELIVERED,
    )
    async def caption(
        self, data: Study, delivery: NamedDependency[Delivery]
    ) -> Response[GenerationDocument]:
        """One statement with the prior cases that it rests on.

        Stored and delivered as reports are.
        """
        return await delivery.deliver(data.images, data.order("caption"))
