"""The protocol and the native API on one registry, in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
from fastapi import FastAPI
from tests.kept_database import know

import regesta_models
from regesta import Hooks, Registry
from regesta.audit import AuditTrail
from regesta.http import registry_router
from regesta_mlflow import Plugin, Settings

PREFIX = "/api/2.0/mlflow"


@dataclass
class Both:
    """A client of both sides, and what is below them."""

    client: httpx.AsyncClient
    database: Any
    plugin: Plugin

    async def send(self, verb: str, path: str, **fields: Any) -> httpx.Response:
        """As MLflow's clients do: fields in the query of a GET, else in a body."""
        address = f"{PREFIX}{path}"
        if verb == "GET":
            return await self.client.get(address, params=fields)
        return await self.client.request(verb, address, json=fields)

    async def done(self, verb: str, path: str, **fields: Any) -> Any:
        """The answer to what must succeed."""
        answer = await self.send(verb, path, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, verb: str, path: str, **fields: Any) -> tuple[int, str, str]:
        """Status, code and message of what must not."""
        answer = await self.send(verb, path, **fields)
        assert answer.headers["content-type"] == "application/json"
        said = answer.json()
        return answer.status_code, said["error_code"], said["message"]

    async def native(self, verb: str, path: str, **options: Any) -> Any:
        """The answer of the native API, which must succeed."""
        answer = await self.client.request(verb, path, **options)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def model(self, name: str = "resnet", **fields: Any) -> Any:
        return (await self.done("POST", "/registered-models/create", name=name, **fields))["registered_model"]

    async def version(self, name: str = "resnet", **fields: Any) -> Any:
        sent = {"name": name, "source": "s3://bucket/x", **fields}
        return (await self.done("POST", "/model-versions/create", **sent))["model_version"]

    async def events(self) -> list[tuple[str, str, str]]:
        """Action, resource and key of all that was audited, in order."""
        found = self.database["audit_events"].find({}).sort([("time", 1), ("_id", 1)])
        return [(raw["action"], raw["resource"], raw["key"]) for raw in await found.to_list(None)]


def built(settings: Settings, *plugins: Any) -> tuple[FastAPI, Registry, Plugin]:
    """The application, its registry, and the plugin that speaks MLflow's protocol."""
    plugin = Plugin(settings)
    hooks = Hooks(AuditTrail(), *plugins)
    hooks.add(regesta_models, name="models")
    hooks.add(plugin)
    registry = Registry([found for _, brought in hooks.collect("register_resources") for found in brought], hooks)
    app = FastAPI()
    for _, routers in hooks.collect("register_routers", registry=registry):
        for router in routers:
            app.include_router(router)
    app.include_router(registry_router(registry))
    for _, applications in hooks.collect("register_applications", registry=registry):
        for path, application in applications.items():
            app.mount(path, application)
    return app, registry, plugin


@cache
def _usual() -> tuple[FastAPI, Registry, Plugin]:
    """To build it takes longer than most tests. It holds nothing of a database: the documents know theirs."""
    return built(Settings())


@asynccontextmanager
async def both(database: Any, *plugins: Any, settings: Settings | None = None) -> AsyncIterator[Both]:
    """The model registry with an audit trail on a database, for both kinds of clients. Nothing is sent to webhooks."""
    usual = not plugins and settings is None
    app, registry, plugin = _usual() if usual else built(settings or Settings(), *plugins)
    await know(database, [bound.resource.document for bound in registry])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield Both(client, database, plugin)
