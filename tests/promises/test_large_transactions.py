"""Transactions that MongoDB has no room for, as it says of a statement or of the commit."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from tests.promises.asgi import Answer, send
from tests.promises.documents import serve

from regesta.store import LocalServer, Store, open_store

TOO_LARGE = 388  # TransactionTooLargeForCache


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A mongod that can be told to fail.

    It only says that a commit failed, and aborts the transaction when its time is over, which is a second here.
    """
    arguments = ["--setParameter", "enableTestCommands=1", "--setParameter", "transactionLifetimeLimitSeconds=1"]
    with LocalServer(tmp_path_factory.mktemp("mongod"), mongod_args=arguments) as server:
        yield server


@pytest.fixture
async def store(server: LocalServer) -> AsyncIterator[Store]:
    async with open_store(server.uri, database=f"test_{uuid4().hex}") as store:
        yield store


@pytest.fixture
async def app(store: Store) -> FastAPI:
    app = await serve(store.database)
    assert (await post(app, "/accounts", {"name": "there"})).status == 201
    return app


async def post(app: FastAPI, path: str, body: Any) -> Answer:
    return await send(app, "POST", path, body)


def creates(*names: str, atomic: bool) -> dict[str, Any]:
    return {"atomic": atomic, "operations": [{"op": "create", "body": {"name": name}} for name in names]}


@asynccontextmanager
async def no_room(store: Store, command: str, times: int = 1) -> AsyncIterator[None]:
    """MongoDB has no room when this command comes next."""
    admin, point = store.client.admin, {"configureFailPoint": "failCommand"}
    failing = {"failCommands": [command], "errorCode": TOO_LARGE}
    await admin.command({**point, "mode": {"times": times}, "data": failing})
    try:
        yield
    finally:
        off = await admin.command({**point, "mode": "off"})
    assert off["count"] >= times


async def stored(store: Store) -> set[str]:
    return {found["name"] async for found in store.database["Account"].find({})}


@pytest.mark.parametrize("command", ["insert", "commitTransaction"])
async def test_a_create_is_too_large(app: FastAPI, store: Store, command: str) -> None:
    async with no_room(store, command):
        answer = await post(app, "/accounts", {"name": "a"})
    assert (answer.status, answer.json()["code"]) == (413, "TRANSACTION_TOO_LARGE")
    assert await stored(store) == {"there"}


@pytest.mark.parametrize(
    ("method", "body", "command"),
    [
        ("PATCH", {"balance": 1}, "findAndModify"),
        ("PATCH", {"balance": 1}, "insert"),  # of the audit event
        ("PUT", {"balance": 1}, "commitTransaction"),
        ("DELETE", None, "commitTransaction"),
    ],
)
async def test_a_change_is_too_large(app: FastAPI, store: Store, method: str, body: Any, command: str) -> None:
    async with no_room(store, command):
        answer = await send(app, method, "/accounts/there", body)
    assert (answer.status, answer.json()["code"]) == (413, "TRANSACTION_TOO_LARGE")
    assert await stored(store) == {"there"}


@pytest.mark.parametrize("command", ["insert", "commitTransaction"])
async def test_a_batch_is_too_large(app: FastAPI, store: Store, command: str) -> None:
    async with no_room(store, command):
        answer = await post(app, "/accounts:batch", creates("a", "b", atomic=True))
    assert (answer.status, answer.json()["code"]) == (413, "TRANSACTION_TOO_LARGE")
    assert await stored(store) == {"there"}


@pytest.mark.parametrize("command", ["insert", "commitTransaction"])
async def test_writes_that_are_too_large_together_go_each_by_itself(app: FastAPI, store: Store, command: str) -> None:
    async with no_room(store, command):
        answer = await post(app, "/accounts:batch", creates("a", "b", atomic=False))
    assert [result["status"] for result in answer.json()["results"]] == [201, 201], answer.json()
    assert await stored(store) == {"there", "a", "b"}
