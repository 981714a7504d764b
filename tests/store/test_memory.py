from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from beanie import Document, Indexed, init_beanie
from pydantic import Field
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from regesta.errors import MissingExtra
from regesta.store import memory_client, open_store


class Shelf(Document):
    code: Annotated[str, Indexed(unique=True)]
    room: int = 0
    owner: UUID = Field(default_factory=uuid4)

    class Settings:
        name = "shelves"
        use_revision = True
        indexes = [IndexModel([("room", ASCENDING)], name="by_room")]


@pytest.fixture
async def shelves(any_database: Any) -> type[Shelf]:
    await init_beanie(any_database, document_models=[Shelf])
    return Shelf


def collection(document: type[Document]) -> Any:
    get = getattr(document, "get_pymongo_collection", None) or document.get_motor_collection
    return get()


async def test_documents_are_kept_and_found(shelves: type[Shelf]) -> None:
    shelf = await shelves(code="A1", room=3).insert()

    found = await shelves.find_one(shelves.owner == shelf.owner)

    assert found == shelf
    assert await shelves.find(shelves.room == 3).to_list() == [shelf]
    assert await shelves.count() == 1


async def test_indexes_are_made_and_hold(shelves: type[Shelf]) -> None:
    await shelves(code="A1").insert()

    with pytest.raises(DuplicateKeyError) as caught:
        await shelves(code="A1").insert()

    assert caught.value.details is not None
    assert caught.value.details["keyValue"] == {"code": "A1"}
    assert {"by_room", "code_1"} <= set(await collection(shelves).index_information())


async def test_the_calls_of_a_generated_write(shelves: type[Shelf]) -> None:
    documents = collection(shelves)
    first = {"_id": 1, "code": "A1", "room": 1}
    await documents.insert_one(first, session=None)

    replaced = await documents.find_one_and_replace(
        {"_id": 1}, {**first, "room": 2}, return_document=True, session=None
    )
    updated = await documents.update_one({"_id": 1, "room": 2}, {"$set": {"room": 3}}, session=None)
    cursor = documents.find({"code": "A1"}, {"room": 1}, session=None).sort([("room", 1)]).limit(5)

    assert replaced == {"_id": 1, "code": "A1", "room": 2}
    assert (updated.matched_count, updated.modified_count) == (1, 1)
    assert await cursor.to_list(None) == [{"_id": 1, "room": 3}]
    assert await documents.count_documents({"room": 3}, session=None) == 1
    assert (await documents.find_one_and_delete({"_id": 1}, session=None))["room"] == 3


async def test_aggregate_through_beanie(shelves: type[Shelf]) -> None:
    await shelves.insert_many([shelves(code=code, room=room) for code, room in (("A", 1), ("B", 2), ("C", 2))])

    counts = await shelves.aggregate(
        [
            {"$group": {"_id": "$room", "count": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        ]
    ).to_list()

    assert counts == [{"_id": 1, "count": 1}, {"_id": 2, "count": 2}]
    assert await shelves.find_all().sum(shelves.room) == 5


async def test_two_clients_share_nothing() -> None:
    await memory_client()["test"]["things"].insert_one({"_id": 1})

    assert await memory_client()["test"]["things"].find_one() is None


async def test_collections_can_be_listed() -> None:
    database = memory_client()["test"]
    await database["things"].insert_one({"_id": 1})

    assert await database.list_collection_names(authorizedCollections=True, nameOnly=True) == ["things"]
    assert await database.list_collection_names(filter={"name": "other"}) == []


async def test_open_store_knows_what_memory_cannot() -> None:
    async with open_store("memory://", database="notes") as store:
        assert (store.kind, store.database.name, store.transactions) == ("memory", "notes", False)


async def test_the_warning_comes_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regesta.store._open._warned", False)

    for _ in range(2):
        async with open_store("memory://"):
            pass

    warnings = [record.getMessage() for record in caplog.records if record.name == "regesta.store"]
    assert warnings == ["memory:// is for tests and a first look: it has no transactions and keeps nothing"]


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mongomock_motor", None)

    with pytest.raises(MissingExtra, match=r"pip install 'regesta\[memory\]'"):
        memory_client()
