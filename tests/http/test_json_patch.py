"""JSON Patch (RFC 6902) on documents."""

import json
import time
from typing import Any

import pytest

from regesta.operations import JsonPatch

from .asking import PATCH, Api, json_patch

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_OPERATIONS: list[Any] = [None, 1, "add", [], True]
VALUE: dict[str, Any] = {"a": [1, 2, {"b": "c"}], "m~n": 8, "x/y": 9, "o": {"p": {"q": 1}}, "": 0, "n": None, "t": True}


async def card(api: Api, value: Any = None) -> None:
    """A card with this value, put past the body's rules where it must be."""
    shown = {key: item for key, item in VALUE.items() if key} if value is None else value
    answer = await api.send("POST", "/cards", json.dumps({"name": "c", "value": shown}))
    assert answer.status_code == 201, answer.text


def op(name: str, path: str, value: Any = ..., *, source: str | None = None) -> dict[str, Any]:
    found = {"op": name, "path": f"/value{path}"}
    if value is not ...:
        found["value"] = value
    return found if source is None else {**found, "from": f"/value{source}"}


@pytest.mark.parametrize(
    ("operations", "path", "result"),
    [
        ([op("add", "/new", {"z": 1})], "new", {"z": 1}),
        ([op("add", "/a/0", 0)], "a", [0, 1, 2, {"b": "c"}]),
        ([op("add", "/a/3", 3)], "a", [1, 2, {"b": "c"}, 3]),
        ([op("add", "/a/-", 3)], "a", [1, 2, {"b": "c"}, 3]),
        ([op("add", "/a/2/b", "d")], "a", [1, 2, {"b": "d"}]),
        ([op("add", "/a", "instead")], "a", "instead"),
        ([op("add", "/n", None), op("test", "/n", None)], "n", None),
        ([op("remove", "/a/0")], "a", [2, {"b": "c"}]),
        ([op("remove", "/a/2/b")], "a", [1, 2, {}]),
        ([op("replace", "/a/1", "two")], "a", [1, "two", {"b": "c"}]),
        ([op("replace", "/o/p", [])], "o", {"p": []}),
        ([op("move", "/a/-", source="/a/0")], "a", [2, {"b": "c"}, 1]),
        ([op("move", "/a/0", source="/o/p/q")], "o", {"p": {}}),
        ([op("move", "/o/p", source="/o/p")], "o", {"p": {"q": 1}}),
        ([op("copy", "/o/p/r", source="/a/2")], "o", {"p": {"q": 1, "r": {"b": "c"}}}),
        ([op("copy", "/o/p/r", source="/o")], "o", {"p": {"q": 1, "r": {"p": {"q": 1}}}}),
        ([op("test", "/a", [1, 2, {"b": "c"}]), op("remove", "/a/2")], "a", [1, 2]),
        ([op("test", "/a/0", 1.0), op("test", "/t", True), op("test", "/n", None)], "t", True),
        ([op("test", "/m~0n", 8), op("replace", "/m~0n", 88)], "m~n", 88),
        ([op("test", "/x~1y", 9), op("replace", "/x~1y", 99)], "x/y", 99),
        ([op("add", "/~01", 1)], "~1", 1),
        ([op("add", "/e~1f~0g", 1)], "e/f~g", 1),
        ([{"op": "add", "path": "/value/new", "value": 1, "more": "ignored (RFC 6902, 3)"}], "new", 1),
    ],
)
async def test_operations(api: Api, operations: list[dict[str, Any]], path: str, result: Any) -> None:
    await card(api)
    answer = await api.send("PATCH", "/cards/c", json.dumps(operations), PATCH)
    assert answer.status_code == 200, answer.text
    assert answer.json()["value"][path] == result
    assert (await api.ask("GET", "/cards/c")).content == answer.content


