"""Keys in the path: ids and natural keys of every kind."""

import json
from datetime import date, datetime, timedelta
from enum import IntEnum
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest
from beanie import Document, Indexed
from pydantic import BaseModel, ConfigDict, Field, RootModel, SecretStr, field_validator

from regesta import DeclarationError, Resource, WriteOnly
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


class ByDay(Document):
    day: Annotated[date, Indexed(unique=True)]
    n: int = 0

    class Settings:
        name = "by_day"


class ByMoment(Document):
    at: Annotated[datetime, Indexed(unique=True)]
    n: int = 0

    class Settings:
        name = "by_moment"


class MomentId(Document):
    id: datetime  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "moment_id"


class ByWeight(Document):
    id: float  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "by_weight"


class ByAnswer(Document):
    id: bool  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "by_answer"


class ByLength(Document):
    id: timedelta  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "by_length"


class Code(RootModel[str]):
    pass


class ByCode(Document):
    id: Code  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "by_code"


class ByPlace(Document):
    id: Literal[1, 2]  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "by_place"


class ByEither(Document):
    id: int | str  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "by_either"


class BySlug(Document):
    slug: Annotated[str, Indexed(unique=True)]
    n: int = 0

    @field_validator("slug")
    @classmethod
    def lowered(cls, value: str) -> str:
        return value.strip().lower()

    class Settings:
        name = "by_slug"


class Pair(BaseModel):
    model_config = ConfigDict(frozen=True)
    a: int


class Unfit(Document):
    pair: Pair
    raw: bytes
    both: tuple[int, str]
    several: RootModel[list[int]]
    password: SecretStr
    unseen: Annotated[str, WriteOnly]

    class Settings:
        name = "unfit"


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


@pytest.mark.parametrize(
    ("document", "name", "value", "text"),
    [
        (ByDay, "day", "2024-05-01", "2024-05-01"),
        (ByMoment, "at", "2024-05-01T00:00:00Z", "2024-05-01T00:00:00Z"),
        (ByMoment, "at", "2024-05-01T00:00:00.5+01:00", "2024-04-30T23:00:00.500000Z"),
        *((ByWeight, "id", 1.5, "1.5"), (ByWeight, "id", 1e30, "1e+30"), (ByWeight, "id", 2.0, "2.0")),
        *((ByAnswer, "id", True, "true"), (ByAnswer, "id", False, "false"), (ByLength, "id", "PT1H", "PT1H")),
        *((ByCode, "id", "a b", "a b"), (ByPlace, "id", 2, "2"), (ByEither, "id", 5, "5"), (ByEither, "id", "x", "x")),
    ],
)
async def test_a_key_of_another_type_stands_in_paths_as_clients_see_it(
    any_database: Any, document: type[Document], name: str, value: Any, text: str
) -> None:
    async with served(any_database, document, key=name, name="things") as client:
        url = f"/things/{quote(text, safe='')}"
        answer = await client.post("/things", json={name: value})
        assert (answer.status_code, answer.headers["location"]) == (201, url)
        shown = answer.json()[name]
        assert (await client.get(url)).content == answer.content
        assert (await client.put(url, json={name: value, "n": 1})).json()[name] == shown
        assert (await client.put(url, json={name: shown, "n": 2})).json()["n"] == 2
        patch = {"op": "patch", "key": text, "body": {"n": 3}}
        batch = await client.post("/things:batch", json={"operations": [patch]})
        assert [result["key"] for result in batch.json()["results"]] == [text]
        line = json.dumps({name: value, "n": 4})
        headers = {"content-type": "application/x-ndjson"}
        imported = await client.post("/things?on_conflict=replace", content=line, headers=headers)
        assert json.loads(imported.text.splitlines()[0]).items() >= {"status": 200, "key": text}.items()
        await lives(client, answer)
        again = await client.put(f"{url}?allow_missing=true", json={"n": 5})
        assert (again.status_code, again.json()[name]) == (201, shown)
        assert (await client.get(again.headers["location"])).json() == again.json()


async def test_a_moment_is_an_id(database: Any) -> None:
    """Not in memory: mongomock deletes no document with such an id."""
    async with served(database, MomentId) as client:
        await lives(client, await client.post("/moment_ids", json={"id": "2024-05-01T00:00:00Z"}))


async def test_a_value_whose_text_is_that_of_another_is_no_key(any_database: Any) -> None:
    async with served(any_database, ByEither) as client:
        assert pointers(await client.post("/by_eithers", json={"id": "5"})) == {"/id"}
        assert await collection_of(ByEither).count_documents({}) == 0


@pytest.mark.parametrize(
    ("key", "said"),
    [
        *(("pair", "cannot stand in a path"), ("raw", "cannot stand in a path"), ("both", "cannot stand in a path")),
        *(("several", "cannot stand in a path"), ("password", "is hidden"), ("unseen", "is hidden")),
    ],
)
def test_what_cannot_stand_in_a_path_is_refused_as_key(key: str, said: str) -> None:
    with pytest.raises(DeclarationError, match=f"{key!r} {said}"):
        Resource(Unfit, key=key)


async def test_a_new_document_has_the_key_of_its_path(any_database: Any) -> None:
    """Else its Location leads nowhere, and the same PUT again meets it as a stranger."""
    async with served(any_database, BySlug, key="slug") as client:
        url = "/by_slugs/ABC?allow_missing=true"
        for _ in range(2):
            refused = await client.put(url, json={"n": 1})
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["loc"] == ["path", "by_slug"]
            assert "'ABC' is no key of by_slugs: it is written 'abc'" in refused.json()["detail"]
        replace = {"op": "replace", "key": "ABC", "body": {"n": 1}, "allow_missing": True}
        assert (await client.post("/by_slugs:batch", json={"operations": [replace]})).status_code == 422
        headers = {"content-type": "application/x-ndjson"}
        imported = await client.post("/by_slugs?on_conflict=replace", content='{"slug": "ABC"}', headers=headers)
        assert json.loads(imported.text.splitlines()[0])["status"] == 422
        assert await collection_of(BySlug).count_documents({}) == 0
        answer = await client.put("/by_slugs/abc?allow_missing=true", json={"n": 1})
        assert answer.status_code == 201
        await lives(client, answer)


async def test_keys_are_compared_byte_by_byte(any_database: Any) -> None:
    async with served(any_database, ByName, key="name") as client:
        await created(client, "/by_names", {"name": "é"})
        await created(client, "/by_names", {"name": "e\u0301"})
        await created(client, "/by_names", {"name": "E\u0301"})
        assert (await client.get("/by_names/É")).status_code == 404
        assert (await client.get("/by_names/%e9")).status_code == 400
