"""What OpenTelemetry and Prometheus record of a request: they ask the routes by their patterns, in order."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import httpx
import pytest
from beanie import Document
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator

from regesta import Hooks, Immutable, Parent, Resource, crud_router
from regesta.audit import AuditTrail
from regesta.service import Settings, create_app
from regesta.service.problems import routes_of


class Shelf(Document):
    name: Annotated[str, Immutable]
    deleted_at: datetime | None = None

    class Settings:
        use_revision = True


class Tome(Document):
    name: Annotated[str, Immutable]
    shelf: str = ""
    deleted_at: datetime | None = None

    class Settings:
        use_revision = True


shelves = Resource(Shelf, name="shelves", singular="shelf", key="name", soft_delete=True)
tomes = Resource(Tome, key="name", parent=Parent(resource=shelves, field="shelf"), soft_delete=True)


def mounted() -> FastAPI:
    """Somebody's application, with every operation there is."""
    app = FastAPI()
    app.include_router(crud_router(shelves, tomes, hooks=Hooks(AuditTrail())), prefix="/library")
    return app


def served() -> FastAPI:
    """The service, with routes that plugins write by hand and applications that they mount."""
    return create_app(Settings(store="memory://", plugins=("models", "mlflow")))


@pytest.fixture(scope="module", params=[mounted, served])
def app(request: pytest.FixtureRequest) -> FastAPI:
    built = request.param()
    assert isinstance(built, FastAPI)
    return built


def calls(app: FastAPI) -> Iterator[tuple[str, str, str]]:
    """Verb, path and template of a request for each route."""
    for route in routes_of(app):
        for verb in sorted(route.methods or ()):
            yield verb, re.sub(r"\{[^}]+\}", "1", route.path), re.sub(r":path\}", "}", route.path)


async def ask_all(app: FastAPI) -> None:
    # No database is open: all that matters is which route a request reaches.
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for verb, path, _ in calls(app):
            await client.request(verb, path)


def as_template(path: str) -> str:
    return re.sub(r":path\}", "}", path)


async def test_open_telemetry_records_the_template_of_each_route(app: FastAPI) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app.middleware_stack = None  # it is built at the first request, and then fixed
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, exclude_spans=["receive", "send"])
    try:
        await ask_all(app)
    finally:
        FastAPIInstrumentor.uninstrument_app(app)
    spans = [(span.attributes or {}) for span in exporter.get_finished_spans()]
    recorded = [as_template(str(span.get("http.route"))) for span in spans]
    assert recorded == [template for _, _, template in calls(app)]


async def test_prometheus_records_the_template_of_each_route(app: FastAPI) -> None:
    registry = CollectorRegistry()
    app.middleware_stack = None
    Instrumentator(registry=registry).instrument(app)
    await ask_all(app)
    (requests,) = [metric for metric in registry.collect() if metric.name == "http_requests"]
    recorded = {
        (sample.labels["method"], as_template(sample.labels["handler"]))
        for sample in requests.samples
        if sample.name == "http_requests_total"
    }
    assert recorded == {(verb, template) for verb, _, template in calls(app)}


def test_what_is_offered_is_tested() -> None:
    """Of every kind of route one is there."""
    found: Any = {template.rpartition("}")[2] for _, _, template in calls(mounted())}
    assert found >= {":history", ":restore", ":revert", ""}
