"""The application: controllers, problem documents, OpenAPI, and shared objects.

app = create_app(Settings(), retriever=Retriever.open(index_dir), backend=ExtractiveBackend())
"""

import importlib.metadata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import anyio
from anyio.to_thread import run_sync
from litestar import Controller, Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server
from litestar.response.base import ASGIResponse
from litestar.types import (
    ASGIApp,
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Receive,
    Scope,
    Send,
)

from api.background import repeat
from api.delivery import delivery
from api.middleware.access import Access, ScopeCheck, the_caller
from api.middleware.audit_queue import AuditQueue
from api.middleware.bodies import Bodies, BodyLimits
from api.middleware.guard import Guard, add_headers, content_security_policy
from api.middleware.observability import observed
from api.middleware.problems import answer_defect, problem_details
from api.middleware.proxies import Proxies, strip_prefix
from api.middleware.rate_limit import STORE, Counters, rate_limit
from api.pacs.client import Pacs
from api.pipeline.admission import Admission
from api.pipeline.backends import Backend
from api.pipeline.byte_budget import ByteBudget
from api.pipeline.current_index import CurrentIndex, Reopen, StudySearch
from api.pipeline.decoding.processes import Decoding, DecodingProcesses
from api.pipeline.jobs import JobRunner
from api.pipeline.pipeline import Clock, Pipeline
from api.pipeline.readiness import Readiness
from api.pipeline.shared_reload import SharedReload
from api.pipeline.stages import Schedulers
from api.routes.batches import BatchController
from api.routes.cases import CaseController
from api.routes.chat import ChatController
from api.routes.exports import ExportController
from api.routes.feedback import FeedbackController
from api.routes.generations import GenerationController
from api.routes.images import ImageController
from api.routes.maps import CaseMapController, MapController
from api.routes.openapi_page import OpenApiPageController
from api.routes.pacs import PacsController, the_pacs
from api.routes.searches import SearchController
from api.routes.service import ServiceController
from api.routes.stow import StowController
from api.routes.tasks import TaskController
from api.routes.web_page import WebPageController
from api.settings import Settings
from db.app.database import AppDatabase
from db.app.generation import NOTICE
from db.app.limits.request_counts import RequestCounts

if TYPE_CHECKING:
    from api.mcp.endpoint import McpEndpoint

_LOG_SECONDS = 5.0
"""How often the write-ahead log is emptied: it keeps the images of studies that have ended."""
_SEEN_SECONDS, _PRUNE_SECONDS = 1.0, 60.0
"""How often processes that share a database look whether others see them, and remove old counts."""


def _limited(controller: type[Controller], max_body_bytes: int) -> Router:
    return Router(path="/", route_handlers=[controller], request_max_body_size=max_body_bytes)


class Service(Litestar):
    """The application; it logs and counts every request, even those without a route."""

    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        if scope["type"] == ScopeType.HTTP:
            prefix = self.state.root_path
            answer = cast("ASGIApp", super().__call__)
            if not strip_prefix(cast("Scope", scope), prefix):
                answer = ASGIResponse(status_code=307, headers={"location": f"{prefix}/"})
            await observed(
                answer, cast("Scope", scope), cast("Receive", receive), cast("Send", send)
            )
        else:
            await super().__call__(scope, receive, send)


def _now() -> datetime:
    return datetime.now(UTC)


async def _keep_log_empty(database: AppDatabase) -> None:
    failing = "the write-ahead log cannot be emptied"
    await repeat(database.empty_log, seconds=_LOG_SECONDS, failing=failing)


async def _be_seen(database: AppDatabase) -> None:
    failing = "other processes do not see this one"
    await repeat(database.presence.renew, seconds=_SEEN_SECONDS, failing=failing)


async def _prune(counts: RequestCounts) -> None:
    failing = "counts of requests cannot be removed"
    await repeat(counts.prune, seconds=_PRUNE_SECONDS, failing=failing)


