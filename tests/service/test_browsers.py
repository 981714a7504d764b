"""What a page in somebody's browser could make the service do, and what it may."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, WebSocket
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regesta import ProblemError, ProblemRoute, Registry, hookimpl

from .conftest import Serve, service

BOOKS = "/api/v1/books"
BOOK = {"isbn": "1", "title": "Emma"}
# One of every kind: generated, written by hand, mounted, documentation, health, unknown.
PATHS = (
    BOOKS,
    f"{BOOKS}/1",
    "/api/v1/lamp",
    "/other/x",
    "/docs",
    "/openapi.json",
    "/livez",
    "/readyz",
    "/",
    "/nothing",
)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """An application of a plugin that checks nothing."""
    await PlainTextResponse("echo")(scope, receive, send)


class InWords:
    """An application with errors of its own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await echo(scope, receive, send)

    def answer_error(self, error: ProblemError, path: str) -> PlainTextResponse:
        return PlainTextResponse(f"{path}: {error.code}", error.status)


class Lamp:
    """A plugin with a route written by hand, a WebSocket and two mounted applications."""

    name = "lamp"

    @hookimpl
    def register_routers(self, registry: Registry) -> list[APIRouter]:
        router = APIRouter(route_class=ProblemRoute)

        @router.post("/lamp:switch")
        @router.delete("/lamp")
        @router.get("/lamp")
        async def switch() -> str:
            return "on"

        @router.websocket("/lamp")
        async def talk(socket: WebSocket) -> None:
            await socket.accept()

        return [router]

    @hookimpl
    def register_applications(self, registry: Registry) -> dict[str, ASGIApp]:
        return {"/other": echo, "/words": InWords()}


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(Lamp()) as found:
        yield found


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
async def test_a_foreign_host_is_refused_on_every_path(client: httpx.AsyncClient, path: str, method: str) -> None:
    answer = await client.request(method, path, headers={"Host": "hunter2.evil.example"})

    assert problem_of(answer) == (421, "MISDIRECTED")
    assert "REGESTA_ALLOWED_HOSTS" in answer.json()["detail"]
    assert "hunter2" not in answer.text
    assert answer.json()["instance"] == path


