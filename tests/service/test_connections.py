"""Connections that ask too slowly, too much, or not at all; raw sockets on uvicorn, without a store."""

import asyncio
import contextlib
import json
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.eventually import eventually_async

from regesta.service import Settings
from regesta.service import files as open_files
from regesta.service.heads import LARGEST, SPARE, Bounds
from regesta.service.server import _bind, _config

LONG = 300.0  # seconds: longer than a test may take, so a test that waits for it fails
HEAD = b"GET /x HTTP/1.1\r\nHost: localhost\r\n"
REQUEST = HEAD + b"\r\n"


class Connection:
    """One end of a TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of one answer."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        (length,) = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return int(head.split()[1]), await self._reader.readexactly(length)

    async def rest(self) -> bytes:
        """What comes until the server ends the connection."""
        try:
            return await self._reader.read()
        except ConnectionResetError:
            return b""

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


class Server:
    """A running server, and its address."""

    def __init__(self, server: uvicorn.Server, port: int) -> None:
        self.state = server.server_state
        self.bounds: Bounds = server.config.http.keywords["bounds"]  # type: ignore[union-attr] # it is a partial
        self._port = port
        self._opened: list[Connection] = []

    async def connect(self, *, seen: bool = True) -> Connection:
        """A new connection; `seen` by the server, which has begun to count its time."""
        before = set(self.state.connections)
        connection = Connection(*await asyncio.open_connection("127.0.0.1", self._port))
        self._opened.append(connection)
        if seen:
            await eventually_async(to_be(lambda: bool(self.state.connections - before)))
        return connection

    async def used(self) -> Connection:
        """A connection with one answered request, whose next head gets less time."""
        connection = await self.connect()
        await connection.send(REQUEST)
        assert await connection.answer() == (200, b"localhost")
        self.bounds.head = 0.1
        return connection

    async def close(self) -> None:
        for connection in self._opened:
            await connection.close()


def to_be(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def answer() -> bool:
        return condition()

    return answer


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers the Host, or for `/body` the body; `/wait` after the whole body came, `/early` before any of it did."""
    body = b"".join(value for name, value in scope["headers"] if name == b"host")
    if scope["path"] in ("/wait", "/body"):
        came, message = b"", await receive()
        while message.get("more_body"):
            came, message = came + message["body"], await receive()
        body = came + message["body"] if scope["path"] == "/body" else body
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(app: ASGIApp = echo, **settings: float) -> AsyncIterator[Server]:
    chosen = Settings(port=0, shutdown_grace=1, **{"head_timeout": LONG, "keep_alive": int(LONG), **settings})  # type: ignore[arg-type]
    listener = _bind("127.0.0.1", 0)
    server = uvicorn.Server(_config(app, chosen))
    await_end = asyncio.create_task(server._serve([listener]))
    await eventually_async(to_be(lambda: server.started))
    found = Server(server, listener.getsockname()[1])
    try:
        yield found
    finally:
        await found.close()
        server.should_exit = True
        await await_end


def problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"application/problem+json" in head
    return int(head.split()[1]), json.loads(body)["code"]


async def test_a_connection_that_sends_nothing_is_ended_without_an_answer() -> None:
    async with serving(head_timeout=0.05) as server:
        assert await (await server.connect(seen=False)).rest() == b""


@pytest.mark.parametrize("start", [b"G", b"GET /x HTTP/1.1\r\n", HEAD, HEAD + b"X: "])
async def test_a_head_that_stops_is_408(start: bytes) -> None:
    async with serving() as server:
        connection = await server.used()
        await connection.send(start)
        assert problem(await connection.rest()) == (408, "HEADERS_TOO_SLOW")


async def test_the_first_head_of_a_connection_has_its_time_from_the_beginning() -> None:
    async with serving(head_timeout=0.5) as server:
        connection = await server.connect(seen=False)
        await connection.send(HEAD)
        answer = await connection.rest()
        assert not answer or problem(answer) == (408, "HEADERS_TOO_SLOW")  # nothing if it began too late


async def test_a_head_that_comes_byte_by_byte_is_408_too() -> None:
    async def drip(connection: Connection) -> None:
        for byte in HEAD + b"X" * 100_000:
            await connection.send(bytes([byte]))
            await asyncio.sleep(0.005)

    async with serving() as server:
        connection = await server.used()
        dripping = asyncio.create_task(drip(connection))
        assert problem(await connection.rest()) == (408, "HEADERS_TOO_SLOW")
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


