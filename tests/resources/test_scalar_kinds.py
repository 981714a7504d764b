"""Fields of one value: what clients send is what they get, whatever MongoDB keeps of it."""

import datetime
import ipaddress
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from beanie import Document, PydanticObjectId
from pydantic import (
    AnyUrl,
    AwareDatetime,
    HttpUrl,
    NaiveDatetime,
    PlainSerializer,
    StringConstraints,
    conint,
    create_model,
)

from .serving import created, keeps, pointers, served


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Mood(StrEnum):
    GOOD = "good"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


Doubled = Annotated[int, PlainSerializer(lambda value: f"<{value}>", when_used="json")]

KINDS: list[tuple[str, Any, Any, Any, list[Any]]] = [
    # name, annotation, sent, answered, refused
    ("str", str, "ünï 日本 😀", "ünï 日本 😀", [1, True, None, ["a"], {"$ne": None}, "\0"]),
    ("int", int, -5, -5, ["5", True, 1.0, 1.5, None, 2**63]),
    ("float", float, 1.5, 1.5, ["1.5", True, None]),
    ("float_of_int", float, 2, 2.0, []),
    ("bool", bool, True, True, [1, 0, "true", None]),
    ("enum", Colour, "red", "red", ["RED", 1, None]),
    ("str_enum", Mood, "good", "good", ["bad"]),
    ("int_enum", Level, 2, 2, ["2", 3]),
    ("literal", Literal["a", 1], 1, 1, ["1", "b"]),
    ("decimal", Decimal, "1.50", "1.50", [True, "x", "NaN", None, "1" * 35, "1E+7000"]),
    ("bytes", bytes, "text ü", "text ü", [1, None]),
    ("datetime_utc", datetime.datetime, "2024-01-02T03:04:05.678Z", "2024-01-02T03:04:05.678000Z", ["yesterday", None]),
    ("datetime_zone", datetime.datetime, "2024-01-02T03:04:05+02:00", "2024-01-02T01:04:05Z", ["2024-13-01T00:00:00Z"]),
    ("datetime_naive", datetime.datetime, "2024-01-02T03:04:05", "2024-01-02T03:04:05Z", []),
    ("datetime_micro", datetime.datetime, "2024-01-02T03:04:05.678901Z", "2024-01-02T03:04:05.678000Z", []),
    ("datetime_first", datetime.datetime, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", []),
    ("datetime_last", datetime.datetime, "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999000Z", []),
    ("aware", AwareDatetime, "2024-01-02T03:04:05+01:00", "2024-01-02T02:04:05Z", ["2024-01-02T03:04:05"]),
    ("naive", NaiveDatetime, "2024-01-02T03:04:05", "2024-01-02T03:04:05", ["2024-01-02T03:04:05Z"]),
    ("date", datetime.date, "2024-02-29", "2024-02-29", ["2023-02-29", "2024-01-01T01:00:00Z", None]),
    ("timedelta", datetime.timedelta, "PT1H30M", "PT1H30M", ["1h", None]),
    ("uuid", UUID, "6a1b2c3d-0000-4000-8000-000000000001", "6a1b2c3d-0000-4000-8000-000000000001", ["x", 1]),
    ("object_id", PydanticObjectId, "65a000000000000000000001", "65a000000000000000000001", ["x", 1, {"$oid": "a"}]),
    ("ipv4", ipaddress.IPv4Address, "127.0.0.1", "127.0.0.1", ["1.2.3", None]),
    ("ipv6", ipaddress.IPv6Address, "::1", "::1", ["127.0.0.1"]),
    ("network", ipaddress.IPv4Network, "10.0.0.0/8", "10.0.0.0/8", ["10.0.0.1/8"]),
    ("any_url", AnyUrl, "https://example.org/a?b=c", "https://example.org/a?b=c", ["no url", 1]),
    ("http_url", HttpUrl, "https://example.org", "https://example.org/", ["ftp://example.org"]),
    ("constrained", conint(ge=1, le=9), 9, 9, [0, 10, "5"]),
    ("pattern", Annotated[str, StringConstraints(pattern="^a+$", max_length=3)], "aa", "aa", ["b", "aaaa"]),
    ("optional", int | None, 4, 4, ["1", 1.0]),
    ("union", int | str, "4", "4", [1.5, None, True]),
    ("union_int", int | str, 4, 4, []),
    ("any", Any, {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, [{"$a": 1}, {"a.b": 1}]),
    ("free_dict", dict[str, Any], {"ü": [1, "2", None, 3.5]}, {"ü": [1, "2", None, 3.5]}, [[], None, {"": 1}]),
    ("plain_serializer", Doubled, 3, "<3>", ["3"]),
]


@pytest.mark.parametrize("use_revision", [True, False], ids=["revision", "hash"])
@pytest.mark.parametrize(
    ("annotation", "sent", "answered", "refused"), [pytest.param(*kind[1:], id=kind[0]) for kind in KINDS]
)
async def test_one_value(
    any_database: Any, annotation: Any, sent: Any, answered: Any, refused: list[Any], *, use_revision: bool
) -> None:
    settings = type("Settings", (), {"name": "things", "use_revision": use_revision})
    thing: type[Document] = create_model("Thing", __base__=Document, value=(annotation, ...), n=(int, 0))
    thing.Settings = settings
    async with served(any_database, thing) as client:
        document = await created(client, "/things", {"value": sent})
        assert document == {"id": document["id"], "value": answered, "n": 0}
        assert type(document["value"]) is type(answered)
        url = f"/things/{document['id']}"
        await keeps(client, url, {"value": sent, "n": 0})
        changed = await client.merge(url, {"n": 1})
        assert changed.json() == {**document, "n": 1}
        for value in refused:
            for refusal in (
                await client.post("/things", json={"value": value}),
                await client.put(url, json={"value": value}),
                await client.operate(url, {"op": "replace", "path": "/value", "value": value}),
            ):
                found = pointers(refusal)
                assert found, value
                assert all(pointer.startswith(("/value", "/0/value")) for pointer in found), (value, found)
        assert (await client.get(url)).content == changed.content
