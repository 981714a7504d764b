"""Writes that are done and not acknowledged as the client of the database asks for it."""

import inspect
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from beanie import init_beanie
from fastapi import FastAPI
from tests.promises.documents import Plain

from regesta import crud_router


@pytest.fixture
async def client(database: Any, mongod_uri: str) -> AsyncIterator[httpx.AsyncClient]:
    """Of a router whose writes ask for two nodes where there is one."""
    mongo = type(database.client)(mongod_uri, w=2, uuidRepresentation="standard", tz_aware=True)
    await init_beanie(mongo[database.name], document_models=[Plain], skip_indexes=True)
    app = FastAPI()
    app.include_router(crud_router(Plain, key="name"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as asking:
        yield asking
    closing = mongo.close()
    if inspect.isawaitable(closing):
        await closing


async def test_they_are_unavailable_not_internal_errors(client: httpx.AsyncClient) -> None:
    body = {"name": "ann"}
    created = await client.post("/plains", json=body)
    batch = await client.post("/plains:batch", json={"operations": [{"op": "create", "body": {"name": "bob"}}]})
    imported = await client.post(
        "/plains", content=b'{"name": "eve"}\n', headers={"Content-Type": "application/x-ndjson"}
    )
    changed = await client.put("/plains/ann", json={"balance": 1})
    deleted = await client.delete("/plains/ann")
    missing = await client.delete("/plains/nobody")

    answers = (created, batch, changed, deleted, missing)
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "UNAVAILABLE")] * 5
    assert '"status":503' in imported.text
