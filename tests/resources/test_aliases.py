"""Aliases: what clients send and see, and what MongoDB keeps."""

from typing import Any

import pytest
from beanie import Document
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from .serving import created, keeps, pointers, served


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


class Inner(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    inner_name: str = Field(alias="innerName")


class Aliased(Document):
    model_config = ConfigDict(populate_by_name=True)
    full_name: str = Field(alias="fullName")
    inner: Inner = Field(alias="theInner")
    many: list[Inner] = Field(default=[], alias="theMany")
    named: dict[str, Inner] = Field(default={}, alias="byName")

    class Settings:
        name = "aliased"


class Generated(Document):
    model_config = ConfigDict(alias_generator=camel, populate_by_name=True)
    first_name: str
    last_seen_at: int = 0

    class Settings:
        name = "generated"


class OutOnly(Document):
    total_size: int = Field(serialization_alias="totalSize")

    class Settings:
        name = "out_only"


class InOnly(Document):
    total_size: int = Field(validation_alias="totalSize")
    n: int = 0

    class Settings:
        name = "in_only"


class Choices(Document):
    size: int = Field(validation_alias=AliasChoices("size", "groesse"))
    n: int = 0

    class Settings:
        name = "choices"


async def test_an_alias_is_the_name_on_the_wire_at_every_depth(any_database: Any) -> None:
    body = {
        "fullName": "a",
        "theInner": {"innerName": "b"},
        "theMany": [{"innerName": "c"}],
        "byName": {"d": {"innerName": "e"}},
    }
    async with served(any_database, Aliased) as client:
        document = await created(client, "/aliaseds", body)
        assert document == {"id": document["id"], **body}
        url = f"/aliaseds/{document['id']}"
        await keeps(client, url, body)
        changed = await client.merge(url, {"fullName": "z", "theInner": {"innerName": "y"}})
        assert changed.json() == document | {"fullName": "z", "theInner": {"innerName": "y"}}
        assert pointers(await client.merge(url, {"theInner": {"innerName": 1}})) == {"/theInner/innerName"}
        assert pointers(await client.post("/aliaseds", json={**body, "full_name": "a"})) == {"/full_name"}
        wrong = {**body, "theInner": {"inner_name": "b"}}
        assert pointers(await client.post("/aliaseds", json=wrong)) == {"/theInner/innerName", "/theInner/inner_name"}
        assert pointers(await client.post("/aliaseds", json={})) == {"/fullName", "/theInner"}


async def test_an_alias_is_the_key_in_mongodb(database: Any) -> None:
    async with served(database, Aliased) as client:
        await created(client, "/aliaseds", {"fullName": "a", "theInner": {"innerName": "b"}})
        stored = await database["aliased"].find_one({})
        assert stored["fullName"] == "a"
        assert stored["theInner"] == {"innerName": "b"}
        assert (await Aliased.find_one()).full_name == "a"  # type: ignore[union-attr]


async def test_generated_aliases(any_database: Any) -> None:
    async with served(any_database, Generated, filters=["firstName"], sorts=["lastSeenAt"]) as client:
        document = await created(client, "/generateds", {"firstName": "a"})
        assert document == {"id": document["id"], "firstName": "a", "lastSeenAt": 0}
        await keeps(client, f"/generateds/{document['id']}", {"firstName": "a", "lastSeenAt": 0})
        found = await client.get("/generateds?firstName=a&sort=-lastSeenAt")
        assert found.json()["items"] == [document]


async def test_a_serialization_alias_is_what_clients_see(any_database: Any) -> None:
    async with served(any_database, OutOnly) as client:
        document = await created(client, "/out_onlies", {"total_size": 1})
        assert document == {"id": document["id"], "totalSize": 1}
        url = f"/out_onlies/{document['id']}"
        assert (await client.merge(url, {"total_size": 2})).json() == {**document, "totalSize": 2}
        assert (await client.put(url, json={"total_size": 3})).json() == {**document, "totalSize": 3}
        assert pointers(await client.merge(url, {"total_size": "2"})) == {"/total_size"}


@pytest.mark.parametrize(
    ("document_class", "path", "name"), [(InOnly, "/in_onlies", "totalSize"), (Choices, "/choices", "size")]
)
async def test_a_validation_alias_is_what_clients_send(
    any_database: Any, document_class: type[Document], path: str, name: str
) -> None:
    async with served(any_database, document_class, name=path[1:]) as client:
        answer = await client.post(path, json={name: 1})
        assert answer.status_code == 201, answer.text
        url = answer.headers["location"]
        assert (await client.get(url)).content == answer.content
        assert 1 in answer.json().values()
        changed = await client.merge(url, {name: 2})
        assert changed.status_code == 200, changed.text
        assert 2 in changed.json().values()
        other = await client.merge(url, {"n": 5})
        assert other.status_code == 200, other.text
        assert other.json() == changed.json() | {"n": 5}
        assert (await client.put(url, json={name: 4})).status_code == 200