@pytest.mark.parametrize(
    ("code", "operation"),
    [
        ("PATCH_TEST_FAILED", op("test", "/a/0", 2)),
        ("PATCH_TEST_FAILED", op("test", "/a/0", True)),
        ("PATCH_TEST_FAILED", op("test", "/t", 1)),
        ("PATCH_TEST_FAILED", op("test", "/n", False)),
        ("PATCH_TEST_FAILED", op("test", "/a", [1, 2, {"b": "c"}, 3])),
        ("PATCH_TEST_FAILED", op("test", "/a", [True, 2, {"b": "c"}])),
        ("PATCH_TEST_FAILED", op("test", "/missing", None)),
        ("PATCH_TEST_FAILED", op("test", "/a/9", 1)),
        ("PATCH_TEST_FAILED", op("test", "/a/-", 1)),
        ("PATCH_TEST_FAILED", {"op": "test", "path": "/nowhere", "value": 1}),
        ("PATCH_TEST_FAILED", {"op": "test", "path": "/name/0", "value": "c"}),
        ("PATCH_CONFLICT", op("remove", "/missing")),
        ("PATCH_CONFLICT", op("remove", "/a/3")),
        ("PATCH_CONFLICT", op("remove", "/a/-")),
        ("PATCH_CONFLICT", op("replace", "/missing", 1)),
        ("PATCH_CONFLICT", op("replace", "/a/3", 1)),
        ("PATCH_CONFLICT", op("replace", "/a/-", 1)),
        ("PATCH_CONFLICT", op("add", "/a/4", 1)),
        ("PATCH_CONFLICT", op("add", "/a/-1", 1)),
        ("PATCH_CONFLICT", op("add", "/a/01", 1)),
        ("PATCH_CONFLICT", op("add", "/a/1e0", 1)),
        ("PATCH_CONFLICT", op("add", "/a/+1", 1)),
        ("PATCH_CONFLICT", op("add", "/a/x", 1)),
        ("PATCH_CONFLICT", op("add", "/a/\u0661", 1)),
        ("PATCH_CONFLICT", op("add", "/a/" + "9" * 5000, 1)),
        ("PATCH_CONFLICT", op("add", "/a//", 1)),
        ("PATCH_CONFLICT", op("add", "/missing/x", 1)),
        ("PATCH_CONFLICT", op("add", "/t/x", 1)),
        ("PATCH_CONFLICT", op("add", "/n/x", 1)),
        ("PATCH_CONFLICT", op("move", "/x", source="/missing")),
        ("PATCH_CONFLICT", op("move", "/o/p/q", source="/o")),
        ("PATCH_CONFLICT", op("move", "/o/p/q/r/s", source="/o/p")),
        ("PATCH_CONFLICT", op("copy", "/x", source="/a/-")),
        ("PATCH_CONFLICT", op("copy", "/x", source="/missing")),
        ("PATCH_CONFLICT", {"op": "copy", "from": "/nowhere", "path": "/value"}),
        ("PATCH_CONFLICT", {"op": "copy", "from": "/name/0", "path": "/value"}),
        ("PATCH_CONFLICT", {"op": "add", "path": "/name/0", "value": "x"}),
        ("PATCH_CONFLICT", {"op": "remove", "path": "/nowhere"}),
    ],
    ids=lambda value: json.dumps(value)[:50],
)
async def test_what_does_not_fit(api: Api, code: str, operation: dict[str, Any]) -> None:
    await card(api)
    body = json.dumps([op("add", "/first", 1), operation])
    answer = await api.refuses(409, code, *json_patch(body, "/cards/c"), pointers=["/1"])
    assert "'b'" not in answer.text


@pytest.mark.parametrize(
    ("operation", "pointer"),
    [
        *((wrong, "/0") for wrong in NO_OPERATIONS),
        ({}, "/0/op"),
        ({"path": "/title", "value": 1}, "/0/op"),
        ({"op": None, "path": "/title", "value": 1}, "/0/op"),
        ({"op": ["add"], "path": "/title", "value": 1}, "/0/op"),
        ({"op": "ADD", "path": "/title", "value": 1}, "/0/op"),
        ({"op": "merge", "path": "/title", "value": 1}, "/0/op"),
        ({"op": "add", "value": 1}, "/0/path"),
        ({"op": "add", "path": "/title"}, "/0/value"),
        ({"op": "copy", "path": "/title"}, "/0/from"),
        ({"op": "move", "path": "/title", "from": None}, "/0/from"),
        ({"op": "add", "path": None, "value": 1}, "/0/path"),
        ({"op": "add", "path": 5, "value": 1}, "/0/path"),
        ({"op": "add", "path": ["title"], "value": 1}, "/0/path"),
        ({"op": "add", "path": "title", "value": 1}, "/0/path"),
        ({"op": "add", "path": "#/title", "value": 1}, "/0/path"),
        ({"op": "add", "path": "/title~", "value": 1}, "/0/path"),
        ({"op": "add", "path": "/meta/~2", "value": 1}, "/0/path"),
        ({"op": "add", "path": "", "value": {}}, "/0/path"),
        ({"op": "remove", "path": ""}, "/0/path"),
        ({"op": "copy", "path": "/meta/x", "from": ""}, "/0/from"),
        ({"op": "test", "path": "/", "value": 1}, "/0"),
        ({"op": "add", "path": "/", "value": 1}, "/0/path"),
        ({"op": "add", "path": "/unknown", "value": 1}, "/0/path"),
        ({"op": "remove", "path": "/unknown/x"}, "/0/path"),
        *(
            ({"op": "replace", "path": f"/{name}", "value": 1}, "/0/path")
            for name in ("added_at", "id", "_id", "revision_id")
        ),
        ({"op": "remove", "path": "/added_at"}, "/0/path"),
        ({"op": "move", "path": "/title", "from": "/added_at"}, "/0/from"),
        ({"op": "copy", "path": "/added_at", "from": "/title"}, "/0/path"),
        *(({"op": "test", "path": f"/{name}", "value": "hush"}, "/0/path") for name in ("secret", "pin", "secret/0")),
        *(
            ({"op": word, "from": f"/{name}", "path": "/title"}, "/0/from")
            for word in ("copy", "move")
            for name in ("secret", "pin")
        ),
        ({"op": "replace", "path": "/shelf", "value": "B"}, "/shelf"),
        ({"op": "replace", "path": "/isbn", "value": "B"}, "/isbn"),
        ({"op": "copy", "from": "/title", "path": "/isbn"}, "/isbn"),
        ({"op": "copy", "from": "/title", "path": "/year"}, "/year"),
        ({"op": "add", "path": "/meta/$set", "value": 1}, "/meta/$set"),
        ({"op": "add", "path": "/meta/a.b", "value": 1}, "/meta/a.b"),
        ({"op": "add", "path": "/meta/", "value": 1}, "/meta"),
        ({"op": "move", "from": "/meta/k", "path": "/meta/$k"}, "/meta/$k"),
        ({"op": "add", "path": "/meta/\x00", "value": 1}, "/0/path"),
        ({"op": "add", "path": "/author/unknown", "value": 1}, "/author/unknown"),
    ],
    ids=lambda value: json.dumps(value)[:50],
)
async def test_what_is_refused(api: Api, operation: Any, pointer: str) -> None:
    if pointer == "/0":
        status, code = (409, "PATCH_TEST_FAILED") if isinstance(operation, dict) else (422, "INVALID")
        await api.refuses(status, code, *json_patch(json.dumps([operation])), pointers=[pointer])
        return
    await api.refuses(422, "INVALID", *json_patch(json.dumps([operation])), pointers=[pointer])


