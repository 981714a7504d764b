"""A small application with the model registry in it, as any host would mount it."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI, Header
from hypothesis import strategies as st
from tests.kept_database import know

import regesta_models
from regesta import Actor, AuditEvent, Hooks, Registry, Resource, hookimpl
from regesta.audit import AuditTrail
from regesta.http import registry_router
from regesta_models.settings import ArtifactSettings

# Beanie 1.30 asks an instance for `model_fields`, where it stores a model within a document.
OLD_BEANIE = pytest.mark.filterwarnings(
    "ignore:Accessing the 'model_fields' attribute on the instance is deprecated:DeprecationWarning:beanie"
)

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
DIGEST = "0123456789abcdef" * 4


@dataclass
class Observer:
    """Remembers what was committed."""

    name: str = "observer"
    events: list[AuditEvent] = field(default_factory=list)

    @hookimpl
    def audit_event(self, event: AuditEvent) -> None:
        self.events.append(event)


@dataclass
class Service:
    """The application, a client of it, its database and what it observed."""

    app: FastAPI
    client: httpx.AsyncClient
    database: Any
    observer: Observer
    registry: Registry

    @property
    def artifacts(self) -> regesta_models.Artifacts:
        """The files, without HTTP."""
        return regesta_models.Artifacts(self.registry)

    async def pending(self, model: str = "resnet", **fields: Any) -> str:
        """Create a pending version, and its model where it is missing: the path of its artifacts."""
        if (await self.client.get(at(model))).status_code == 404:
            await self.model(model)
        version = await self.version(model, status="pending", **fields)
        return f"{at(model)}/versions/{version['number']}/artifacts"

    async def ready(self, artifacts: str) -> None:
        """Seal the version whose artifacts these are."""
        path = artifacts.removesuffix("/artifacts")
        answer = await self.client.patch(path, json={"status": "ready"}, headers=MERGE_PATCH)
        assert answer.status_code == 200, answer.text

    async def model(self, name: str = "resnet", **fields: Any) -> dict[str, Any]:
        """Create a model."""
        return await self.created("/models", {"name": name, **fields})

    async def version(self, model: str = "resnet", **fields: Any) -> dict[str, Any]:
        """Create a version."""
        return await self.created(f"{at(model)}/versions", fields)

    async def created(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST, which must succeed."""
        answer = await self.client.post(path, json=body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def point(self, alias: str, number: int, model: str = "resnet") -> httpx.Response:
        """PUT an alias."""
        return await self.client.put(f"{at(model)}/aliases/{alias}", json={"version": number})


def actor(x_actor: Annotated[str | None, Header()] = None) -> Actor:
    """Who a test says it is; anonymous unless it does."""
    return Actor(x_actor, "key") if x_actor else Actor()


def at(model: str) -> str:
    """The path of a model."""
    return f"/models/{quote(model, safe='')}"


def with_actors(resources: Iterable[Resource[Any]]) -> Iterator[Resource[Any]]:
    """The resources, of which requests say who sends them; what they refer to does too."""
    known: dict[str, Resource[Any]] = {}
    for resource in resources:
        references = {name: replace(to, resource=known[to.resource.name]) for name, to in resource.references.items()}
        known[resource.name] = replace(resource, actor=actor, references=references)
        yield known[resource.name]


def built(*plugins: Any) -> tuple[FastAPI, Registry, Observer]:
    """The application, its registry, and who observes it."""
    observer = Observer()
    hooks = Hooks(AuditTrail(), observer, *plugins)
    hooks.add(regesta_models, name="models")
    brought = [found for _, some in hooks.collect("register_resources") for found in some]
    registry = Registry(list(with_actors(brought)), hooks)
    app = FastAPI()
    app.include_router(registry_router(registry))
    for _, routers in hooks.collect("register_routers", registry=registry):
        for router in routers:
            app.include_router(router)
    return app, registry, observer


@cache
def _usual(_: ArtifactSettings) -> tuple[FastAPI, Registry, Observer]:
    """To build it takes longer than most tests. It holds nothing of a database: the documents know theirs."""
    return built()


@asynccontextmanager
async def serve(database: Any, *plugins: Any) -> AsyncIterator[Service]:
    """The model registry with an audit trail on a database."""
    app, registry, observer = built(*plugins) if plugins else _usual(ArtifactSettings.load())
    observer.events.clear()
    await know(database, [bound.resource.document for bound in registry])
    transport, hooks = httpx.ASGITransport(app), {"request": [typed]}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", event_hooks=hooks) as client:
        yield Service(app, client, database, observer, registry)


async def typed(request: httpx.Request) -> None:
    """Bodies need a type; that of files does not matter."""
    if "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0":
        request.headers.setdefault("Content-Type", "application/octet-stream")


async def audited(service: Service) -> list[dict[str, Any]]:
    """The audit trail, oldest first: action, resource, key."""
    found = service.database["audit_events"].find({}, {"action": 1, "resource": 1, "key": 1, "_id": 0})
    return [raw async for raw in found.sort([("time", 1), ("_id", 1)])]


# What rules of names, URIs and paths are about, and some that they are not about.
FULL_ALPHABET = st.sampled_from("ab0fF9._-/\\:%25eE2 \n\t\x00\x7f\x85\u2028\u00a0é模🤖#?&=;+~$^")