async def test_empty_lines_without_end_are_ended() -> None:
    """RFC 9112, 2.2: servers ignore empty lines before a request."""

    async def drip(connection: Connection) -> None:
        while True:
            await connection.send(b"\r\n")
            await asyncio.sleep(0.005)

    async with serving() as server:
        connection = await server.used()
        dripping = asyncio.create_task(drip(connection))
        assert await connection.rest() == b""
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


async def test_each_head_of_a_connection_has_the_whole_size_and_bodies_do_not_count() -> None:
    large = b"X-Filler: " + b"x" * (LARGEST - 1024) + b"\r\n\r\n"
    async with serving() as server:
        connection = await server.connect()
        for _ in range(2):
            await connection.send(HEAD + large)
            assert await connection.answer() == (200, b"localhost")
        body = b"b" * (32 * LARGEST)  # more than is read at once
        head = b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % len(body)
        await connection.send(head + large + body)
        assert await connection.answer() == (200, body)
        await connection.send(HEAD + b"X-Filler: " + b"x" * LARGEST)
        assert problem(await connection.rest()) == (431, "HEADERS_TOO_LARGE")


async def test_a_part_of_the_next_head_that_came_early_is_not_forgotten() -> None:
    async with serving() as server:
        connection = await server.connect()
        server.bounds.head = 0.05
        await connection.send(REQUEST + HEAD)
        assert await connection.answer() == (200, b"localhost")
        assert problem(await connection.rest()) == (408, "HEADERS_TOO_SLOW")


async def test_a_request_that_runs_is_not_cut() -> None:
    async with serving() as server:
        connection = await server.connect()
        await connection.send(b"POST /wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n1")
        await eventually_async(to_be(lambda: bool(server.state.tasks)))
        server.bounds.head = 0.05
        assert await (await server.connect(seen=False)).rest() == b""  # so long it took
        await connection.send(b"2")
        assert await connection.answer() == (200, b"localhost")


