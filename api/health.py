"""GET /health."""

import importlib.metadata
import platform
from collections.abc import Mapping

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency

from api.pipeline import Pipeline
from api.problems import problems
from db.labels import FINDINGS
from generator.grounded import NOTICE


class IndexSummary(msgspec.Struct, kw_only=True):
    """The index that is open now."""

    fingerprint: str
    created_at: str
    source: str
    split: str
    studies: int
    encoder: str
    labeller_version: str
    licence: str


class UploadLimits(msgspec.Struct, kw_only=True):
    """What one request may bring."""

    max_images: int
    max_body_bytes: int


class Health(msgspec.Struct, kw_only=True):
    """That the service answers, and with what."""

    status: str
    index: IndexSummary
    versions: Mapping[str, str]
    limits: UploadLimits
    sample: bool
    """Whether `GET /sample` has a film to try."""
    search_by_text: bool
    """Whether the encoder of the index can read words."""
    findings: list[str]
    """Names that `label` takes."""
    notice: str = NOTICE


class HealthController(Controller):
    path = "/health"
    tags = ("service",)

    @get(operation_id="getHealth", summary="Ask what is served", responses=problems(421, 500))
    async def read(self, pipeline: NamedDependency[Pipeline]) -> Health:
        """Index, versions and limits of the running service."""
        manifest = pipeline.manifest
        return Health(
            status="ok",
            index=IndexSummary(
                fingerprint=manifest.fingerprint,
                created_at=manifest.created_at,
                source=manifest.source,
                split=manifest.split,
                studies=manifest.studies,
                encoder=manifest.encoder.name,
                labeller_version=manifest.labeller_version,
                licence=manifest.licence,
            ),
            versions={
                "grounded-cxr": importlib.metadata.version("grounded-cxr"),
                "litestar": importlib.metadata.version("litestar"),
                "python": platform.python_version(),
            },
            limits=UploadLimits(
                max_images=pipeline.max_images, max_body_bytes=pipeline.max_body_bytes
            ),
            sample=pipeline.has_sample,
            search_by_text=pipeline.searches_text,
            findings=list(FINDINGS),
        )
