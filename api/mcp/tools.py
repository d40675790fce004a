"""The tools: what each takes, needs and does. Nothing here knows the protocol.

answer = await TOOLS["ask"].run(service, caller, AskArguments(images=[...], question="..."))
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from anyio.to_thread import run_sync

from api.mcp.answers import ToolAnswer, case_answer, generation_answer, search_answer
from api.mcp.arguments import (
    AskArguments,
    CaseArguments,
    ReportArguments,
    SearchArguments,
    WriteArguments,
)
from api.middleware.access import Caller
from api.middleware.audit_queue import AuditQueue
from api.pipeline.pipeline import Pipeline
from api.uploads import Upload, decode_uploads
from db.app.api_keys import Scope
from db.errors import UserError


@dataclass(frozen=True, kw_only=True)
class AgentService:
    """What the tools work with."""

    pipeline: Pipeline
    audit: AuditQueue
    max_images: int


@dataclass(frozen=True, kw_only=True)
class AgentTool:
    """One tool."""

    description: str
    scope: Scope
    """That the caller's key needs."""
    arguments: type[msgspec.Struct]
    run: Callable[[AgentService, Caller, Any], Awaitable[ToolAnswer]]
    stores: bool
    """Whether it leaves more than an audit entry."""


async def _search(service: AgentService, caller: Caller, given: SearchArguments) -> ToolAnswer:
    given.check()
    uploads = await _uploads(service, given.images, accept_as_chest=given.accept_as_chest)
    retrieval = await service.pipeline.search(
        uploads, given.options(), caller, text=given.text, case=given.case
    )
    return search_answer(retrieval)


async def _get_case(service: AgentService, caller: Caller, given: CaseArguments) -> ToolAnswer:
    pipeline = service.pipeline
    case = await pipeline.current.case(given.case)
    numbers = range(1, len(case.images) + 1) if given.images else ()
    images = [
        (
            await pipeline.images.preview(
                await pipeline.current.case_image(given.case, one), caller
            )
        ).png
        for one in numbers
    ]
    service.audit.add("case read", caller.name, case=given.case)
    for number in numbers:
        service.audit.add("case image read", caller.name, case=given.case, image=number)
    return case_answer(case, images)


async def _write(service: AgentService, caller: Caller, given: WriteArguments) -> ToolAnswer:
    wanted = given.request()
    service.pipeline.check_task(wanted.task)
    if not given.images:
        raise UserError("no image was sent: send the views of one study in 'images'")
    uploads = await _uploads(service, given.images, accept_as_chest=given.accept_as_chest)
    sent = given.prior_images if isinstance(given, ReportArguments) else []
    before = await _uploads(service, sent, accept_as_chest=given.accept_as_chest)
    wanted, prior = await service.pipeline.with_prior(wanted, before)
    made = await service.pipeline.generate(uploads, wanted, caller, prior=prior)
    return generation_answer(made)


async def _uploads(
    service: AgentService, images: list[str], *, accept_as_chest: bool
) -> list[Upload]:
    return await run_sync(
        lambda: decode_uploads(images, limit=service.max_images, accept_as_chest=accept_as_chest)
    )


TOOLS = {
    "search_cases": AgentTool(
        description="Find the prior chest X-ray studies most similar to images, a text or an "
        "indexed case, with their reports.",
        scope="generate",
        arguments=SearchArguments,
        run=_search,
        stores=False,
    ),
    "get_case": AgentTool(
        description="Read the report of a prior case, and its images if asked for.",
        scope="read",
        arguments=CaseArguments,
        run=_get_case,
        stores=False,
    ),
    "write_report": AgentTool(
        description="Write findings and impression for the chest X-rays of one study; every "
        "sentence cites the prior cases it rests on, or is marked; with the patient's own prior "
        "study it also says what changed. The report is stored, the images are not.",
        scope="generate",
        arguments=ReportArguments,
        run=_write,
        stores=True,
    ),
    "ask": AgentTool(
        description="Answer a question about the chest X-rays of one study in a few words, with "
        "the prior cases that support the answer. The answer is stored, the images are not.",
        scope="generate",
        arguments=AskArguments,
        run=_write,
        stores=True,
    ),
}
