"""POST /reports, /answers, /classifications, /captions: write about the images of a study."""

from typing import Annotated

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Response

from api.delivery import DELIVERED, Delivery
from api.middleware.access import GENERATE
from api.schemas.forms import IndicationForm, QuestionForm, ReportForm
from api.uploads import read_form
from db.app.generation import Generation

MULTIPART = Body(media_type=RequestEncodingType.MULTI_PART)
Study = Annotated[IndicationForm, MULTIPART]
WithPrior = Annotated[ReportForm, MULTIPART]
Question = Annotated[QuestionForm, MULTIPART]


def task(path: str, operation_id: str, summary: str) -> post:
    """Declare a route that takes the form of a study and answers with a generation."""
    return post(
        path,
        operation_id=operation_id,
        summary=summary,
        tags=[path.removeprefix("/")],
        before_request=read_form,
        responses=DELIVERED,
    )


class TaskController(Controller):
    """One route per task; all results are stored and delivered in the same way."""

    opt = GENERATE

    @task("/reports", "createReport", "Write a report for one study")
    async def report(
        self, data: WithPrior, delivery: NamedDependency[Delivery]
    ) -> Response[Generation]:
        """Search prior cases for the images and write a report in which every sentence cites them.

        With the patient's own prior study, sent as `prior_images` or found in the index, the report
        also says which findings are new, no longer seen or unchanged; without one it never does.
        The report is stored; the images are not. `Accept: text/event-stream` streams each step,
        after the research-use line.
        `Prefer: respond-async` answers 202 at once and keeps the images, without their headers,
        until the report is stored.
        """
        return await delivery.deliver(data.images, data.request("report"), data.prior_images)

    @task("/answers", "createAnswer", "Answer a question about one study")
    async def answer(
        self, data: Question, delivery: NamedDependency[Delivery]
    ) -> Response[Generation]:
        """Answer in a few words, with the prior cases that support the answer.

        Without a language model the assessment, the views and the hits answer; what they do not
        hold is declined in one sentence. Stored and delivered like reports.
        """
        return await delivery.deliver(data.images, data.request("ask"))

    @task("/classifications", "createClassification", "Say how likely each observation is")
    async def classification(
        self, data: Study, delivery: NamedDependency[Delivery]
    ) -> Response[Generation]:
        """Estimate the probability of each observation.

        The estimate combines the votes of the retrieved cases, the encoder's label head and the
        language model, if one is served. Observations that are more likely than not are stated,
        with the hits that name them. Stored and delivered like reports.
        """
        return await delivery.deliver(data.images, data.request("classify"))

    @task("/captions", "createCaption", "Describe one study in one sentence")
    async def caption(
        self, data: Study, delivery: NamedDependency[Delivery]
    ) -> Response[Generation]:
        """Write one statement with the prior cases that support it.

        Stored and delivered like reports.
        """
        return await delivery.deliver(data.images, data.request("caption"))
