"""POST and GET /generations/ID/feedback: feedback on a report."""

from datetime import datetime
from functools import partial
from typing import Annotated, Self
from uuid import UUID, uuid4

import msgspec
from anyio.to_thread import run_sync
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.middleware.access import GENERATE, READ, Caller
from api.middleware.audit_queue import AuditQueue
from api.middleware.problems import GUARDED, problems
from api.pipeline.pipeline import Pipeline
from api.uploads import receive_body
from db.app.database import AppDatabase
from db.app.feedback import Feedback, Kind
from db.app.generation import Generation
from db.errors import UserError

_Words = Annotated[str, msgspec.Meta(max_length=20_000)]


class NewFeedback(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A remark on a report."""

    kind: Kind
    """`accepted` as it stands; `edited`, with the better text; or a `wrong_citation`."""
    text: _Words | None = None
    """The whole report, or the sentence named by `statement`, as it should have been."""
    statement: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Position of the sentence meant, from 0."""
    citation: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The number of the citation that does not support the sentence."""
    comment: _Words | None = None

    def check(self, generation: Generation) -> None:
        """Raises UserError if a field does not fit the kind or the report."""
        if (self.kind == "edited") != (self.text is not None):
            raise UserError("'text' belongs to feedback of kind 'edited', and to that alone")
        if self.kind == "wrong_citation" and (self.statement is None or self.citation is None):
            raise UserError("a wrong citation is named by 'statement' and 'citation'")
        meant, where = generation.statements, "the report"
        if self.statement is not None:
            if self.statement >= len(meant):
                raise UserError(
                    f"there is no statement {self.statement}: the report has {len(meant)}, "
                    "counted from 0"
                )
            meant, where = (meant[self.statement],), f"statement {self.statement}"
        numbers = {citation.number for statement in meant for citation in statement.citations}
        if self.citation is not None and self.citation not in numbers:
            raise UserError(f"{where} does not cite [{self.citation}]")


class FeedbackDocument(msgspec.Struct, kw_only=True):
    """A remark on a report, as it is stored."""

    id: UUID
    created_at: datetime
    created_by: str
    kind: Kind
    text: str | None
    statement: int | None
    citation: int | None
    comment: str | None

    @classmethod
    def of(cls, feedback: Feedback) -> Self:
        return msgspec.convert(feedback, cls, from_attributes=True)


class FeedbackController(Controller):
    path = "/generations/{generation_id:uuid}/feedback"
    tags = ("generations",)
    request_max_body_size = 1_000_000

    @post(
        operation_id="createFeedback",
        summary="Give feedback on a report",
        opt=GENERATE,
        before_request=receive_body,
        responses=problems(400, 404, 408, 413, 422, *GUARDED),
    )
    async def create(
        self,
        generation_id: FromPath[UUID],
        data: JSONBody[NewFeedback],
        database: NamedDependency[AppDatabase],
        pipeline: NamedDependency[Pipeline],
        caller: NamedDependency[Caller],
    ) -> FeedbackDocument:
        """Store the feedback with the report, for readers and for later training."""
        get = partial(database.generations.get, generation_id, owner=caller.owner)
        data.check(await run_sync(get))
        feedback = Feedback(
            id=uuid4(),
            generation_id=generation_id,
            created_at=pipeline.clock(),
            created_by=caller.name,
            kind=data.kind,
            text=data.text,
            statement=data.statement,
            citation=data.citation,
            comment=data.comment,
        )
        entry = pipeline.entry("feedback", caller, generation=str(generation_id), kind=data.kind)
        await run_sync(lambda: database.feedback.add(feedback, audit=entry))
        return FeedbackDocument.of(feedback)

    @get(
        operation_id="listFeedback",
        summary="Read the feedback on a report",
        opt=READ,
        responses=problems(400, 404, *GUARDED),
    )
    async def list_all(
        self,
        generation_id: FromPath[UUID],
        database: NamedDependency[AppDatabase],
        audit: NamedDependency[AuditQueue],
        caller: NamedDependency[Caller],
    ) -> list[FeedbackDocument]:
        """List the feedback in the order in which it was given."""
        of = partial(database.feedback.of, generation_id, owner=caller.owner)
        found = await run_sync(of)
        audit.add("feedback read", caller.name, generation=str(generation_id))
        return [FeedbackDocument.of(feedback) for feedback in found]
