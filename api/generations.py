"""GET /generations: what was written before; and what people said of it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from anyio.to_thread import run_sync
from litestar import Controller, delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from api.access import GENERATE, READ, Caller
from api.case_keys import split_case_key
from api.current_index import CurrentIndex
from api.generation_schemas import GenerationDocument, GenerationList
from api.pipeline import Pipeline
from api.problems import GUARDED, problems
from db.app_database import AppDatabase
from db.errors import ForbiddenError
from db.generation import Generation
from db.generations import GenerationFilter

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
            str | None, QueryParameter(max_length=600, description="A case that is cited.")
        ] = None,
        film_sha256: Annotated[str | None, QueryParameter(max_length=64)] = None,
    ) -> GenerationList:
        """All filters given must hold."""
        wanted = GenerationFilter(
            task=task,
            created_by=created_by,
            since=since,
            until=until,
            index_fingerprint=index_fingerprint,
            text=text,
            cites=None if cites is None else split_case_key(cites),
            film_sha256=film_sha256,
        )
        page = database.generations.page
        return GenerationList.of(
            await run_sync(lambda: page(limit=limit, before=before, wanted=wanted))
        )

    @get(
        "/{generation_id:uuid}",
        operation_id="getGeneration",
        summary="Read a stored report",
        opt=READ,
        responses=problems(400, 404, *GUARDED),
    )
    async def read(
        self,
        generation_id: FromPath[UUID],
        database: NamedDependency[AppDatabase],
        current: NamedDependency[CurrentIndex],
    ) -> GenerationDocument:
        """The report as it was written, with its citations and their quotes.

        `case_available` and `index.current` tell what the index that is open now still holds.
        """
        return await document(current, await run_sync(database.generations.get, generation_id))

    @delete(
        "/{generation_id:uuid}",
        operation_id="deleteGeneration",
        summary="Delete a stored report",
        opt=GENERATE,
        responses=problems(400, 404, *GUARDED),
    )
    async def delete(
        self,
        generation_id: FromPath[UUID],
        database: NamedDependency[AppDatabase],
        pipeline: NamedDependency[Pipeline],
        caller: NamedDependency[Caller],
    ) -> None:
        """The report, its citations and its feedback go; the audit log keeps that it was there.

        Another key's report takes the scope `admin`.
        """
        generation = await run_sync(database.generations.get, generation_id)
        check_owner(generation.created_by, caller)
        entry = pipeline.entry("generation deleted", caller, generation=str(generation_id))
        await run_sync(lambda: database.generations.delete(generation_id, audit=entry))


def check_owner(created_by: str | None, caller: Caller) -> None:
    """Raises ForbiddenError where the caller may not change what is another's."""
    if created_by != caller.name and not caller.may("admin"):
        raise ForbiddenError("this was asked for with another API key: use that, or an admin's")


async def document(current: CurrentIndex, generation: Generation) -> GenerationDocument:
    """A generation for the wire, seen from the index that is open now."""
    hits = {(hit.source, hit.study_id) for hit in generation.hits}
    available = await current.available(generation.cited | hits)
    return GenerationDocument.of(generation, available, current.manifest.fingerprint)