async def test_every_fault_is_told(api: Api) -> None:
    body = json.dumps([{"op": "x"}, 5, {"op": "add", "path": "a"}, {"op": "test", "path": "/secret", "value": "hush"}])
    await api.refuses(422, "INVALID", *json_patch(body), pointers=["/0/op", "/1", "/2/path", "/2/value", "/3/path"])


async def test_a_secret_is_written_by_a_patch_and_never_shown(api: Api) -> None:
    body = json.dumps([{"op": "replace", "path": "/secret", "value": "hush two"}, {"op": "remove", "path": "/pin"}])
    answer = await api.send("PATCH", "/books/seed", body, PATCH)
    assert answer.status_code == 200, answer.text
    assert "hush" not in answer.text
    stored = (await api.stored())["Book"][0]
    assert (stored["secret"], stored["pin"]) == ("hush two", "hush pin")


async def test_a_patch_is_applied_whole_or_not_at_all(api: Api) -> None:
    await card(api)
    body = json.dumps([op("add", "/x", 1), op("remove", "/a"), op("test", "/x", 2)])
    await api.refuses(409, "PATCH_TEST_FAILED", *json_patch(body, "/cards/c"), pointers=["/2"])


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "copy", "from": "/meta", "path": "/meta/a"},  # nests deeper and deeper
        {"op": "copy", "from": "/tags", "path": "/meta/list/-"},  # grows
        {"op": "copy", "from": "/meta/list", "path": "/meta/list/-"},  # doubles
    ],
    ids=["deeper", "longer", "doubling"],
)
async def test_a_copy_bomb(api: Api, operation: dict[str, Any]) -> None:
    prepared = [
        {"op": "add", "path": "/tags", "value": ["x" * 1000] * 10},
        {"op": "add", "path": "/meta/list", "value": ["y" * 10]},
    ]
    before = time.perf_counter()
    body = json.dumps([*prepared, *([operation] * 998)])
    answer = await api.ask(*json_patch(body))
    assert (answer.status_code, answer.json()["code"]) in ((413, "TOO_LARGE"), (422, "INVALID"))
    await api.refuses(answer.status_code, answer.json()["code"], *json_patch(body))
    assert time.perf_counter() - before < 10


async def test_too_many_operations(api: Api) -> None:
    test = {"op": "test", "path": "/title", "value": "Seed"}
    await api.refuses(422, "INVALID", *json_patch(json.dumps([test] * 1001)), pointers=[""])
    assert (await api.send("PATCH", "/books/seed", json.dumps([test] * 1000), PATCH)).status_code == 200


async def test_a_patch_that_is_applied_again_does_the_same() -> None:
    """What one operation adds, a later one changes: not the patch itself."""
    patch = JsonPatch(
        [{"op": "add", "path": "/free", "value": {"l": []}}, {"op": "add", "path": "/free/l/-", "value": 1}]
    )
    for _ in range(2):
        assert patch.apply({}) == {"free": {"l": [1]}}
