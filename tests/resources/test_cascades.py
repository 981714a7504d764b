"""Deleting a parent with many children: each has its hooks and its event, and round trips are few."""

from collections.abc import Sequence
from typing import Any

from beanie import Delete, Document, PydanticObjectId, after_event, before_event
from pymongo import IndexModel

from regesta import AuditEvent, Change, Conflict, Hooks, Parent, Resource, hookimpl
from regesta.audit import AuditRecord, AuditTrail
from regesta.operations import deletes
from regesta.store import collection_of

from .serving import Client, served

ACTIONS: list[str] = []


class Shelf(Document):
    name: str

    class Settings:
        name = "cascaded_shelves"


class Box(Document):
    shelf_id: PydanticObjectId
    number: int = 0

    @before_event(Delete)
    def before_delete(self) -> None:
        ACTIONS.append(f"before {self.number}")

    @after_event(Delete)
    async def after_delete(self) -> None:
        ACTIONS.append(f"after {self.number}")

    class Settings:
        name = "cascaded_boxes"
        use_revision = True
        indexes = [IndexModel([("shelf_id", 1), ("number", 1)], unique=True)]


class Label(Document):
    box_id: PydanticObjectId
    text: str

    class Settings:
        name = "cascaded_labels"


class Lock(Document):
    shelf_id: PydanticObjectId
    text: str

    class Settings:
        name = "cascaded_locks"


SHELVES = Resource(Shelf, name="shelves", singular="shelf", key="name")
BOXES = Resource(Box, key="number", parent=Parent(resource=SHELVES, field="shelf_id", sequence="number"))
LABELS = Resource(Label, key="text", parent=Parent(resource=BOXES, field="box_id"))
LOCKS = Resource(Lock, key="text", parent=Parent(resource=SHELVES, field="shelf_id", owned=True))


class Rules:
    """Writes down what it is told, and refuses one."""

    def __init__(self, refused: str = "") -> None:
        self.refused = refused
        self.prepared: list[str] = []
        self.recorded: list[str] = []
        self.observed: list[str] = []

    @hookimpl
    def prepare_change(self, change: Change[Any]) -> None:
        if change.after is None:
            self.prepared.append(f"{change.resource} {change.key}")

    @hookimpl
    async def validate_change(self, change: Change[Any]) -> None:
        if change.after is None and change.key == self.refused:
            raise Conflict("it is to stay")

    @hookimpl
    async def record_change(self, change: Change[Any]) -> None:
        if change.after is None:
            self.recorded.append(f"{change.resource} {change.event.key}")

    @hookimpl
    def audit_event(self, event: AuditEvent) -> None:
        if event.action == "delete":
            self.observed.append(f"{event.resource} {event.key}")


async def filled(client: Client, name: str, boxes: int, labels: Sequence[str] = ("l",)) -> None:
    assert (await client.post("/shelves", json={"name": name})).status_code == 201
    made = [{"op": "create", "body": {}} for _ in range(boxes)]
    answer = await client.post(f"/shelves/{name}/boxes:batch", json={"atomic": False, "operations": made})
    assert answer.status_code == 200, answer.text
    shelf = await collection_of(Shelf).find_one({"name": name})
    found = await collection_of(Box).find({"shelf_id": shelf["_id"]}).to_list(None)
    await collection_of(Label).insert_many([{"box_id": box["_id"], "text": text} for box in found for text in labels])


async def left() -> list[int]:
    sequences = collection_of(Box).database["regesta_sequences"]
    counted = [await collection_of(found).count_documents({}) for found in (Shelf, Box, Label, AuditRecord)]
    return [*counted, await sequences.count_documents({})]


async def commands(database: Any) -> int:
    """How many the server was sent so far."""
    status = await database.client.admin.command("serverStatus")
    counted = ("find", "getMore", "insert", "update", "delete", "findAndModify", "aggregate")
    return sum(int(status["metrics"]["commands"][name]["total"]) for name in counted)


async def test_commands_do_not_grow_with_the_children(database: Any) -> None:
    hooks = Hooks(AuditTrail())
    async with served(database, SHELVES, BOXES, LABELS, hooks=hooks, also=[AuditRecord]) as client:
        sent = []
        for boxes in (3, deletes.TOGETHER):
            await filled(client, f"s{boxes}", boxes)
            before = await commands(database)
            assert (await client.delete(f"/shelves/s{boxes}?cascade=true")).status_code == 204
            sent.append(await commands(database) - before)
        assert sent[1] <= sent[0] + 4
        deleted = await collection_of(AuditRecord).count_documents({"action": "delete"})
        assert deleted == 2 + 2 * (3 + deletes.TOGETHER)


