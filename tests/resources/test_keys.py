"""Keys in the path: ids and natural keys of every kind."""

from enum import IntEnum
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest
from beanie import Document, Indexed
from pydantic import Field

from regesta.store import collection_of

from .serving import Client, created, pointers, served


class ByName(Document):
    name: Annotated[str, Indexed(unique=True)]
    n: int = 0

    class Settings:
        name = "by_name"


class StrId(Document):
    id: str  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "str_id"


class IntId(Document):
    id: int  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "int_id"


class UuidGiven(Document):
    id: UUID  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "uuid_given"


class UuidMade(Document):
    id: UUID = Field(default_factory=uuid4)  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "uuid_made"


class ObjectIdMade(Document):
    n: int = 0

    class Settings:
        name = "object_id_made"


class ByNumber(Document):
    number: Annotated[int, Indexed(unique=True)]
    n: int = 0

    class Settings:
        name = "by_number"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class ByLevel(Document):
    id: Level  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "by_level"


async def lives(client: Client, answer: httpx.Response, n: int = 7) -> None:
    """The Location of a new document leads to it, for every operation."""
    url = answer.headers["location"]
    document = (await client.get(url)).json()
    assert document.keys() == answer.json().keys()
    assert (await client.merge(url, {"n": n})).json() == {**document, "n": n}
    assert (await client.put(url, json={"n": n + 1})).json() == {**document, "n": n + 1}
    assert (await client.delete(url)).status_code == 204
    assert (await client.get(url)).status_code == 404


TEXTS = [
    "a",
    "a b",
    "ünï",
    "日本 😀",
    "100%",
    "a?b#c",
    "a&b=c",
    "a+b",
    "a:b",
    "%2F",
    "..a",
    "~",
    "a;b,c",
    "$ne",
    "x" * 500,
    "'\"",
    "a\\b",
]


@pytest.mark.parametrize("text", TEXTS)
async def test_a_text_of_any_kind_is_a_key(any_database: Any, text: str) -> None:
    async with served(any_database, ByName, key="name") as client:
        answer = await client.post("/by_names", json={"name": text})
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"] == f"/by_names/{quote(text, safe='')}"
        await lives(client, answer)


@pytest.mark.parametrize("text", ["", "a/b", ".", "..", "a\n", "/"])
async def test_a_text_that_no_path_can_name_is_no_key(any_database: Any, text: str) -> None:
    """Such a document could be created and never be reached: it is refused, or its Location leads to it."""
    async with served(any_database, ByName, key="name") as client:
        answer = await client.post("/by_names", json={"name": text})
        assert pointers(answer) == {"/name"}
        assert await collection_of(ByName).count_documents({}) == 0


@pytest.mark.parametrize(
    ("document", "path", "identity", "malformed"),
    [
        (StrId, "/str_ids", "a b", []),
        (IntId, "/int_ids", -5, ["x", "1.0", "007", "+1", "1_000", " 1", "9223372036854775808", "true", "१"]),
        (UuidGiven, "/uuid_givens", str(uuid4()), ["x", "0" * 32, "{" + str(uuid4()) + "}", str(uuid4()).upper()]),
    ],
    ids=["str", "int", "uuid"],
)
async def test_ids_that_clients_give(
    any_database: Any, document: type[Document], path: str, identity: Any, malformed: list[str]
) -> None:
    async with served(any_database, document) as client:
        assert pointers(await client.post(path, json={"n": 1})) == {"/id"}
        assert pointers(await client.post(path, json={"id": None})) == {"/id"}
        answer = await client.post(path, json={"id": identity})
        assert answer.json() == {"id": identity, "n": 0}
        again = await client.post(path, json={"id": identity})
        assert again.status_code == 409
        assert again.json()["errors"][0]["pointer"] == "/id"
        for text in malformed:
            for refusal in (await client.get(f"{path}/{quote(text)}"), await client.delete(f"{path}/{quote(text)}")):
                assert refusal.status_code == 422, text
                assert refusal.json()["errors"][0]["loc"][0] == "path"
        other = 6 if isinstance(identity, int) else str(uuid4())
        url = answer.headers["location"]
        assert pointers(await client.merge(url, {"id": other})) == {"/id"}
        assert pointers(await client.put(url, json={"id": other})) == {"/id"}
        assert (await client.put(url, json={"id": identity, "n": 2})).json() == {"id": identity, "n": 2}
        new = await client.put(f"{path}/{other}?allow_missing=true", json={"n": 3})
        assert (new.status_code, new.json()) == (201, {"id": other, "n": 3})
        assert new.headers["location"] == f"{path}/{other}"
        await lives(client, answer)


@pytest.mark.parametrize(
    ("document", "path", "missing", "malformed"),
    [
        (UuidMade, "/uuid_mades", str(uuid4()), ["x", "1", "0" * 24]),
        (
            ObjectIdMade,
            "/object_id_mades",
            "65a000000000000000000001",
            ["x", "1", "65A000000000000000000001", "6" * 25],
        ),
    ],
    ids=["uuid", "object_id"],
)
async def test_ids_that_the_server_makes(
    any_database: Any, document: type[Document], path: str, missing: str, malformed: list[str]
) -> None:
    async with served(any_database, document) as client:
        assert pointers(await client.post(path, json={"id": missing})) == {"/id"}
        answer = await client.post(path, json={})
        assert answer.headers["location"] == f"{path}/{answer.json()['id']}"
        assert (await client.get(f"{path}/{missing}")).status_code == 404
        for text in malformed:
            assert (await client.get(f"{path}/{text}")).status_code == 422, text
        await lives(client, answer)


async def test_a_key_that_the_server_makes_is_not_chosen_by_a_put(any_database: Any) -> None:
    async with served(any_database, UuidMade) as client:
        answer = await client.put(f"/uuid_mades/{uuid4()}?allow_missing=true", json={"n": 3})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["loc"] == ["query", "allow_missing"]
        assert await collection_of(UuidMade).count_documents({}) == 0


async def test_a_number_is_a_natural_key(any_database: Any) -> None:
    async with served(any_database, ByNumber, key="number") as client:
        answer = await client.post("/by_numbers", json={"number": 2**53 + 1})
        assert answer.headers["location"] == f"/by_numbers/{2**53 + 1}"
        assert (await client.get("/by_numbers/01")).status_code == 422
        await lives(client, answer)


async def test_a_number_with_a_name_is_a_key(any_database: Any) -> None:
    """To look for an IntEnum in a range of 2**64 integers would take until the end of time."""
    async with served(any_database, ByLevel) as client:
        answer = await client.post("/by_levels", json={"id": 2})
        assert answer.headers["location"] == "/by_levels/2"
        assert (await client.get("/by_levels/3")).status_code == 422
        await lives(client, answer)


async def test_keys_are_compared_byte_by_byte(any_database: Any) -> None:
    async with served(any_database, ByName, key="name") as client:
        await created(client, "/by_names", {"name": "é"})
        await created(client, "/by_names", {"name": "e\u0301"})
        await created(client, "/by_names", {"name": "E\u0301"})
        assert (await client.get("/by_names/É")).status_code == 404
        assert (await client.get("/by_names/%e9")).status_code == 400
