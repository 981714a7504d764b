"""Bodies are taken exactly as they are declared; refusals point to exactly what is wrong."""

import json
from typing import Annotated, Any

import pytest
from beanie import Document
from pydantic import BaseModel, Field

from .serving import MERGE, created, pointers, served


class Deep(BaseModel):
    number: int = 0
    text: str = ""


class Inner(BaseModel):
    deep: Deep = Deep()
    many: list[Deep] = []
    named: dict[str, Deep] = {}


class Thing(Document):
    number: int = 0
    real: float = 0.0
    flag: bool = False
    text: str = ""
    inner: Inner = Inner()
    numbers: list[int] = []
    free: dict[str, Any] = {}
    small: Annotated[int, Field(ge=0, lt=10)] = 0

    class Settings:
        name = "things"


WRONG: list[tuple[dict[str, Any], set[str]]] = [
    ({"number": "5"}, {"/number"}),
    ({"number": True}, {"/number"}),
    ({"number": 1.0}, {"/number"}),
    ({"number": None}, {"/number"}),
    ({"number": 2**63}, {"/number"}),
    ({"number": -(2**63) - 1}, {"/number"}),
    ({"real": "1.5"}, {"/real"}),
    ({"real": True}, {"/real"}),
    ({"flag": 1}, {"/flag"}),
    ({"flag": "yes"}, {"/flag"}),
    ({"text": 5}, {"/text"}),
    ({"text": "a\0b"}, {"/text"}),
    ({"text": {"$ne": ""}}, {"/text/$ne"}),
    ({"small": 10, "number": "x", "more": 1}, {"/more", "/small", "/number"}),
    ({"small": 10, "number": "x"}, {"/small", "/number"}),
    ({"inner": {"deep": {"number": "1", "text": 5}}}, {"/inner/deep/number", "/inner/deep/text"}),
    ({"inner": {"deep": {"x": 1}}}, {"/inner/deep/x"}),
    ({"inner": {"x": 1, "deep": {"y": 1}}}, {"/inner/x", "/inner/deep/y"}),
    ({"inner": {"many": [{}, {"number": True}, {"z": 1}]}}, {"/inner/many/1/number", "/inner/many/2/z"}),
    ({"inner": {"named": {"a/b": {"number": "1"}}}}, {"/inner/named/a~1b/number"}),
    ({"inner": {"named": {"a~b": {"no": 1}}}}, {"/inner/named/a~0b/no"}),
    ({"numbers": [1, "2", 3.0, None]}, {"/numbers/1", "/numbers/2", "/numbers/3"}),
    ({"numbers": {"0": 1}}, {"/numbers"}),
    ({"free": {"a": {"$where": 1}}}, {"/free/a/$where"}),
    ({"free": {"a.b": 1}}, {"/free/a.b"}),
    ({"free": []}, {"/free"}),
    ({"_id": "x"}, {"/_id"}),
    ({"revision_id": "x"}, {"/revision_id"}),
    ({"_class_id": "x", "id": "y"}, {"/_class_id", "/id"}),
    ({"Number": 1, "": 1}, {""}),
]


@pytest.mark.parametrize(("body", "where"), WRONG, ids=[json.dumps(body)[:60] for body, _ in WRONG])
async def test_refusals_point_to_what_is_wrong(memory_database: Any, body: dict[str, Any], where: set[str]) -> None:
    async with served(memory_database, Thing) as client:
        document = await created(client, "/things", {})
        url = f"/things/{document['id']}"
        assert pointers(await client.post("/things", json=body)) == where
        assert pointers(await client.put(url, json=body)) == where
        if None not in body.values():
            assert pointers(await client.merge(url, body)) <= where
        assert (await client.get("/things")).json()["items"] == [document]


@pytest.mark.parametrize("body", ["[]", "null", "1", '"x"', "true"])
async def test_a_body_is_an_object(memory_database: Any, body: str) -> None:
    async with served(memory_database, Thing) as client:
        url = f"/things/{(await created(client, '/things', {}))['id']}"
        headers = {"content-type": "application/json"}
        assert pointers(await client.post("/things", content=body, headers=headers)) == {""}
        assert pointers(await client.put(url, content=body, headers=headers)) == {""}
        assert pointers(await client.patch(url, content=body, headers={"content-type": MERGE})) == {""}


