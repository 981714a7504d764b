"""G18: a write changes what it names and nothing else. What is not named keeps its BSON, byte for byte."""

import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import bson
import pytest
from beanie import Document
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel
from typing_extensions import TypedDict

from regesta import Resource
from regesta.store import collection_of

from ..resources.serving import Client, served

STANDARD: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
NEW = "new"
DATA: dict[str, Any] = {}


class Inner(BaseModel):
    n: int = 0
    label: str | None = Field(default=None, alias="theLabel")
    data: Any = None
    sub: "Inner | None" = None


class Cat(BaseModel):
    kind: Literal["cat"]
    data: dict[str, Any] = DATA


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str = Field(default="", alias="theName")
    data: dict[str, Any] = DATA


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    n: int = 0


class Typed(TypedDict):
    n: int
    data: Any


@dataclass
class Plain:
    n: int
    data: Any


class Rooted(RootModel[dict[str, Any]]):
    pass


class Kept(Document):
    model_config = ConfigDict(extra="allow")
    n: int = 0
    free: Any = None
    data: dict[str, Any] = DATA
    listed: list[Any] = []
    inner: Inner | None = None
    items: list[Inner] = []
    named: dict[str, Inner] = {}
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    pets: list[Cat | Dog] = []
    loose: Loose | None = None
    typed: Typed | None = None
    plain: Plain | None = None
    rooted: Rooted | None = None

    class Settings:
        name = "kept"


class Direct(Document):
    """The same, as far as it is answered without an instance."""

    n: int = 0
    free: Any = None
    data: dict[str, Any] = DATA
    listed: list[Any] = []
    inner: Inner | None = None
    items: list[Inner] = []
    named: dict[str, Inner] = {}

    class Settings:
        name = "direct"


SCALARS = st.sampled_from(
    [
        *(None, True, False, 0, 7, Int64(7), Int64(2**40), -0.0, 0.0, 1.5, 7.0, float("nan"), float("inf"), "", "t"),
        *(datetime(2020, 1, 1, tzinfo=UTC), datetime(1969, 5, 6, 7, 8, 9, 123000, UTC), "2020-01-01T00:00:00Z"),
        *(
            ObjectId("5f0000000000000000000000"),
            "5f0000000000000000000000",
            Decimal128("1.50"),
            Decimal128("NaN"),
            "1.50",
        ),
        *(b"utf-8", b"\xff\xfe\x00", Binary(b"\x01\xff", 0x80), Binary(b"0123456789abcdef", 3)),
        *(Binary(b"0123456789abcdef", 4), Regex("a.*", "im"), Code("f()"), Code("f()", {"x": 1}), Timestamp(1, 2)),
        *(MinKey(), MaxKey(), DBRef("other", ObjectId("5f0000000000000000000001")), DBRef("other", 1, "base")),
    ]
)
KEYS = st.sampled_from(["a", "b", "ü", "0", "n", "~/"])
FREE = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=10
)
OBJECTS = st.dictionaries(KEYS, FREE, max_size=4)
UNKNOWN = st.fixed_dictionaries({}, optional={"legacy": FREE})


def _model(**members: Any) -> st.SearchStrategy[Any]:
    known = st.fixed_dictionaries({}, optional=members)
    return st.tuples(known, UNKNOWN).map(lambda parts: {**parts[0], **parts[1]})


NUMBERS = st.sampled_from([1, Int64(1), 2])
INNER: st.SearchStrategy[Any] = st.deferred(
    lambda: _model(n=NUMBERS, theLabel=st.sampled_from(["l", None]), data=FREE, sub=INNER)
)
CATS = _model(data=OBJECTS).map(lambda found: {"kind": "cat", **found})
DOGS = _model(data=OBJECTS, theName=st.just("rex")).map(lambda found: {"kind": "dog", **found})
IN_BOTH = {
    "n": NUMBERS,
    "free": FREE,
    "data": OBJECTS,
    "listed": st.lists(FREE, max_size=4),
    "inner": INNER,
    "items": st.lists(INNER, max_size=3),
    "named": st.dictionaries(KEYS, INNER, max_size=2),
}
IN_KEPT = {
    **IN_BOTH,
    "pet": CATS | DOGS,
    "pets": st.lists(CATS | DOGS, max_size=3),
    "loose": OBJECTS.map(lambda found: {**found, "n": 1}),
    "typed": st.fixed_dictionaries({"n": NUMBERS, "data": FREE}),
    "plain": st.fixed_dictionaries({"n": NUMBERS, "data": FREE}),
    "rooted": OBJECTS,
    "more": FREE,
}
DOCUMENTS = st.tuples(st.just(Kept), st.fixed_dictionaries({}, optional=IN_KEPT)) | st.tuples(
    st.just(Direct), _model(**IN_BOTH)
)


