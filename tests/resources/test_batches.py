"""`POST /books:batch`: many writes in one request, by the same rules as single ones."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import httpx
import pytest
from beanie import Document, Indexed
from fastapi import Depends, Header, HTTPException

from regesta import Access, Change, Forbidden, Hooks, Immutable, Invalid, Parent, PluginError, Resource, hookimpl
from regesta.audit import AuditRecord, AuditTrail
from regesta.store import collection_of

from .serving import Client, pointers, served

BATCH = "/accounts:batch"


class Account(Document):
    name: Annotated[str, Indexed(unique=True), Immutable]
    balance: int = 0

    class Settings:
        use_revision = True


class Note(Document):
    account: str
    number: int = 0
    text: str = ""

    class Settings:
        use_revision = True


class Rules:
    """Judges without looking elsewhere."""

    @hookimpl
    def validate_change(self, change: Change[Account]) -> None:
        if change.after and change.after.balance < 0:
            raise Invalid("balance", "must not be negative")


def create(name: str, **body: Any) -> dict[str, Any]:
    return {"op": "create", "body": {"name": name, **body}}


def patch(key: str, body: Any, **more: Any) -> dict[str, Any]:
    return {"op": "patch", "key": key, "body": body, **more}


async def send(client: Client, *operations: Any, atomic: bool = True, **more: Any) -> httpx.Response:
    return await client.post(BATCH, json={"atomic": atomic, "operations": operations}, **more)


def statuses(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [result["status"] for result in answer.json()["results"]]


async def balances() -> dict[str, int]:
    return {found["name"]: found["balance"] async for found in collection_of(Account).find({})}


async def events() -> list[tuple[str, str]]:
    found = await collection_of(AuditRecord).find({}).to_list(None)
    return [(event["action"], event["key"]) for event in sorted(found, key=lambda event: event["time"])]


@pytest.fixture
async def client(database: Any) -> AsyncIterator[Client]:
    hooks = Hooks(AuditTrail(), Rules())
    async with served(database, Account, key="name", hooks=hooks, also=[AuditRecord], max_batch=100) as client:
        yield client


SEQUENCE = [
    create("a"),
    patch("a", {"balance": 1}),
    patch("a", [{"op": "replace", "path": "/balance", "value": 2}]),
    {"op": "replace", "key": "b", "body": {"balance": 7}, "allow_missing": True},
    {"op": "replace", "key": "b", "body": {}},
    create("c"),
    {"op": "delete", "key": "c"},
    create("c", balance=3),
]


@pytest.mark.parametrize("atomic", [True, False])
async def test_operations_follow_each_other_also_on_one_key(client: Client, atomic: bool) -> None:
    answer = await send(client, *SEQUENCE, atomic=atomic)
    assert statuses(answer) == [201, 200, 200, 201, 200, 201, 204, 201]
    assert await balances() == {"a": 2, "b": 0, "c": 3}
    assert await events() == [
        *[("create", "a"), ("update", "a"), ("update", "a"), ("create", "b"), ("update", "b")],
        *[("create", "c"), ("delete", "c"), ("create", "c")],
    ]
    last = answer.json()["results"][2]
    read = await client.get("/accounts/a")
    assert (last["key"], last["item"], last["etag"]) == ("a", read.json(), read.headers["etag"])


async def test_all_or_nothing(client: Client) -> None:
    await client.post("/accounts", json={"name": "taken"})
    answer = await send(client, create("a"), create("taken"), create("b"))
    assert pointers(answer, 409) == {"/operations/1/body/name"}
    assert answer.json()["code"] == "DUPLICATE"
    assert (await balances(), await events()) == ({"taken": 0}, [("create", "taken")])


@pytest.mark.parametrize(
    ("operation", "status", "pointer"),
    [
        (patch("nobody", {"balance": 1}), 404, "/operations/1"),
        (patch("there", {"balance": 1}, if_match='"00"'), 412, "/operations/1"),
        (patch("there", [{"op": "test", "path": "/balance", "value": 5}]), 409, "/operations/1/body/0"),
        (patch("there", {"balance": -1}), 422, "/operations/1/body/balance"),
        (patch("there", {"name": "other"}), 422, "/operations/1/body/name"),
        ({"op": "replace", "key": "there", "body": {"name": "x"}}, 422, "/operations/1/body/name"),
        ({"op": "delete", "key": "there", "if_match": '"00"'}, 412, "/operations/1"),
        (create("there"), 409, "/operations/1/body/name"),
        (create("x", balance=-1), 422, "/operations/1/body/balance"),
        (create("x/y"), 422, "/operations/1/body/name"),
    ],
)
async def test_one_that_fails_alone_and_among_all(
    client: Client, operation: dict[str, Any], status: int, pointer: str
) -> None:
    await client.post("/accounts", json={"name": "there"})
    answer = await send(client, create("a"), operation, create("b"))
    assert pointers(answer, status) == {pointer}
    assert await balances() == {"there": 0}
    answer = await send(client, create("a"), operation, create("b"), atomic=False)
    assert statuses(answer) == [201, status, 201]
    problem = answer.json()["results"][1]["problem"]
    assert (problem["status"], [issue["pointer"] for issue in problem["errors"]]) == (status, [pointer])
    assert await balances() == {"there": 0, "a": 0, "b": 0}
    assert len(await events()) == 3


async def test_everything_that_is_invalid_is_told_at_once(client: Client) -> None:
    answer = await send(client, create("a", balance="x"), create("b"), create("c", colour=1), patch("d", 5))
    assert pointers(answer) == {"/operations/0/body/balance", "/operations/2/body/colour", "/operations/3/body"}
    answer = await send(client, create("a", balance=-1), create("b"), create("c", balance=-1))
    assert pointers(answer) == {"/operations/0/body/balance", "/operations/2/body/balance"}
    assert await balances() == {}


async def test_many_failures_leave_the_others_alone(client: Client) -> None:
    """More than are tried together: then each goes by itself."""
    await send(client, *[create(f"n{number}") for number in range(0, 40, 4)])
    answer = await send(client, *[create(f"n{number}") for number in range(40)], atomic=False)
    assert statuses(answer) == [201 if number % 4 else 409 for number in range(40)]
    assert len(await events()) == len(await balances()) == 40


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ([], {""}),
        ({"operations": []}, {"/operations"}),
        ({}, {"/operations"}),
        ({"operations": [create(str(number)) for number in range(101)]}, {"/operations"}),
        ({"operations": [create("a")], "atomic": 1, "more": 1}, {"/atomic", "/more"}),
        ({"operations": [1, {"op": "upsert"}, {}]}, {"/operations/0", "/operations/1/op", "/operations/2/op"}),
        ({"operations": [{"op": "create"}]}, {"/operations/0/body"}),
        ({"operations": [{**create("a"), "key": "a"}]}, {"/operations/0/key"}),
        (
            {"operations": [{"op": "delete", "key": 1, "if_match": "x"}]},
            {"/operations/0/key", "/operations/0/if_match"},
        ),
        ({"operations": [{"op": "delete", "key": "a", "cascade": True}]}, {"/operations/0/cascade"}),
        ({"operations": [create("a\0")]}, {"/operations/0/body/name"}),
    ],
)
@pytest.mark.parametrize("atomic", [{}, {"atomic": False}])
async def test_what_is_no_batch_is_refused_as_a_whole(
    client: Client, body: Any, found: set[str], atomic: dict[str, bool]
) -> None:
    answer = await client.post(BATCH, json=atomic | body if isinstance(body, dict) else body)
    assert pointers(answer) == found


async def test_bodies_are_read_strictly(client: Client) -> None:
    json = {"content-type": "application/json"}
    twice = b'{"operations": [{"op": "create", "body": {"name": "a", "name": "b"}}]}'
    assert (await client.post(BATCH, content=twice, headers=json)).json()["code"] == "DUPLICATE_JSON_KEY"
    assert (await client.post(BATCH, content=twice)).status_code == 415
    assert pointers(await client.post(f"{BATCH}?fast=true", json={})) == {""}
    assert (await client.get(BATCH)).status_code in {404, 405}


async def test_no_body_may_be_larger_than_alone(database: Any) -> None:
    async with served(database, Account, key="name", max_body_size=200) as client:
        large = create("x" * 300)
        assert (await client.post("/accounts", json=large["body"])).status_code == 413
        assert statuses(await send(client, create("a"), large, patch("a", {"balance": 1}), atomic=False)) == [
            201,
            413,
            200,
        ]
        assert (await send(client, large, large, *[large] * 10)).status_code == 413


async def test_stores_without_transactions(memory_database: Any) -> None:
    hooks = Hooks(AuditTrail(), Rules())
    async with served(memory_database, Account, key="name", hooks=hooks, also=[AuditRecord]) as client:
        answer = await send(client, create("a"), create("b"))
        assert (answer.status_code, answer.json()["code"]) == (501, "TRANSACTIONS_UNSUPPORTED")
        assert await balances() == {}
        assert statuses(await send(client, create("d"))) == [201]
        assert (await send(client, create("d"))).status_code == 409
        answer = await send(client, create("a"), create("a"), *SEQUENCE[1:], atomic=False)
        assert statuses(answer) == [201, 409, 200, 200, 201, 200, 201, 204, 201]
        assert len(await events()) == 9


class Guard:
    """Nobody may touch what is his."""

    asked: Sequence[tuple[str, str | None]] = ()

    @hookimpl
    def authorize(self, request: Access) -> None:
        self.asked = [*self.asked, (request.operation, request.key)]
        if request.key == "his":
            raise Forbidden("his")


async def test_hooks_are_asked_for_each_operation(database: Any) -> None:
    guard = Guard()
    async with served(database, Account, key="name", hooks=Hooks(guard)) as client:
        operations = [create("a"), {"op": "delete", "key": "his"}, patch("a", {"balance": 1})]
        assert (await send(client, *operations)).status_code == 403
        assert guard.asked == [("batch", None), ("create", None), ("delete", "his"), ("patch", "a")]
        assert statuses(await send(client, *operations, atomic=False)) == [201, 403, 200]


def locked(x_key: Annotated[str, Header()] = "") -> None:
    if x_key != "open":
        raise HTTPException(401)


async def test_dependencies_and_operations_are_not_passed_by(database: Any) -> None:
    guarded = {"delete": [Depends(locked)]}
    async with served(database, Account, key="name", operation_dependencies=guarded) as client:
        assert (await send(client, create("a"))).status_code == 401
        assert statuses(await send(client, create("a"), headers={"x-key": "open"})) == [201]
    kept = ["create", "get", "batch"]
    async with served(database, Account, key="name", operations=kept, operation_dependencies=guarded) as client:
        assert statuses(await send(client, create("b"))) == [201]
        assert pointers(await send(client, {"op": "delete", "key": "a"})) == {"/operations/0/op"}
        assert statuses(await send(client, create("c"), {"op": "delete", "key": "a"}, atomic=False)) == [201, 422]
    async with served(database, Account, key="name", operations=["create", "get"]) as client:
        assert (await send(client, create("d"))).status_code in {404, 405}
    async with served(database, Account, key="name", operations=["get", "batch"]) as client:
        assert (await send(client, create("d"))).status_code in {404, 405}


async def test_a_condition_may_be_demanded(database: Any) -> None:
    async with served(database, Account, key="name", require_if_match=True) as client:
        etag = (await client.post("/accounts", json={"name": "a"})).headers["etag"]
        assert pointers(await send(client, create("b"), patch("a", {"balance": 1})), 428) == {"/operations/1"}
        answer = await send(client, patch("a", {"balance": 1}, if_match=etag), patch("a", {"balance": 2}), atomic=False)
        assert statuses(answer) == [200, 428]


async def test_children_are_numbered_without_gaps(database: Any) -> None:
    accounts = Resource(Account, key="name")
    notes = Resource(
        Note, key="number", parent=Parent(resource=accounts, field="account", stores="name", sequence="number")
    )

    class Short:
        @hookimpl
        def validate_change(self, change: Change[Note]) -> None:
            if change.after and len(change.after.text) > 3:
                raise Invalid("text", "is too long")

    async with served(database, accounts, notes, hooks=Hooks(AuditTrail(), Short()), also=[AuditRecord]) as client:
        await client.post("/accounts", json={"name": "a"})
        url, one, long = (
            "/accounts/a/notes:batch",
            {"op": "create", "body": {}},
            {"op": "create", "body": {"text": "long"}},
        )
        answer = await client.post(url, json={"operations": [one, one, {"op": "delete", "key": "1"}, one]})
        assert statuses(answer) == [201, 201, 204, 201]
        assert (await client.post(url, json={"operations": [one, long]})).status_code == 422
        answer = await client.post(url, json={"operations": [one, long, one], "atomic": False})
        assert statuses(answer) == [201, 422, 201]
        assert [note["number"] for note in (await client.get("/accounts/a/notes")).json()["items"]] == [2, 3, 4, 5]
        assert (await client.post("/accounts/a/notes", json={})).json()["number"] == 6
        assert (await client.post("/accounts/b/notes:batch", json={"operations": [one]})).status_code == 404
        answer = await client.post(BATCH, json={"operations": [{"op": "delete", "key": "a"}]})
        assert answer.json()["code"] == "HAS_CHILDREN"
        answer = await client.post(BATCH, json={"operations": [{"op": "delete", "key": "a", "cascade": True}]})
        assert statuses(answer) == [204]
        assert await collection_of(Note).count_documents({}) == 0


class OnlyTwo:
    """Looks at what is there, as only an `async` hook can."""

    @hookimpl
    async def validate_change(self, change: Change[Account]) -> None:
        if await collection_of(Account).count_documents({}, session=change.session) >= 2:
            raise Invalid("name", "there are enough")


@pytest.mark.parametrize("atomic", [True, False])
async def test_hooks_that_look_see_what_was_written_before(database: Any, atomic: bool) -> None:
    async with served(
        database, Account, key="name", hooks=Hooks(AuditTrail(), OnlyTwo()), also=[AuditRecord]
    ) as client:
        answer = await send(client, create("a"), create("b"), create("c"), atomic=atomic)
        if atomic:
            assert pointers(answer) == {"/operations/2/body/name"}
        else:
            assert statuses(answer) == [201, 201, 422]
        assert len(await balances()) == len(await events()) == (0 if atomic else 2)


class Recorders:
    def __init__(self) -> None:
        self.told: list[Any] = []

    @hookimpl
    def record_changes(self, changes: Sequence[Change[Account]]) -> None:
        self.told.append([change.key for change in changes])


class OneByOne:
    name = "one-by-one"

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    @hookimpl
    def record_change(self, change: Change[Account]) -> None:
        self.told.append(change.key)


async def test_plugins_are_told_of_many_changes_at_once_or_of_one_after_the_other(database: Any) -> None:
    recorders = Recorders()
    hooks = Hooks(recorders, OneByOne(recorders.told))
    async with served(database, Account, key="name", hooks=hooks) as client:
        await send(client, create("a"), create("b"))
        await client.post("/accounts", json={"name": "c"})
    assert recorders.told == [["a", "b"], "a", "b", ["c"], "c"]


def test_a_plugin_records_in_one_way() -> None:
    class Both(OneByOne, Recorders):
        pass

    with pytest.raises(PluginError, match="both"):
        Hooks(Both([]))


async def test_what_cannot_be_recorded_is_not_written(database: Any, client: Client) -> None:
    await database.command("collMod", "audit_events", validator={"key": {"$ne": "b"}})
    answer = await send(client, create("a"), create("b"), create("c"))
    assert (answer.status_code, answer.json()["code"]) == (503, "NOT_RECORDED")
    assert await balances() == {}
    assert statuses(await send(client, create("a"), create("b"), create("c"), atomic=False)) == [201, 503, 201]
    assert set(await balances()) == {"a", "c"}


async def test_two_batches_on_the_same_documents_meet(client: Client) -> None:
    batch = [
        {"op": "replace", "key": f"k{number}", "body": {"balance": 1}, "allow_missing": True} for number in range(5)
    ]
    answers = await asyncio.gather(*[send(client, *batch, atomic=number % 2 == 0) for number in range(4)])
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(await events()) == [("create", f"k{number}") for number in range(5)]
