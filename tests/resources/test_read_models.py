"""A read model of the application's own: nothing beside it is answered, whatever is stored."""

from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from beanie import Document, Indexed, Link, PydanticObjectId
from pydantic import BaseModel, Field, computed_field, field_validator, model_validator
from pymongo import IndexModel

from regesta import Resource, Schemas
from regesta.store import collection_of

from .serving import created, pointers, served


class Home(BaseModel):
    city: str
    door_code: str = "hidden"


class User(Document):
    name: Annotated[str, Indexed()]
    email: str = "a@b.c"
    password: str = "hidden"
    friends: list[PydanticObjectId] = []
    ticket: UUID | None = None
    home: Home | None = None
    best: Link["User"] | None = None

    class Settings:
        name = "users"


class HomeRead(BaseModel):
    city: str


class UserRead(BaseModel):
    id: str
    title: str = Field(validation_alias="name", serialization_alias="theName")
    email: str = ""
    friends: list[str] = []
    ticket: str | None = None
    home: HomeRead | None = None
    best: str | None = None

    @field_validator("email")
    @classmethod
    def mask(cls, value: str) -> str:
        return "***" + value[1:]

    @computed_field
    def shout(self) -> str:
        return self.title.upper()


URL = "/users"
READ = Schemas(read=UserRead)
FRIEND = "65a000000000000000000001"


async def test_ids_and_links_are_text_where_the_model_wants_text(any_database: Any) -> None:
    async with served(any_database, User, schemas=READ) as client:
        ticket = str(uuid4())
        body = {"name": "n", "friends": [FRIEND], "ticket": ticket, "best": FRIEND, "home": {"city": "c"}}
        shown = await created(client, URL, body)
        assert shown == {
            "id": shown["id"], "theName": "n", "email": "***@b.c", "friends": [FRIEND], "ticket": ticket,
            "home": {"city": "c"}, "best": FRIEND, "shout": "N",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ({"name": {"hidden": 1}}, {"email": "***@b.c"}),
        ({"name": None, "email": 5, "home": "hidden"}, {}),
        ({"email": "x@y"}, {"email": "***@y"}),
        ({"name": "n", "home": {"door_code": "hidden"}}, {"theName": "n", "email": "***@b.c"}),
        ({"name": "n", "home": [{"city": "c", "door_code": "hidden"}]}, {"theName": "n", "email": "***@b.c"}),
        ({"name": "n", "email": "", "ticket": "no uuid"}, {"theName": "n", "email": "***"}),
    ],
)
async def test_of_what_somebody_else_wrote_each_field_that_fits_is_shown(
    any_database: Any, stored: dict[str, Any], shown: dict[str, Any]
) -> None:
    async with served(any_database, User, schemas=READ, filters=[]) as client:
        await collection_of(User).insert_one({"password": "hidden", "more": "hidden", **stored})
        found = (await client.get(URL)).json()["items"][0]
        assert found["id"]
        assert {name: found.get(name) for name in ("theName", "email")} == {"theName": None, "email": None} | shown
        assert found.keys() <= {"id", "theName", "email", "friends", "ticket", "home", "best", "shout"}
        one = await client.get(f"{URL}/{found['id']}")
        assert one.json() == found
        for accept in ("application/x-ndjson", "text/csv"):
            exported = await client.get(URL, headers={"accept": accept})
            assert exported.status_code == 200
            assert "hidden" not in exported.text
        assert "hidden" not in one.text


class Judged(BaseModel):
    id: PydanticObjectId
    name: str
    email: str

    @model_validator(mode="after")
    def check(self) -> "Judged":
        if self.name == self.email:
            raise ValueError("must differ")
        return self


async def test_what_the_model_refuses_as_a_whole_is_not_shown(any_database: Any) -> None:
    async with served(any_database, User, schemas=Schemas(read=Judged)) as client:
        shown = await created(client, URL, {"name": "n"})
        assert shown == {"id": shown["id"], "name": "n", "email": "a@b.c"}
        answer = await client.post(URL, json={"name": "n", "email": "n"})
        assert answer.status_code == 201
        assert answer.json() == {}


