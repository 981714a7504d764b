"""What children copy of their parent; resources with a path and methods of their own; hooks that say when they read."""

import asyncio
from typing import Annotated, Any

import pytest
from beanie import Document, PydanticObjectId
from tests.resources.serving import served

from regesta import (
    Change,
    DeclarationError,
    Hooks,
    Operation,
    Parent,
    ReadOnly,
    Resource,
    WriteOnly,
    hookimpl,
    reads_when,
)

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
NDJSON = {"Content-Type": "application/x-ndjson"}


class Shelf(Document):
    code: str
    room: str = ""
    note: str = ""


class Volume(Document):
    shelf_id: PydanticObjectId
    title: str
    room: str = ""
    about: Annotated[str, ReadOnly, WriteOnly] = ""

    class Settings:
        use_revision = True


class FoundVolume(Volume):
    class Settings:
        name = "Volume"
        use_revision = True


shelves = Resource(Shelf, name="shelves", key="code")
above = Parent(resource=shelves, field="shelf_id", copies={"room": "room", "about": "note"})
volumes = Resource(Volume, key="title", parent=above, custom_methods=["loan"])
found = Resource(FoundVolume, name="all_volumes", path="volumes", operations=["list", "facets"], filters=["room"])


async def test_children_have_what_their_parent_has(any_database: Any) -> None:
    async with served(any_database, shelves, volumes, found) as client:
        await client.post("/shelves", json={"code": "a", "room": "red", "note": "old"})
        await client.post("/shelves", json={"code": "b", "room": "blue"})
        made = await client.post("/shelves/a/volumes", json={"title": "one"})
        assert (made.status_code, made.json()["room"], "about" in made.json()) == (201, "red", False)
        await client.post("/shelves/a/volumes", content='{"title": "two"}\n{"title": "three"}\n', headers=NDJSON)
        await client.post("/shelves/b/volumes", json={"title": "four"})
        raws = [raw async for raw in any_database["Volume"].find({})]
        assert sorted((raw["room"], raw["about"]) for raw in raws) == [("blue", "")] + [("red", "old")] * 3
        for sent in ({"title": "x", "room": "mine"}, {"title": "x", "about": "mine"}):
            assert (await client.post("/shelves/a/volumes", json=sent)).status_code == 422

        # What clients do not see changes no ETag.
        await client.patch("/shelves/a", json={"note": "new"}, headers=MERGE_PATCH)
        assert (await client.get("/shelves/a/volumes/one")).headers["etag"] == made.headers["etag"]
        assert {raw["about"] async for raw in any_database["Volume"].find({"room": "red"})} == {"new"}
        await client.patch("/shelves/a", json={"room": "green"}, headers=MERGE_PATCH)
        after = await client.get("/shelves/a/volumes/one")
        assert after.json()["room"] == "green"
        assert after.headers["etag"] != made.headers["etag"]
        listed = (await client.get("/volumes?room=green")).json()["items"]
        assert sorted(item["title"] for item in listed) == ["one", "three", "two"]
        assert (await client.get("/volumes:facets?by=room")).status_code == 200
        assert (await client.get("/all_volumes")).status_code == 404
        assert (await client.post("/volumes", json={})).status_code == 405
        paths = (await client.get("/openapi.json")).json()["paths"]
        assert paths["/volumes"]["get"]["operationId"] == "list_all_volumes"


async def test_a_child_that_is_made_while_its_parent_changes(database: Any) -> None:
    async with served(database, shelves, volumes) as client:
        await client.post("/shelves", json={"code": "a", "room": "r0"})
        for number in range(10):
            patching = client.patch("/shelves/a", json={"room": f"r{number + 1}"}, headers=MERGE_PATCH)
            making = [client.post("/shelves/a/volumes", json={"title": f"{number}-{n}"}) for n in range(3)]
            answers = await asyncio.gather(making[0], patching, *making[1:])
            assert {answer.status_code for answer in answers} <= {200, 201}
            rooms = {raw["room"] async for raw in database["Volume"].find({})}
            assert rooms == {f"r{number + 1}"}


async def test_methods_of_ones_own_are_no_keys(memory_database: Any) -> None:
    async with served(memory_database, shelves, volumes) as client:
        await client.post("/shelves", json={"code": "a"})
        await client.post("/shelves/a/volumes", json={"title": "one:loan"})
        assert (await client.get("/shelves/a/volumes/one%3Aloan")).status_code == 200
        assert (await client.get("/shelves/a/volumes/one:loan")).json().get("code") != "NOT_FOUND"


def test_copies_of_what_is_not_there() -> None:
    for copies in ({"room": "nothing"}, {"nothing": "room"}):
        with pytest.raises(DeclarationError, match="copies"):
            Resource(Volume, key="title", parent=Parent(resource=shelves, field="shelf_id", copies=copies))
    with pytest.raises(DeclarationError, match="no name"):
        Resource(Volume, path="a/b", operations=[Operation.LIST])


async def test_hooks_say_when_they_read(memory_database: Any) -> None:
    class Rules:
        name = "rules"

        @hookimpl
        @reads_when(lambda change: change.after is not None and change.after.note == "look")
        async def validate_change(self, change: Change[Shelf]) -> None:
            pass

    hooks = Hooks(Rules())
    async with served(memory_database, shelves, hooks=hooks) as client:
        assert (await client.post("/shelves", json={"code": "a"})).status_code == 201
        for note, reads in (("look", True), ("", False)):
            shelf = Shelf(code="x", note=note)
            change: Any = type("Shown", (), {"after": shelf, "document": Shelf})()
            assert hooks.may_read("validate_change", change) is reads
