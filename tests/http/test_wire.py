"""The same through a real server and a raw socket: framing, lengths that lie, uploads that stop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
import uvicorn

from ..eventually import eventually_async
from .asking import Api
from .conftest import Witness

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Server(uvicorn.Server):
    """A server that leaves the signals of the test run alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Wire:
    """A connection at a time to the server on this port."""

    port: int

    async def send(self, *parts: bytes, end: bool = False) -> bytes:
        """All that is answered to these bytes. `end`: we go away after them."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            if end:
                writer.write_eof()
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@pytest_asyncio.fixture(params=["h11", "httptools"], scope="session", loop_scope="session")
async def server(request: pytest.FixtureRequest, library: Api) -> AsyncIterator[Wire]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(library.app, http=request.param, ws="none", lifespan="off", log_level="critical")
        found = Server(config)
        serving = asyncio.create_task(found.serve([listening]))
        yield Wire(listening.getsockname()[1])
        found.should_exit = True
        await serving


@pytest.fixture
def wire(server: Wire, api: Api) -> Wire:
    return server


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    head = "\r\n".join([f"{line} HTTP/1.1", "Host: test", "Connection: close", *headers])
    return head.encode("latin-1") + b"\r\n\r\n" + body


def posted(body: bytes, *headers: str, length: int | None = None) -> bytes:
    announced = len(body) if length is None else length
    return request("POST /books", "Content-Type: application/json", f"Content-Length: {announced}", *headers, body=body)


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer[9:12])


BOOK = b'{"isbn": "n", "title": "T"}'


async def test_it_works(wire: Wire, api: Api) -> None:
    answer = await wire.send(posted(BOOK))
    assert status_of(answer) == 201
    assert b"\r\nlocation: /books/n\r\n" in answer.lower()
    assert status_of(await wire.send(request("GET /books/n"))) == 200


async def test_head_and_304_have_no_body(wire: Wire) -> None:
    got = await wire.send(request("GET /books/seed"))
    head = await wire.send(request("HEAD /books/seed"))
    assert status_of(head) == 200
    assert head.endswith(b"\r\n\r\n")
    length = len(got.partition(b"\r\n\r\n")[2])
    assert f"content-length: {length}".encode() in head.lower()
    unchanged = await wire.send(request("GET /books/seed", "If-None-Match: *"))
    assert status_of(unchanged) == 304
    assert unchanged.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("target", ["/books?title=%ff", "/books/%ff", "/books/seed?x=%", "/books/%c0%ae"])
async def test_broken_encoding(wire: Wire, target: str) -> None:
    answer = await wire.send(request(f"GET {target}"))
    assert status_of(answer) == 400
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    "target", ["/books/../books/seed", "/books/./seed", "/books/seed/..", "/books/..%2fseed", "/books%2fseed/x"]
)
async def test_paths_are_not_normalised(wire: Wire, api: Api, target: str) -> None:
    before = await api.stored()
    for method in ("GET", "DELETE"):
        assert status_of(await wire.send(request(f"{method} {target}"))) in (307, 404)
    assert await api.stored() == before


@pytest.mark.parametrize(
    "raw",
    [
        request("GET /books?title=a b"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        request("POST /books", "Content-Type: application/json", "Content-Length: 27", "Content-Length: 5", body=BOOK),
        request("POST /books", "Content-Type: application/json", "Content-Length: abc", body=BOOK),
        request("POST /books", "Content-Type: application/json", "Content-Length: -1", body=BOOK),
        request("POST /books", "Content-Type: application/json", "Transfer-Encoding: chunked", body=b"zz\r\n" + BOOK),
        request("DELETE /books/seed", "X-Request-Id: a\x00b"),
        request("DELETE /books/seed", "Broken Name: a"),
    ],
)
async def test_what_is_no_http(wire: Wire, api: Api, raw: bytes) -> None:
    before = await api.stored()
    answer = await wire.send(raw)
    assert not answer or status_of(answer) == 400
    assert await api.stored() == before
    assert status_of(await wire.send(request("GET /books/seed"))) == 200


async def test_a_length_and_chunks_smuggle_nothing(wire: Wire, api: Api) -> None:
    """Refused, or read as chunks (RFC 9112, 6.3): what follows them is never run as a request."""
    chunked = b"0\r\n\r\n" + request("DELETE /books/seed")
    headers = ("Content-Type: application/json", f"Content-Length: {len(chunked)}", "Transfer-Encoding: chunked")
    answer = await wire.send(request("POST /books", *headers, body=chunked))
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert status_of(await wire.send(request("GET /books/seed"))) == 200


@pytest.mark.parametrize("length", [10, 26])
async def test_a_length_that_is_too_short_cuts_the_body(wire: Wire, api: Api, length: int) -> None:
    before = await api.stored()
    assert status_of(await wire.send(posted(BOOK, length=length))) == 400
    assert await api.stored() == before


async def test_a_length_that_is_too_long_is_waited_for(wire: Wire, api: Api) -> None:
    before = await api.stored()
    answer = await wire.send(posted(BOOK, length=1000), end=True)
    assert not answer or status_of(answer) == 400
    assert await api.stored() == before


async def test_too_large(wire: Wire, api: Api) -> None:
    before = await api.stored()
    announced = await wire.send(posted(b"", length=2**20 + 1))
    assert status_of(announced) == 413
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    start = request("POST /books", "Content-Type: application/json", "Transfer-Encoding: chunked")
    with contextlib.suppress(ConnectionError):
        answer = await wire.send(start, *[chunk] * 17)
        assert status_of(answer) == 413
    assert await api.stored() == before


async def test_an_upload_that_comes_slowly(wire: Wire, api: Api) -> None:
    """Nothing is written before its last byte, and it is written then."""
    before = await api.stored()
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    for byte in posted(BOOK)[:-1]:
        writer.write(bytes([byte]))
        await writer.drain()
    assert await api.stored() == before
    assert status_of(await wire.send(request("GET /books/seed"))) == 200
    writer.write(BOOK[-1:])
    assert status_of(await reader.read()) == 201
    writer.close()


@pytest.mark.parametrize("cut", [1, len(BOOK) - 1])
async def test_an_upload_that_is_cut(wire: Wire, api: Api, cut: int, witness: Witness) -> None:
    before = await api.stored()
    _, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(posted(BOOK)[: -len(BOOK) + cut])
    await writer.drain()
    writer.transport.abort()

    async def answered() -> bool:
        return status_of(await wire.send(request("GET /books/seed"))) == 200

    assert await eventually_async(answered)
    assert await api.stored() == before
    assert not witness.changes


async def test_header_lines_are_not_split(wire: Wire, witness: Witness) -> None:
    """A server ends a header at a line break: what follows is another header, never part of the request id."""
    answer = await wire.send(posted(BOOK, "X-Request-Id: abc\r\nX-Forwarded-For: 203.0.113.9"))
    assert status_of(answer) == 201
    (change,) = witness.changes
    assert change.caller.request_id == "abc"
    # uvicorn itself trusts proxies on this machine, unless it is told not to: its setting, not the router's.
    assert change.actor.address in ("127.0.0.1", "203.0.113.9")


async def test_a_hundred_requests_on_one_connection(wire: Wire) -> None:
    kept = b"GET /books/missing HTTP/1.1\r\nHost: test\r\n\r\n" * 99
    answer = await wire.send(kept + request("GET /books/seed"))
    assert answer.count(b"HTTP/1.1 404") == 99
    assert answer.count(b"HTTP/1.1 200") == 1