def create_app(
    settings: Settings,
    *,
    retriever: StudySearch,
    backend: Backend,
    clock: Clock = _now,
    reopen: Reopen | None = None,
    decoding: Decoding | None = None,
    pacs: Pacs | None = None,
    database: AppDatabase | None = None,
) -> Service:
    """The service around an opened index, and beside a PACS if there is one.

    The application database is closed with the application; where none is given, one is opened
    here, created and migrated if needed, that no other process may use. One that processes share
    was opened before the index. Raises UserError if it cannot be opened. ``decoding`` stays open;
    without it the application has processes of its own.
    """
    if database is None:
        database = AppDatabase.open(settings.database_path, lock_timeout=settings.database_seconds)
    audit = AuditQueue(database.audit, clock)
    current = CurrentIndex(retriever, reopen, image_roots=settings.image_roots)
    counts = RequestCounts(database.engine) if database.presence.is_shared else None
    own = None
    if decoding is None:
        decoding = own = DecodingProcesses(count=settings.workers)
    pipeline = Pipeline(
        current=current,
        backend=backend,
        schedulers=Schedulers.in_process(current, backend, decoding, settings),
        database=database,
        admission=Admission(capacity=settings.capacity, shared=settings.require_keys),
        budget=ByteBudget(settings.max_pixel_bytes),
        clock=clock,
    )
    readiness = Readiness(
        database=database, audit=audit, current=current, admission=pipeline.admission
    )
    runner = JobRunner(
        pipeline,
        database,
        together=settings.written_together,
        capacity=settings.max_waiting_studies,
    )

    agents = _agents(pipeline, audit, settings) if settings.mcp else None

    @asynccontextmanager
    async def run(_: Litestar) -> AsyncIterator[None]:
        try:
            async with (
                pipeline.running(),
                nullcontext() if agents is None else agents.running(),
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(runner.run)
                tasks.start_soon(_keep_log_empty, database)
                tasks.start_soon(audit.run)
                if counts is not None:
                    tasks.start_soon(_be_seen, database)
                    tasks.start_soon(_prune, counts)
                    tasks.start_soon(SharedReload(current, database).run)
                yield
                tasks.cancel_scope.cancel()
        finally:
            if own is not None:
                own.close()
            with anyio.CancelScope(shield=True):
                await run_sync(audit.close)
            database.close()

    is_limited = settings.require_keys or settings.trusted_proxies
    limits = [rate_limit(settings.requests_per_minute, shared=counts)] if is_limited else []
    return Service(
        route_handlers=[
            TaskController,
            _limited(BatchController, settings.max_batch_bytes),
            SearchController,
            GenerationController,
            FeedbackController,
            ExportController,
            MapController,
            _limited(ChatController, min(settings.max_chat_bytes, settings.max_body_bytes)),
            StowController,
            PacsController,
            CaseController,
            CaseMapController,
            ImageController,
            ServiceController,
            OpenApiPageController,
            WebPageController,
            *(() if agents is None else (agents.router,)),
        ],
        dependencies={
            "audit": Provide(lambda: audit, sync_to_thread=False),
            "caller": Provide(the_caller, sync_to_thread=False),
            "current": Provide(lambda: current, sync_to_thread=False),
            "database": Provide(lambda: database, sync_to_thread=False),
            "delivery": Provide(delivery, sync_to_thread=False),
            "runner": Provide(lambda: runner, sync_to_thread=False),
            "has_pacs": Provide(lambda: pacs is not None, sync_to_thread=False),
            "pacs": Provide(lambda: the_pacs(pacs), sync_to_thread=False),
            "pipeline": Provide(lambda: pipeline, sync_to_thread=False),
            "readiness": Provide(lambda: readiness, sync_to_thread=False),
            "settings": Provide(lambda: settings, sync_to_thread=False),
        },
        state=State(
            {
                "check_capacity": pipeline.check_capacity,
                "root_path": settings.root_path,
                "content_security_policy": content_security_policy(settings.public_images),
            },
            deep_copy=False,
        ),
        plugins=[problem_details()],
        exception_handlers={Exception: answer_defect},
        guards=[ScopeCheck(audit).check],
        middleware=[
            Guard(settings.allowed_hosts, settings.cors_origins),
            Proxies(settings.trusted_proxies, refuse_others=not settings.require_keys),
            Access(database.keys, required=settings.require_keys),
            *limits,
            Bodies(_body_limits(settings)),
        ],
        stores={STORE: Counters()},
        before_send=[add_headers],
        cors_config=_cors(settings),
        lifespan=[run],
        request_max_body_size=settings.max_body_bytes,
        multipart_form_part_limit=200,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Grounded chest X-ray reports",
            version=importlib.metadata.version("grounded-cxr"),
            description=f"Reports in which every sentence cites prior cases. {NOTICE}",
            path="/schema",
            servers=[Server(url=settings.root_path or "/")],
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
            components=Components(
                security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}
            ),
            security=[{"key": []}, {}],  # a loopback server may need none
        ),
    )


def _body_limits(settings: Settings) -> BodyLimits:
    return BodyLimits(
        memory=ByteBudget(settings.max_body_memory_bytes, shared=settings.require_keys),
        disk=ByteBudget(settings.max_spooled_bytes, shared=settings.require_keys),
        seconds=settings.body_seconds,
        bytes_in_time=settings.max_body_bytes,
        wait_seconds=settings.body_wait_seconds,
    )


def _cors(settings: Settings) -> CORSConfig | None:
    """Let pages of other origins call the service, those that were named; by default none."""
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Accept", "Authorization", "Content-Type", "Prefer", "X-Request-ID"],
        expose_headers=["Location", "Preference-Applied", "Retry-After", "X-Request-ID"],
    )


def _agents(pipeline: Pipeline, audit: AuditQueue, settings: Settings) -> "McpEndpoint":
    from api.mcp.endpoint import McpEndpoint  # its libraries are an extra
    from api.mcp.tools import AgentService

    return McpEndpoint(
        AgentService(pipeline=pipeline, audit=audit, max_images=settings.max_images),
        max_body_bytes=min(settings.max_chat_bytes, settings.max_body_bytes),
    )
