"""The service in this process, on a real mongod."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from regesta import Hooks
from regesta.audit import AuditTrail
from regesta.service import Settings, create_app

from . import shelf

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


def service(*plugins: Any, **settings: Any) -> FastAPI:
    """An application with the audit trail, the shelf and these plugins."""
    return create_app(Settings(**settings), hooks=Hooks(AuditTrail(), shelf, *plugins))


@asynccontextmanager
async def client_of(app: FastAPI, peer: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running application."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=(peer, 1234), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


@pytest.fixture
def serve(mongod_uri: str) -> Serve:
    """`async with serve(plugin, ..., peer=..., setting=...) as client`, each on a database of its own."""

    @asynccontextmanager
    async def served(*plugins: Any, peer: str = "127.0.0.1", **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        app = service(*plugins, **{"store": mongod_uri, "database": f"test_{uuid.uuid4().hex}"} | settings)
        async with client_of(app, peer) as client:
            yield client
            store = app.state.store
            await store.client.drop_database(store.database.name)

    return served


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service with books."""
    async with serve() as found:
        yield found
