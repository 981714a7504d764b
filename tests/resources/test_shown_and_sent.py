"""G21: what is shown can be sent back, and then changes nothing; or the declaration refused it."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import pathlib
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar

import bson
import pytest
from beanie import BsonBinary, Document, Link, PydanticObjectId
from bson import Binary, Code, DBRef, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from pydantic import (
    AnyUrl,
    AwareDatetime,
    Base64Bytes,
    Base64Str,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    HttpUrl,
    IPvAnyAddress,
    Json,
    NaiveDatetime,
    PlainSerializer,
    PlainValidator,
    RootModel,
    create_model,
)
from pydantic_core import core_schema
from typing_extensions import TypedDict

from regesta import DeclarationError, crud_router
from regesta.store import collection_of

from .serving import created, served

STANDARD: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
MOMENT = dt.datetime(2020, 1, 2, 3, 4, 5, 678000, dt.UTC)
T = TypeVar("T")


class Colour:
    """A type of one's own: Pydantic can read it, and has nothing to show of it."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        named = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        either = core_schema.union_schema([core_schema.is_instance_schema(cls), named])
        return core_schema.json_or_python_schema(named, either, serialization=cls.shown)

    shown: Any = None


class Shade(Colour):
    """Another one, which says how it is shown."""

    shown = core_schema.plain_serializer_function_ser_schema(lambda shade: shade.name)


class Opaque:
    """A type that Pydantic knows nothing of."""


class Kind(enum.Enum):
    A, TWO = "a", 2


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    A = "a"


class Flags(enum.Flag):
    A, B = 1, 2


class Part(BaseModel):
    a: int = 1
    b: str | None = None
    when: Any = None


