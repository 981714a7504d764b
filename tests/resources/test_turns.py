"""Long work of one request is cut into pieces with turns for others between them: counted, never timed."""

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import pytest
from beanie import Document

from regesta import Hooks, Parent, Resource
from regesta.audit import AuditRecord, AuditTrail
from regesta.pacing import LONGEST_HOLD, Pace
from regesta.store import collection_of
from regesta.watch.hub import Hub

from .serving import served

COUNT = 7
MEGABYTE = 1024 * 1024


class Pebble(Document):
    name: str
    text: str = ""
    marks: list[Any] = []

    class Settings:
        name = "turn_pebbles"
        is_root = True


class Gem(Pebble):
    """One document of several classes: its pages are made one by one."""


class Grain(Document):
    pebble: str
    name: str

    class Settings:
        name = "turn_grains"


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each module has let others run if they had waited."""
    counted = Counter[str]()

    async def rest(pace: Pace) -> None:
        counted[sys._getframe(1).f_globals["__name__"].removeprefix("regesta.")] += 1

    monkeypatch.setattr(Pace, "rest", rest)
    return counted


async def test_others_run_once_the_loop_was_held_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now, turns = 100.0, 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr("regesta.pacing.perf_counter", lambda: now)
    other = asyncio.create_task(others())
    pace, seen = Pace(), list[int]()
    for held in (0.0, 0.9, 0.2, 0.9, 1.0):
        now += held * LONGEST_HOLD
        await pace.rest()
        seen.append(turns)
    other.cancel()
    assert seen == [0, 0, 1, 1, 2]


def operations(count: int = COUNT, first: int = 0) -> list[dict[str, Any]]:
    return [{"op": "create", "body": {"name": f"p{number}"}} for number in range(first, first + count)]


async def test_a_batch_rests_after_each_operation_at_each_stage(database: Any, rests: Counter[str]) -> None:
    hooks = Hooks(AuditTrail())
    async with served(database, Pebble, key="name", name="pebbles", hooks=hooks, also=[AuditRecord]) as client:
        for body in ({"operations": operations()}, {"operations": operations(first=COUNT), "atomic": False}):
            rests.clear()
            answer = await client.post("/pebbles:batch", json=body)
            assert answer.status_code == 200, answer.text
            # Once for the body as a whole and for its check, then for each operation: prepared and answered.
            assert rests["http.batch"] == 2 + 2 * COUNT
            assert rests["operations.gathering"] == 2 * COUNT  # done, and kept for the answer
            assert rests["operations.steps"] == COUNT  # their events


async def test_an_import_rests_after_each_line_and_each_piece_of_the_body(database: Any, rests: Counter[str]) -> None:
    lines = [json.dumps({"name": f"p{number}", "text": "x" * 20_000}) for number in range(COUNT)]
    async with served(database, Pebble, key="name", name="pebbles") as client:
        answer = await client.post(
            "/pebbles", content="\n".join(lines), headers={"content-type": "application/x-ndjson"}
        )
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.text.splitlines()[-1])["summary"]["created"] == COUNT
    assert rests["http.imports"] > COUNT
    assert rests["http.received"] >= len("\n".join(lines)) // (16 * 1024)


async def test_a_page_rests_after_each_document_and_each_piece_of_bson(database: Any, rests: Counter[str]) -> None:
    async with served(database, Pebble, key="name", name="pebbles", also=[Gem]) as client:
        stored = [{"_class_id": "Pebble", "name": f"p{number}", "text": "x" * 300_000} for number in range(COUNT)]
        await collection_of(Pebble).insert_many(stored)
        answer = await client.get("/pebbles")
    assert len(answer.json()["items"]) == COUNT
    assert rests["operations.reads"] == COUNT
    assert rests["store._rows"] == COUNT


async def test_a_change_rests_between_its_stages(database: Any, rests: Counter[str]) -> None:
    async with served(database, Pebble, key="name", name="pebbles") as client:
        await client.post("/pebbles", json={"name": "a"})
        rests.clear()
        assert (await client.merge("/pebbles/a", {"text": "new"})).status_code == 200
    # Read, edited, prepared, encoded as it was, kept, shown, compared, judged: each takes its time if it is large.
    assert rests["operations.updates"] == 8


async def test_a_body_rests_between_the_steps_that_make_a_document_of_it(database: Any, rests: Counter[str]) -> None:
    async with served(database, Pebble, key="name", name="pebbles") as client:
        await client.post("/pebbles", json={"name": "a", "marks": [1, 2]})
        rests.clear()
        move = {"op": "move", "from": "/marks/0", "path": "/marks/1"}
        assert (await client.operate("/pebbles/a", move)).status_code == 200
        assert (rests["operations.bodies"], rests["operations.edits"]) == (2, 6)
        rests.clear()
        assert (await client.put("/pebbles/a", json={"name": "a", "marks": [3]})).status_code == 200
        assert rests["operations.edits"] == 5


async def test_a_cascade_rests_after_each_document(database: Any, rests: Counter[str]) -> None:
    pebbles = Resource(Pebble, key="name", name="pebbles")
    grains = Resource(Grain, key="name", name="grains", parent=Parent(resource=pebbles, field="pebble", stores="name"))
    async with served(database, pebbles, grains) as client:
        await client.post("/pebbles", json={"name": "a"})
        await collection_of(Grain).insert_many([{"pebble": "a", "name": f"g{number}"} for number in range(COUNT)])
        rests.clear()
        assert (await client.delete("/pebbles/a?cascade=true")).status_code == 204
    assert await collection_of(Grain).count_documents({}) == 0
    assert rests["operations.deletes"] == 1 + COUNT


async def test_a_past_revision_rests_after_each_change(database: Any, rests: Counter[str]) -> None:
    hooks = Hooks(AuditTrail())
    async with served(database, Pebble, key="name", name="pebbles", hooks=hooks, also=[AuditRecord]) as client:
        await client.post("/pebbles", json={"name": "a"})
        for number in range(COUNT):
            answer = await client.merge("/pebbles/a", {"text": str(number)})
            assert answer.status_code == 200, answer.text
        latest, before, *_ = (await client.get("/pebbles/a:history")).json()["items"]
        rests.clear()
        answer = await client.get(f"/pebbles/a?revision={before['revision']}")
    assert latest["revision"] != before["revision"]
    assert answer.json()["text"] == str(COUNT - 2)
    assert rests["operations.folding"] == COUNT - 1


async def test_a_hub_rests_after_each_watcher(database: Any, rests: Counter[str]) -> None:
    class Listener:
        def offer(self, commit: Any) -> None:
            offered.append(commit)

        def end(self, reason: Any) -> None:
            """Nothing waits for it."""

    offered = list[Any]()
    hub, commit = Hub(database["any"]), object()
    hub.watchers = {Listener() for _ in range(COUNT)}  # type: ignore[misc]
    await hub._offer(commit)  # type: ignore[arg-type]
    hub._task.cancel()
    assert offered == [commit] * COUNT
    assert rests["watch.hub"] == COUNT
