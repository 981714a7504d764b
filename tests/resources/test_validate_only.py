"""`?validate_only=true`: everything but the write."""

from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from beanie import Document, Indexed

from regesta import AuditEvent, Change, Hooks, Immutable, Invalid, Parent, Resource, hookimpl
from regesta.audit import AuditRecord, AuditTrail
from regesta.store import collection_of

from .serving import Client, pointers, served

DRY = "?validate_only=true"


class Shelf(Document):
    name: Annotated[str, Indexed(unique=True), Immutable]
    size: int = 1

    class Settings:
        use_revision = True


class Box(Document):
    shelf: str
    number: int = 0


class Rules:
    """Fills, judges, observes."""

    def __init__(self) -> None:
        self.observed: list[Any] = []

    @hookimpl
    def prepare_change(self, change: Change[Shelf]) -> None:
        if change.after and change.after.size == 0:
            change.after.size = 10

    @hookimpl
    def validate_change(self, change: Change[Shelf]) -> None:
        if change.after and change.after.size < 0:
            raise Invalid("size", "must not be negative")

    @hookimpl
    def audit_event(self, event: AuditEvent) -> None:
        self.observed.append(event.key)


async def everything() -> list[Any]:
    found = []
    for document in (Shelf, Box, AuditRecord):
        collection = collection_of(document)
        found += await collection.find({}).to_list(None)
    sequences = collection_of(Box).database["regesta_sequences"]
    return [*found, *await sequences.find({}).to_list(None)]


@pytest.fixture
async def client(any_database: Any) -> Any:
    shelves = Resource(Shelf, name="shelves", key="name")
    parent = Parent(resource=shelves, field="shelf", stores="name", sequence="number")
    boxes = Resource(Box, key="number", parent=parent)
    rules = Rules()
    hooks = Hooks(AuditTrail(), rules)
    async with served(any_database, shelves, boxes, hooks=hooks, also=[AuditRecord]) as client:
        await client.post("/shelves", json={"name": "a"})
        await client.post("/shelves/a/boxes", json={})
        before = await everything()
        told = list(rules.observed)
        yield client
        assert await everything() == before
        assert rules.observed == told


async def test_the_document_as_it_would_be(client: Client) -> None:
    answer = await client.post(f"/shelves{DRY}", json={"name": "b", "size": 0})
    assert (answer.status_code, answer.json()["size"]) == (200, 10)
    assert not answer.headers.keys() & {"location", "etag"}
    answer = await client.put(f"/shelves/a{DRY}", json={"size": 5})
    assert (answer.status_code, answer.json()["size"]) == (200, 5)
    answer = await client.put(f"/shelves/c{DRY}&allow_missing=true", json={"size": 5})
    assert (answer.status_code, answer.json()["name"]) == (200, "c")
    answer = await client.merge(f"/shelves/a{DRY}", {"size": 6})
    assert (answer.status_code, answer.json()["size"]) == (200, 6)
    assert "etag" not in answer.headers
    answer = await client.post(f"/shelves/a/boxes{DRY}", json={})
    assert (answer.status_code, answer.json()["number"]) == (200, 2)
    assert (await client.delete(f"/shelves/a/boxes/1{DRY}")).status_code == 204
    assert (await client.delete(f"/shelves/a{DRY}&cascade=true")).status_code == 204


async def test_what_would_be_refused_is(client: Client) -> None:
    assert pointers(await client.post(f"/shelves{DRY}", json={"name": "a"}), 409) == {"/name"}
    assert pointers(await client.post(f"/shelves{DRY}", json={"name": "b", "size": -1})) == {"/size"}
    assert pointers(await client.post(f"/shelves{DRY}", json={"size": "x"})) == {"/name", "/size"}
    assert (await client.merge(f"/shelves/z{DRY}", {"size": 6})).status_code == 404
    assert (await client.merge(f"/shelves/a{DRY}", {"size": 6}, **{"if-match": '"00"'})).status_code == 412
    assert (await client.delete(f"/shelves/a{DRY}")).json()["code"] == "HAS_CHILDREN"
    assert (await client.post("/shelves?validate_only=1", json={"name": "b"})).status_code == 422
    assert (await client.get(f"/shelves{DRY}")).status_code == 422


def batch(*operations: Any, atomic: bool) -> dict[str, Sequence[Any] | bool]:
    return {"atomic": atomic, "operations": operations}


async def test_batches(client: Client) -> None:
    fine = {"op": "create", "body": {"name": "b", "size": 0}}
    taken = {"op": "create", "body": {"name": "a"}}
    answer = await client.post(f"/shelves:batch{DRY}", json=batch(fine, taken, atomic=False))
    assert [result["status"] for result in answer.json()["results"]] == [200, 409]
    assert answer.json()["results"][0]["item"]["size"] == 10
    assert "etag" not in answer.json()["results"][0]
    assert (await client.post(f"/shelves:batch{DRY}", json=batch(fine, atomic=True))).status_code == 200
    assert (await client.post(f"/shelves:batch{DRY}", json=batch(taken, atomic=True))).status_code == 409


async def test_an_update_that_would_take_what_is_taken(any_database: Any) -> None:
    class Seat(Document):
        name: Annotated[str, Indexed(unique=True)]
        row: Annotated[int, Indexed(unique=True)]

    async with served(any_database, Seat) as client:
        for row in (1, 2):
            await client.post("/seats", json={"name": str(row), "row": row})
        seats = (await client.get("/seats")).json()["items"]
        url = f"/seats/{seats[0]['id']}{DRY}"
        assert pointers(await client.merge(url, {"row": 2}), 409) == {"/row"}
        assert (await client.merge(url, {"row": 3})).json()["row"] == 3
        assert (await client.get("/seats")).json()["items"] == seats
