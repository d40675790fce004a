"""GET /generations: what was written before."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from api.pipeline import Pipeline
from api.problems import problems
from api.schemas import GenerationDocument, GenerationList
from db.generations import Generation


class GenerationController(Controller):
    path = "/generations"
    tags = ("generations",)

    @get(
        operation_id="listGenerations",
        summary="List stored reports, newest first",
        responses=problems(400, 404, 421, 500),
    )
    async def list_all(
        self,
        pipeline: NamedDependency[Pipeline],
        limit: Annotated[int, QueryParameter(ge=1, le=100, description="Length of a page.")] = 20,
        before: Annotated[
            UUID | None, QueryParameter(description="Only those stored before this one.")
        ] = None,
    ) -> GenerationList:
        return GenerationList.of(await pipeline.generations(limit=limit, before=before))

    @get(
        "/{generation_id:uuid}",
        operation_id="getGeneration",
        summary="Read a stored report",
        responses=problems(400, 404, 421, 500),
    )
    async def read(
        self, generation_id: FromPath[UUID], pipeline: NamedDependency[Pipeline]
    ) -> GenerationDocument:
        """The report as it was written, with its citations and their quotes.

        `case_available` and `index.current` tell what the index that is open now still holds.
        """
        return await document(pipeline, await pipeline.generation(generation_id))


async def document(pipeline: Pipeline, generation: Generation) -> GenerationDocument:
    """A generation for the wire, seen from the index that is open now."""
    cited = {(c.source, c.study_id) for s in generation.statements for c in s.citations}
    hits = {(hit.source, hit.study_id) for hit in generation.hits}
    available = await pipeline.available(cited | hits)
    return GenerationDocument.of(generation, available, pipeline.manifest.fingerprint)