async def test_what_follows_an_early_answer_is_bounded_too() -> None:
    async def drip(connection: Connection) -> None:
        while True:
            await connection.send(b"1")
            await asyncio.sleep(0.005)

    async with serving() as server:
        connection = await server.connect()
        server.bounds.head = 0.1
        await connection.send(b"POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        assert await connection.answer() == (200, b"localhost")
        dripping = asyncio.create_task(drip(connection))
        assert await connection.rest() == b""
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


async def test_an_idle_connection_is_kept_longer_than_a_head_may_take() -> None:
    async with serving() as server:
        connection = await server.used()
        assert await (await server.connect(seen=False)).rest() == b""
        await connection.send(REQUEST)
        assert await connection.answer() == (200, b"localhost")


async def test_an_idle_connection_is_ended_in_the_end() -> None:
    async with serving(keep_alive=1) as server:
        assert await (await server.used()).rest() == b""


async def test_a_connection_is_idle_again_after_a_late_body() -> None:
    async with serving(keep_alive=1) as server:
        connection = await server.connect()
        await connection.send(b"POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n")
        assert await connection.answer() == (200, b"localhost")
        with contextlib.suppress(ConnectionError):
            await connection.send(b"12")
        assert await connection.rest() == b""


async def test_a_connection_too_many_is_503_until_another_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regesta.service.heads.SOON", LONG)
    async with serving(max_connections=2) as server:
        first, second = await server.connect(), await server.connect()
        await first.send(REQUEST)
        await second.send(REQUEST)
        assert (await first.answer(), await second.answer()) == ((200, b"localhost"),) * 2
        third = await server.connect()
        await third.send(REQUEST)
        answer = await third.rest()
        assert problem(answer) == (503, "TOO_MANY_CONNECTIONS")
        assert b"retry-after: 1" in answer
        await first.send(REQUEST)
        assert await first.answer() == (200, b"localhost")
        await first.close()
        await eventually_async(to_be(lambda: len(server.state.connections) == 1))
        fourth = await server.connect()
        await fourth.send(REQUEST)
        assert await fourth.answer() == (200, b"localhost")


async def test_a_connection_too_many_that_asks_for_nothing_is_ended_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regesta.service.heads.SOON", 0.01)
    async with serving(max_connections=1) as server:
        await server.connect()
        assert await (await server.connect(seen=False)).rest() == b""


async def test_connections_beyond_the_limit_do_not_pile_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("regesta.service.heads.SOON", LONG)
    async with serving(max_connections=1) as server:
        opened = [await server.connect()]
        opened += [await server.connect(seen=False) for _ in range(SPARE + 4)]
        assert [await connection.rest() for connection in opened[-4:]] == [b""] * 4
        assert len(server.state.connections) <= SPARE + 1
        await opened[0].send(REQUEST)
        assert await opened[0].answer() == (200, b"localhost")
    assert [record.getMessage()[:22] for record in caplog.records] == ["1 connections are open"]


OFFERS = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQBAAAAAAIAAAAA\r\n",
    b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
)


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("body", [b"", b"some bytes"])
async def test_an_offer_of_an_upgrade_is_ignored_and_the_body_is_read(offer: bytes, body: bytes) -> None:
    """Java's HttpClient offers h2c with its first request, also if that has a body."""
    start = b"POST /body HTTP/1.1\r\nHost: localhost\r\n" + offer
    async with serving() as server:
        connection = await server.connect()
        await connection.send(start + b"Content-Length: %d\r\n\r\n" % len(body) + body + REQUEST)
        assert await connection.answer() == (200, body)
        assert await connection.answer() == (200, b"localhost")
        await connection.send(start + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n")
        await connection.send(b"1\r\ne\r\n0\r\n\r\n" + REQUEST)
        assert await connection.answer() == (200, b"abcde")
        assert await connection.answer() == (200, b"localhost")


@pytest.mark.parametrize(
    "sent", [b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 9 * (HEAD + OFFERS[0] + b"\r\n")]
)
async def test_tunnels_and_offers_without_end_are_refused(sent: bytes) -> None:
    async with serving() as server:
        connection = await server.connect()
        await connection.send(sent)
        assert b"HTTP/1.1 400 " in await connection.rest()


async def test_a_connection_that_offers_an_upgrade_may_close(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server:
        connection = await server.connect()
        await connection.send(HEAD + b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n")
        assert (await connection.rest()).startswith(b"HTTP/1.1 200 ")
    assert caplog.records == []


@pytest.mark.parametrize(
    ("target", "sent", "seen"),
    [
        (b"/x", b"Host: a.example\r\n", b"a.example"),
        (b"http://b.example/x", b"Host: a.example\r\n", b"b.example"),
        (b"http://b.example:81/x?y", b"Host: a.example\r\n", b"b.example:81"),
        (b"http://[::1]:81/x", b"Host: a.example\r\n", b"[::1]:81"),
        (b"http://b.example/x", b"", b"b.example"),
        (b"http://b.example/x", b"Host: a.example\r\nHost: a.example\r\n", b"a.examplea.example"),  # refused later
    ],
)
async def test_the_host_of_an_absolute_target_is_the_host(target: bytes, sent: bytes, seen: bytes) -> None:
    async with serving() as server:
        connection = await server.connect()
        await connection.send(b"GET " + target + b" HTTP/1.1\r\n" + sent + b"\r\n")
        assert await connection.answer() == (200, seen)


def test_by_default_clients_close_idle_connections_before_the_server_does() -> None:
    """httpx keeps them for 5 seconds, load balancers for 60: whoever sends on one that is closed meanwhile fails."""
    config = _config(echo, Settings())

    assert config.timeout_keep_alive == 75
    assert (Settings().head_timeout, Settings().max_connections) == (15, 4096)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The limits of open files, the last one being in force."""
    found = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: found[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: found.append(limit))
    return found


def test_open_files_are_allowed_for_as_many_connections(
    limits: list[tuple[int, int]], caplog: pytest.LogCaptureFixture
) -> None:
    open_files.allow_connections(100)
    assert limits == [(1024, 4096)]
    open_files.allow_connections(2000)
    assert limits[-1] == (2000 + SPARE + open_files.OTHERS, 4096)
    assert caplog.records == []
    open_files.allow_connections(10_000)
    assert limits[-1] == (4096, 4096)
    assert "REGESTA_MAX_CONNECTIONS" in caplog.text
