"""What a write answers, a read answers; an ETag changes with each change and with nothing else."""

import json
from typing import Any

import pytest
from beanie import Document
from pydantic import BaseModel

from regesta.store import collection_of

from .serving import created, pointers, seen_alike, served


class Inner(BaseModel):
    a: int = 0
    b: list[int] = []


class Plain(Document):
    name: str = "x"
    inner: Inner = Inner()
    number: float = 1.0

    class Settings:
        name = "things"


class Revised(Plain):
    class Settings:
        name = "things"
        use_revision = True


both = pytest.mark.parametrize("document", [Plain, Revised])


@both
async def test_every_write_answers_what_is_read_afterwards(any_database: Any, document: type[Document]) -> None:
    async with served(any_database, document, name="things") as client:
        url = f"/things/{(await created(client, '/things', {}))['id']}"
        tags = [(await client.get(url)).headers["etag"]]
        for answer in (
            await client.merge(url, {"inner": {"a": 1}}),
            await client.operate(url, {"op": "add", "path": "/inner/b/-", "value": 4}),
            await client.put(url, json={"name": "y"}),
            await client.put(url, json={"name": "y", "number": 2}),
        ):
            assert answer.status_code == 200, answer.text
            current = await client.get(url)
            tags.append(answer.headers["etag"])
            if answer.content == current.content:
                await seen_alike(client, url, answer)
        assert len(set(tags)) == len(tags)
        item = (await client.get("/things?include=etag")).json()
        assert item["items"] == [(await client.get(url)).json()]
        assert item["etags"] == [tags[-1]]


@both
async def test_a_head_says_what_a_get_says(any_database: Any, document: type[Document]) -> None:
    async with served(any_database, document, name="things") as client:
        url = f"/things/{(await created(client, '/things', {}))['id']}"
        get, head = await client.get(url), await client.head(url)
        assert head.headers["etag"] == get.headers["etag"]
        assert head.headers["content-length"] == get.headers["content-length"]
        assert head.content == b""


@both
async def test_a_change_of_nothing_writes_nothing(database: Any, document: type[Document]) -> None:
    async with served(database, document, name="things") as client:
        url = f"/things/{(await created(client, '/things', {'inner': {'b': [1, 2]}}))['id']}"
        read = await client.get(url)
        before = await collection_of(document).find_one({})
        for answer in (
            await client.merge(url, {}),
            await client.merge(url, {"name": "x"}),
            await client.merge(url, {"inner": {"a": 0}}),
            await client.merge(url, {"number": 1}),
            await client.operate(url),
            await client.operate(url, {"op": "test", "path": "/name", "value": "x"}),
            await client.operate(url, {"op": "replace", "path": "/inner/b/0", "value": 1}),
            await client.put(url, json={"inner": {"b": [1, 2]}}),
        ):
            assert answer.status_code == 200, answer.text
            assert answer.content == read.content
            assert answer.headers["etag"] == read.headers["etag"]
        assert await collection_of(document).find_one({}) == before


@both
async def test_a_change_back_is_a_change(any_database: Any, document: type[Document]) -> None:
    async with served(any_database, document, name="things") as client:
        url = f"/things/{(await created(client, '/things', {}))['id']}"
        first = await client.get(url)
        second = await client.merge(url, {"name": "y"})
        third = await client.merge(url, {"name": "x"})
        assert third.content == first.content
        assert second.headers["etag"] not in (first.headers["etag"], third.headers["etag"])
        stale = await client.merge(url, {"name": "z"}, **{"if-match": second.headers["etag"]})
        assert stale.status_code == 412


@both
async def test_preconditions_of_every_write(any_database: Any, document: type[Document]) -> None:
    async with served(any_database, document, name="things") as client:
        url = f"/things/{(await created(client, '/things', {}))['id']}"
        tag = (await client.get(url)).headers["etag"]
        for wrong in ('"no"', f"W/{tag}", '"a", "b"'):
            headers = {"if-match": wrong}
            assert (await client.merge(url, {"name": "z"}, **headers)).status_code == 412
            assert (await client.put(url, json={"name": "z"}, headers=headers)).status_code == 412
            assert (await client.delete(url, headers=headers)).status_code == 412
        for malformed in ("no", '"', tag.strip('"'), "*, *", '"a" "b"'):
            assert (await client.merge(url, {"name": "z"}, **{"if-match": malformed})).status_code == 400
        exists = {"if-none-match": "*"}
        assert (await client.put(url, json={"name": "z"}, headers=exists)).status_code == 412
        assert (await client.get(url)).headers["etag"] == tag
        many = await client.merge(url, {"name": "z"}, **{"if-match": f'"x", {tag}'})
        assert many.status_code == 200
        assert (await client.merge(url, {"name": "y"}, **{"if-match": "*"})).status_code == 200
        now = (await client.get(url)).headers["etag"]
        assert (await client.delete(url, headers={"if-match": now})).status_code == 204
        assert (await client.delete(url, headers={"if-match": now})).status_code == 404


async def test_types_that_python_takes_for_equal_are_told_apart(any_database: Any) -> None:
    class Loose(Document):
        value: Any = None

        class Settings:
            name = "loose"

    async with served(any_database, Loose, name="loose") as client:
        url = f"/loose/{(await created(client, '/loose', {'value': 1}))['id']}"
        seen = {(await client.get(url)).headers["etag"]}
        for value in (True, 1.0, "1", [1], [True], {"a": 0}, {"a": False}, {}, [], None):
            text = json.dumps(value, separators=(",", ":"))
            answer = await client.operate(url, {"op": "replace", "path": "/value", "value": value})
            assert f'{{"value":{text},"id":' in answer.text
            await seen_alike(client, url, answer)
            seen.add(answer.headers["etag"])
        assert len(seen) == 11


async def test_a_demanded_precondition(any_database: Any) -> None:
    async with served(any_database, Revised, name="things", require_if_match=True) as client:
        url = f"/things/{(await created(client, '/things', {}))['id']}"
        tag = (await client.get(url)).headers["etag"]
        for answer in (await client.merge(url, {}), await client.put(url, json={}), await client.delete(url)):
            assert pointers(answer, 428) == set()
        assert (await client.merge(url, {}, **{"if-match": tag})).status_code == 200
        assert (await client.delete(url, headers={"if-match": tag})).status_code == 204
