"""Bodies that can be read and are not valid: 422, naming each field by its JSON Pointer."""

import json
from typing import Any

import pytest

from .asking import JSON, MERGE, PATCH, Api, json_patch, merge_patch

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A field, what is sent for it, and where the fault is.
WRONG: list[tuple[str, str, set[str]]] = [
    ("title", '{"$ne": null}', {"/title/$ne"}),
    ("title", '{"regex": "a"}', {"/title"}),
    ("title", "null", {"/title"}),
    ("title", "5", {"/title"}),
    ("title", "true", {"/title"}),
    ("title", '["T"]', {"/title"}),
    ("title", '{"$oid": "65a000000000000000000001"}', {"/title/$oid"}),
    ("year", '"5"', {"/year"}),
    ("year", "true", {"/year"}),
    ("year", "1.0", {"/year"}),
    ("year", "1e2", {"/year"}),
    ("year", "null", {"/year"}),
    ("year", "[5]", {"/year"}),
    ("year", "9223372036854775808", {"/year"}),
    ("year", '{"$numberLong": "5"}', {"/year/$numberLong"}),
    ("year", '{"$inc": 1}', {"/year/$inc"}),
    ("rating", '"1.5"', {"/rating"}),
    ("rating", "false", {"/rating"}),
    ("rating", '"NaN"', {"/rating"}),
    ("rating", "1" + "0" * 400, {"/rating"}),
    ("tags", '"a"', {"/tags"}),
    ("tags", '["a", 1, "b", null]', {"/tags/1", "/tags/3"}),
    ("tags", '{"0": "a"}', {"/tags"}),
    ("tags", "null", {"/tags"}),
    ("meta", "[]", {"/meta"}),
    ("meta", '"a"', {"/meta"}),
    ("author", '"name"', {"/author"}),
    ("author", "[]", {"/author"}),
    ("author", '{"name": 1, "age": "3"}', {"/author/name", "/author/age"}),
    ("author", '{"name": "n", "unknown": 1}', {"/author/unknown"}),
    ("author", '{"name": "n", "$set": {"year": 1}}', {"/author/$set"}),
    ("published", "0", {"/published"}),
    ("published", "1700000000", {"/published"}),
    ("published", '"1700000000"', {"/published"}),  # a Unix time, to Pydantic
    ("published", '"yesterday"', {"/published"}),
    ("published", '"2024-13-01T00:00:00Z"', {"/published"}),
    ("published", '"2024-02-30T00:00:00Z"', {"/published"}),
    ("published", '"0000-01-01T00:00:00Z"', {"/published"}),
    ("published", '"-001-01-01T00:00:00Z"', {"/published"}),
    ("published", '"10000-01-01T00:00:00Z"', {"/published"}),
    ("published", '"+292278994-08-17T07:12:55Z"', {"/published"}),
    ("published", '"0001-01-01T00:00:00+14:00"', {"/published"}),  # of the year 0, which only the encoder finds
    ("published", '"9999-12-31T23:59:59-14:00"', {"/published"}),
    ("published", '{"$date": "2024-01-01T00:00:00Z"}', {"/published/$date"}),
    ("published", '{"$date": {"$numberLong": "0"}}', {"/published/$date", "/published/$date/$numberLong"}),
    ("secret", "5", {"/secret"}),
    ("pin", "null", {"/pin"}),
    ("_id", '"65a000000000000000000001"', {"/_id"}),
    ("id", '"65a000000000000000000001"', {"/id"}),
    ("revision_id", '"6a1b2c3d-0000-4000-8000-000000000001"', {"/revision_id"}),
    ("_class_id", '"Book"', {"/_class_id"}),
    ("added_at", '"2024-01-01T00:00:00Z"', {"/added_at"}),
    ("added_at", "null", {"/added_at"}),
    ("unknown", "1", {"/unknown"}),
    ("Title", '"T"', {"/Title"}),
    ("__class__", '"T"', {"/__class__"}),
    ("model_config", "{}", {"/model_config"}),
    ("a/b~c", "1", {"/a~1b~0c"}),
    ("ü", "1", {"/ü"}),
    ("$set", '{"title": "T"}', {"/$set"}),
    ("$where", '"1"', {"/$where"}),
    ("author.name", '"n"', {"/author.name"}),
    ("", "1", {"", "/"}),
]
CASES = [pytest.param(*case, id=f"{case[0]}={case[1]}"[:40]) for case in WRONG]


@pytest.mark.parametrize(("field", "value", "pointers"), CASES)
async def test_a_wrong_field_of_a_new_document(api: Api, field: str, value: str, pointers: set[str]) -> None:
    whole = {"isbn": '"n"', "title": '"T"', field: value}
    body = "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in whole.items()) + "}"
    await api.refuses(
        422, "INVALID", "POST", "/books", body.encode(), {"content-type": JSON}, pointers=seen(pointers, field)
    )


