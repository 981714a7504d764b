"""A scope is a wall: what lies outside of it is not there, for any operation."""

from typing import Annotated, Any

import pytest
from beanie import Document, Indexed
from fastapi import Header
from pymongo import IndexModel

from regesta import Parent, Resource
from regesta.store import collection_of

from .serving import created, keeps, pointers, served


class Item(Document):
    tenant: str = ""
    name: str
    n: int = 0

    class Settings:
        name = "items"
        indexes = [IndexModel([("tenant", 1), ("name", 1)], unique=True)]


class Global(Document):
    tenant: str = ""
    name: Annotated[str, Indexed(unique=True)]

    class Settings:
        name = "globals"


class Sub(Document):
    tenant: str = ""
    item: Any
    name: str

    class Settings:
        name = "subs"


def tenant(x_tenant: Annotated[str, Header()]) -> dict[str, str]:
    return {"tenant": x_tenant}


ITEMS = Resource(Item, key="name", scope=tenant, filters=["name", "n"])
SUBS = Resource(Sub, key="name", parent=Parent(resource=ITEMS, field="item"))
A, B = {"x-tenant": "a"}, {"x-tenant": "b"}


async def test_what_lies_outside_is_not_there(any_database: Any) -> None:
    async with served(any_database, ITEMS) as client:
        client.headers.update(A)
        await created(client, "/items", {"name": "x"})
        url = "/items/x"
        for answer in (
            await client.get(url, headers=B),
            await client.head(url, headers=B),
            await client.put(url, json={"n": 1}, headers=B),
            await client.merge(url, {"n": 1}, **B),
            await client.operate(url, {"op": "replace", "path": "/n", "value": 1}, **B),
            await client.delete(url, headers=B),
            await client.delete(url, headers={**B, "if-match": "*"}),
        ):
            assert answer.status_code == 404
        assert (await client.get("/items", headers={**B, "prefer": "count=exact"})).json() == {"items": [], "total": 0}
        assert (await client.get("/items?name=x", headers=B)).json()["items"] == []
        assert (await client.get(url)).json()["n"] == 0
        assert (await client.put(f"{url}?allow_missing=true", json={"n": 5}, headers=B)).status_code == 201
        assert (await client.get(url)).json()["n"] == 0
        assert await collection_of(Item).count_documents({}) == 2


async def test_new_documents_are_stamped_and_old_ones_stay(any_database: Any) -> None:
    async with served(any_database, ITEMS) as client:
        client.headers.update(B)
        document = await created(client, "/items", {"name": "x"})
        assert document["tenant"] == "b"
        assert (await collection_of(Item).find_one({}))["tenant"] == "b"
        await keeps(client, "/items/x", {"name": "x", "n": 0})
        assert (await client.put("/items/x", json={"n": 2})).json() == {**document, "n": 2}


async def test_a_scope_cannot_be_sent(any_database: Any) -> None:
    async with served(any_database, ITEMS) as client:
        client.headers.update(A)
        await created(client, "/items", {"name": "x"})
        for body in ({"name": "y", "tenant": "b"}, {"name": "y", "tenant": "a"}, {"name": "y", "tenant": None}):
            assert pointers(await client.post("/items", json=body)) == {"/tenant"}
            assert pointers(await client.put("/items/x", json={**body, "name": "x"})) == {"/tenant"}
            assert pointers(await client.merge("/items/x", body)) == {"/tenant"}
        for operation, member in (
            ({"op": "replace", "path": "/tenant", "value": "b"}, "path"),
            ({"op": "remove", "path": "/tenant"}, "path"),
            ({"op": "copy", "from": "/name", "path": "/tenant"}, "path"),
            ({"op": "move", "from": "/tenant", "path": "/name"}, "from"),
        ):
            assert pointers(await client.operate("/items/x", operation)) == {f"/0/{member}"}


async def test_duplicates_are_found_where_the_index_says(any_database: Any) -> None:
    both = Resource(Global, key="name", scope=tenant)
    async with served(any_database, ITEMS, both) as client:
        for headers in (A, B):
            assert (await client.post("/items", json={"name": "x"}, headers=headers)).status_code == 201
        again = await client.post("/items", json={"name": "x"}, headers=A)
        assert pointers(again, 409) == {"/name"}
        assert "tenant" not in again.text
        assert (await client.post("/globals", json={"name": "x"}, headers=A)).status_code == 201
        assert (await client.post("/globals", json={"name": "x"}, headers=B)).status_code == 409


async def test_a_page_token_of_another_scope_is_refused(any_database: Any) -> None:
    async with served(any_database, ITEMS) as client:
        for headers in (A, B):
            for name in "xyz":
                await client.post("/items", json={"name": name}, headers=headers)
        token = (await client.get("/items?page_size=1", headers=A)).json()["next_page_token"]
        query = f"/items?page_size=1&page_token={token}"
        assert [item["name"] for item in (await client.get(query, headers=A)).json()["items"]] == ["y"]
        refused = await client.get(query, headers=B)
        assert refused.status_code == 400
        assert "items" not in refused.json()


async def test_a_child_is_behind_its_parents_wall(any_database: Any) -> None:
    async with served(any_database, ITEMS, SUBS) as client:
        await client.post("/items", json={"name": "x"}, headers=A)
        made = await client.post("/items/x/subs", json={"name": "s"}, headers=A)
        assert (made.status_code, made.json()["tenant"]) == (201, "a")
        for answer in (
            await client.get("/items/x/subs", headers=B),
            await client.post("/items/x/subs", json={"name": "t"}, headers=B),
            await client.get("/items/x/subs/s", headers=B),
            await client.delete("/items/x/subs/s", headers=B),
        ):
            assert answer.status_code == 404
        await client.post("/items", json={"name": "x"}, headers=B)
        assert (await client.get("/items/x/subs", headers=B)).json()["items"] == []
        assert (await client.get("/items/x/subs/s", headers=B)).status_code == 404


async def test_a_scope_of_several_values_reads_them_all_and_writes_none_else(any_database: Any) -> None:
    several = Resource(Item, key="name", scope=lambda: {"tenant": {"$in": ["a", "b"]}})
    async with served(any_database, several) as client:
        collection = collection_of(Item)
        await collection.insert_many([{"tenant": name, "name": name, "n": 0} for name in "abc"])
        assert [item["name"] for item in (await client.get("/items")).json()["items"]] == ["a", "b"]
        assert (await client.get("/items/c")).status_code == 404
        assert (await client.merge("/items/a", {"n": 1})).status_code == 200
        assert (await client.merge("/items/a", {"tenant": "c"})).status_code == 403
        assert (await client.post("/items", json={"name": "d", "tenant": "c"})).status_code == 403
        assert (await client.post("/items", json={"name": "d", "tenant": "b"})).status_code == 201


@pytest.mark.parametrize("value", ["$name", "$$ROOT", "{'$ne': 1}", "a' || '1'=='1", "ü"])
async def test_the_scopes_value_is_only_ever_data(any_database: Any, value: str) -> None:
    fixed = Resource(Item, key="name", scope=lambda: {"tenant": value})
    async with served(any_database, fixed) as client:
        await collection_of(Item).insert_one({"tenant": "other", "name": "other", "n": 0})
        document = await created(client, "/items", {"name": value})
        assert document["tenant"] == value
        assert (await client.merge(f"/items/{value}", {"n": 1})).json()["n"] == 1
        assert (await client.get("/items/other")).status_code == 404
