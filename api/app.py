"""The application: controllers, problem documents, OpenAPI, and who owns what.

app = create_app(Settings(), retriever=Retriever.open(index_dir), write_report=write_report)
"""

import importlib.metadata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from litestar import Litestar
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from api.cases import CaseController
from api.films import FilmController
from api.generations import GenerationController
from api.guard import Guard, add_headers
from api.health import HealthController
from api.pipeline import Clock, Pipeline, StudySearch, WriteReport
from api.problems import answer_defect, problem_details
from api.reports import ReportController
from api.searches import SearchController
from api.settings import Settings
from api.web_page import WebPageController
from db.generations import GenerationStore
from generator.grounded import NOTICE


def _now() -> datetime:
    return datetime.now(UTC)


def create_app(
    settings: Settings,
    *,
    retriever: StudySearch,
    write_report: WriteReport,
    clock: Clock = _now,
) -> Litestar:
    """The service around an opened index.

    The application database is opened here, made and migrated where needed, and closed with the
    application. Raises UserError where that cannot be done.
    """
    store = GenerationStore.open(settings.database_path)
    pipeline = Pipeline(
        retriever=retriever,
        write_report=write_report,
        store=store,
        settings=settings,
        clock=clock,
    )

    @asynccontextmanager
    async def close_store(_: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            store.close()

    return Litestar(
        route_handlers=[
            ReportController,
            SearchController,
            GenerationController,
            CaseController,
            FilmController,
            HealthController,
            WebPageController,
        ],
        dependencies={"pipeline": Provide(lambda: pipeline, sync_to_thread=False)},
        plugins=[problem_details()],
        exception_handlers={Exception: answer_defect},
        middleware=[Guard(settings.allowed_hosts)],
        before_send=[add_headers],
        lifespan=[close_store],
        request_max_body_size=settings.max_body_bytes,
        multipart_form_part_limit=200,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Grounded chest X-ray reports",
            version=importlib.metadata.version("grounded-cxr"),
            description=f"Reports in which every sentence cites prior cases. {NOTICE}",
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
        ),
    )
