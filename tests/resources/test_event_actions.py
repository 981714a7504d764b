"""Beanie's own event actions, sync and async, fire for what happens through HTTP."""

import asyncio
from typing import Any

import pytest
from beanie import (
    Delete,
    Document,
    Insert,
    Replace,
    Save,
    SaveChanges,
    Update,
    ValidateOnSave,
    after_event,
    before_event,
)
from tests.eventually import eventually_async

from regesta import Hooks, Invalid, hookimpl
from regesta.change import AuditEvent
from regesta.store import collection_of

from .serving import created, pointers, served

SEEN: list[str] = []


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()


class Eventful(Document):
    name: str
    slug: str = ""
    writes: int = 0
    broken: bool = False

    @before_event(Insert, Replace, Update, Save, SaveChanges)
    def set_slug(self) -> None:
        SEEN.append("before write")
        self.slug = self.name.lower()

    @before_event(Insert)
    async def count_inserts(self) -> None:
        SEEN.append("before insert")
        self.writes += 1

    @before_event(Replace)
    async def count_replaces(self) -> None:
        SEEN.append("before replace")
        self.writes += 10

    @before_event(Update)
    async def count_updates(self) -> None:
        SEEN.append("before update")
        self.writes += 100

    @after_event(Insert, Replace, Update)
    async def tell(self) -> None:
        SEEN.append("after write")
        if self.broken:
            raise RuntimeError("an action of the application")

    @before_event(Delete)
    def before_delete(self) -> None:
        SEEN.append("before delete")

    @after_event(Delete)
    async def after_delete(self) -> None:
        SEEN.append("after delete")

    @before_event(ValidateOnSave)
    def never(self) -> None:
        SEEN.append("validate on save")

    class Settings:
        name = "eventful"


class Careless(Document):
    n: int = 0
    text: str = ""

    @before_event(Insert, Update)
    def spoil(self) -> None:
        if self.text == "spoil":
            self.__dict__["n"] = "no number"
        if self.text == "refuse":
            raise Invalid("text", "not this one")

    class Settings:
        name = "careless"


async def test_actions_run_once_around_each_write_and_what_they_set_is_stored(any_database: Any) -> None:
    async with served(any_database, Eventful, name="events") as client:
        answer = await client.post("/events", json={"name": "A"})
        assert (answer.json()["slug"], answer.json()["writes"]) == ("a", 1)
        assert sorted(SEEN) == ["after write", "before insert", "before write"]
        url = answer.headers["location"]
        assert (await client.get(url)).content == answer.content
        SEEN.clear()
        patched = (await client.merge(url, {"name": "B"})).json()
        assert (patched["slug"], patched["writes"]) == ("b", 101)
        assert sorted(SEEN) == ["after write", "before update", "before write"]
        SEEN.clear()
        replaced = (await client.put(url, json={"name": "C"})).json()
        assert (replaced["slug"], replaced["writes"]) == ("c", 10)
        assert sorted(SEEN) == ["after write", "before replace", "before write"]
        SEEN.clear()
        assert (await client.delete(url)).status_code == 204
        assert SEEN == ["before delete", "after delete"]


async def test_no_after_action_without_a_write(any_database: Any) -> None:
    async with served(any_database, Eventful, name="events") as client:
        url = f"/events/{(await created(client, '/events', {'name': 'A'}))['id']}"
        SEEN.clear()
        assert (await client.merge(url, {"name": 5})).status_code == 422
        assert (await client.post("/events", json={})).status_code == 422
        assert (await client.merge(url, {"name": "B"}, **{"if-match": '"no"'})).status_code == 412
        assert (await client.delete(f"{url[:-1]}z")).status_code == 422
        assert not any(seen.startswith("after") for seen in SEEN)


async def test_an_after_action_that_raises_breaks_nothing(any_database: Any) -> None:
    events: list[AuditEvent] = []

    class Observer:
        @hookimpl
        def audit_event(self, event: AuditEvent) -> None:
            events.append(event)

    hooks = Hooks(Observer())
    async with served(any_database, Eventful, name="events", hooks=hooks) as client:
        answer = await client.post("/events", json={"name": "A", "broken": True})
        assert answer.status_code == 201
        url = answer.headers["location"]
        assert (await client.merge(url, {"name": "B"})).status_code == 200
        assert (await client.get(url)).json()["name"] == "B"
        assert [event.action for event in events] == ["create", "update"]
        assert hooks.failures["Eventful", "after_event"] == 2


async def test_what_a_before_action_makes_is_validated(any_database: Any) -> None:
    async with served(any_database, Careless, name="careless") as client:
        assert pointers(await client.post("/careless", json={"text": "spoil"})) == {"/n"}
        url = f"/careless/{(await created(client, '/careless', {}))['id']}"
        assert pointers(await client.merge(url, {"text": "spoil"})) == {"/n"}
        assert await collection_of(Careless).count_documents({"text": "spoil"}) == 0


async def test_a_before_action_may_refuse(any_database: Any) -> None:
    async with served(any_database, Careless, name="careless") as client:
        refused = await client.post("/careless", json={"text": "refuse"})
        assert pointers(refused) == {"/text"}
        assert await collection_of(Careless).count_documents({}) == 0


async def test_beanies_own_ways_still_fire_them(database: Any) -> None:
    async with served(database, Eventful, name="events"):
        document = Eventful(name="A")
        await document.insert()
        assert "before insert" in SEEN
        assert document.slug == "a"


class Slow(Document):
    name: str

    @after_event(Insert)
    async def hang(self) -> None:
        if self.name == "hang":
            await asyncio.Event().wait()
        awaited = asyncio.ensure_future(asyncio.Event().wait())
        awaited.cancel()
        await awaited


class Stuck:
    @hookimpl
    async def audit_event(self, event: AuditEvent) -> None:
        await asyncio.Event().wait()


async def test_what_hangs_after_the_commit_is_given_up_and_counted(any_database: Any) -> None:
    hooks = Hooks(Stuck())
    async with served(any_database, Slow, name="slow", hooks=hooks, timeout=0.5) as client, asyncio.timeout(10):
        assert (await client.post("/slow", json={"name": "hang"})).status_code == 201
        assert (await client.post("/slow", json={"name": "cancel"})).status_code == 201

        async def counted() -> bool:
            return hooks.failures == {("Slow", "after_event"): 2, ("Stuck", "audit_event"): 2}

        await eventually_async(counted)


async def test_the_answer_to_many_writes_does_not_wait_for_each_observer(database: Any) -> None:
    operations = [{"op": "create", "body": {"name": str(number)}} for number in range(15)]
    async with served(database, Slow, name="slow", hooks=Hooks(Stuck()), timeout=1.0) as client:
        async with asyncio.timeout(8):
            answer = await client.post("/slow:batch", json={"operations": operations})
        assert answer.status_code == 200, answer.text