async def test_each_has_its_hooks_and_goes_before_what_it_is_below(any_database: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(deletes, "TOGETHER", 2)
    ACTIONS.clear()
    rules = Rules()
    hooks = Hooks(AuditTrail(), rules)
    async with served(any_database, SHELVES, BOXES, LABELS, hooks=hooks, also=[AuditRecord]) as client:
        await filled(client, "kept", 1)
        await filled(client, "a", 5, ["l", "m"])
        assert (await client.delete("/shelves/a?cascade=true")).status_code == 204
        boxes = [f"boxes {number}" for number in range(1, 6)]
        expected = sorted([*boxes, *(["labels l", "labels m"] * 5), "shelves a"])
        for told in (rules.prepared, rules.recorded, rules.observed):
            assert sorted(told) == expected
            assert [one for one in told if one in boxes] == boxes
        assert rules.prepared[0] == rules.recorded[-1] == rules.observed[-1] == "shelves a"
        assert rules.recorded == rules.observed
        assert [f"before {number}" for number in range(1, 6)] == [one for one in ACTIONS if one.startswith("before")]
        assert [f"after {number}" for number in range(1, 6)] == [one for one in ACTIONS if one.startswith("after")]
        assert (await left())[:3] == [1, 1, 1]
        assert (await client.get("/shelves/kept/boxes/1/labels/l")).status_code == 200


async def test_one_that_stays_keeps_all(database: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(deletes, "TOGETHER", 2)
    hooks = Hooks(AuditTrail(), Rules(refused="4"))
    async with served(database, SHELVES, BOXES, LABELS, hooks=hooks, also=[AuditRecord]) as client:
        await filled(client, "a", 5)
        before = await left()
        assert (await client.delete("/shelves/a?cascade=true")).status_code == 409
        assert await left() == before


async def test_what_is_refused_takes_nothing_along(any_database: Any) -> None:
    async with served(any_database, SHELVES, LOCKS, BOXES) as client:
        await client.post("/shelves", json={"name": "a"})
        await client.post("/shelves/a/boxes", json={})
        await client.post("/shelves/a/locks", json={"text": "t"})
        assert (await client.delete("/shelves/a")).json()["code"] == "HAS_CHILDREN"
        assert (await client.get("/shelves/a/locks/t")).status_code == 200


async def test_what_goes_for_good_leaves_no_sequence(any_database: Any) -> None:
    async with served(any_database, SHELVES, BOXES, LABELS, also=[AuditRecord]) as client:
        await filled(client, "a", 3)
        await client.post("/shelves", json={"name": "never had any"})
        assert (await client.delete("/shelves/a/boxes/3?cascade=true")).status_code == 204
        assert (await client.post("/shelves/a/boxes", json={})).json()["number"] == 4
        assert (await client.delete("/shelves/a?cascade=true")).status_code == 204
        assert (await client.delete("/shelves/never%20had%20any")).status_code == 204
        assert await left() == [0, 0, 0, 0, 0]


async def test_in_a_batch_too(database: Any) -> None:
    hooks = Hooks(AuditTrail())
    async with served(database, SHELVES, BOXES, LABELS, hooks=hooks, also=[AuditRecord]) as client:
        await filled(client, "a", 4)
        operations = [{"op": "create", "body": {}}, {"op": "delete", "key": "2", "cascade": True}]
        answer = await client.post("/shelves/a/boxes:batch", json={"atomic": True, "operations": operations})
        assert [result["status"] for result in answer.json()["results"]] == [201, 204], answer.text
        assert (await left())[:3] == [1, 4, 3]
        assert await collection_of(AuditRecord).count_documents({"action": "delete"}) == 2


async def test_large_children_go_in_smaller_groups(database: Any, monkeypatch: Any) -> None:
    groups = []
    delete = deletes.Deletes._delete

    async def counted(self: Any, unit: Any, caller: Any, raws: Any, **flags: Any) -> None:
        groups.append(len(raws))
        await delete(self, unit, caller, raws, **flags)

    monkeypatch.setattr(deletes.Deletes, "_delete", counted)
    async with served(database, SHELVES, BOXES, LABELS, also=[AuditRecord]) as client:
        await filled(client, "a", 3)
        await collection_of(Box).update_many({}, {"$set": {"unknown": "x" * 3_000_000}})
        assert (await client.delete("/shelves/a?cascade=true")).status_code == 204
        assert (await left())[:3] == [0, 0, 0]
    assert groups == [1] * 7  # of each box its label, too
