"""A scope fills the fields that foreign documents require: no client can send them, and none has to."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from beanie import Document, Link, PydanticObjectId
from fastapi import FastAPI
from pydantic import BaseModel, field_validator, model_validator

from regesta import Resource, Schemas, crud_router
from regesta.store import collection_of

from .serving import created, keeps, pointers, served

ID = "65f0c0ffee65f0c0ffee65f0"


class User(Document):
    name: str = ""


class Note(Document):
    owner: PydanticObjectId
    slug: str
    text: str = ""


class Judged(Document):
    owner: PydanticObjectId
    slug: str
    text: str = ""
    seen: list[str] = []

    @field_validator("text")
    @classmethod
    def of_field(cls, value: str, info: Any) -> str:
        assert str(info.data["owner"]) == ID
        return value

    @model_validator(mode="before")
    @classmethod
    def of_body(cls, values: Any) -> Any:
        if isinstance(values, dict):
            assert str(values["owner"]) == ID
        return values

    @model_validator(mode="after")
    def of_whole(self) -> "Judged":
        assert str(self.owner) == ID
        return self


class Linked(Document):
    owner: Link[User]
    slug: str
    text: str = ""


class ByUuid(Document):
    owner: UUID
    slug: str
    text: str = ""


class Listed(Document):
    owner: list[str]
    slug: str
    text: str = ""


def owner_scope(value: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"owner": value}


CASES = [
    pytest.param(Note, PydanticObjectId(ID), ID, id="ObjectId"),
    pytest.param(Note, ID, ID, id="its text"),
    pytest.param(Judged, PydanticObjectId(ID), ID, id="validators"),
    pytest.param(Linked, PydanticObjectId(ID), ID, id="link"),
    pytest.param(ByUuid, "8f14e45f-ceea-467f-a0e6-d4a1f5b2c3d4", "8f14e45f-ceea-467f-a0e6-d4a1f5b2c3d4", id="uuid"),
    pytest.param(Listed, "me", ["me"], id="list"),
]
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(("document", "value", "shown"), CASES)
async def test_every_write_is_possible(
    any_database: Any, document: type[Document], value: Any, shown: Any, known: bool
) -> None:
    fields = ["owner"] if known else []
    resource = Resource(document, name="notes", key="slug", scope=owner_scope(value), scope_fields=fields)
    async with served(any_database, resource, also=[User]) as client:
        made = await created(client, "/notes", {"slug": "a", "text": "one"})
        assert made["owner"] == shown
        await keeps(client, "/notes/a", {"slug": "a", "text": "one", **({"seen": []} if document is Judged else {})})
        assert (await client.put("/notes/a", json={"text": "two"})).json()["owner"] == shown
        assert (await client.put("/notes/b?allow_missing=true", json={"text": "b"})).status_code == 201
        items = [
            {"op": "create", "body": {"slug": "c"}},
            {"op": "replace", "key": "a", "body": {"text": "three"}},
            {"op": "replace", "key": "d", "body": {"text": "d"}, "allow_missing": True},
            {"op": "patch", "key": "a", "body": {"text": "four"}},
        ]
        batch = await client.post("/notes:batch", json={"atomic": False, "operations": items})
        assert [one["status"] for one in batch.json()["results"]] == [201, 200, 201, 200], batch.text
        lines = b'{"slug": "e"}\n{"slug": "a", "text": "five"}\n'
        for conflict in ("fail", "replace"):
            told = await client.post(f"/notes?on_conflict={conflict}", content=lines, headers=NDJSON)
            assert told.status_code == 200
        statuses = [json.loads(line).get("status") for line in told.text.splitlines()]
        assert statuses[:2] == [200, 200], told.text
        found = (await client.get("/notes")).json()["items"]
        assert {item["slug"] for item in found} == set("abcde")
        assert all(item["owner"] == shown for item in found)


@pytest.mark.parametrize("sent", [ID, "65f0c0ffee65f0c0ffee65f1", None, 5])
async def test_a_client_that_sends_it_is_told(any_database: Any, sent: Any) -> None:
    for fields in ([], ["owner"]):
        resource = Resource(Note, key="slug", scope=owner_scope(PydanticObjectId(ID)), scope_fields=fields)
        async with served(any_database, resource) as client:
            await client.post("/notes", json={"slug": "a"})
            for answer in (
                await client.post("/notes", json={"slug": "b", "owner": sent}),
                await client.put("/notes/a", json={"owner": sent}),
                await client.merge("/notes/a", {"owner": sent}),
            ):
                assert [error["pointer"] for error in answer.json()["errors"]] == ["/owner"]
                assert answer.json()["errors"][0]["message"] == "is set by the server: leave it out"
            assert await collection_of(Note).count_documents({}) == 1
            await collection_of(Note).delete_many({})


async def test_what_is_really_missing_is_still_asked_for(any_database: Any) -> None:
    async with served(any_database, Resource(Note, scope=owner_scope(PydanticObjectId(ID)))) as client:
        assert pointers(await client.post("/notes", json={})) == {"/slug"}


class NoteIn(BaseModel):
    slug: str
    text: str = "own"


async def test_bodies_of_ones_own_are_filled_too(any_database: Any) -> None:
    schemas = Schemas(create=NoteIn, replace=NoteIn)
    resource = Resource(Note, key="slug", scope=owner_scope(PydanticObjectId(ID)), schemas=schemas)
    async with served(any_database, resource) as client:
        made = await created(client, "/notes", {"slug": "a"})
        assert (made["owner"], made["text"]) == (ID, "own")
        assert (await client.put("/notes/a", json={"slug": "a", "text": "b"})).json()["owner"] == ID


async def test_schemas_do_not_ask_for_it(any_database: Any) -> None:
    scope = owner_scope(PydanticObjectId(ID))
    for fields in ([], ["owner"]):
        async with served(any_database, Resource(Note, key="slug", scope=scope, scope_fields=fields)) as client:
            described = (await client.get("/notes:schema")).json()["schemas"]
            for body in ("create", "replace", "patch"):
                assert "owner" not in described[body]["properties"]
                assert "owner" not in described[body].get("required", [])
            assert "owner" in described["read"]["properties"]


def test_openapi_does_not_ask_for_what_the_declaration_names() -> None:
    app = FastAPI()
    app.include_router(crud_router(Note, scope=owner_scope(ID), scope_fields=["owner"]))
    bodies = {name: found for name, found in app.openapi()["components"]["schemas"].items() if "Create" in name}
    assert bodies
    assert all("owner" not in found["properties"] for found in bodies.values())


class Shared(Document):
    teams: list[str]
    text: str = ""


async def test_a_list_that_holds_the_value_stays_as_it_is(any_database: Any) -> None:
    resource = Resource(Shared, name="shared-notes", scope=lambda: {"teams": "a"})
    async with served(any_database, resource) as client:
        note = await Shared(teams=["a", "b"]).insert()
        changed = await client.merge(f"/shared-notes/{note.id}", {"text": "x"})
        assert (changed.status_code, changed.json()["teams"]) == (200, ["a", "b"])
        assert (await client.put(f"/shared-notes/{note.id}", json={"text": "y"})).json()["teams"] == ["a", "b"]


async def test_a_scope_of_several_values_takes_texts_for_ids_and_fills_nothing(any_database: Any) -> None:
    scope = owner_scope({"$in": [ID, "65f0c0ffee65f0c0ffee65f1"]})
    async with served(any_database, Resource(Note, key="slug", scope=scope)) as client:
        await Note(owner=PydanticObjectId(ID), slug="a").insert()
        await Note(owner=PydanticObjectId("65f0c0ffee65f0c0ffee65f2"), slug="b").insert()
        assert [item["slug"] for item in (await client.get("/notes")).json()["items"]] == ["a"]
        assert (await client.merge("/notes/a", {"text": "x"})).json()["owner"] == ID
