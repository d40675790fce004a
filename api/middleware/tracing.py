"""Export OpenTelemetry spans."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


@contextmanager
def export_spans(endpoint: str | None) -> Iterator[None]:
    """Send spans to an OTLP/HTTP collector while the block runs, if an endpoint is set."""
    if endpoint is None:
        yield
        return
    provider = TracerProvider(resource=Resource.create({"service.name": "grounded-cxr"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()
