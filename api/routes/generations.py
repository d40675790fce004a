"""GET and DELETE /generations: list, read and delete stored reports."""

from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from anyio.to_thread import run_sync
from litestar import Controller, Response, delete, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from api.middleware.access import GENERATE, READ, Caller
from api.middleware.audit_queue import AuditQueue
from api.middleware.problems import GUARDED, problems
from api.pipeline.current_index import CurrentIndex
from api.pipeline.jobs import JobRunner
from api.pipeline.pipeline import Pipeline
from api.schemas.generations import GenerationList
from api.schemas.jobs import PendingGeneration
from db.app.audit_log import DELETED
from db.app.database import AppDatabase
from db.app.generation import Generation
from db.app.generations import GenerationFilter
from db.errors import ForbiddenError, NotFoundError
from db.index.case import split_case_key

_PENDING = ResponseSpec(PendingGeneration, description="Pending.", generate_examples=False)
_Moment = Annotated[datetime | None, QueryParameter(description="ISO 8601 with its zone.")]


class GenerationController(Controller):
    path = "/generations"
    tags = ("generations",)

    @get(
        operation_id="listGenerations",
        summary="List stored reports, newest first",
        opt=READ,
        responses=problems(400, 404, 422, *GUARDED),
    )
    async def list_all(
        self,
        database: NamedDependency[AppDatabase],
        audit: NamedDependency[AuditQueue],
        caller: NamedDependency[Caller],
        limit: Annotated[int, QueryParameter(ge=1, le=100, description="Length of a page.")] = 20,
        before: Annotated[
            UUID | None, QueryParameter(description="Only those stored before this one.")
        ] = None,
        task: Annotated[str | None, QueryParameter(max_length=32)] = None,
        created_by: Annotated[
            str | None, QueryParameter(max_length=64, description="Name of an API key.")
        ] = None,
        since: _Moment = None,
        until: _Moment = None,
        index_fingerprint: Annotated[str | None, QueryParameter(max_length=64)] = None,
        text: Annotated[
            str | None, QueryParameter(max_length=256, description="Words in the text.")
        ] = None,
        cites: Annotated[
            str | None, QueryParameter(max_length=600, description="A case that the report cites.")
        ] = None,
        image_sha256: Annotated[str | None, QueryParameter(max_length=64)] = None,
    ) -> GenerationList:
        """List the reports that match all of the filters.

        Those of other API keys are listed only for a key with the scope `read-all`.
        """
        wanted = GenerationFilter(
            task=task,
            created_by=created_by,
            owner=caller.owner,
            since=since,
            until=until,
            index_fingerprint=index_fingerprint,
            text=text,
            cites=None if cites is None else split_case_key(cites),
            image_sha256=image_sha256,
        )
        page = database.generations.page
        found = await run_sync(lambda: page(limit=limit, before=before, wanted=wanted))
        if found.generations:
            shown = [str(generation.id) for generation in found.generations]
            audit.add("generations listed", caller.name, generations=shown)
        return GenerationList.of(found)

    @get(
        "/{generation_id:uuid}",
        operation_id="getGeneration",
        summary="Read a stored report",
        opt=READ,
        responses={202: _PENDING, **problems(400, 404, *GUARDED)},
    )
    async def read(
        self,
        generation_id: FromPath[UUID],
        database: NamedDependency[AppDatabase],
        current: NamedDependency[CurrentIndex],
        audit: NamedDependency[AuditQueue],
        caller: NamedDependency[Caller],
    ) -> Response[Generation | PendingGeneration]:
        """Return the report as it was written, with its citations and their quotes.

        `case_available` and `index.current` say what the open index still holds. A report that was
        requested with `Prefer: respond-async` or in a batch answers 202 until it is stored, and
        keeps its `status` if it failed or was cancelled. One of another API key answers 404, except
        to a key with the scope `read-all`.
        """

        async def stored() -> Response[Generation | PendingGeneration]:
            made = await run_sync(
                partial(database.generations.get, generation_id, owner=caller.owner)
            )
            audit.add("generation read", caller.name, generation=str(generation_id))
            return Response(await document(current, made))

        with suppress(NotFoundError):
            return await stored()
        study = partial(database.jobs.study, generation_id, owner=caller.owner)
        pending = await run_sync(study)
        if pending.status == "done":  # finished just now, or deleted since
            return await stored()
        waits = pending.status in ("queued", "running")
        return Response(
            PendingGeneration.of(pending),
            status_code=HTTP_202_ACCEPTED if waits else HTTP_200_OK,
            headers={"Retry-After": "1"} if waits else {},
        )

    @delete(
        "/{generation_id:uuid}",
        operation_id="deleteGeneration",
        summary="Delete a report, or cancel a pending one",
        opt=GENERATE,
        responses=problems(400, 404, *GUARDED),
    )
    async def delete(
        self,
        generation_id: FromPath[UUID],
        database: NamedDependency[AppDatabase],
        pipeline: NamedDependency[Pipeline],
        runner: NamedDependency[JobRunner],
        caller: NamedDependency[Caller],
    ) -> None:
        """Delete the report with its citations and feedback; the audit log keeps its entries.

        A pending report is cancelled. A report of another API key needs the scope `admin`.
        """
        owner = caller.owner
        with suppress(NotFoundError):
            study = await run_sync(partial(database.jobs.study, generation_id, owner=owner))
            check_owner(study.created_by, caller)
            if await runner.cancel(generation_id, caller):
                return
        generation = await run_sync(partial(database.generations.get, generation_id, owner=owner))
        check_owner(generation.created_by, caller)
        entry = pipeline.entry(DELETED, caller, generation=str(generation_id))
        await run_sync(lambda: database.generations.delete(generation_id, audit=entry))


def check_owner(created_by: str | None, caller: Caller) -> None:
    """Raises ForbiddenError if another key made it and the caller is no admin."""
    if created_by != caller.name and not caller.may("admin"):
        raise ForbiddenError("another API key requested this: use that key, or an admin's")


async def document(current: CurrentIndex, generation: Generation) -> Generation:
    """Mark which cited cases the open index still holds, for the answer."""
    available = await current.available(generation.cases)
    return generation.seen_from(current.manifest.fingerprint, available)