@pytest.mark.parametrize("host", ["localhost:8000", "LOCALHOST.", "127.0.0.1", "[::1]:1", "a.localhost"])
async def test_loopback_is_answered_by_any_of_its_names(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/livez", headers={"Host": host})).status_code == 200


async def test_hosts_that_the_setting_names_are_answered(serve: Serve) -> None:
    async with serve(allowed_hosts=("registry.example", "*.team.example")) as client:
        for host, status in {"registry.example:443": 200, "a.team.example": 200, "other.example": 421}.items():
            assert (await client.get("/livez", headers={"Host": host})).status_code == status


async def test_probes_by_address_are_answered_if_all_addresses_are_listened_on(serve: Serve) -> None:
    async with serve(host="0.0.0.0") as client:
        assert (await client.get("/readyz", headers={"Host": "10.1.2.3:8000"})).status_code == 200
        assert (await client.get("/readyz", headers={"Host": "pod.example"})).status_code == 421


async def raw(
    path: str, headers: list[tuple[bytes, bytes]], method: str = "GET", version: str = "1.1", kind: str = "http"
) -> list[Message]:
    """What the application answers to headers that no client sends."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": f"{kind}.connect"} if kind == "websocket" else {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "http_version": version,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "scheme": "http",
        "root_path": "",
        "subprotocols": [],
    }
    await service(Lamp())(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("hosts", "version", "status"),
    [
        ([b"localhost"], "1.1", 200),
        ([], "1.1", 400),
        ([], "1.0", 200),  # probes of load balancers; no browser
        ([b"evil.example"], "1.0", 421),
        ([b"localhost", b"localhost"], "1.1", 400),
        ([b"localhost", b"evil.example"], "1.1", 400),
        ([b"evil.example", b"localhost"], "1.0", 400),
        ([b""], "1.1", 400),
        ([b"localhost\xe4"], "1.1", 400),
        ([b"user:hunter2@localhost"], "1.1", 400),
    ],
)
async def test_there_is_one_host(hosts: list[bytes], version: str, status: int) -> None:
    start, body = await raw("/livez", [(b"host", host) for host in hosts], version=version)

    assert start["status"] == status
    assert b"hunter2" not in body["body"]


@pytest.mark.parametrize("path", ["/api/v1/lamp", "/nothing", BOOKS])
async def test_a_web_socket_is_refused(path: str) -> None:
    (only,) = await raw(path, [(b"host", b"localhost")], kind="websocket")

    assert (only["type"], only["code"]) == ("websocket.close", 1008)


FOREIGN_PAGES: tuple[dict[str, str], ...] = (
    {"Origin": "http://evil.example"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "anything"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
)


@pytest.mark.parametrize("headers", FOREIGN_PAGES)
async def test_pages_of_other_origins_write_nothing(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    await client.post(BOOKS, json=BOOK)
    writes = [
        client.build_request("POST", BOOKS, json={"isbn": "2", "title": "Emma"}),
        client.build_request("PUT", f"{BOOKS}/1", json={"title": "Other"}),
        client.build_request("PATCH", f"{BOOKS}/1", json={"title": "Other"}),
        client.build_request("DELETE", f"{BOOKS}/1"),
        client.build_request("POST", f"{BOOKS}:batch", json={"operations": []}),
        client.build_request("POST", "/api/v1/lamp:switch"),
        client.build_request("DELETE", "/api/v1/lamp"),
        client.build_request("POST", "/other/x"),
        client.build_request("POST", "/nothing"),
    ]
    for request in writes:
        request.headers.update(headers)
        assert problem_of(await client.send(request)) == (403, "CROSS_ORIGIN"), request.url
    assert [item["title"] for item in (await client.get(BOOKS)).json()["items"]] == ["Emma"]


async def test_links_from_other_pages_may_be_followed(client: httpx.AsyncClient) -> None:
    for headers in FOREIGN_PAGES:
        assert (await client.get(BOOKS, headers=headers)).status_code == 200
        assert (await client.head("/livez", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},  # a form of ours under `Referrer-Policy: no-referrer`
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://registry.example", "Sec-Fetch-Site": "same-origin"},  # a proxy rewrote the Host
    ],
)
async def test_our_own_pages_and_clients_that_are_no_browsers_write(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await client.post(BOOKS, json=BOOK, headers=headers)).status_code == 201


async def test_x_forwarded_host_counts_if_the_proxy_is_trusted(serve: Serve) -> None:
    page = {"Origin": "https://registry.example"}
    seen = {"X-Forwarded-Host": "evil.example, registry.example"}
    trusted: dict[str, Any] = {"trusted_proxies": ("10.0.0.0/8",), "allowed_hosts": ("registry.example",)}
    async with serve(peer="10.0.0.1", **trusted) as client:
        forwarded = {"X-Forwarded-For": "203.0.113.9"}
        assert (await client.post(BOOKS, json=BOOK, headers=page | seen | forwarded)).status_code == 201
        for foreign in ("evil.example", "registry.example, evil.example"):
            assert (await client.get("/livez", headers={"X-Forwarded-Host": foreign})).status_code == 421
        assert (await client.get("/livez", headers={"X-Forwarded-Host": "a b"})).status_code == 400
    async with serve(peer="10.0.0.1", allowed_hosts=("registry.example",)) as client:
        assert (await client.post(BOOKS, json=BOOK, headers=page | seen)).status_code == 403
        assert (await client.get("/livez", headers={"X-Forwarded-Host": "evil.example"})).status_code == 200


@pytest.mark.parametrize("path", [BOOKS, f"{BOOKS}/1", "/api/v1/lamp:switch", "/other/x", "/livez", "/nothing"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_body_needs_a_content_type(client: httpx.AsyncClient, path: str, method: str) -> None:
    assert problem_of(await client.request(method, path, content=b"{}")) == (415, "UNSUPPORTED_MEDIA_TYPE")

    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    assert problem_of(await client.request(method, path, content=pieces())) == (415, "UNSUPPORTED_MEDIA_TYPE")
    empty = await client.request(method, path, content=b"{}", headers={"Content-Type": " "})
    assert problem_of(empty) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_no_body_needs_no_content_type(client: httpx.AsyncClient) -> None:
    await client.post(BOOKS, json=BOOK)

    assert (await client.post("/api/v1/lamp:switch", headers={"Content-Length": "0"})).status_code == 200
    assert (await client.delete(f"{BOOKS}/1")).status_code == 204


async def test_a_mounted_application_says_such_errors_in_its_own_words(client: httpx.AsyncClient) -> None:
    misdirected = await client.get("/words/x", headers={"Host": "evil.example"})
    foreign = await client.post("/words/x", headers={"Origin": "null"})

    assert (misdirected.status_code, misdirected.text) == (421, "/words/x: MISDIRECTED")
    assert (foreign.status_code, foreign.text) == (403, "/words/x: CROSS_ORIGIN")
    assert problem_of(await client.get("/wordsmith", headers={"Host": "evil.example"})) == (421, "MISDIRECTED")
