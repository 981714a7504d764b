"""Requests that would hold up all others are refused before the work is done: by counts, never by a clock."""

import json

import pytest
import pytest_asyncio

from .asking import JSON, MERGE, PATCH, Api, json_patch, merge_patch

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOST = 50_000
ARRAYS = b"[" + b"[]," * 60_000 + b"0]"
FREE = "/cards/free"


@pytest_asyncio.fixture(loop_scope="session")
async def free(api: Api) -> Api:
    assert (await api.send("POST", "/cards", b'{"name": "free", "value": {"a": [1]}}')).status_code == 201
    return api


async def test_more_values_than_a_document_may_have(free: Api) -> None:
    for target, kind, body in (
        ("/cards", JSON, b'{"name": "n", "value": %b}' % ARRAYS),
        ("/books", JSON, b'{"isbn": "n", "title": "T", "meta": {"a": %b}}' % ARRAYS),
        ("/cards:batch", JSON, b'{"operations": [{"op": "create", "body": {"name": "n", "value": %b}}]}' % ARRAYS),
        ("/cards:batch", JSON, b'{"operations": %b}' % (b"[" + b"[]," * 300_000 + b"0]")),
    ):
        await free.refuses(413, "TOO_MANY_VALUES", "POST", target, body, {"content-type": kind})
    await free.refuses(413, "TOO_MANY_VALUES", "PUT", FREE, b'{"value": %b}' % ARRAYS, {"content-type": JSON})
    await free.refuses(413, "TOO_MANY_VALUES", *merge_patch(b'{"value": %b}' % ARRAYS, FREE))
    await free.refuses(
        413, "TOO_MANY_VALUES", *json_patch(b'[{"op": "add", "path": "/value", "value": %b}]' % ARRAYS, FREE)
    )


async def test_a_document_grows_up_to_there_by_patches_and_no_further(free: Api) -> None:
    half = json.dumps(list(range(MOST // 2)))
    assert (await free.send("PATCH", FREE, f'{{"value": {{"a": {half}}}}}', MERGE)).status_code == 200

    await free.refuses(413, "TOO_MANY_VALUES", *merge_patch(f'{{"value": {{"b": {half}}}}}', FREE))
    await free.refuses(
        413, "TOO_MANY_VALUES", *json_patch(f'[{{"op": "add", "path": "/value/b", "value": {half}}}]', FREE)
    )
    assert (await free.send("PATCH", FREE, '{"value": {"b": 1}}', MERGE)).status_code == 200


async def test_copies_of_a_patch_are_bounded_by_their_values_too(free: Api) -> None:
    value = json.dumps({"a": [[]] * 4000})
    assert (await free.send("PATCH", FREE, f'{{"value": {value}}}', MERGE)).status_code == 200
    copies = [{"op": "copy", "from": "/value/a", "path": f"/value/{name}"} for name in "bc"]

    assert (await free.send("PATCH", FREE, json.dumps(copies[:1]), PATCH)).status_code == 200
    await free.refuses(413, "TOO_LARGE", *json_patch(json.dumps(copies), FREE))


async def test_a_media_type_that_takes_long_to_parse_is_not_parsed(api: Api) -> None:
    body = b'{"isbn": "n", "title": "T"}'
    for media in ("application/json;" + "a=b;" * 100, "application/json;" + "a=b;" * 15_000):
        await api.refuses(415, "UNSUPPORTED_MEDIA_TYPE", "POST", "/books", body, {"content-type": media})
    assert (await api.send("POST", "/books", body, "application/json;" + "a=b;" * 20)).status_code == 201
