"""GET /health."""

import importlib.metadata
import platform

from litestar import Controller, get
from litestar.di import NamedDependency

from api.pipeline import Pipeline
from api.problems import problems
from api.schemas import Health, IndexSummary, UploadLimits


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
        )
