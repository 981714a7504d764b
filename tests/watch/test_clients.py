"""Clients of one server are equal to their drivers. What a process keeps for one is not for another."""

import asyncio
import gc
from contextlib import AsyncExitStack
from typing import Any

import pytest

from regesta.store import PerClient
from regesta.watch import hub as hubs


@pytest.fixture
async def other(database: Any, mongod_uri: str) -> Any:
    """A second client of the server."""
    client = type(database.client)(mongod_uri)
    assert client == database.client
    yield client
    await close(client)


async def close(client: Any) -> None:
    """Close a client of either driver."""
    closing = client.close()
    if asyncio.iscoroutine(closing):
        await closing


async def test_watches_of_one_client_do_not_end_with_another(database: Any, other: Any) -> None:
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        of_first = await first.enter_async_context(hubs.hub_of(database["watched_entries"]))
        of_second = await second.enter_async_context(hubs.hub_of(other[database.name]["watched_entries"]))
        assert of_first is not of_second
        assert of_first.collection.database.client is database.client
        assert of_second.collection.database.client is other


async def test_a_client_of_another_event_loop_keeps_no_one_waiting(database: Any, mongod_uri: str) -> None:
    make, name = type(database.client), database.name

    def elsewhere() -> Any:
        async def ask() -> Any:
            client = make(mongod_uri)
            await ask_at_once(client[name]["watched_entries"])
            await close(client)
            return client

        return asyncio.run(ask())

    earlier = await asyncio.to_thread(elsewhere)
    assert earlier == database.client
    await ask_at_once(database["watched_others"])


async def ask_at_once(collection: Any) -> None:
    """As many watches do that begin at once: they wait for the first one's answer."""
    await asyncio.gather(*(hubs.kept(collection) for _ in range(3)))


class Equal:
    """Like any other one."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal)

    def __hash__(self) -> int:
        return 1


@pytest.fixture
def kept() -> PerClient[list[str]]:
    return PerClient(list[str])


def test_a_value_belongs_to_one_client(kept: PerClient[list[str]]) -> None:
    first, second = Equal(), Equal()
    kept.of(first).append("first")
    assert kept.of(second) == []
    assert kept.of(first) == ["first"]


def test_a_value_is_forgotten_with_its_client(kept: PerClient[list[str]]) -> None:
    first, second = Equal(), Equal()
    kept.of(first).append("first")
    kept.of(second).append("second")
    del first
    gc.collect()
    assert kept.values() == [["second"]]
