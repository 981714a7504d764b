"""Fields that hold models, lists, dicts and unions of them."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from beanie import Document
from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model

from regesta import DeclarationError, crud_router

from .serving import created, keeps, pointers, served


class Part(BaseModel):
    name: str
    size: int = 1


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: str


class Outer(BaseModel):
    part: Part
    price: Decimal = Decimal("1.5")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


class Tree(BaseModel):
    name: str
    below: list[Tree] = []
    named: dict[str, Tree] = {}


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str] = []


class Tags(RootModel[list[str]]):
    pass


class Labels(RootModel[dict[str, str]]):
    pass


class Piece(RootModel[Part]):
    pass


class Pieces(RootModel[dict[str, Part]]):
    pass


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]
LEAF: dict[str, Any] = {"name": "b", "below": [], "named": {}}
P, PS = {"name": "a", "size": 1}, [{"name": "a", "size": 1}, {"name": "b", "size": 2}]

KINDS: list[tuple[str, Any, Any, list[tuple[Any, str]]]] = [
    # name, annotation, value, refused values with the pointers of what is wrong
    ("model", Part, P, [({"name": 1}, "/value/name"), ({"name": "a", "x": 1}, "/value/x"), (None, "/value")]),
    ("model_in_model", Outer, {"part": P, "price": "2.50"}, [({"part": {"size": "1"}}, "/value/part/size")]),
    ("list", list[Part], PS, [([P, {"name": "b", "size": True}], "/value/1/size"), ({}, "/value")]),
    ("list_of_lists", list[list[int]], [[1], [], [2, 3]], [([[1], ["2"]], "/value/1/0")]),
    ("list_of_list_of_models", list[list[Part]], [[P], []], [([[P], [{"nam": 1}]], "/value/1/0/nam")]),
    ("tuple", tuple[int, Part], [1, P], [([1], "/value/1"), ([1, P, 3], "/value")]),
    ("tuple_open", tuple[Part, ...], PS, [([{}], "/value/0/name")]),
    ("set", set[int], [1, 2], [([1, "2"], "/value/1")]),
    ("set_of_models", set[Frozen], [{"name": "a"}], [([{"name": 1}], "/value/0/name")]),
    ("frozen", Frozen, {"name": "a"}, [({}, "/value/name")]),
    ("dict_of_models", dict[str, Part], {"ü": P, "b": P}, [({"x": {"name": "a", "size": "1"}}, "/value/x/size")]),
    ("dict_of_lists", dict[str, list[Part]], {"a": PS}, [({"a": [{"name": None}]}, "/value/a/0/name")]),
    ("dict_of_bool_keys", dict[bool, int], {"true": 1, "false": 2}, [({"True": 1}, "/value/True/[key]")]),
    ("bare_dict", typing.Dict, {"a": {"b": 1}}, [([], "/value")]),  # noqa: UP006 - unlike dict, a generic
    ("bare_list", typing.List, [{"b": 1}], [({}, "/value")]),  # noqa: UP006
    ("dict_of_int_keys", dict[int, int], {"1": 1, "-2": 2}, [({"01": 1}, "/value/01/[key]")]),
    ("optional_model", Part | None, P, [({"name": 3}, "/value/name")]),
    ("optional_list", list[Part] | None, PS, [([{"name": "a", "more": 1}], "/value/0/more")]),
    ("discriminated", Pet, {"kind": "cat", "lives": 9}, [({"kind": "cow"}, "/value")]),
    ("discriminated_lives", Pet, {"kind": "cat", "lives": 1}, [({"kind": "cat"}, "/value/cat/lives")]),
    ("list_discriminated", list[Pet], [{"kind": "cat", "lives": 9}, {"kind": "dog", "tricks": []}], []),
    ("union", Cat | Dog | str, {"kind": "dog", "tricks": ["sit"]}, []),
    ("union_of_list", list[int] | int, [1, 2], []),
    ("root_model", Tags, ["a", "b"], [(["a", 1], "/value/1"), ({"root": ["a"]}, "/value")]),
    ("root_dict", Labels, {"env": "a", "root": "b"}, [({"env": 1}, "/value/env")]),
    ("root_of_model", Piece, P, [({"name": 1}, "/value/name"), ({"root": P}, "/value/name")]),
    ("root_dict_of_models", Pieces, {"root": P, "b": P}, [({"b": {"name": 1}}, "/value/b/name")]),
    ("list_of_root_dicts", list[Labels], [{"env": "a"}, {}], [([{"env": 1}], "/value/0/env")]),
    ("dict_of_root_dicts", dict[str, Labels], {"x": {"env": "a"}}, [({"x": {"env": 1}}, "/value/x/env")]),
    ("optional_root_dict", Labels | None, {"env": "a"}, [({"env": 1}, "/value/env")]),
    ("extra_allowed", Open, {"name": "a", "more": {"b": [1]}}, [({"name": 1}, "/value/name")]),
    ("extra_operator", Open, {"name": "a", "more": 1}, [({"name": "a", "$x": 1}, "/value/$x")]),
    ("extra_forbidden", Closed, {"name": "a"}, [({"name": "a", "more": 1}, "/value/more")]),
    (
        "recursive",
        Tree,
        {"name": "a", "below": [LEAF], "named": {"c": LEAF}},
        [({"name": "a", "below": [{"name": "b", "below": [{"name": 1}]}]}, "/value/below/0/below/0/name")],
    ),
]  # fmt: skip


@pytest.mark.parametrize("use_revision", [True, False], ids=["revision", "hash"])
@pytest.mark.parametrize(("annotation", "value", "refused"), [pytest.param(*kind[1:], id=kind[0]) for kind in KINDS])
async def test_one_field(
    any_database: Any, annotation: Any, value: Any, refused: list[tuple[Any, str]], use_revision: bool
) -> None:
    settings = type("Settings", (), {"name": "things", "use_revision": use_revision})
    thing: type[Document] = create_model("Thing", __base__=Document, value=(annotation, ...), n=(int, 0))
    thing.Settings = settings
    async with served(any_database, thing) as client:
        document = await created(client, "/things", {"value": value})
        assert document == {"id": document["id"], "value": value, "n": 0}
        url = f"/things/{document['id']}"
        await keeps(client, url, {"value": value, "n": 0})
        assert (await client.merge(url, {"n": 1})).json() == {**document, "n": 1}
        for wrong, pointer in refused:
            assert pointer in pointers(await client.post("/things", json={"value": wrong})), wrong
            assert pointer in pointers(await client.put(url, json={"value": wrong})), wrong
            found = pointers(await client.operate(url, {"op": "replace", "path": "/value", "value": wrong}))
            assert found & {pointer, f"/0{pointer}"}, wrong
        assert (await client.get(url)).json() == {**document, "n": 1}


class Rated(BaseModel):
    rates: Mapping[Annotated[float, Field(ge=0)], int] = {}


@pytest.mark.parametrize("annotation", [dict[float, int], dict[str, dict[float, int]] | None, list[Rated]])
def test_keys_that_could_not_be_sent_back_are_refused(annotation: Any) -> None:
    document: Any = create_model("Keyed", __base__=Document, value=(annotation, ...))
    with pytest.raises(DeclarationError, match=r"Keyed\.value"):
        crud_router(document, operations=["list", "create"])
    crud_router(document, operations=["list", "get"])


class House(Document):
    rooms: dict[str, list[Part]] = {}
    door: Part | None = None
    things: list[Part] = []
    free: dict[str, Any] = {}
    pet: Pet | None = None
    tree: Tree | None = None
    labels: Labels = Labels({})

    class Settings:
        name = "houses"


BODY: dict[str, Any] = {
    "rooms": {"a": [P]},
    "door": {"name": "d", "size": 2},
    "things": PS,
    "free": {"a": {"b": 1, "c": None}},
    "pet": {"kind": "cat", "lives": 9},
    "tree": None,
    "labels": {"env": "prod"},
}


async def test_a_merge_patch_goes_into_objects_and_replaces_lists(any_database: Any) -> None:
    async with served(any_database, House) as client:
        document = await created(client, "/houses", BODY)
        url = f"/houses/{document['id']}"
        free, labels = {"a": {"b": None, "d": 1}}, {"team": "x"}
        answer = await client.merge(
            url, {"door": {"size": 5}, "things": [], "free": free, "pet": {"lives": 8}, "labels": labels}
        )
        assert answer.json() == document | {
            "door": {"name": "d", "size": 5},
            "things": [],
            "free": {"a": {"c": None, "d": 1}},
            "pet": {"kind": "cat", "lives": 8},
            "labels": {"env": "prod", "team": "x"},
        }
        assert (await client.merge(url, {"door": None, "free": None})).json() == answer.json() | {
            "door": None,
            "free": {},
        }
        assert pointers(await client.merge(url, {"door": {"size": 5}})) == {"/door/name"}


async def test_a_json_patch_goes_into_lists_and_dicts(any_database: Any) -> None:
    async with served(any_database, House) as client:
        document = await created(client, "/houses", BODY)
        url = f"/houses/{document['id']}"
        answer = await client.operate(
            url,
            {"op": "test", "path": "/things/1/name", "value": "b"},
            {"op": "remove", "path": "/things/0"},
            {"op": "add", "path": "/things/-", "value": {"name": "z"}},
            {"op": "copy", "from": "/things/1", "path": "/door"},
            {"op": "move", "from": "/free/a/b", "path": "/free/e~1f"},
        )
        assert answer.status_code == 200, answer.text
        assert answer.json() == document | {
            "things": [PS[1], {"name": "z", "size": 1}],
            "door": {"name": "z", "size": 1},
            "free": {"a": {"c": None}, "e/f": 1},
        }
        for operation, status in (
            ({"op": "test", "path": "/door/name", "value": "no"}, 409),
            ({"op": "remove", "path": "/things/7"}, 409),
            ({"op": "add", "path": "/things/0/size", "value": "5"}, 422),
            ({"op": "add", "path": "/nothing", "value": 1}, 422),
            ({"op": "add", "path": "/free/$where", "value": 1}, 422),
            ({"op": "add", "path": "/free/a.b", "value": 1}, 422),
            ({"op": "add", "path": "/free/", "value": 1}, 422),
            ({"op": "remove", "path": "/pet/lives"}, 422),
            ({"op": "replace", "path": "/free", "value": deep(101)}, 422),
        ):
            refusal = await client.operate(url, operation)
            assert refusal.status_code == status, (operation, refusal.text)
        assert (await client.get(url)).json() == answer.json()


def deep(levels: int) -> dict[str, Any]:
    return {"a": deep(levels - 1)} if levels else {}


async def test_a_json_patch_cannot_go_deeper_step_by_step(any_database: Any) -> None:
    async with served(any_database, House) as client:
        url = f"/houses/{(await created(client, '/houses', {}))['id']}"
        for steps in (95, 300, 990):
            adds = ({"op": "add", "path": "/free" + "/a" * depth, "value": {}} for depth in range(1, steps))
            answer = await client.operate(url, *adds)
            assert answer.status_code == (200 if steps < 100 else 422), answer.text
        copies = [{"op": "copy", "from": "/free", "path": "/free/a"}] * 990
        assert (await client.operate(url, *copies)).status_code in (409, 413, 422)


async def test_what_lies_below_is_named_in_stored_updates_only_where_it_changed(database: Any) -> None:
    async with served(database, House) as client:
        document = await created(client, "/houses", BODY)
        await database["houses"].update_one({}, {"$set": {"door.colour": "red", "tree": {"name": "t", "age": 3}}})
        await client.merge(f"/houses/{document['id']}", {"door": {"size": 7}, "tree": {"name": "u"}})
        stored = await database["houses"].find_one({})
        assert stored["door"] == {"name": "d", "size": 7, "colour": "red"}
        assert stored["tree"]["name"] == "u"
        assert stored["tree"]["age"] == 3