@pytest.mark.parametrize(("field", "value", "pointers"), CASES)
async def test_a_wrong_field_of_a_replacement(api: Api, field: str, value: str, pointers: set[str]) -> None:
    whole = {"title": '"T"', field: value}
    body = "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in whole.items()) + "}"
    for url in ("/books/seed", "/books/new?allow_missing=true"):
        found = seen(pointers, field)
        await api.refuses(422, "INVALID", "PUT", url, body.encode(), {"content-type": JSON}, pointers=found)


@pytest.mark.parametrize(("field", "value", "pointers"), CASES)
async def test_a_wrong_field_of_a_patch(api: Api, field: str, value: str, pointers: set[str]) -> None:
    if value != "null":  # which takes a field away
        body = f"{{{json.dumps(field)}: {value}}}"
        await api.refuses(422, "INVALID", *merge_patch(body), pointers=seen(pointers, field))
    path = "/" + field.replace("~", "~0").replace("/", "~1")
    body = json.dumps([{"op": "test", "path": "/year", "value": 1999}, {"op": "add", "path": path, "value": 0}])
    answer = await api.refuses(422, "INVALID", *json_patch(body.replace(" 0}", f" {value}}}")))
    assert answer.json()["errors"]


def seen(pointers: set[str], field: str) -> set[str]:
    """An empty key has no name of its own to point to: its object is named."""
    return pointers if field else {""}


@pytest.mark.parametrize("body", ['{"shelf": "B"}', '{"isbn": "other"}', '{"shelf": null}'])
async def test_an_immutable_field(api: Api, body: str) -> None:
    (name,) = json.loads(body)
    answer = await api.send("PATCH", "/books/seed", '{"shelf": "A", "isbn": "seed"}', MERGE)
    assert answer.status_code == 200  # what it is already
    if json.loads(body)[name] is not None:
        answer = await api.refuses(422, "INVALID", *merge_patch(body), pointers=[f"/{name}"])
        assert answer.json()["errors"][0]["type"] == "immutable"
        replacement = json.dumps({"title": "T", **json.loads(body)}).encode()
        put = await api.refuses(
            422, "INVALID", "PUT", "/books/seed", replacement, {"content-type": JSON}, pointers=[f"/{name}"]
        )
        assert put.json()["errors"][0]["type"] == "immutable"
    else:
        assert (await api.send("PATCH", "/books/seed", body, MERGE)).json()["shelf"] == "A"  # back to its default


async def test_taking_away_a_required_field(api: Api) -> None:
    await api.refuses(
        422, "INVALID", *merge_patch('{"title": null, "author": {"name": null}}'), pointers=["/title", "/author/name"]
    )
    await api.refuses(422, "INVALID", *json_patch('[{"op": "remove", "path": "/title"}]'), pointers=["/title"])


async def test_what_is_missing(api: Api) -> None:
    media = {"content-type": JSON}
    await api.refuses(422, "INVALID", "POST", "/books", b"{}", media, pointers=["/isbn", "/title"])
    await api.refuses(422, "INVALID", "PUT", "/books/seed", b"{}", media, pointers=["/title"])
    answer = await api.refuses(422, "INVALID", "PUT", "/books/x?allow_missing=true", b"{}", media, pointers=["/title"])
    assert {issue["type"] for issue in answer.json()["errors"]} == {"missing"}


async def test_a_rule_of_a_hook(api: Api) -> None:
    body = b'{"isbn": "n", "title": "T", "year": 1313}'
    answer = await api.refuses(422, "INVALID", "POST", "/books", body, {"content-type": JSON}, pointers=["/year"])
    assert answer.json()["errors"] == [
        {"loc": ["body", "year"], "pointer": "/year", "message": "brings bad luck", "type": "value_error"}
    ]
    await api.refuses(422, "INVALID", *merge_patch('{"year": 1313}'), pointers=["/year"])


async def test_a_value_that_is_taken(api: Api) -> None:
    body = b'{"isbn": "seed", "title": "T", "secret": "hush me"}'
    answer = await api.refuses(409, "DUPLICATE", "POST", "/books", body, {"content-type": JSON}, pointers=["/isbn"])
    assert "T" not in answer.json()["detail"].split()


@pytest.mark.parametrize("value", ["$title", "$$ROOT", "$$REMOVE", "$year", "{$ne: 1}", "'; return true; //"])
async def test_text_is_only_data(api: Api, value: str) -> None:
    created = await api.send("POST", "/books", json.dumps({"isbn": "n", "title": value, "tags": [value]}))
    assert created.json()["title"] == value
    for answer in (
        await api.send("PATCH", "/books/seed", json.dumps({"title": value, "meta": {"k": value}}), MERGE),
        await api.send("PUT", "/books/seed", json.dumps({"title": value, "meta": {"k": value}})),
        await api.send("PATCH", "/books/seed", json.dumps([{"op": "add", "path": "/meta/k", "value": value}]), PATCH),
    ):
        assert answer.status_code == 200, answer.text
        assert (answer.json()["title"], answer.json()["meta"]) == (value, {"k": value})
    listed: Any = (await api.ask("GET", b"/books?year=2000&sort=isbn")).json()
    assert [item["isbn"] for item in listed["items"]] == ["n", "seed"]
