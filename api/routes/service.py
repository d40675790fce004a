"""GET /health, GET /metrics and POST /index/reload: watch and operate the service."""

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Literal, Self

import msgspec
from anyio.to_thread import run_sync
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.status_codes import HTTP_200_OK
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from api.middleware.access import ADMIN, OPEN, READ, Caller
from api.middleware.observability import Labelled
from api.middleware.problems import GUARDED, problems
from api.pipeline.current_index import CurrentIndex
from api.pipeline.pipeline import Pipeline
from api.pipeline.readiness import Readiness
from api.pipeline.shared_reload import RELOADED
from api.settings import Settings
from db.app.database import AppDatabase
from db.app.generation import NOTICE
from db.labels import FINDINGS
from generator.prompts import Task


class IndexSummary(msgspec.Struct, kw_only=True):
    """The open index."""

    fingerprint: str
    created_at: str
    source: str
    split: str
    studies: int
    encoder: str
    labeller_version: str
    licence: str

    @classmethod
    def of(cls, current: CurrentIndex) -> Self:
        manifest = current.manifest
        return cls(
            fingerprint=manifest.fingerprint,
            created_at=manifest.created_at,
            source=manifest.source,
            split=manifest.split,
            studies=manifest.studies,
            encoder=manifest.encoder.name,
            labeller_version=manifest.labeller_version,
            licence=manifest.licence,
        )


class ServedModel(msgspec.Struct, kw_only=True):
    """The language model behind the service."""

    name: str
    adapter: str | None
    prompt_version: str | None


class UploadLimits(msgspec.Struct, kw_only=True):
    """The limits of one request."""

    max_images: int
    max_body_bytes: int


class Health(msgspec.Struct, kw_only=True):
    """What the service runs on and can do."""

    status: str
    index: IndexSummary
    versions: Mapping[str, str]
    limits: UploadLimits
    sample: bool
    """Whether `GET /sample` has an image."""
    public_images: str | None
    """Origin from which the page may load public images of cases, at `public_url` of an image; null
    unless the server was started with `--public-images`."""
    search_by_text: bool
    """Whether the encoder of the index can embed text."""
    pacs: bool
    """Whether studies of a PACS can be searched: the server was started with `--pacs`."""
    findings: list[str]
    """Values of the search option `label`."""
    keys_required: bool
    """Whether requests need an API key."""
    tasks: list[Task]
    """Tasks that the service can do."""
    model: ServedModel | None
    """Null if the service runs without a language model."""
    notice: str = NOTICE


class ServiceStatus(msgspec.Struct, kw_only=True):
    """Whether the service is alive, or ready."""

    status: Literal["ok"] = "ok"


class ServiceController(Controller):
    tags = ("service",)

    @get(
        "/health",
        operation_id="getHealth",
        summary="Describe the service",
        opt=OPEN,
        responses=problems(421, 500),
    )
    async def health(
        self,
        current: NamedDependency[CurrentIndex],
        pipeline: NamedDependency[Pipeline],
        settings: NamedDependency[Settings],
        has_pacs: NamedDependency[bool],
    ) -> Health:
        """Describe the index, model, versions and limits of the running service."""
        origin = pipeline.origin(current.retriever.encoder.spec)
        return Health(
            status="ok",
            index=IndexSummary.of(current),
            versions={
                "grounded-cxr": importlib.metadata.version("grounded-cxr"),
                "litestar": importlib.metadata.version("litestar"),
                "python": platform.python_version(),
            },
            limits=UploadLimits(
                max_images=settings.max_images, max_body_bytes=settings.max_body_bytes
            ),
            sample=settings.sample_path is not None,
            public_images=settings.public_images,
            search_by_text=current.searches_text,
            pacs=has_pacs,
            findings=list(FINDINGS),
            keys_required=settings.require_keys,
            tasks=list(pipeline.tasks),
            model=None
            if origin.model is None
            else ServedModel(
                name=origin.model, adapter=origin.adapter, prompt_version=origin.prompt_version
            ),
        )

    @get(
        "/health/live",
        operation_id="isLive",
        summary="Check that the process is alive",
        opt=OPEN,
        responses=problems(421, 500),
    )
    async def live(self) -> ServiceStatus:
        """Fails only if the process should be restarted."""
        return ServiceStatus()

    @get(
        "/health/ready",
        operation_id="isReady",
        summary="Check that requests can be served",
        opt=OPEN,
        responses=problems(421, 500, 503),
    )
    async def ready(self, readiness: NamedDependency[Readiness]) -> ServiceStatus:
        """Answer 503 while the server is busy, while the database is locked, read-only, gone or out
        of space, and if a file of the index was cut short."""
        await readiness.check()
        return ServiceStatus()

    @get(
        "/metrics",
        operation_id="getMetrics",
        summary="Read the counters, for Prometheus",
        opt=READ,
        media_type="text/plain",
        responses={
            200: ResponseSpec(
                str,
                media_type="text/plain",
                description="Prometheus text format",
                generate_examples=False,
            ),
            **problems(*GUARDED),
        },
    )
    async def metrics(self, settings: NamedDependency[Settings]) -> Response[bytes]:
        """Count requests, stages, batches and waiting work of the process that answers, which the
        label `instance` names; no patient data."""
        metrics = generate_latest(Labelled(REGISTRY, instance=settings.instance))
        return Response(metrics, media_type=CONTENT_TYPE_LATEST)

    @post(
        "/index/reload",
        operation_id="reloadIndex",
        summary="Open the index again",
        opt=ADMIN,
        status_code=HTTP_200_OK,
        responses=problems(404, 409, 422, *GUARDED),
    )
    async def reload(
        self,
        current: NamedDependency[CurrentIndex],
        database: NamedDependency[AppDatabase],
        pipeline: NamedDependency[Pipeline],
        caller: NamedDependency[Caller],
    ) -> IndexSummary:
        """Use a rebuilt index at the same path, without dropping a request.

        Requests in progress finish on the index they started with. If the new index cannot be
        opened, the old one stays in use. Other processes of the service follow in about a second.
        """
        await current.reload()
        details = {"index": current.manifest.fingerprint, "process": database.presence.name}
        entry = pipeline.entry(RELOADED, caller, **details)
        await run_sync(database.audit.append, entry)
        return IndexSummary.of(current)
