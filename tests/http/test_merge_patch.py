"""JSON Merge Patch (RFC 7396)."""

import json
from typing import Any

import pytest

from .asking import JSON, MERGE, Api, merge_patch

pytestmark = pytest.mark.asyncio(loop_scope="session")

# RFC 7396, appendix A: original, patch, result.
APPENDIX: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("original", "patch", "result"), APPENDIX, ids=json.dumps)
async def test_the_appendix_below_a_field(api: Api, original: Any, patch: Any, result: Any) -> None:
    created = await api.send("POST", "/cards", json.dumps({"name": "c", "value": original}))
    assert created.status_code == 201, created.text
    answer = await api.send("PATCH", "/cards/c", json.dumps({"value": patch}), MERGE)
    assert answer.status_code == 200, answer.text
    assert answer.json()["value"] == result
    assert (await api.ask("GET", "/cards/c")).content == answer.content


@pytest.mark.parametrize(
    ("original", "patch", "result"),
    [case for case in APPENDIX if all(isinstance(part, dict) for part in case)],
    ids=json.dumps,
)
async def test_the_appendix_on_a_document(api: Api, original: Any, patch: Any, result: Any) -> None:
    created = await api.send("POST", "/cards", json.dumps({"name": "c", **original}))
    assert created.status_code == 201, created.text
    answer = await api.send("PATCH", "/cards/c", json.dumps(patch), MERGE)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"id": created.json()["id"], "name": "c", "value": None, **result}
    assert (await api.ask("GET", "/cards/c")).content == answer.content


@pytest.mark.parametrize("body", ["[]", "null", '"bar"', "5", '["c"]'])
async def test_a_document_stays_an_object(api: Api, body: str) -> None:
    await api.refuses(422, "INVALID", *merge_patch(body), pointers=[""])


async def test_null_takes_a_field_back_to_its_default(api: Api) -> None:
    answer = await api.send("PATCH", "/books/seed", '{"tags": null, "meta": null, "author": null, "year": null}', MERGE)
    shown = answer.json()
    assert (shown["tags"], shown["meta"], shown["author"], shown["year"]) == ([], {}, None, 2000)


async def test_below_a_field(api: Api) -> None:
    answer = await api.send(
        "PATCH", "/books/seed", '{"author": {"age": 9}, "meta": {"k": null, "n": {"a": null, "b": 1}}}', MERGE
    )
    assert answer.json()["author"] == {"name": "n", "age": 9}
    assert answer.json()["meta"] == {"n": {"b": 1}}


async def test_nothing_changes_nothing(api: Api) -> None:
    before, etag = await api.stored(), (await api.ask("GET", "/books/seed")).headers["etag"]
    for body in (
        "{}",
        '{"title": "Seed"}',
        '{"meta": {}}',
        '{"meta": {"k": 1, "gone": null}}',
        '{"author": {"name": "n"}}',
    ):
        answer = await api.send("PATCH", "/books/seed", body, MERGE)
        assert (answer.status_code, answer.headers["etag"]) == (200, etag)
    assert await api.stored() == before


@pytest.mark.parametrize("name", ["added_at", "id", "_id", "revision_id", "_class_id", "unknown"])
@pytest.mark.parametrize("value", ["null", '"2020-01-01T00:00:00Z"', "{}"])
async def test_fields_of_the_server(api: Api, name: str, value: str) -> None:
    await api.refuses(422, "INVALID", *merge_patch(f'{{"title": "U", "{name}": {value}}}'), pointers=[f"/{name}"])


async def test_a_secret_is_written_and_never_shown(api: Api) -> None:
    answer = await api.send("PATCH", "/books/seed", '{"secret": "hush two", "pin": "hush three"}', MERGE)
    assert answer.status_code == 200
    assert "hush" not in answer.text
    stored = (await api.stored())["Book"][0]
    assert (stored["secret"], stored["pin"]) == ("hush two", "hush three")
    replaced = await api.send("PUT", "/books/seed", '{"title": "T"}', JSON)
    assert replaced.status_code == 200
    stored = (await api.stored())["Book"][0]
    assert (stored["secret"], stored["pin"], stored["year"]) == ("hush two", "hush three", 2000)