def _free_paths(value: Any, path: tuple[Any, ...] = (), *, free: bool = False) -> list[tuple[Any, ...]]:
    """Where any value may stand."""
    found = [path] if free else []
    if isinstance(value, dict):
        for key, below in value.items():
            if free or key not in ("legacy", "kind"):
                inside = free or key in ("data", "free", "more") or (path[-1:] == ("rooted",))
                # `data` itself may be declared as a dict
                found += [at for at in _free_paths(below, (*path, key), free=inside) if at[-1] != "data" or free]
    elif isinstance(value, list):
        for index, below in enumerate(value):
            found += _free_paths(below, (*path, index), free=free or path == ("listed",))
    return found


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


def _pointer(path: tuple[Any, ...]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


@dataclass
class Asked:
    """A write, and what shall be stored after it."""

    body: Any
    expected: Any


def _asked(form: str, stored: dict[str, Any], shown: dict[str, Any], path: tuple[Any, ...]) -> Asked | None:
    """A write of this form at this path, None if it has no such form."""
    expected, parents, last = copy.deepcopy(stored), path[:-1], path[-1]
    parent = _at(expected, parents)
    if form in ("move", "copy", "remove"):
        return _moved(form, expected, parent, path)
    if form == "add":
        if not isinstance(parent, list):
            return None
        parent.insert(last, NEW)
        return Asked([{"op": "add", "path": _pointer(path), "value": NEW}], expected)
    parent[last] = NEW
    if form == "put":
        body = copy.deepcopy(shown)
        _at(body, parents)[last] = NEW
        return Asked(body, expected)
    if form in ("merge", "batch"):
        merged: Any = NEW
        for part in reversed(path):
            merged = {part: merged}
        return Asked(merged, expected) if all(isinstance(part, str) for part in path) else None
    test = {"op": "test", "path": _pointer(path), "value": _at(shown, path)}
    replace = {"op": "replace", "path": _pointer(path), "value": NEW}
    return Asked([test, replace] if form == "test" else [replace], expected)


def _moved(form: str, expected: dict[str, Any], parent: Any, path: tuple[Any, ...]) -> Asked | None:
    """Removed, or taken into the free field `data`."""
    if len(path) == 1:  # the field goes back to its default
        return None
    value, target = parent[path[-1]], expected.get("data")
    if form != "copy":
        del parent[path[-1]]
    if form == "remove":
        return Asked([{"op": "remove", "path": _pointer(path)}], expected)
    if target is None:
        return None
    target["target"] = copy.deepcopy(value)
    return Asked([{"op": form, "from": _pointer(path), "path": "/data/target"}], expected)


FORMS = ["merge", "put", "batch", "replace", "test", "remove", "add", "move", "copy"]


async def _send(client: Client, url: str, form: str, body: Any) -> None:
    if form == "put":
        answer = await client.put(url, json=body)
    elif form == "batch":
        plural, key = url.rsplit("/", 1)
        operation = {"op": "patch", "key": key, "body": body}
        answer = await client.post(f"{plural}:batch", json={"operations": [operation], "atomic": True})
    elif form == "merge":
        answer = await client.merge(url, body)
    else:
        answer = await client.operate(url, *body)
    assert answer.status_code == 200, (form, body, answer.text)


def _bytes(document: Any) -> bytes:
    """The BSON, with members in one order: a new one is the last."""
    return bson.encode({"": _sorted(document)}, codec_options=STANDARD)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return list(map(_sorted, value)) if isinstance(value, list) else value


@pytest.fixture
async def both(database: Any) -> AsyncIterator[Client]:
    """Both documents served."""
    async with served(database, Resource(Kept), Resource(Direct)) as client:
        yield client


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@example(
    given_=(Kept, {"pets": [{"kind": "cat", "data": {"a": [b"\xff\xfe\x00"]}, "legacy": 1}]}), form="put", choice=0
)
@example(given_=(Kept, {"data": {}, "free": [Regex("a.*", "im")]}), form="move", choice=1)
@example(given_=(Kept, {"more": {"a": 1, "b": b"\xff\xfe\x00"}}), form="merge", choice=1)
@given(given_=DOCUMENTS, form=st.sampled_from(FORMS), choice=st.integers(0, 30))
async def test_a_write_changes_what_it_names(
    both: Any, given_: tuple[type[Document], dict[str, Any]], form: str, choice: int
) -> None:
    document, members = given_
    stored = bson.decode(bson.encode({"_id": ObjectId(), **members}))
    paths = _free_paths({key: value for key, value in stored.items() if key != "_id"})
    if not paths:
        return
    path = paths[choice % len(paths)]
    collection = collection_of(document)
    await collection.insert_one(stored)
    url = f"/{'kepts' if document is Kept else 'directs'}/{stored['_id']}"
    shown = (await both.get(url)).json()
    shown.pop("id")
    asked = _asked(form, stored, shown, path)
    if asked is not None:
        await _send(both, url, form, asked.body)
        found = await collection.find_one({"_id": stored["_id"]})
        assert _bytes(found) == _bytes(asked.expected), (found, asked)