class Thing(Document):
    user: Link[User] | None = None

    class Settings:
        name = "things"


async def test_nor_is_it_shown_where_it_is_expanded_or_written_in_a_batch(any_database: Any) -> None:
    users: Resource[User] = Resource(User, schemas=READ)
    async with served(any_database, Resource(Thing), users) as client:
        broken = (await collection_of(User).insert_one({"name": 1, "password": "hidden"})).inserted_id
        await created(client, "/things", {"user": str(broken)})
        item = (await client.get("/things?expand=user")).json()["items"][0]
        assert item["user"]["id"] == str(broken)
        assert "password" not in item["user"]
        batch = {"operations": [{"op": "create", "body": {"name": "n", "password": "hidden"}}]}
        answer = await client.post("/users:batch", json=batch)
        assert answer.status_code == 200
        assert answer.json()["results"][0]["item"]["theName"] == "n"
        assert "hidden" not in answer.text


async def test_a_patch_reads_nothing_that_the_model_does_not_show(any_database: Any) -> None:
    async with served(any_database, User, schemas=READ) as client:
        url = f"{URL}/{(await created(client, URL, {'name': 'n'}))['id']}"
        for operation in (
            {"op": "copy", "from": "/password", "path": "/name"},
            {"op": "move", "from": "/password", "path": "/name"},
        ):
            assert pointers(await client.operate(url, operation)) == {"/0/from"}
        asked = {"op": "test", "path": "/password", "value": "hidden"}
        assert pointers(await client.operate(url, asked)) == {"/0/path"}
        told = [{"op": "test", "path": "/name", "value": "n"}, {"op": "replace", "path": "/password", "value": "p"}]
        assert (await client.operate(url, *told)).json()["theName"] == "n"


class Member(Document):
    name: Annotated[str, Indexed()]
    pin: Annotated[str, Indexed()] = "1234"
    home: Home = Home(city="here")

    class Settings:
        name = "members"
        indexes = [IndexModel(["home.door_code"])]


class MemberRead(BaseModel):
    name: str
    home: HomeRead


async def test_what_it_hides_is_no_filter_unless_that_is_said(any_database: Any) -> None:
    sent = {"name": "a", "pin": "1234", "home": {"city": "here", "door_code": "1"}}
    read = Schemas(read=MemberRead)
    async with served(any_database, Member, schemas=read) as client:
        assert (await client.post("/members", json=sent)).status_code == 201
        assert len((await client.get("/members?name=a&sort=name")).json()["items"]) == 1
        for probe in ("pin=1234", "pin__prefix=1", "sort=pin", "home.door_code=1", 'filter=pin = "1234"'):
            assert (await client.get(f"/members?{probe}")).status_code == 422
    async with served(any_database, Member, schemas=read, filters=["name", "pin"]) as client:
        assert len((await client.get("/members?pin=1234")).json()["items"]) == 1


class Kept(Document):
    name: str
    data: dict[str, Any] = {}
    secret: str = "hidden"

    class Settings:
        name = "kept_bytes"


class KeptRead(BaseModel):
    id: str
    name: str
    data: dict[str, Any]

    @computed_field
    def size(self) -> int:
        return len(self.data)


async def test_bytes_that_are_no_text_hide_nothing_else(any_database: Any) -> None:
    async with served(any_database, Resource(Kept, schemas=Schemas(read=KeptRead))) as client:
        made = await created(client, "/kepts", {"name": "a"})
        url = f"/kepts/{made['id']}"
        await collection_of(Kept).update_one({}, {"$set": {"data": {"raw": [b"\xff\xfe"], "text": b"abc"}}})
        shown = (await client.get(url)).json()
    assert shown == {"id": made["id"], "name": "a", "data": {"raw": ["//4="], "text": "abc"}, "size": 2}
