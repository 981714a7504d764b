"""Documents with serializers, computed fields, encoders and settings of their own."""

import datetime
from typing import Any

from beanie import Document
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    computed_field,
    field_serializer,
    model_serializer,
)

from regesta.store import collection_of

from .serving import created, keeps, pointers, served


class Box(BaseModel):
    width: int
    height: int

    @computed_field
    def area(self) -> int:
        return self.width * self.height


class Computed(Document):
    first: str
    last: str = "Z"
    box: Box | None = None

    @computed_field(alias="fullName")
    def full_name(self) -> str:
        return f"{self.first} {self.last}"

    class Settings:
        name = "computed"


class Serialized(Document):
    price: int
    when: datetime.datetime
    inner: dict[str, int] = {}

    @field_serializer("price", when_used="json")
    def euros(self, value: int) -> str:
        return f"{value} EUR"

    class Settings:
        name = "serialized"


class Wrapped(Document):
    name: str
    n: int = 0

    @model_serializer(mode="wrap", when_used="json")
    def shout(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {**handler(self), "loud": self.name.upper()}

    class Settings:
        name = "wrapped"


class Encoded(Document):
    at: datetime.time
    when: datetime.date
    n: int = 0

    class Settings:
        name = "encoded"
        bson_encoders = {datetime.time: datetime.time.isoformat, datetime.date: datetime.date.isoformat}


class Unencodable(Document):
    at: datetime.time | None = None
    n: int = 0

    class Settings:
        name = "unencodable"


class NoNulls(Document):
    a: int | None = None
    b: dict[str, int | None] | None = None
    inner: Box | None = None

    class Settings:
        name = "no_nulls"
        keep_nulls = False
        use_revision = True


class Extra(Document):
    model_config = ConfigDict(extra="allow")
    name: str

    class Settings:
        name = "extra"


class Frozen(Document):
    model_config = ConfigDict(frozen=True)
    name: str
    n: int = 0

    class Settings:
        name = "frozen"


class Private(Document):
    name: str
    kept: int = Field(default=5, exclude=True)
    _seen: list[int] = PrivateAttr(default_factory=list)

    class Settings:
        name = "private"


async def test_computed_fields_are_shown_and_cannot_be_sent(any_database: Any) -> None:
    async with served(any_database, Computed) as client:
        document = await created(client, "/computeds", {"first": "A", "box": {"width": 2, "height": 3}})
        assert document == {
            "id": document["id"], "first": "A", "last": "Z", "fullName": "A Z",
            "box": {"width": 2, "height": 3, "area": 6}
        }  # fmt: skip
        url = f"/computeds/{document['id']}"
        changed = await client.merge(url, {"last": "Y", "box": {"width": 5}})
        assert changed.json() == {
            **document,
            "last": "Y",
            "fullName": "A Y",
            "box": {"width": 5, "height": 3, "area": 15},
        }
        operated = await client.operate(url, {"op": "replace", "path": "/box/height", "value": 1})
        assert operated.json()["box"] == {"width": 5, "height": 1, "area": 5}
        assert pointers(await client.merge(url, {"fullName": "x"})) == {"/fullName"}
        assert pointers(await client.post("/computeds", json={"first": "A", "fullName": "x"})) == {"/fullName"}
        stored = await collection_of(Computed).find_one({})
        assert not stored.keys() & {"fullName", "full_name"}


async def test_field_serializers_speak_on_the_wire_only(any_database: Any) -> None:
    async with served(any_database, Serialized) as client:
        document = await created(client, "/serializeds", {"price": 3, "when": "2024-01-01T00:00:00+01:00"})
        assert document["price"] == "3 EUR"
        assert document["when"] == "2023-12-31T23:00:00Z"
        url = f"/serializeds/{document['id']}"
        await keeps(client, url, {"price": 3, "when": "2024-01-01T00:00:00+01:00", "inner": {}})
        changed = await client.merge(url, {"inner": {"a": 1}})
        assert changed.json() == {**document, "inner": {"a": 1}}
        assert (await collection_of(Serialized).find_one({}))["price"] == 3


async def test_model_serializers(any_database: Any) -> None:
    async with served(any_database, Wrapped) as client:
        document = await created(client, "/wrappeds", {"name": "a"})
        assert document == {"id": document["id"], "name": "a", "n": 0, "loud": "A"}
        changed = await client.merge(f"/wrappeds/{document['id']}", {"n": 2})
        assert changed.json() == {**document, "n": 2}


async def test_bson_encoders_say_what_is_stored(any_database: Any) -> None:
    async with served(any_database, Encoded) as client:
        body = {"at": "12:30:00", "when": "2024-02-29"}
        document = await created(client, "/encodeds", body)
        assert document == {"id": document["id"], **body, "n": 0}
        stored = await collection_of(Encoded).find_one({})
        assert (stored["at"], stored["when"]) == ("12:30:00", "2024-02-29")
        url = f"/encodeds/{document['id']}"
        await keeps(client, url, {**body, "n": 0})
        assert (await client.merge(url, {"n": 1, "at": "01:00:00"})).json() == {**document, "n": 1, "at": "01:00:00"}


async def test_a_value_that_beanie_cannot_encode_is_refused(any_database: Any) -> None:
    async with served(any_database, Unencodable) as client:
        assert (await client.post("/unencodables", json={"at": "12:30:00"})).json()["errors"][0][
            "type"
        ] == "not_storable"
        document = await created(client, "/unencodables", {})
        url = f"/unencodables/{document['id']}"
        assert (await client.merge(url, {"at": "12:30:00"})).status_code == 422
        assert (await client.merge(url, {"n": 1})).json() == {**document, "n": 1}


async def test_without_nulls_in_mongodb_clients_still_see_them(any_database: Any) -> None:
    async with served(any_database, NoNulls, name="no_nulls") as client:
        document = await created(client, "/no_nulls", {"a": 1, "b": {"x": None, "y": 2}})
        url = f"/no_nulls/{document['id']}"
        assert document == {"id": document["id"], "a": 1, "b": {"x": None, "y": 2}, "inner": None}
        assert "inner" not in await collection_of(NoNulls).find_one({})
        gone = await client.merge(url, {"a": None, "b": {"x": None}})
        assert gone.json() == {**document, "a": None, "b": {"y": 2}}
        assert "a" not in await collection_of(NoNulls).find_one({})
        await keeps(client, url, {"b": {"y": 2}})


async def test_fields_beyond_the_model_where_it_allows_them(any_database: Any) -> None:
    async with served(any_database, Extra) as client:
        body = {"name": "a", "more": {"x": [1, None]}, "zahl": 5}
        document = await created(client, "/extras", body)
        assert document == {"id": document["id"], **body}
        url = f"/extras/{document['id']}"
        await keeps(client, url, body)
        changed = await client.merge(url, {"more": {"x": None}, "new": "n"})
        assert changed.json() == {**document, "more": {}, "new": "n"}
        fewer = await client.merge(url, {"zahl": None})
        assert fewer.json() == {"id": document["id"], "name": "a", "more": {}, "new": "n"}
        assert (await client.put(url, json={"name": "b"})).json() == {"id": document["id"], "name": "b"}
        for name in ("_id", "revision_id", "_class_id", "id"):
            assert pointers(await client.merge(url, {name: "x"})) == {f"/{name}"}
            assert pointers(await client.post("/extras", json={"name": "a", name: "x"})) == {f"/{name}"}


async def test_frozen_documents_are_changed_by_their_clients(any_database: Any) -> None:
    async with served(any_database, Frozen) as client:
        document = await created(client, "/frozens", {"name": "a"})
        changed = await client.merge(f"/frozens/{document['id']}", {"n": 1})
        assert changed.json() == {**document, "n": 1}


class Configured(Document):
    model_config = ConfigDict(str_strip_whitespace=True, use_enum_values=True, str_max_length=5)
    name: str
    box: Box | None = None

    class Settings:
        name = "configured"


async def test_the_configuration_of_the_model_holds_for_bodies(any_database: Any) -> None:
    async with served(any_database, Configured) as client:
        document = await created(client, "/configureds", {"name": " a "})
        assert document["name"] == "a"
        url = f"/configureds/{document['id']}"
        assert (await client.merge(url, {"name": " b "})).json()["name"] == "b"
        assert (await client.put(url, json={"name": "c "})).json()["name"] == "c"
        assert pointers(await client.post("/configureds", json={"name": "abcdef"})) == {"/name"}
        assert pointers(await client.merge(url, {"name": "abcdef"})) == {"/name"}


async def test_private_and_excluded_fields_are_neither_seen_nor_stored(any_database: Any) -> None:
    async with served(any_database, Private) as client:
        document = await created(client, "/privates", {"name": "a"})
        assert document == {"id": document["id"], "name": "a"}
        url = f"/privates/{document['id']}"
        assert (await client.merge(url, {"name": "b"})).json() == {**document, "name": "b"}
        assert pointers(await client.merge(url, {"_seen": [1]})) == {"/_seen"}