class Named(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    inner_name: str = Field(default="none", alias="innerName")


class Typed(TypedDict):
    n: int


@dataclasses.dataclass
class Plain:
    n: int


class Pair(NamedTuple):
    a: int
    b: str


class Inside(Document):
    name: str = "x"

    class Settings:
        name = "insides"


class Box(BaseModel, Generic[T]):
    value: T


class Numbers(RootModel[list[int]]):
    pass


ENCODERS = {Colour: lambda colour: colour.name, dt.time: str}
ID, UUID = "65a000000000000000000001", "6f9c5a3e-9d2b-4e1e-8f5c-0a1b2c3d4e5f"
PLAIN_BINARY = {"a": MOMENT, "b": ObjectId(ID), "c": b"\xff", "d": Binary(b"\x00", 0x80), "e": Timestamp(1, 2)}

# name, annotation, what a client sends
SENT: list[tuple[str, Any, Any]] = [
    ("str", str, "x"),
    ("bytes", bytes, "abc"),
    ("int", int, 5),
    ("float", float, 1.5),
    ("bool", bool, True),
    ("decimal", decimal.Decimal, "1.50"),
    ("datetime", dt.datetime, "2020-01-02T03:04:05.678Z"),
    ("aware", AwareDatetime, "2020-01-02T03:04:05Z"),
    ("date", dt.date, "2020-01-02"),
    ("time", dt.time, "03:04:05"),
    ("timedelta", dt.timedelta, "PT5S"),
    ("uuid", uuid.UUID, UUID),
    ("object_id", PydanticObjectId, ID),
    ("enum", Kind, "a"),
    ("int_enum", Level, 1),
    ("str_enum", Word, "a"),
    ("flag", Flags, 3),
    ("path", pathlib.Path, "/a/b"),
    ("pattern", re.Pattern, "a.*"),
    ("pattern_of_text", re.Pattern[str], "a.*"),
    ("ip4", ipaddress.IPv4Address, "1.2.3.4"),
    ("network", ipaddress.IPv4Network, "1.2.3.0/24"),
    ("interface", ipaddress.IPv6Interface, "::1/128"),
    ("any_address", IPvAnyAddress, "::1"),
    ("http_url", HttpUrl, "http://a.b/"),
    ("any_url", AnyUrl, "x://a"),
    ("byte_size", ByteSize, "5KB"),
    ("colour", Colour, "red"),
    ("colours", list[Colour], ["red"]),
    ("shade", Shade, "red"),
    ("list", list[int], [1]),
    ("set", set[str], ["b", "a"]),
    ("frozenset", frozenset[int], [3, 1]),
    ("set_of_dates", set[dt.date], ["2020-01-02", "2019-01-02"]),
    ("tuple", tuple[int, str], [1, "a"]),
    ("tuple_open", tuple[int, ...], [1, 2]),
    ("deque", collections.deque[int], [1, 2]),
    ("dict", dict[str, int], {"a": 1}),
    ("dict_of_int", dict[int, str], {"1": "a"}),
    ("dict_of_uuid", dict[uuid.UUID, int], {UUID: 1}),
    ("dict_of_date", dict[dt.date, int], {"2020-01-01": 1}),
    ("dict_of_enum", dict[Kind, int], {"a": 1}),
    ("dict_of_id", dict[PydanticObjectId, int], {ID: 1}),
    ("defaultdict", collections.defaultdict[str, list[int]], {"a": [1]}),
    ("counter", collections.Counter[str], {"a": 1}),
    ("mapping", Mapping[str, int], {"a": 1}),
    ("sequence", Sequence[int], [1]),
    ("any", Any, {"a": [1]}),
    ("object", object, {"a": 1}),
    ("model", Part, {"a": 1, "b": None, "when": None}),
    ("alias", Named, {"innerName": "x"}),
    ("typed_dict", Typed, {"n": 1}),
    ("dataclass", Plain, {"n": 1}),
    ("dataclasses", dict[str, list[Plain]], {"a": [{"n": 1}]}),
    ("named_tuple", Pair, [1, "a"]),
    ("root", Numbers, [1]),
    ("generic", Box[dt.datetime], {"value": "2020-01-01T00:00:00Z"}),
    ("embedded", Inside, {"name": "y"}),
    ("embedded_in_list", list[Inside], [{"name": "y"}]),
    ("link", Link[Inside], ID),
    ("union", int | str, 5),
    ("union_of_text", dt.datetime | str, "2020-01-01T00:00:00Z"),
    ("optional", Optional[int], None),  # noqa: UP045 - the other spelling
    ("literal", Literal["a", 1], "a"),
    ("shown_otherwise", Annotated[str, PlainSerializer(str.upper)], "x"),
    ("shown_as_number", Annotated[dt.datetime, PlainSerializer(dt.datetime.timestamp)], "2020-01-01T00:00:00Z"),
    ("read_otherwise", Annotated[list[str], BeforeValidator(lambda v: v.split(",") if isinstance(v, str) else v)], "a"),
    ("validated", Annotated[str, PlainValidator(str)], "a"),
]

# name, annotation, what somebody else stored
FOUND: list[tuple[str, Any, Any]] = [
    ("bytes", bytes, b"\xff\x00"),
    ("bytes_in_model", Box[bytes], {"value": b"\xff\x00"}),
    ("int64", int, Int64(5)),
    ("double", int, 5.0),
    ("nan", float, float("nan")),
    ("int_for_float", float, 5),
    ("decimal", decimal.Decimal, Decimal128("1.500")),
    ("naive", NaiveDatetime, MOMENT),
    ("pattern", re.Pattern, Regex("a.*", "im")),
    ("set", set[str], ["z", "b", "a"]),
    ("any", Any, PLAIN_BINARY),
    ("dict", dict[str, Any], {**PLAIN_BINARY, "f": [Code("f()", {"x": 1}), MinKey(), DBRef("a", 1), Regex("a", "i")]}),
    ("list", list[Any], [Int64(1), 1, 1.0, -0.0, Decimal128("1"), None]),
    ("model", Part, {"a": 1, "legacy": MOMENT, "when": MOMENT}),
    ("models", list[Part], [{"legacy": 1}, {"a": Int64(2), "when": b"\xff"}]),
    ("one_of_models", list[Part | Box[Any]], [{"value": [b"\xff"], "legacy": 1}]),
    ("by_name", Named, {"inner_name": "x"}),
    ("embedded", Inside, {"name": "y"}),
    ("dataclass", Plain, {"n": Int64(1), "legacy": 1}),
    ("colour", Colour, "red"),
]

# name, annotation, a part of what the error says
REFUSED: list[tuple[str, Any, str]] = [
    ("decimal128", Decimal128, "Decimal"),
    ("object_id", ObjectId, "PydanticObjectId"),
    ("bson_binary", BsonBinary, "bytes"),
    ("binary", Binary, "bytes"),
    ("regex", Regex, "Pattern"),
    ("regexes", list[Regex[str]], "Pattern"),
    ("regex_or_none", Regex | None, "Pattern"),
    ("code", Code, "JSON has no form"),
    ("timestamp", Timestamp, "JSON has no form"),
    ("dbref", DBRef, "JSON has no form"),
    ("int64", Int64, "int for Int64"),
    ("min_key", MinKey, "JSON has no form"),
    ("opaque", Opaque, "JSON has no form"),
    ("opaque_in_dict", dict[str, Opaque], "JSON has no form"),
    ("callable", Callable[[], int], "JSON has no form"),
    ("class", type[int], "class"),
    ("json", Json[list[int]], "decoded"),
    ("any_json", Json, "decoded"),
    ("base64", Base64Bytes, "decoded"),
    ("base64_text", list[Base64Str], "decoded"),
    ("link_to_any", Link[Document], "Document"),
    ("links_to_any", list[Link[Document]], "Document"),
]


def _thing(annotation: Any) -> type[Document]:
    thing: type[Document] = create_model("Thing", __base__=_Loose, value=(annotation, ...), n=(int, 0))
    own = any(name in repr(annotation) for name in ("Colour", "Shade", "datetime.time'"))
    encoders = ENCODERS if own else {}
    thing.Settings = type("Settings", (), {"name": "things", "bson_encoders": encoders})
    return thing


class _Loose(Document):
    model_config = ConfigDict(arbitrary_types_allowed=True)


async def _is_kept(client: Any, document: type[Document]) -> None:
    """What is shown is sent back in each way, and the stored document stays; beside it, another field changes."""
    collection = collection_of(document)
    stored = await collection.find_one({})
    url = f"/things/{stored['_id']}"
    shown = (await client.get(url)).json()
    del shown["id"]
    assert "object at 0x" not in repr(shown)
    assert "\ufffd" not in repr(shown)
    for answer in (
        await client.put(url, json=shown),
        await client.merge(url, {name: value for name, value in shown.items() if value is not None}),
        await client.operate(url, *({"op": "replace", "path": f"/{name}", "value": shown[name]} for name in shown)),
    ):
        assert answer.status_code == 200, answer.text
        assert _bytes(await collection.find_one({})) == _bytes(stored)
    assert (await client.merge(url, {"n": 1})).status_code == 200
    assert (await client.put(url, json={**shown, "n": 2})).status_code == 200
    assert _bytes(await collection.find_one({})) == _bytes({**stored, "n": 2})


def _bytes(document: Any) -> bytes:
    return bson.encode(document, codec_options=STANDARD)


@pytest.mark.parametrize(("annotation", "sent"), [pytest.param(*kind[1:], id=kind[0]) for kind in SENT])
async def test_what_was_sent_comes_back(memory_database: Any, annotation: Any, sent: Any) -> None:
    document = _thing(annotation)
    async with served(memory_database, document, also=[Inside]) as client:
        await created(client, "/things", {"value": sent})
        await _is_kept(client, document)


@pytest.mark.parametrize(("annotation", "stored"), [pytest.param(*kind[1:], id=kind[0]) for kind in FOUND])
async def test_what_others_stored_stays(database: Any, annotation: Any, stored: Any) -> None:
    document = _thing(annotation)
    async with served(database, document, also=[Inside]) as client:
        await collection_of(document).insert_one({"value": stored, "n": 0})
        await _is_kept(client, document)


@pytest.mark.parametrize(("annotation", "says"), [pytest.param(*kind[1:], id=kind[0]) for kind in REFUSED])
def test_what_cannot_come_back_is_refused_when_declared(annotation: Any, says: str) -> None:
    with pytest.raises(DeclarationError, match=r"Thing\.value: ") as refused:
        crud_router(_thing(annotation))
    assert says in str(refused.value)


async def test_a_member_is_shown_by_the_name_that_it_is_stored_by(memory_database: Any) -> None:
    document = _thing(Named)
    async with served(memory_database, document) as client:
        await collection_of(document).insert_one({"value": {"inner_name": "x"}, "n": 0})
        assert (await client.get("/things")).json()["items"][0]["value"] == {"innerName": "x"}


async def test_an_embedded_document_gains_nothing(memory_database: Any) -> None:
    document = _thing(Inside)
    async with served(memory_database, document, also=[Inside]) as client:
        made = await created(client, "/things", {"value": {"name": "y"}})
        await client.merge(f"/things/{made['id']}", {"value": {"name": "z"}})
        stored = await collection_of(document).find_one({})
        assert "revision_id" not in stored["value"]
        await collection_of(document).update_one({}, {"$set": {"value": {"name": "old"}}})
        await client.merge(f"/things/{made['id']}", {"value": {"name": "new"}})
        assert (await collection_of(document).find_one({}))["value"] == {"name": "new"}


class Street(BaseModel):
    kind: Literal["street"] = "street"
    note: str | None
    number: int | None = 5
    code: int


class Lane(BaseModel):
    kind: Literal["lane"]
    note: str | None = Field(alias="theNote")


class Way(TypedDict):
    note: str | None


@dataclasses.dataclass
class Path:
    note: str | None


Either = Annotated[Street | Lane, Field(discriminator="kind")]
STREET = {"kind": "street", "note": "a", "number": 1, "code": 1}


@pytest.mark.parametrize(
    ("annotation", "value", "patch", "expected"),
    [
        pytest.param(Street, STREET, {"note": None}, {**STREET, "note": None}, id="model"),
        pytest.param(Street, STREET, {"number": None}, {**STREET, "number": 5}, id="default"),
        pytest.param(Either, STREET, {"note": None}, {**STREET, "note": None}, id="discriminated"),
        pytest.param(
            Either, {"kind": "lane", "theNote": "a"}, {"theNote": None}, {"kind": "lane", "theNote": None}, id="alias"
        ),
        pytest.param(Way, {"note": "a"}, {"note": None}, {"note": None}, id="typed_dict"),
        pytest.param(Path, {"note": "a"}, {"note": None}, {"note": None}, id="dataclass"),
        pytest.param(dict[str, Path], {"a": {"note": "a"}}, {"a": {"note": None}}, {"a": {"note": None}}, id="in_dict"),
        pytest.param(dict[str, int | None], {"a": 1, "b": 2}, {"a": None}, {"b": 2}, id="dict"),
    ],
)
async def test_null_in_a_merge_patch_below_the_document(
    memory_database: Any, annotation: Any, value: Any, patch: Any, expected: Any
) -> None:
    async with served(memory_database, _thing(annotation)) as client:
        made = await created(client, "/things", {"value": value})
        url = f"/things/{made['id']}"
        answer = await client.merge(url, {"value": patch})
        assert answer.status_code == 200, answer.text
        assert answer.json()["value"] == expected
        if "code" in value:
            refused = await client.merge(url, {"value": {"note": None, "code": None}})
            assert {issue["type"] for issue in refused.json()["errors"]} == {"missing"}
