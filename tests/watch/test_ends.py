"""How watches end, what they cost, and where they begin again."""

import asyncio
import contextlib
import gc
import json
import weakref
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import httpx
import pytest
from beanie import Document, Indexed
from pymongo.errors import AutoReconnect
from tests.eventually import eventually_async
from tests.watch.streams import QUICK, watched

from regesta import WatchLimits, end_watches
from regesta.store import collection_of
from regesta.watch import hub as hubs
from regesta.watch import watchers_here

WATCHERS = 500


class Entry(Document):
    name: Annotated[str, Indexed(unique=True)]
    text: str = ""

    class Settings:
        name = "watched_entries"


async def cursors(database: Any) -> int:
    """How many change streams the server has open on this database."""
    pipeline = [
        {"$currentOp": {"allUsers": True, "idleCursors": True}},
        {"$match": {"ns": f"{database.name}.watched_entries"}},
        {"$match": {"cursor.originatingCommand.pipeline.0.$changeStream": {"$exists": True}}},
        {"$group": {"_id": "$cursor.cursorId"}},
    ]
    found = database.client.admin.aggregate(pipeline)
    found = await found if asyncio.iscoroutine(found) else found
    return len(await found.to_list(None))


async def test_five_hundred_watchers_cost_one_change_stream_and_all_are_told(database: Any) -> None:
    async with watched(database, Entry, key="name", watch=WatchLimits()) as client:

        async def follow(number: int, ready: asyncio.Semaphore) -> list[str]:
            # Different filters: what they share is the stream, not the question. Sockets: 500 of httpx are slow.
            reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
            path = f"/entries?name__prefix={'n' if number % 2 else 'm'}"
            writer.write(f"GET {path} HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n\r\n".encode())
            await reader.readuntil(b"\nid: ")
            ready.release()
            told: list[str] = []
            while len(told) < 2:
                line = await reader.readline()
                if line.startswith(b"data: "):
                    told.append(json.loads(line[6:])["key"])
            writer.close()
            return told

        ready = asyncio.Semaphore(0)
        tasks = [asyncio.create_task(follow(number, ready)) for number in range(WATCHERS)]
        for _ in range(WATCHERS):
            await ready.acquire()
        assert watchers_here() == WATCHERS
        assert await cursors(database) == 1
        for name in ("n1", "m1", "n2", "m2"):
            await Entry(name=name).insert()
        seen = await asyncio.gather(*tasks)
        assert seen == [["n1", "n2"] if number % 2 else ["m1", "m2"] for number in range(WATCHERS)]

        async def left() -> bool:
            return watchers_here() == 0 and await cursors(database) == 0

        await eventually_async(left)


async def test_a_slow_reader_is_cut_off_while_others_go_on(database: Any) -> None:
    limits = WatchLimits(heartbeat=1.0, retry=0.0, queued=20)
    async with watched(database, Entry, key="name", watch=limits) as client:
        async with client.watch("/entries") as slow, client.watch("/entries") as quick:
            await quick.beat()
            told = []
            for number in range(150):  # 15 MB: more than all buffers on the way hold
                await Entry(name=str(number), text="x" * 100_000).insert()
                told += await quick.take(1)
            assert [seen.data["key"] for seen in told] == [str(number) for number in range(150)]

            async def cut() -> bool:
                return watchers_here() == 1

            await eventually_async(cut)
            read = []
            # It is broken off where nothing can be sent, else its last event says so.
            with contextlib.suppress(httpx.RemoteProtocolError):
                while (seen := await slow.next()) is not None and seen.event == "created":
                    read.append(seen.data["key"])
        assert 0 < len(read) < 150
        async with client.watch("/entries", headers={"last-event-id": slow.last}) as again:
            read += [seen.data["key"] for seen in await again.take(150 - len(read))]
        assert read == [str(number) for number in range(150)]


async def test_a_watch_has_an_end_and_goes_on_from_there(database: Any) -> None:
    limits = WatchLimits(heartbeat=0.1, lifetime=0.3, retry=0.0)
    async with watched(database, Entry, key="name", watch=limits) as client:
        async with client.watch("/entries") as stream:
            assert await stream.next() is None
        assert stream.beats >= 2
        await Entry(name="meanwhile").insert()
        async with client.watch("/entries", headers={"last-event-id": stream.last}) as stream:
            [seen] = await stream.take(1)
            assert seen.data["key"] == "meanwhile"


