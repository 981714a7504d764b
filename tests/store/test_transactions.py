"""Transactions, where the driver alone would fail or write outside of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import InvalidOperation
from tests.eventually import eventually

from regesta.store import LocalServer, in_transaction, open_store


def step_down(client: MongoClient[dict[str, Any]]) -> None:
    """For two seconds, of which one is spent in between: it waits for other nodes to catch up, and there is none."""
    client.admin.command({"replSetStepDown": 2, "secondaryCatchUpPeriodSecs": 1, "force": True})


async def test_a_statement_that_comes_late_is_refused(database: Any) -> None:
    """As from a thread of Motor's whose caller was cancelled: it waits for a connection, and the abort is faster."""
    things = database["things"]
    await things.insert_one({"n": 0})

    async def insert_late(session: Any) -> None:
        await things.insert_one({"n": 1}, session=session)
        await session.abort_transaction()
        await things.insert_one({"n": 2}, session=session)

    with pytest.raises(InvalidOperation, match="the transaction is over"):
        await in_transaction(things, insert_late, 20)
    assert [thing["n"] async for thing in things.find()] == [0]


async def test_a_transaction_begun_during_a_step_down_comes_through(tmp_path: Path) -> None:
    """A connection made meanwhile remembers for good that the server has no sessions."""
    with LocalServer(tmp_path) as server:
        # To this node, whatever it is: else the driver would only by chance connect at the wrong moment.
        address = server.uri.partition("?")[0] + "?directConnection=true"
        with MongoClient[dict[str, Any]](address) as plain:
            plain["regesta"].create_collection("things")
            stepping = asyncio.create_task(asyncio.to_thread(step_down, plain))
            await asyncio.to_thread(eventually, lambda: not plain.admin.command("hello")["isWritablePrimary"])
            async with open_store(address) as store:
                things = store.database["things"]

                async def insert(session: Any) -> None:
                    await things.insert_one({"n": 1}, session=session)

                await in_transaction(things, insert, 20)
            await stepping
            assert [thing["n"] for thing in plain["regesta"]["things"].find()] == [1]
