"""Values are filtered, sorted and counted by in the form that bodies take and answers show."""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

from beanie import Document, Indexed
from bson import Decimal128
from pydantic import BaseModel

from regesta.store import collection_of

from .serving import Client, served


class Colour(Enum):
    RED = 1


class Part(BaseModel):
    price: Decimal | None = None


class Thing(Document):
    name: Annotated[str, Indexed(unique=True)]
    at: datetime | None = None
    price: Decimal | None = None
    lasts: timedelta | None = None
    code: UUID | None = None
    colour: Colour | None = None
    part: Part = Part()

    class Settings:
        name = "filtered_things"


FIELDS = ["at", "price", "lasts", "code", "colour", "part.price"]
UUID_TEXT = "123e4567-e89b-12d3-a456-426614174000"
SENT = {
    "at": ["2026-01-01T00:00:00.000Z", "2026-01-01 00:00", "2026-01-01T01:00+0100"],
    "price": ["1E+5", "100000", "1e5", "+100000."],
    "lasts": ["PT1H", "01:00:00"],
    "code": [UUID_TEXT, UUID_TEXT.upper(), UUID_TEXT.replace("-", ""), f"{{{UUID_TEXT}}}", f"urn:uuid:{UUID_TEXT}"],
}


async def names(client: Client, **query: str) -> list[str]:
    answer = await client.get("/things", params=query)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


async def test_what_a_body_takes_a_filter_takes(database: Any) -> None:
    async with served(database, Thing, key="name", name="things", filters=FIELDS) as client:
        await client.post("/things", json={"name": "empty"})
        for field, texts in SENT.items():
            for text in texts:
                assert (await client.put("/things/x?allow_missing=true", json={field: text})).is_success, text
                for other in texts:
                    assert await names(client, **{field: other}) == ["x"], (field, text, other)
                    assert await names(client, filter=f'{field} = "{other}"') == ["x"], (field, text, other)
                    assert await names(client, **{f"{field}__in": other}) == ["x"]
                assert await names(client, filter=f"{field} = null") == ["empty"]
                assert await names(client, filter=f"{field} != null") == ["x"]


async def test_what_is_shown_can_be_filtered_by(database: Any) -> None:
    shown = ["NaN", "Infinity", "-Infinity", "1E+5", "0E-10", "-1.50", "1E+6000", "9" * 34]
    async with served(database, Thing, key="name", name="things", filters=FIELDS, sorts=[*FIELDS, "name"]) as client:
        for text in shown:
            raw = {"name": text, "price": Decimal128(text), "part": {"price": Decimal128(text)}}
            await collection_of(Thing).insert_one(raw)
        listed = (await client.get("/things?sort=price,name&page_size=100")).json()["items"]
        assert sorted(item["price"] for item in listed) == sorted(shown)
        for item in listed:
            for field in ("price", "part.price"):
                assert await names(client, **{field: item["price"]}) == [item["name"]]
                assert await names(client, filter=f"{field} = {item['price']}") == [item["name"]]
        seen, url = [], "/things?sort=price,name&page_size=1"
        while url:
            answer = await client.get(url)
            seen += [item["name"] for item in answer.json()["items"]]
            url = answer.links.get("next", {}).get("url", "")
        assert seen == [item["name"] for item in listed]


async def test_durations_are_counted_as_they_are_shown(database: Any) -> None:
    async with served(database, Thing, key="name", name="things", filters=FIELDS) as client:
        for name, lasts in (("a", "PT1H"), ("b", "PT1H"), ("c", "P1DT0.5S"), ("d", None)):
            await client.post("/things", json={"name": name, "lasts": lasts})
        facet = (await client.get("/things:facets?by=lasts")).json()["facets"]["lasts"]
        assert [(one["value"], one["count"]) for one in facet] == [("PT1H", 2), (None, 1), ("P1DT0.5S", 1)]
        assert await names(client, lasts__gt="PT2H") == ["c"]
