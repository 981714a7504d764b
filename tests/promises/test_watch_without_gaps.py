"""G14: a watch resumes without a gap or says 410."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from beanie import Document, Indexed
from tests.watch.streams import Client, Seen, watched

from regesta import WatchLimits
from regesta.store import LocalServer, _mongod, open_store

CUTS, WRITERS = 100, 4
QUICK = WatchLimits(heartbeat=1.0, retry=0.0)
MEGABYTE = 1024 * 1024


class Row(Document):
    name: Annotated[str, Indexed(unique=True)]
    number: int = 0
    text: str = ""

    class Settings:
        name = "rows"


class Turns(asyncio.Semaphore):
    """Lets the writers write as much as the reader can bear."""

    over = False

    async def next(self) -> bool:
        await self.acquire()
        return not self.over

    def give(self, count: int) -> None:
        for _ in range(count):
            self.release()


async def write(prefix: str, turns: Turns, log: list[tuple[str, str]]) -> None:
    """Create, change and delete a row at each turn; `log` what the database acknowledged."""
    number = 0
    while await turns.next():
        name = f"{prefix}-{number}"
        row = await Row(name=name).insert()
        log.append((name, "created"))
        await row.set({"number": 1})
        log.append((name, "updated"))
        if number % 2:
            await row.delete()
            log.append((name, "deleted"))
        number += 1


async def cut_and_resume(client: Client, begin: str, turns: Turns, *, resume: bool) -> list[Seen]:
    """Read a few events of each of a hundred connections, breaking off in their midst."""
    seen: list[Seen] = []
    for cut in range(CUTS if resume else CUTS // 5):
        turns.give(2)
        last = (seen[-1].id if seen else begin) if resume or not cut else ""
        async with client.watch("/rows", headers={"last-event-id": last} if last else {}) as stream:
            turns.give(2)
            seen += await stream.take(1 + cut % 4)
    return seen


@pytest.mark.parametrize("others", [0, 1])
async def test_a_hundred_cuts_lose_and_repeat_nothing(database: Any, others: int) -> None:
    log, seen = await _cut_while_writing(database, resume=True, others=others)
    assert len({found.id for found in seen}) == len(seen)
    told = [(found.data["key"], found.event) for found in seen]
    assert sorted(told) == sorted(log)
    for prefix in range(WRITERS):  # and in the order in which each writer wrote
        mine = [entry for entry in log if entry[0].startswith(f"{prefix}-")]
        assert [entry for entry in told if entry[0].startswith(f"{prefix}-")] == mine


async def test_control_without_last_event_id_there_are_gaps(database: Any) -> None:
    log, seen = await _cut_while_writing(database, resume=False, others=0)
    assert len({(found.data["key"], found.event) for found in seen}) < len(log)


async def _cut_while_writing(database: Any, *, resume: bool, others: int) -> tuple[list[tuple[str, str]], list[Seen]]:
    async with watched(database, Row, key="name", watch=QUICK) as client:
        begin = (await client.get("/rows?include=watch")).json()["watch_token"]
        log: list[tuple[str, str]] = []
        turns = Turns(0)
        writers = [asyncio.create_task(write(str(number), turns, log)) for number in range(WRITERS)]
        # With somebody who stays, the shared stream lives on; without, each connection opens it anew.
        staying = [asyncio.create_task(_stay(client)) for _ in range(others)]
        seen = await cut_and_resume(client, begin, turns, resume=resume)
        turns.over = True
        turns.give(WRITERS)
        await asyncio.gather(*writers)
        left = len(log) - len(seen)
        async with client.watch("/rows", headers={"last-event-id": seen[-1].id}) as stream:
            if resume:
                seen += await stream.take(left)
                await stream.beat()  # and not one more
        for task in staying:
            task.cancel()
        return log, seen


async def _stay(client: Client) -> None:
    async with client.watch("/rows") as stream:
        while await stream.next():
            pass


@pytest.fixture
async def small_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A database whose server keeps as little history as it can be told to."""
    monkeypatch.setattr(_mongod, "_OPLOG_MB", "1")
    # History may go as far as the last checkpoint, and those are a minute apart by default.
    server = LocalServer(tmp_path / "small", mongod_args=["--syncdelay", "1"])
    uri = await asyncio.to_thread(server.start)
    try:
        async with open_store(uri, database="small") as store:
            yield store.database
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_history_that_is_gone_is_410_and_one_that_is_there_is_not(small_history: Any) -> None:
    async with watched(small_history, Row, key="name", watch=QUICK) as client:
        page = (await client.get("/rows?include=watch")).json()
        await Row(name="first").insert()
        async with client.watch("/rows", params={"after": page["watch_token"]}) as stream:
            [first] = await stream.take(1)
        await Row(name="second").insert()
        # The control: as long as the history is there, it is told.
        async with client.watch("/rows", headers={"last-event-id": first.id}) as stream:
            assert [found.data["key"] for found in await stream.take(1)] == ["second"]
        async with asyncio.timeout(120):
            await _roll_over(small_history)
        for old in ({"after": page["watch_token"]}, {"after": first.id}):
            problem = await client.refused("/rows", 410, params=old)
            assert problem["code"] == "HISTORY_GONE"
        fresh = (await client.get("/rows?include=watch")).json()["watch_token"]
        async with client.watch("/rows", params={"after": fresh}) as stream:
            await Row(name="third").insert()
            assert [found.data["key"] for found in await stream.take(1)] == ["third"]


async def _roll_over(database: Any) -> None:
    """Write until the oldest entry of the server's history is another one."""
    oplog, other = database.client["local"]["oplog.rs"], database["other"]
    [begin] = await oplog.find().sort("$natural", 1).limit(1).to_list(None)
    while True:
        await other.insert_many([{"text": "x" * MEGABYTE} for _ in range(16)])
        await other.delete_many({})
        [oldest] = await oplog.find().sort("$natural", 1).limit(1).to_list(None)
        if oldest["ts"] > begin["ts"]:
            return
