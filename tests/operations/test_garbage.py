"""What a write leaves behind is gone with it: the garbage collector, which looks at everything, has less to do."""

import gc
import weakref
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from beanie import Document, Indexed, init_beanie
from tests.resources.serving import served

from regesta import Change, Hooks, Resource, hookimpl
from regesta.audit import AuditRecord, AuditTrail
from regesta.change import Caller
from regesta.operations import MergePatch, Registry


class Leaf(Document):
    name: Annotated[str, Indexed(unique=True)]
    colour: str = "green"

    class Settings:
        name = "leaves"


class Watcher:
    """Remembers the documents of changes without keeping them."""

    def __init__(self) -> None:
        self.seen: list[weakref.ref[Any]] = []

    @hookimpl
    def record_change(self, change: Change[Any]) -> None:
        self.seen.append(weakref.ref(change.after))


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("trail", [[AuditTrail()], []])
async def test_a_change_needs_no_garbage_collector(any_database: Any, no_collector: None, trail: list[Any]) -> None:
    await init_beanie(any_database, document_models=[Leaf, AuditTrail.document])
    watcher = Watcher()
    leaves = Registry([Resource(Leaf, name="leaves", key="name")], Hooks(*trail, watcher))["leaves"]
    await leaves.create(Caller(), (), lambda: leaves.codec.from_values({"name": "oak"}))
    await leaves.update(Caller(), ("oak",), leaves.bodies.patched(MergePatch({"colour": "red"})))
    assert [found() for found in watcher.seen] == [None, None]


def create(name: Any) -> dict[str, Any]:
    return {"op": "create", "body": {"name": name}}


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize(
    "last",
    [
        create("a"),
        create("there"),
        create(1),
        {"op": "patch", "key": "there", "body": {"colour": "red"}},
        {"op": "patch", "key": "nobody", "body": {"colour": "red"}},
        {"op": "patch", "key": "there", "body": {"colour": 1}},
        {"op": "delete", "key": "nobody"},
    ],
)
async def test_a_batch_needs_no_garbage_collector(
    database: Any, no_collector: None, atomic: bool, last: dict[str, Any]
) -> None:
    """Also if it fails: an error that holds its own traceback holds all that was sent."""
    async with served(
        database, Leaf, name="leaves", key="name", hooks=Hooks(AuditTrail()), also=[AuditRecord]
    ) as client:
        await client.post("/leaves", json={"name": "there"})
        body = {"atomic": atomic, "operations": [create("b"), last, create("c")]}
        await client.post("/leaves:batch", json=body)
    assert [found for found in gc.get_objects() if type(found) is Leaf] == []
