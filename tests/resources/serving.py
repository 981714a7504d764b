"""One resource in an application of its own, asked through HTTP; and what must hold for every document."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Unpack
from urllib.parse import quote

import httpx
from beanie import Document, init_beanie
from fastapi import APIRouter, FastAPI

from regesta import Hooks, Resource, crud_router
from regesta.http import ResourceOptions

MERGE = "application/merge-patch+json"
PATCH = "application/json-patch+json"


class Client(httpx.AsyncClient):
    """An HTTP client that knows both patches."""

    async def merge(self, url: str, body: Any, **headers: str) -> httpx.Response:
        return await self.patch(url, content=json.dumps(body), headers={"content-type": MERGE, **headers})

    async def operate(self, url: str, *operations: Mapping[str, Any], **headers: str) -> httpx.Response:
        return await self.patch(url, content=json.dumps(operations), headers={"content-type": PATCH, **headers})


@asynccontextmanager
async def client_of(app: Any, *, raises: bool = True) -> AsyncIterator[Client]:
    """A client of an application. `raises`: what the application does not answer comes out here."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=raises)
    async with Client(transport=transport, base_url="http://test") as client:
        yield client


_routers: dict[Any, tuple[APIRouter, Any]] = {}


def _router(
    first: type[Document] | Resource[Any], *more: Resource[Any], **options: Unpack[ResourceOptions]
) -> APIRouter:
    """The same one for what was declared alike: to make it takes longer than most tests."""
    key = (id(first), *map(id, more), repr(options))
    if key not in _routers:
        declared = (first, more, options)  # while they are there, nothing else has their ids
        _routers[key] = (crud_router(first, *more, **options), declared)
    return _routers[key][0]


@asynccontextmanager
async def served(
    database: Any,
    first: type[Document] | Resource[Any],
    *more: Resource[Any],
    also: Iterable[type[Document]] = (),
    hooks: Hooks | None = None,
    **options: Unpack[ResourceOptions],
) -> AsyncIterator[Client]:
    """The resources mounted at the root. `also`: further documents that Beanie must know."""
    app = FastAPI()
    app.include_router(
        _router(first, *more, **options) if hooks is None else crud_router(first, *more, hooks=hooks, **options)
    )
    documents = [found.document if isinstance(found, Resource) else found for found in (first, *more)]
    await init_beanie(database, document_models=list(dict.fromkeys([*documents, *also])))
    async with client_of(app) as client:
        yield client


async def created(client: Client, url: str, body: Any) -> dict[str, Any]:
    """POST the body; the new document, which reads the same wherever it is asked for."""
    answer = await client.post(url, json=body)
    assert answer.status_code == 201, answer.text
    found = await seen_alike(client, answer.headers["location"], answer)
    listed = await client.get(url, params={"include": "etag"})
    assert listed.status_code == 200, listed.text
    index = [
        answer.headers["location"].endswith(f"/{quote(str(item['id']), safe='')}") for item in listed.json()["items"]
    ]
    if any(index):
        position = index.index(True)
        assert listed.json()["items"][position] == found
        assert listed.json()["etags"][position] == answer.headers["etag"]
    return found


async def seen_alike(client: Client, url: str, written: httpx.Response) -> dict[str, Any]:
    """What a write answered is, byte by byte and with the same ETag, what a read answers."""
    read = await client.get(url)
    assert read.status_code == 200, read.text
    assert read.content == written.content
    assert read.headers["etag"] == written.headers["etag"]
    again = await client.get(url, headers={"if-none-match": read.headers["etag"]})
    assert again.status_code == 304
    found: dict[str, Any] = read.json()
    return found


async def keeps(client: Client, url: str, sent: Mapping[str, Any]) -> None:
    """PUT and PATCH of what is there already change nothing: not the document, not its ETag."""
    before = await client.get(url)
    for answer in (
        await client.put(url, json=sent),
        await client.merge(url, sent),
        await client.operate(url, *({"op": "replace", "path": f"/{name}", "value": sent[name]} for name in sent)),
    ):
        assert answer.status_code == 200, answer.text
        assert answer.content == before.content
        assert answer.headers["etag"] == before.headers["etag"]


def pointers(answer: httpx.Response, status: int = 422) -> set[str]:
    """Where in the body a refusal says the errors are."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {issue["pointer"] for issue in answer.json()["errors"]}