async def test_too_many_are_refused(database: Any) -> None:
    limits = WatchLimits(heartbeat=0.2, watches=1)
    async with watched(database, Entry, key="name", watch=limits) as client, client.watch("/entries") as stream:
        await stream.beat()
        assert (await client.refused("/entries", 503))["code"] == "TOO_MANY_WATCHES"


async def test_tampered_and_foreign_tokens_are_refused(database: Any) -> None:
    async with watched(database, Entry, key="name") as client:
        token = (await client.get("/entries?include=etag,watch")).json()["watch_token"]
        page_token = "YQ.YQ.YQ"
        flipped = token[:5] + ("A" if token[5] != "A" else "B") + token[6:]
        for wrong in ("x", "a.b", "é", "A" * 10_000, flipped, token[:-1], page_token, token + "\x00"):
            with_query = await client.refused("/entries", 422 if "\x00" in wrong else 400, params={"after": wrong})
            assert with_query["code"] == ("INVALID" if "\x00" in wrong else "INVALID_WATCH_TOKEN")
        assert (await client.refused("/entries", 400, headers={"last-event-id": flipped}))["status"] == 400
        async with client.watch("/entries", params={"after": token}):
            pass


async def test_a_dropped_collection_ends_the_watch(database: Any) -> None:
    async with watched(database, Entry, key="name") as client:
        async with client.watch("/entries") as stream:
            await stream.beat()
            await collection_of(Entry).drop()
            [gone] = await stream.take(1)
            assert (gone.event, gone.id, gone.data["status"], gone.data["code"]) == ("gone", "", 410, "HISTORY_GONE")
            assert await stream.next() is None
        async with client.watch("/entries") as stream:  # of the new collection, of which all is kept again
            await stream.beat()
            await Entry(name="new").insert()
            await Entry.find_one({"name": "new"}).delete()
            assert [seen.event for seen in await stream.take(2)] == ["created", "deleted"]


async def test_without_what_was_before_a_change_a_watch_ends_rather_than_to_guess(database: Any) -> None:
    async with watched(database, Entry, key="name") as client:
        async with client.watch("/entries") as stream:
            await stream.beat()
            images = {"changeStreamPreAndPostImages": {"enabled": False}}
            await database.command("collMod", "watched_entries", **images)
            await Entry(name="a").insert()
            await Entry.find_one({"name": "a"}).delete()
            created, gone = await stream.take(2)
            assert (created.event, gone.event) == ("created", "gone")
        assert (await client.refused("/entries", 410, headers={"last-event-id": created.id}))["code"] == "HISTORY_GONE"
        async with client.watch("/entries") as stream:
            await stream.beat()


async def test_the_end_of_a_server_ends_its_watches(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "_ended", weakref.WeakSet())
    async with watched(database, Entry, key="name") as client:
        async with client.watch("/entries") as stream:
            await stream.beat()
            end_watches()
            assert await stream.next() is None
        assert (await client.refused("/entries", 503))["code"] == "UNAVAILABLE"


async def test_nothing_is_left_behind(database: Any) -> None:
    async with watched(database, Entry, key="name", watch=QUICK) as client:
        async with client.watch("/entries") as stream:
            await stream.beat()
            [hub] = [weakref.ref(hub) for known in hubs._hubs.values() for hub in known.values()]

        async def forgotten() -> bool:
            gc.collect()
            return hub() is None and not any(hubs._hubs.values())

        await eventually_async(forgotten)


class Elections:
    """Change streams that end after one answer each, as in one short election after the other."""

    token: Mapping[str, Any] = {"_data": "01"}

    def __init__(self) -> None:
        self.opened = 0
        self.answered = False

    @contextlib.asynccontextmanager
    async def open(self, _: Any, after: Any = None) -> AsyncIterator["Elections"]:
        assert (after is None) == (self.opened == 0)
        self.opened += 1
        self.answered = False
        yield self

    async def next(self) -> None:
        if self.answered:
            raise AutoReconnect("the primary steps down")
        self.answered = True


async def test_a_pause_is_short_again_after_the_stream_went_on(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    elections = Elections()
    monkeypatch.setattr(hubs, "open_changes", elections.open)
    monkeypatch.setattr(hubs, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(hubs, "LONGEST_PAUSE", 60.0)
    hub = hubs.Hub(database["watched_entries"])
    hub.users = 1

    async def many() -> bool:
        # Each pause twice as long as the one before: the last of them would be a minute.
        return elections.opened > 30

    async def ended() -> bool:
        return hub.ended

    await eventually_async(many)
    hub.users = 0
    await eventually_async(ended)
