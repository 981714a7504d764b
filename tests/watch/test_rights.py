"""A watch tells nothing of what its reader may not see: no document, no key, no event."""

from typing import Annotated, Any

import pytest
from beanie import Document, Indexed, PydanticObjectId
from fastapi import Header
from tests.watch.streams import EVENTS, QUICK, watched

from regesta import Access, DeclarationError, Forbidden, Hooks, Parent, Resource, hookimpl


class Note(Document):
    tenant: str = ""
    name: Annotated[str, Indexed()]

    class Settings:
        name = "watched_notes"


class Shelf(Document):
    name: Annotated[str, Indexed(unique=True)]

    class Settings:
        name = "watched_shelves"


class Item(Document):
    shelf: PydanticObjectId
    name: Annotated[str, Indexed()]

    class Settings:
        name = "watched_items"


class Animal(Document):
    name: Annotated[str, Indexed()]

    class Settings:
        name = "watched_animals"
        is_root = True


class Cat(Animal):
    lives: int = 9


class Dog(Animal):
    tricks: int = 0


def tenant(x_tenant: Annotated[str, Header()] = "a") -> dict[str, str]:
    return {"tenant": x_tenant}


async def test_other_scopes_are_silent_also_when_documents_leave_and_enter(database: Any) -> None:
    async with watched(database, Note, key="name", scope=tenant) as client:
        mine, theirs = {"x-tenant": "a"}, {"x-tenant": "b"}
        async with client.watch("/notes", headers=mine) as stream:
            await stream.beat()
            await client.post("/notes", json={"name": "secret"}, headers=theirs)
            await client.delete("/notes/secret", headers=theirs)
            await client.post("/notes", json={"name": "one"}, headers=theirs)
            # Behind our back, since a scope never changes through us.
            await Note.find_one({"name": "one"}).update({"$set": {"tenant": "a"}})
            await Note.find_one({"name": "one"}).update({"$set": {"tenant": "b"}})
            await Note.find_one({"name": "one"}).delete()
            await client.post("/notes", json={"name": "last"}, headers=mine)
            seen = [(found.event, found.data["key"]) for found in await stream.take(3)]
            assert seen == [("created", "one"), ("deleted", "one"), ("created", "last")]
        token = {"last-event-id": stream.last}
        assert (await client.refused("/notes", 400, headers=theirs | token))["code"] == "INVALID_WATCH_TOKEN"
        assert (await client.refused("/notes/last", 404, headers=theirs))["code"] == "NOT_FOUND"


async def test_a_child_is_told_to_who_watches_its_parent(database: Any) -> None:
    shelves = Resource(Shelf, key="name", name="shelves", watch=QUICK)
    items = Resource(Item, key="name", watch=QUICK, parent=Parent(resource=shelves, field="shelf"))
    async with watched(database, shelves, items) as client:
        for name in ("a", "b"):
            await client.post("/shelves", json={"name": name})
        await client.refused("/shelves/none/items", 404)
        async with client.watch("/shelves/a/items") as stream:
            await stream.beat()
            await client.post("/shelves/b/items", json={"name": "other"})
            await client.delete("/shelves/b/items/other")
            await client.post("/shelves/a/items", json={"name": "mine"})
            [seen] = await stream.take(1)
            assert seen.data["key"] == "mine"
        token = {"last-event-id": seen.id}
        await client.refused("/shelves/b/items", 400, headers=token)
        await client.refused("/shelves/a/items?name=mine", 400, headers=token)
        await client.refused("/shelves", 400, headers=token)


async def test_each_class_of_a_collection_has_its_own_form_and_watch(database: Any) -> None:
    animals, dogs = Resource(Animal, key="name", watch=QUICK), Resource(Dog, key="name", watch=QUICK)
    async with (
        watched(database, animals, dogs, also=[Cat]) as client,
        client.watch("/animals") as every,
        client.watch("/dogs") as few,
    ):
        await every.beat()
        await few.beat()
        await Cat(name="c", lives=7).insert()
        await client.post("/dogs", json={"name": "d", "tricks": 3})
        cat, dog = await every.take(2)
        assert cat.data["item"]["lives"] == 7
        assert dog.data["item"]["tricks"] == 3
        [only] = await few.take(1)
        assert only.data["key"] == "d"
        assert only.id != dog.id


async def test_authorize_is_asked_for_the_watch_and_scope_query_limits_it(database: Any) -> None:
    asked: list[tuple[str, str | None]] = []

    class Guard:
        @hookimpl
        def authorize(self, request: Access) -> None:
            asked.append((request.operation, request.key))
            if request.operation == "watch" and request.key == "no":
                raise Forbidden("no")

        @hookimpl
        def scope_query(self, request: Access) -> dict[str, str]:
            return {"tenant": "a"}

    async with watched(database, Note, key="name", hooks=Hooks(Guard())) as client:
        await client.refused("/notes/no", 403)
        async with client.watch("/notes") as stream:
            await stream.beat()
            await Note(name="theirs", tenant="b").insert()
            await Note(name="ours", tenant="a").insert()
            [seen] = await stream.take(1)
            assert seen.data["key"] == "ours"
    assert asked == [("watch", "no"), ("watch", None)]


async def test_a_scope_that_cannot_be_judged_is_refused_not_ignored(database: Any) -> None:
    async with watched(database, Note, key="name", scope=lambda: {"tenant": {"$type": "string"}}) as client:
        assert (await client.refused("/notes", 501))["code"] == "WATCH_UNSUPPORTED"


async def test_the_memory_store_says_that_it_cannot(memory_database: Any) -> None:
    async with watched(memory_database, Note, key="name") as client:
        assert (await client.refused("/notes", 501))["code"] == "WATCH_UNSUPPORTED"
        assert (await client.get("/notes?include=watch")).status_code == 501
        assert (await client.get("/notes?include=etag")).status_code == 200
        assert (await client.head("/notes", headers=EVENTS)).status_code == 501


def test_dependencies_of_a_watch_that_nothing_would_run_are_refused() -> None:
    with pytest.raises(DeclarationError, match="list and get"):
        Resource(Note, operation_dependencies={"watch": [tenant]})
