"""Creates that come at once share a transaction, and nothing else: each has its own rules, events and answers."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Annotated, Any

import pytest
from beanie import Document, Indexed, PydanticObjectId, init_beanie
from fastapi import Header
from pymongo import IndexModel

from regesta import Actor, Caller, Change, Hooks, Invalid, Parent, Registry, Resource, hookimpl, reads_when
from regesta.audit import AuditRecord, AuditTrail
from regesta.operations import gathering
from regesta.store import collection_of

from .serving import Client, served

WHO: ContextVar[str] = ContextVar("who", default="nobody")


class Account(Document):
    name: Annotated[str, Indexed(unique=True)]
    made_by: str = ""
    balance: int = 0

    class Settings:
        name = "gathered_accounts"
        use_revision = True


class Entry(Document):
    account_id: PydanticObjectId
    number: int = 0
    text: str = ""

    class Settings:
        name = "gathered_entries"
        use_revision = True


async def actor(x_who: Annotated[str, Header()] = "nobody") -> Actor:
    WHO.set(x_who)
    return Actor(x_who, "key")


class Rules:
    """Writes down how many changes were recorded at once."""

    def __init__(self) -> None:
        self.recorded: list[int] = []

    @hookimpl
    def prepare_change(self, change: Change[Account]) -> None:
        if change.after:
            change.after.made_by = WHO.get()

    @hookimpl
    def validate_change(self, change: Change[Account]) -> None:
        if change.after and change.after.balance < 0:
            raise Invalid("balance", "must not be negative")
        if change.after and change.after.balance == 13:
            raise ValueError("a fault of the plugin")

    @hookimpl
    async def record_changes(self, changes: Sequence[Change[Any]], session: Any) -> None:
        assert session is not None
        self.recorded.append(len(changes))


class Waits:
    """Has a hook that may wait for anything: here for ten creates that have come to it."""

    def __init__(self) -> None:
        self.come = 0
        self.all_here = asyncio.Event()

    @hookimpl
    async def validate_change(self, change: Change[Account]) -> None:
        assert change.after
        self.come += 1
        if self.come == 10:
            self.all_here.set()
        await asyncio.wait_for(self.all_here.wait(), 5)


class SaysNot:
    """Has one that says when it does."""

    @hookimpl
    @reads_when(lambda change: change.before is not None)
    async def validate_change(self, change: Change[Account]) -> None:
        assert change.after


async def post(client: Client, path: str, bodies: Sequence[Any]) -> list[Any]:
    return await asyncio.gather(
        *(client.post(path, json=body, headers={"X-Who": f"user-{i}"}) for i, body in enumerate(bodies))
    )


async def test_each_has_its_own_event_context_and_answer(database: Any) -> None:
    rules = Rules()
    accounts = Resource(Account, key="name", actor=actor)
    async with served(database, accounts, hooks=Hooks(AuditTrail(), rules), also=[AuditRecord]) as client:
        answers = await post(client, "/accounts", [{"name": f"a{i}", "balance": i} for i in range(12)])
        assert Counter(answer.status_code for answer in answers) == {201: 12}
        assert [answer.json()["made_by"] for answer in answers] == [f"user-{i}" for i in range(12)]
        for i, answer in enumerate(answers):
            assert (await client.get(f"/accounts/a{i}")).headers["etag"] == answer.headers["etag"]
        events = await collection_of(AuditRecord).find({}).to_list(None)
        assert {event["key"]: event["actor"]["subject"] for event in events} == {
            f"a{i}": f"user-{i}" for i in range(12)
        }
        assert sum(rules.recorded) == 12
        assert max(rules.recorded) > 1


async def test_what_fails_fails_alone(database: Any) -> None:
    rules = Rules()
    accounts = Resource(Account, key="name", actor=actor)
    async with served(database, accounts, hooks=Hooks(AuditTrail(), rules), also=[AuditRecord]) as client:
        bodies: list[Any] = [{"name": f"a{i}", "balance": i} for i in range(12)]
        bodies[7] = {"name": "a6"}
        bodies[8] = {"name": "b", "balance": -1}
        bodies[9] = {"name": "c", "balance": "x"}
        bodies[10] = {"name": "d", "balance": 13}
        answers = await post(client, "/accounts", bodies)
        codes = [answer.status_code for answer in answers]
        assert sorted(codes[6:8]) == [201, 409]
        assert codes[:6] + codes[8:] == [201] * 6 + [422, 422, 500, 201]
        names = sorted(account["name"] for account in (await client.get("/accounts")).json()["items"])
        assert names == ["a0", "a1", "a11", "a2", "a3", "a4", "a5", "a6"]
        events = await collection_of(AuditRecord).find({}).to_list(None)
        assert sorted(event["key"] for event in events) == names


@pytest.mark.parametrize(("waits", "shares"), [(True, False), (False, True)], ids=["waits", "says not"])
async def test_who_may_wait_is_not_waited_for(database: Any, waits: bool, shares: bool) -> None:
    rules, plugin = Rules(), Waits() if waits else SaysNot()
    accounts = Resource(Account, key="name", actor=actor)
    hooks = Hooks(AuditTrail(), rules, plugin)
    async with served(database, accounts, hooks=hooks, also=[AuditRecord]) as client:
        answers = await post(client, "/accounts", [{"name": f"a{i}"} for i in range(10)])
        assert Counter(answer.status_code for answer in answers) == {201: 10}
        assert (max(rules.recorded) > 1) is shares


@pytest.mark.parametrize("counter", ["", "entries"])
async def test_numbers_below_one_parent_and_below_many(database: Any, counter: str) -> None:
    rules = Rules()
    accounts = Resource(Account, key="name", actor=actor)
    above = Parent(resource=accounts, field="account_id", sequence="number", counter=counter)
    entries = Resource(Entry, name="entries", key="number", parent=above)
    hooks = Hooks(AuditTrail(), rules)
    async with served(database, accounts, entries, hooks=hooks, also=[AuditRecord]) as client:
        for name in "abc":
            await client.post("/accounts", json={"name": name})
        rules.recorded.clear()
        paths = [f"/accounts/{'abca'[i % 4]}/entries" for i in range(24)] + ["/accounts/none/entries"]
        bodies: list[Any] = [{"text": 1} if i % 5 == 4 else {"text": str(i)} for i in range(25)]
        answers = await asyncio.gather(
            *(client.post(path, json=body) for path, body in zip(paths, bodies, strict=True))
        )
        assert answers[-1].status_code == 404
        for name in "abc":
            found = [answer for path, answer in zip(paths, answers, strict=True) if path == f"/accounts/{name}/entries"]
            made = [answer.json()["number"] for answer in found if answer.status_code == 201]
            assert sorted(made) == list(range(1, len(made) + 1))
            assert (await client.post(f"/accounts/{name}/entries", json={})).json()["number"] == len(made) + 1
        assert max(rules.recorded) > 1


class Shelf(Document):
    tenant: str = ""
    name: str

    class Settings:
        name = "gathered_shelves"
        use_revision = True
        indexes = [IndexModel([("tenant", 1), ("name", 1)], unique=True)]


class Volume(Document):
    tenant: str = ""
    shelf_id: PydanticObjectId
    number: int = 0

    class Settings:
        name = "gathered_volumes"
        use_revision = True


async def tenant(x_tenant: Annotated[str, Header()] = "one") -> dict[str, str]:
    return {"tenant": x_tenant}


async def test_each_finds_its_own_parent(database: Any) -> None:
    rules = Rules()
    shelves = Resource(Shelf, name="shelves", key="name", scope=tenant)
    above = Parent(resource=shelves, field="shelf_id", sequence="number", counter="volumes")
    volumes = Resource(Volume, name="volumes", key="number", parent=above, scope=tenant)
    async with served(database, shelves, volumes, hooks=Hooks(AuditTrail(), rules), also=[AuditRecord]) as client:
        for owner, name in [("one", "a"), ("two", "a"), ("two", "b")]:
            await client.post("/shelves", json={"name": name}, headers={"X-Tenant": owner})
        rules.recorded.clear()
        asked = [("one", "a"), ("two", "a"), ("one", "b"), ("two", "b")] * 5
        answers = await asyncio.gather(
            *(client.post(f"/shelves/{name}/volumes", json={}, headers={"X-Tenant": owner}) for owner, name in asked)
        )
        assert max(rules.recorded) > 1
        for (owner, name), answer in zip(asked, answers, strict=True):
            assert answer.status_code == (404 if (owner, name) == ("one", "b") else 201)
        ids = {
            (shelf["tenant"], shelf["name"]): shelf["_id"] for shelf in await collection_of(Shelf).find().to_list(None)
        }
        found = await collection_of(Volume).find().to_list(None)
        assert Counter((volume["tenant"], volume["shelf_id"]) for volume in found) == {
            (owner, identity): 5 for (owner, _), identity in ids.items()
        }


class Removes:
    """While some share a transaction, somebody else deletes the parent that they have found."""

    def __init__(self) -> None:
        self.removed = False

    @hookimpl
    @reads_when(lambda _: False)
    async def prepare_change(self, change: Change[Entry]) -> None:
        assert change.after
        if change.after.text == "removes" and not self.removed:
            self.removed = True
            await collection_of(Account).delete_one({"name": "a"})


async def test_a_parent_that_goes_meanwhile_gets_no_child(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # For all of them to come, however long the first takes.
    for name, seconds in {"LULL": 1.0, "LONGEST": 1.0, "PATIENCE": 60.0}.items():
        monkeypatch.setattr(gathering, name, seconds)
    rules, removes = Rules(), Removes()
    accounts = Resource(Account, key="name", actor=actor)
    above = Parent(resource=accounts, field="account_id", sequence="number", counter="entries")
    entries = Resource(Entry, name="entries", key="number", parent=above)
    hooks = Hooks(AuditTrail(), rules, removes)
    async with served(database, accounts, entries, hooks=hooks, also=[AuditRecord]) as client:
        for name in "ab":
            await client.post("/accounts", json={"name": name})
        paths = ["/accounts/b/entries", *["/accounts/a/entries", "/accounts/b/entries"] * 3]
        bodies = [{"text": "removes" if i == 4 else ""} for i in range(7)]
        answers = await asyncio.gather(
            *(client.post(path, json=body) for path, body in zip(paths, bodies, strict=True))
        )
        assert removes.removed
        codes = Counter((path, answer.status_code) for path, answer in zip(paths, answers, strict=True))
        assert codes == {("/accounts/a/entries", 404): 3, ("/accounts/b/entries", 201): 4}
        assert await collection_of(Entry).count_documents({}) == 4


async def test_a_create_that_leaves_its_group_has_what_is_left_of_its_deadline(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await init_beanie(database, document_models=[Account, AuditRecord])
    accounts = Registry([Resource(Account, name="accounts", key="name", timeout=10)], Hooks(AuditTrail()))["accounts"]
    given: list[float] = []

    async def leaves(_: Any, alone: Callable[[], Awaitable[Any]], __: Any) -> Any:
        await asyncio.sleep(0.01)
        return await alone()

    async def run(*_: Any, seconds: float = 0, **__: Any) -> None:
        given.append(seconds)

    monkeypatch.setattr(accounts.gathering, "join", leaves)
    monkeypatch.setattr(accounts, "run", run)
    await accounts.create(Caller(), (), lambda: Account(name="ann"))

    assert 0 < given[0] <= 10 - 0.01
