"""`GET /things:facets`: counts per value, of what the caller may see, in the form that items have."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

import pytest
from beanie import Document, Link
from fastapi import Header
from pydantic import BaseModel, Field, field_serializer

from regesta import Forbidden, Hooks, Parent, Resource, Schemas, Secret, hookimpl
from regesta.change import Access
from regesta.store import collection_of

from .serving import Client, created, pointers, served

CODE = "123e4567-e89b-12d3-a456-426614174000"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    heading: str
    words: list[str] = []


class Maker(Document):
    name: str


class Toy(Document):
    team: str = ""
    name: str = ""
    year: int | None = None
    colour: Colour | None = None
    price: Decimal | None = None
    made: date | None = None
    at: datetime | None = None
    code: UUID | None = None
    sold: bool | None = None
    tags: list[str] = []
    parts: list[Part] = []
    limit: int = 0
    maker: Link[Maker] | None = None
    shown: str = Field(default="", alias="shownAs")
    token: Annotated[str, Secret] = "s"

    class Settings:
        indexes: ClassVar = ["token"]


FILTERS = [
    *("name", "year", "colour", "price", "made", "at", "code", "sold", "tags", "parts.heading", "parts.words"),
    *("limit", "maker", "shownAs"),
]
SOME: list[dict[str, Any]] = [
    {"name": "a", "year": 1999, "tags": ["x", "y", "x"], "parts": [{"heading": "h"}, {"heading": "h"}]},
    {"name": "b", "year": 1999, "tags": ["x"], "parts": [{"heading": "i"}, {"heading": "h"}], "limit": 1},
    {"name": "c", "year": 2001, "tags": [], "colour": "red", "price": "1.50", "made": "2020-01-02"},
    {"name": "d", "at": "2020-01-02T03:04:05Z", "code": CODE, "sold": True, "colour": "red"},
]


# Decimals have no order in memory, so it says that it cannot count them.
PRICE = {True: (), False: ("price",)}


def in_memory(database: Any) -> bool:
    return any(kind.__module__.startswith("mongomock") for kind in type(database).__mro__)


async def counts(client: Client, by: str, **asked: str) -> Any:
    answer = await client.get("/toys:facets", params={"by": by, **asked})
    assert answer.status_code == 200, answer.text
    return {name: [(each["value"], each["count"]) for each in found] for name, found in answer.json()["facets"].items()}


async def test_counts_per_value(any_database: Any) -> None:
    async with served(any_database, Toy, also=[Maker], filters=FILTERS) as client:
        for body in SOME:
            await created(client, "/toys", body)
        answer = await client.get("/toys:facets?by=year,tags")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {
            "facets": {
                "year": [{"value": 1999, "count": 2}, {"value": None, "count": 1}, {"value": 2001, "count": 1}],
                "tags": [{"value": None, "count": 2}, {"value": "x", "count": 2}, {"value": "y", "count": 1}],
            },
            "truncated": [],
        }
        assert await counts(client, "parts.heading") == {"parts.heading": [(None, 2), ("h", 2), ("i", 1)]}
        # what is not stored at all is no value either
        await collection_of(Toy).insert_one({"year": 1999})
        assert (await counts(client, "tags,colour"))["tags"] == [(None, 3), ("x", 2), ("y", 1)]
        assert (await counts(client, "colour"))["colour"] == [(None, 3), ("red", 2)]
        head = await client.head("/toys:facets?by=year")
        assert head.status_code == 200


async def test_a_value_counts_what_a_filter_by_it_finds(any_database: Any) -> None:
    async with served(any_database, Toy, also=[Maker], filters=FILTERS) as client:
        for body in SOME:
            await created(client, "/toys", body)
        names = [
            "year",
            "tags",
            "parts.heading",
            "colour",
            *PRICE[in_memory(any_database)],
            "made",
            "at",
            "code",
            "sold",
        ]
        for name, found in (await counts(client, ",".join(names))).items():
            for value, count in found:
                if value is not None:
                    text = str(value).lower() if isinstance(value, bool) else str(value)
                    listed = await client.get("/toys", params={name: text})
                    assert len(listed.json()["items"]) == count, (name, value)


async def test_values_are_as_items_show_them(any_database: Any) -> None:
    async with served(any_database, Toy, also=[Maker], filters=FILTERS) as client:
        for body in SOME:
            await created(client, "/toys", body)
        items = (await client.get("/toys")).json()["items"]
        names = ["name", "year", "colour", *PRICE[in_memory(any_database)], "made", "at", "code", "sold", "shownAs"]
        for name, found in (await counts(client, ",".join(names))).items():
            assert {value for value, _ in found} == {item[name] for item in items}, name


async def test_references_are_counted_by_their_id(database: Any) -> None:
    async with served(database, Toy, also=[Maker], filters=FILTERS) as client:
        maker = await Maker(name="m").insert()
        await created(client, "/toys", {"name": "a", "maker": str(maker.id)})
        await created(client, "/toys", {"name": "b", "maker": str(maker.id)})
        await created(client, "/toys", {"name": "c"})
        assert await counts(client, "maker") == {"maker": [(str(maker.id), 2), (None, 1)]}


async def test_the_memory_store_says_what_it_cannot_count(memory_database: Any) -> None:
    async with served(memory_database, Toy, also=[Maker], filters=FILTERS) as client:
        await created(client, "/toys", {"name": "a", "price": "1.50"})
        await created(client, "/toys", {"name": "b", "price": "2.50"})
        assert (await client.get("/toys:facets?by=price")).status_code == 501
        answer = await client.get("/toys:facets?by=maker")
        assert (answer.status_code, answer.json()["code"]) == (501, "FACETS_UNSUPPORTED")


async def test_the_filters_of_the_list_are_those_of_the_facets(any_database: Any) -> None:
    async with served(any_database, Toy, also=[Maker], filters=FILTERS) as client:
        for body in SOME:
            await created(client, "/toys", body)
        assert await counts(client, "year", name__in="a") == {"year": [(1999, 1)]}
        assert await counts(client, "year", filter="tags:x OR year = 2001") == {"year": [(1999, 2), (2001, 1)]}
        # the parameter wins over a field of its name, which expressions still reach
        assert await counts(client, "name", limit="2", filter="limit = 0") == {"name": [("a", 1), ("c", 1)]}
        assert await counts(client, "name", year="1700") == {"name": []}


async def test_only_the_most_frequent(any_database: Any) -> None:
    async with served(any_database, Toy, also=[Maker], filters=FILTERS) as client:
        await collection_of(Toy).insert_many([{"name": f"n{number:03}", "year": number % 2} for number in range(150)])
        answer = (await client.get("/toys:facets?by=name,year&limit=2")).json()
        assert [each["value"] for each in answer["facets"]["name"]] == ["n000", "n001"]
        assert answer["truncated"] == ["name"]
        assert len((await client.get("/toys:facets?by=name")).json()["facets"]["name"]) == 20
        assert len((await client.get("/toys:facets?by=name&limit=1000")).json()["facets"]["name"]) == 100


@pytest.mark.parametrize(
    "query",
    [
        *(
            "",
            "by=",
            "by=token",
            "by=team",
            "by=nothing",
            "by=$name",
            "by=year,year",
            "by=parts.words",
            "by=year&by=name",
        ),
        *("by=year&limit=0", "by=year&limit=x", "by=year&limit=-1", "by=year&sort=year", "by=year&page_size=1"),
        *("by=year&name[$ne]=a", "by=year&token=s", "by=year&q=a"),
        f"by={','.join(FILTERS[:10])},limit",
    ],
)
async def test_what_cannot_be_counted_is_refused(memory_database: Any, query: str) -> None:
    async with served(memory_database, Toy, also=[Maker], filters=FILTERS) as client:
        answer = await client.get(f"/toys:facets?{query}")
        assert pointers(answer) == {""}


async def test_hidden_fields_are_never_counted(any_database: Any) -> None:
    async with served(any_database, Toy, also=[Maker]) as client:
        shown = (await client.get("/toys:schema")).json()
        assert "token" not in shown["facets"]
        assert (await client.get("/toys:facets?by=token")).status_code == 422


class Masked(Document):
    name: str
    plain: int = 1
    inner: str = "x"

    @field_serializer("name")
    def mask(self, value: str) -> str:
        return "***"


class MaskedRead(BaseModel):
    name: str
    plain: int


async def test_what_an_own_serializer_or_model_hides_is_not_counted(any_database: Any) -> None:
    options: dict[str, Any] = {"filters": ["name", "plain", "inner"], "schemas": Schemas(read=MaskedRead)}
    async with served(any_database, Masked, **options) as client:
        assert (await client.post("/maskeds", json={"name": "known"})).status_code == 201
        assert (await client.get("/maskeds:facets?by=name")).status_code == 422
        assert (await client.get("/maskeds:facets?by=inner")).status_code == 422
        assert (await client.get("/maskeds:facets?by=plain")).json()["facets"] == {"plain": [{"value": 1, "count": 1}]}


async def test_where_nothing_can_be_counted_there_is_no_route(memory_database: Any) -> None:
    async with served(memory_database, Toy, also=[Maker], filters=[]) as client:
        assert (await client.get("/toys:facets?by=year")).status_code == 404
        assert "facets" not in (await client.get("/toys:schema")).json()["operations"]
    async with served(memory_database, Toy, also=[Maker], operations=["list"]) as client:
        assert (await client.get("/toys:facets?by=year")).status_code == 404
        assert (await client.get("/toys:schema")).status_code == 404


def team_of(x_team: str = Header()) -> Mapping[str, str]:
    return {"team": x_team}


async def test_only_what_the_caller_may_see_is_counted(any_database: Any) -> None:
    class Guard:
        @hookimpl
        def authorize(self, request: Access) -> None:
            if request.operation == "facets" and request.caller.scope["team"] == "refused":
                raise Forbidden("no")

        @hookimpl
        def scope_query(self, request: Access) -> dict[str, Any]:
            return {"year": 1}

    async with served(any_database, Toy, also=[Maker], filters=FILTERS, scope=team_of, hooks=Hooks(Guard())) as client:
        await collection_of(Toy).insert_many(
            [{"name": "a", "team": "t", "year": 1}, {"name": "b", "team": "u", "year": 1}, {"name": "c", "team": "t"}]
        )
        answer = await client.get("/toys:facets?by=name", headers={"x-team": "t"})
        assert answer.json()["facets"] == {"name": [{"value": "a", "count": 1}]}
        refused = await client.get("/toys:facets?by=name", headers={"x-team": "refused"})
        assert refused.status_code == 403


class Room(Document):
    name: str


class Seat(Document):
    room: str
    row: int


async def test_below_a_parent(any_database: Any) -> None:
    rooms = Resource(Room, key="name")
    seats = Resource(Seat, parent=Parent(resource=rooms, field="room", stores="name"), filters=["row"])
    async with served(any_database, rooms, seats) as client:
        for room in ("one", "two"):
            await created(client, "/rooms", {"name": room})
            await created(client, f"/rooms/{room}/seats", {"row": 7})
        answer = await client.get("/rooms/one/seats:facets?by=row")
        assert answer.json()["facets"] == {"row": [{"value": 7, "count": 1}]}
        assert (await client.get("/rooms/none/seats:facets?by=row")).status_code == 404


async def test_too_many_values_for_the_memory_of_the_server_are_refused(database: Any) -> None:
    async with served(database, Toy, also=[Maker], filters=FILTERS) as client:
        await collection_of(Toy).insert_many([{"name": f"{number:01000}"} for number in range(2000)])
        admin = database.client.admin
        knobs = (
            "internalDocumentSourceGroupMaxMemoryBytes",
            "internalQuerySlotBasedExecutionHashAggApproxMemoryUseInBytesBeforeSpill",
        )
        before = {name: (await admin.command({"getParameter": 1, name: 1}))[name] for name in knobs}
        await admin.command({"setParameter": 1} | dict.fromkeys(knobs, 100_000))
        try:
            answer = await client.get("/toys:facets?by=name")
        finally:
            await admin.command({"setParameter": 1} | before)
        assert answer.status_code == 422
        assert "too many different values" in answer.text


async def test_mongodb_is_told_when_to_give_up_and_to_keep_off_its_disk(database: Any) -> None:
    async with served(database, Toy, also=[Maker], filters=FILTERS, timeout=7) as client:
        await created(client, "/toys", SOME[0])
        await database.command({"profile": 2})
        await counts(client, "name,year")
        await database.command({"profile": 0})
        asked = await database["system.profile"].find({"command.aggregate": "Toy"}).to_list(None)
        assert [(one["command"]["maxTimeMS"], one["command"]["allowDiskUse"]) for one in asked] == [(7000, False)] * 2


async def test_facets_end_in_time(database: Any) -> None:
    async with served(database, Toy, also=[Maker], filters=FILTERS, timeout=1e-6) as client:
        answer = await client.get("/toys:facets?by=name")
        assert (answer.status_code, answer.json()["code"]) == (503, "TIMEOUT")