UNREADABLE = [
    *(b"", b"{", b"{'a': 1}", b'{"text": NaN}', b'{"real": Infinity}', b'{"real": 1e999}', b'{"text": "\xff"}'),
    *(b"\xef\xbb\xbf{}", '{"text": ""}'.encode("utf-16"), b'{"text": "a", "text": "b"}', b"[" * 100_000),
    *(b'{"inner": {"deep": {}, "deep": {}}}', b'{"number": ' + b"9" * 5000 + b"}"),
]


@pytest.mark.parametrize("body", UNREADABLE, ids=[str(body[:30]) for body in UNREADABLE])
async def test_what_cannot_be_read_is_400(memory_database: Any, body: bytes) -> None:
    async with served(memory_database, Thing) as client:
        url = f"/things/{(await created(client, '/things', {}))['id']}"
        headers = {"content-type": "application/json"}
        for answer in (
            await client.post("/things", content=body, headers=headers),
            await client.put(url, content=body, headers=headers),
            await client.patch(url, content=body, headers={"content-type": MERGE}),
        ):
            assert answer.status_code == 400, answer.text
            assert answer.headers["content-type"] == "application/problem+json"


async def test_half_of_a_surrogate_pair_and_deep_nesting_are_422(memory_database: Any) -> None:
    async with served(memory_database, Thing) as client:
        headers = {"content-type": "application/json"}
        for text in (
            b'{"text": "\\ud800"}',
            b'{"free": {"\\udc00": 1}}',
            b'{"free": ' + b'{"a":' * 120 + b"1" + b"}" * 121,
        ):
            assert pointers(await client.post("/things", content=text, headers=headers))


async def test_media_types(memory_database: Any) -> None:
    async with served(memory_database, Thing) as client:
        url = f"/things/{(await created(client, '/things', {}))['id']}"
        for media_type in ("text/plain", MERGE, "application/json; charset=latin-1", ""):
            headers = {"content-type": media_type} if media_type else {}
            assert (await client.post("/things", content=b"{}", headers=headers)).status_code == 415
            if media_type != MERGE:
                refused = await client.patch(url, content=b"{}", headers=headers)
                assert refused.status_code == 415
                assert refused.headers["accept-patch"] == f"{MERGE}, application/json-patch+json"
        assert (await client.patch(url, content=b"{}", headers={"content-type": "application/json"})).status_code == 415
        coded = {"content-type": "application/json", "content-encoding": "gzip"}
        assert (await client.post("/things", content=b"{}", headers=coded)).status_code == 415


async def test_a_body_over_the_limit(memory_database: Any) -> None:
    async with served(memory_database, Thing, max_body_size=100) as client:
        assert (await client.post("/things", json={"text": "x" * 70})).status_code == 201
        assert (await client.post("/things", json={"text": "x" * 100})).status_code == 413

        async def chunks() -> Any:
            for _ in range(20):
                yield b'{"text": "x"}'

        streamed = await client.post("/things", content=chunks(), headers={"content-type": "application/json"})
        assert streamed.status_code == 413


async def test_a_document_over_16_megabytes(database: Any) -> None:
    async with served(database, Thing, max_body_size=40 * 2**20) as client:
        large = {"text": "x" * (16 * 2**20)}
        assert (await client.post("/things", json=large)).status_code == 413
        url = f"/things/{(await created(client, '/things', {}))['id']}"
        refused = await client.merge(url, large)
        assert refused.status_code == 413, refused.text[:300]


async def test_unknown_parameters_are_refused(memory_database: Any) -> None:
    async with served(memory_database, Thing) as client:
        url = f"/things/{(await created(client, '/things', {}))['id']}"
        for answer in (
            await client.get("/things?nothing=1"),
            await client.get("/things?page_size=1&page_size=2"),
            await client.get("/things?text[$ne]=x"),
            await client.get(f"{url}?x=1"),
            await client.post("/things?x=1", json={}),
            await client.put(f"{url}?x=1", json={}),
            await client.patch(f"{url}?allow_missing=true", content=b"{}", headers={"content-type": MERGE}),
            await client.delete(f"{url}?x=1"),
        ):
            assert answer.status_code == 422, answer.text
            assert answer.json()["errors"][0]["loc"][0] == "query"
        assert (await client.get(url)).status_code == 200
