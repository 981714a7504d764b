"""Bodies that are too large, too slow or cut, and documents that MongoDB cannot hold."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
import pytest_asyncio
from beanie import Document, Indexed, init_beanie
from fastapi import FastAPI

from regesta import Hooks, Secret, crud_router
from regesta.audit import AuditTrail

from .asking import JSON, MERGE, PATCH, Api, ask

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIMIT = 1024 * 1024
MEGABYTE = 1024 * 1024


class Scroll(Document):
    name: Annotated[str, Indexed(unique=True)]
    text: str = ""
    more: str = ""
    secret: Annotated[str, Secret] = "hush"

    class Settings:
        name = "scrolls"


class Tablet(Scroll):
    class Settings:
        name = "tablets"
        use_revision = True


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def large(shared_database: Any) -> Api:
    """Resources that take large bodies: without and with a revision, and with an audit trail."""
    app, audit = FastAPI(), AuditTrail()
    app.include_router(crud_router(Scroll, key="name", max_body_size=64 * MEGABYTE))
    app.include_router(crud_router(Tablet, key="name", max_body_size=64 * MEGABYTE))
    audited = crud_router(Scroll, key="name", max_body_size=64 * MEGABYTE, hooks=Hooks(audit))
    app.include_router(audited, prefix="/audited")
    documents = [Scroll, Tablet, AuditTrail.document]
    await init_beanie(shared_database, document_models=documents)
    return Api(app, documents, alive="/scrolls/seed")


@pytest_asyncio.fixture(loop_scope="session")
async def scrolls(large: Api, shared_database: Any) -> AsyncIterator[Api]:
    # The document of audit events is that of other tests, too: they bind it to databases of their own.
    await init_beanie(shared_database, document_models=list(large.documents))
    for document in large.documents:
        await document.find_all().delete()
    for path in ("/scrolls", "/tablets"):
        assert (await large.send("POST", path, '{"name": "seed"}')).status_code == 201
    yield large
    for document in large.documents:
        await document.find_all().delete()


def body_of(size: int, isbn: str = "n") -> bytes:
    """A book in exactly so many bytes."""
    empty = f'{{"isbn": "{isbn}", "title": ""}}'
    return f'{{"isbn": "{isbn}", "title": "{"x" * (size - len(empty))}"}}'.encode()


def in_chunks(body: bytes, size: int = 65536) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


async def test_exactly_the_limit(api: Api) -> None:
    assert (await api.send("POST", "/books", body_of(LIMIT))).status_code == 201
    headers = {"content-type": JSON}
    assert (await api.ask("POST", "/books", in_chunks(body_of(LIMIT, "m")), headers)).status_code == 201
    await api.refuses(413, "TOO_LARGE", "POST", "/books", body_of(LIMIT + 1, "o"), headers)
    await api.refuses(413, "TOO_LARGE", "POST", "/books", list(in_chunks(body_of(LIMIT + 1, "o"))), headers)


@pytest.mark.parametrize(
    ("method", "target", "media"),
    [
        ("POST", "/books", JSON),
        ("PUT", "/books/seed", JSON),
        ("PATCH", "/books/seed", MERGE),
        ("PATCH", "/books/seed", PATCH),
    ],
)
async def test_a_body_over_the_limit(api: Api, method: str, target: str, media: str) -> None:
    body, headers = b" " * (LIMIT + 1), {"content-type": media}
    await api.refuses(413, "TOO_LARGE", method, target, body, headers, locs=[])
    await api.refuses(413, "TOO_LARGE", method, target, list(in_chunks(body)), headers, locs=[])


@pytest.mark.parametrize("announced", [str(LIMIT + 1), "9" * 19, "9" * 5000])
async def test_an_announced_body_is_not_read(api: Api, announced: str) -> None:
    read: list[bytes] = []

    def body() -> Iterator[bytes]:
        read.append(b"")
        yield b"{}"

    headers = {"content-type": JSON, "content-length": announced}
    await api.refuses(413, "TOO_LARGE", "POST", "/books", b"", headers)
    assert not read


@pytest.mark.parametrize(
    "announced", ["0", "1", "-1", "1.5", "abc", "", "²", "\xa0", "0x10", "00000000000000000000000000000"]
)
async def test_a_length_that_lies(api: Api, announced: str) -> None:
    """Servers refuse it or cut the body; what comes is what counts."""
    headers = {"content-type": JSON, "content-length": announced}
    answer = await api.ask("POST", "/books", b'{"isbn": "n", "title": "T"}', headers)
    assert answer.status_code in (201, 413)
    over = await api.ask("POST", "/books", b" " * (LIMIT + 1), headers)
    assert over.status_code == 413


async def test_reading_ends_at_the_limit(api: Api) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 100 * LIMIT:
            sent += 65536
            yield b"x" * 65536

    class Lazily:
        """Hands out one chunk at a time, as a server does."""

        def __init__(self) -> None:
            self.chunks = endless()

        async def __call__(self) -> dict[str, Any]:
            return {"type": "http.request", "body": next(self.chunks, b""), "more_body": True}

    statuses = []

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status"))

    scope = {"type": "http", "method": "POST", "path": "/books", "raw_path": b"/books", "query_string": b""}
    scope |= {"headers": [(b"content-type", JSON.encode()), (b"transfer-encoding", b"chunked")], "root_path": ""}
    scope |= {"server": ("test", 80), "client": ("192.0.2.7", 1), "scheme": "http", "http_version": "1.1"}
    app: Any = api.app
    await app(scope, Lazily(), send)
    assert statuses[0] == 413
    assert sent <= LIMIT + 2 * 65536


@pytest.mark.parametrize(
    "chunks", [[], [b'{"isbn": "n", "title": "T"'], [b'{"isbn": "n",', b' "title": "T"}'], [b""] * 100]
)
async def test_an_upload_that_is_cut(api: Api, chunks: list[bytes]) -> None:
    before = await api.stored()
    for method, target, media in (
        ("POST", "/books", JSON),
        ("PUT", "/books/seed", JSON),
        ("PATCH", "/books/seed", MERGE),
    ):
        answer = await ask(api.app, method, target, chunks, {"content-type": media}, aborted=True)
        assert (answer.status_code, answer.json()["code"]) == (400, "INCOMPLETE_BODY")
    assert await api.stored() == before


@pytest.mark.parametrize("media", [JSON, "application/x-ndjson"])
async def test_an_upload_that_stalls(api: Api, monkeypatch: pytest.MonkeyPatch, media: str) -> None:
    monkeypatch.setattr("regesta.http.streams.STALLED", 0.05)
    before = await api.stored()
    sent = iter([{"type": "http.request", "body": b'{"isbn": "n",', "more_body": True}])

    async def receive() -> dict[str, Any]:
        return next(sent, None) or await asyncio.get_running_loop().create_future()

    answered: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": "/books", "raw_path": b"/books", "query_string": b""}
    scope |= {"headers": [(b"content-type", media.encode())], "root_path": "", "server": ("test", 80)}
    scope |= {"client": ("192.0.2.7", 1), "scheme": "http", "http_version": "1.1"}
    app: Any = api.app
    await app(scope, receive, send)
    assert answered[0]["status"] == 400
    assert json.loads(answered[1]["body"])["code"] == "INCOMPLETE_BODY"
    assert await api.stored() == before


@pytest.mark.parametrize(
    "chunks", [[b'{"isbn": "n", "title": "\xc3', b'\xbc"}'], [bytes([byte]) for byte in b'{"isbn": "n", "title": "T"}']]
)
async def test_a_body_in_pieces(api: Api, chunks: list[bytes]) -> None:
    assert (await api.ask("POST", "/books", chunks, {"content-type": JSON})).status_code == 201


@pytest.mark.parametrize("collection", ["scrolls", "tablets", "audited/scrolls"])
async def test_a_document_of_more_than_16_megabytes(scrolls: Api, collection: str) -> None:
    headers = {"content-type": JSON}
    body = json.dumps({"name": "n", "text": "x" * (16 * MEGABYTE)}).encode()
    await scrolls.refuses(413, "TOO_LARGE", "POST", f"/{collection}", body, headers)
    await scrolls.refuses(413, "TOO_LARGE", "PUT", f"/{collection}/n?allow_missing=true", body, headers)
    await scrolls.refuses(413, "TOO_LARGE", "PUT", f"/{collection}/seed", body.replace(b'"n"', b'"seed"', 1), headers)
    patch = json.dumps({"text": "x" * (16 * MEGABYTE)}).encode()
    await scrolls.refuses(413, "TOO_LARGE", "PATCH", f"/{collection}/seed", patch, {"content-type": MERGE})


@pytest.mark.parametrize("collection", ["scrolls", "tablets", "audited/scrolls"])
async def test_a_document_that_grows_beyond(scrolls: Api, collection: str) -> None:
    half = json.dumps({"name": "half", "text": "x" * (9 * MEGABYTE)})
    first = await scrolls.send("POST", f"/{collection}", half)
    assert first.status_code == 201, first.text[:300]
    more = json.dumps({"more": "y" * (9 * MEGABYTE)}).encode()
    headers = {"content-type": MERGE}
    await scrolls.refuses(413, "TOO_LARGE", "PATCH", f"/{collection}/half", more, headers)


async def test_a_document_too_large_for_its_audit_event(scrolls: Api) -> None:
    """The event of a change holds the text as well: it does not fit where the document just does."""
    body = json.dumps({"name": "large", "text": "x" * (16 * MEGABYTE - 200)}).encode()
    await scrolls.refuses(413, "TOO_LARGE", "POST", "/audited/scrolls", body, {"content-type": JSON})
    answer = await scrolls.ask("POST", "/scrolls", body, {"content-type": JSON})
    assert answer.status_code == 201, answer.text[:300]
