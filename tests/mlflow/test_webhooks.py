"""Webhooks: told of what was committed, and of nothing else, however often it takes; and never led astray."""

import asyncio
import json
import socket
import socketserver
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.eventually import eventually_async
from tests.mlflow.application import Both, both

from regesta import Change, Conflict, hookimpl
from regesta_mlflow import Settings
from regesta_mlflow.delivery import (
    Answer,
    Targets,
    dispatcher,
    networks_of,
    post,
    sending,
)
from regesta_mlflow.webhook_sender import signature
from regesta_models import Version


class Receiver(ThreadingHTTPServer):
    """Answers with the statuses it is given, then with 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses: list[int] = []
        self.taken: list[tuple[dict[str, str], bytes]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def told(self) -> list[str]:
        return ["{entity}.{action}".format_map(json.loads(body)) for _, body in self.taken]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Moody:
    """Refuses versions that are described as bad."""

    name = "moody"

    @hookimpl
    def validate_change(self, change: Change[Version]) -> None:
        if change.after and change.after.description == "bad":
            raise Conflict("no")


@pytest.fixture
async def here(database: Any) -> AsyncIterator[Both]:
    """Webhooks may lead to this machine; nothing is sent until the plugin is started."""
    async with both(database, Moody(), settings=Settings(webhook_targets=HERE)) as opened:
        yield opened
        await opened.plugin.shutdown()


HERE = networks_of("127.0.0.0/8")
EVENTS = [
    {"entity": "MODEL_VERSION", "action": "CREATED"},
    {"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"},
    {"entity": "MODEL_VERSION_ALIAS", "action": "DELETED"},
]


async def listen(registry: Both, receiver: Receiver, **fields: Any) -> str:
    sent = {"name": "hook", "url": receiver.address, "events": EVENTS, **fields}
    hook: str = (await registry.done("POST", "/webhooks", **sent))["webhook"]["webhook_id"]
    return hook


async def told(receiver: Receiver, count: int) -> list[str]:
    async def enough() -> bool:
        return len(receiver.taken) >= count

    await eventually_async(enough)
    return receiver.told()


async def test_what_was_written_before_the_process_ended_is_sent_by_the_next_one(
    here: Both, receiver: Receiver
) -> None:
    await listen(here, receiver, secret="s")
    await here.model()
    await here.version()
    waiting = await here.database["mlflow_deliveries"].count_documents({"outcome": ""})
    assert (waiting, receiver.taken) == (1, [])
    await here.plugin.startup()
    assert await told(receiver, 1) == ["model_version.created"]
    headers, body = receiver.taken[0]
    identity, moment = headers["x-mlflow-delivery-id"], headers["x-mlflow-timestamp"]
    assert headers["x-mlflow-signature"] == signature("s", identity, moment, body)


async def test_native_writes_are_told_too_and_a_moved_alias_is_not_gone(here: Both, receiver: Receiver) -> None:
    await here.plugin.startup()
    await listen(here, receiver)
    await here.native("POST", "/models", json={"name": "resnet"})
    for number in (1, 2):
        await here.native("POST", "/models/resnet/versions", json={})
        await here.native("PUT", "/models/resnet/aliases/a", json={"version": number})
    await here.native("DELETE", "/models/resnet/aliases/a")
    found = await told(receiver, 5)
    assert sorted(found) == [
        *["model_version.created"] * 2,
        *["model_version_alias.created"] * 2,
        "model_version_alias.deleted",
    ]


async def test_nothing_is_told_of_what_was_refused(here: Both, receiver: Receiver) -> None:
    await listen(here, receiver)
    await here.model()
    sent = {"name": "resnet", "source": "s3://b/x", "description": "bad"}
    assert (await here.refused("POST", "/model-versions/create", **sent))[0] == 409
    assert await here.database["mlflow_deliveries"].count_documents({}) == 0


async def test_an_answer_that_may_be_better_later_is_tried_again(
    here: Both, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(dispatcher, "POLL", 0.02)
    receiver.statuses = [503, 500]
    await here.plugin.startup()
    await listen(here, receiver)
    await here.model()
    await here.version()
    assert len(await told(receiver, 3)) == 3
    assert len({headers["x-mlflow-delivery-id"] for headers, _ in receiver.taken}) == 1

    async def delivered() -> Any:
        return await here.database["mlflow_deliveries"].find_one({"outcome": "delivered: 200"})

    assert (await eventually_async(delivered))["attempts"] == 3


async def test_a_refusal_is_final(here: Both, receiver: Receiver) -> None:
    receiver.statuses = [400]
    await here.plugin.startup()
    await listen(here, receiver)
    await here.model()
    await here.version()

    async def failed() -> Any:
        return await here.database["mlflow_deliveries"].find_one({"outcome": "failed: status 400"})

    assert (await eventually_async(failed))["attempts"] == 1


async def test_no_secret_is_shown_or_audited(here: Both, receiver: Receiver) -> None:
    hook = await listen(here, receiver, secret="very secret")
    await here.done("PATCH", f"/webhooks/{hook}", secret="even more secret")
    answers = [await here.done("GET", "/webhooks"), await here.done("GET", f"/webhooks/{hook}")]
    events = await here.database["audit_events"].find({}).to_list(None)
    assert len(events) == 2
    assert "secret" not in str(answers).replace("'secret'", "")
    assert "very secret" not in str(events)
    assert "more secret" not in str(events)


async def test_webhooks_are_of_one_workspace(here: Both, receiver: Receiver) -> None:
    hook = await listen(here, receiver)
    other = {"X-MLFLOW-WORKSPACE": "other"}
    answer = await here.client.get(f"/api/2.0/mlflow/webhooks/{hook}", headers=other)
    assert answer.status_code == 404
    for path in ("/models", "/models/resnet/versions"):
        await here.client.post(
            path, json={"name": "resnet"} if path == "/models" else {}, headers={"X-Regesta-Workspace": "other"}
        )
    assert await here.database["mlflow_deliveries"].count_documents({}) == 0


async def test_an_address_is_judged_again_when_something_is_sent(database: Any, receiver: Receiver) -> None:
    async with both(database, settings=Settings(webhook_targets=HERE)) as opened:
        hook = await listen(opened, receiver)
    async with both(database) as opened:
        result = (await opened.done("POST", f"/webhooks/{hook}/test"))["result"]
    assert result["success"] is False
    assert "response_status" not in result
    assert receiver.taken == []


# endpoints that take their time


class Slow(socketserver.ThreadingTCPServer):
    """Takes requests and never ends an answer; `piece` is what it sends of one, again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Trickle)
        self.begin, self.piece = b"HTTP/1.1 200 OK\r\n", b""
        self.taken, self.left = threading.Semaphore(0), threading.Semaphore(0)
        self.over = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    async def send(self) -> Answer:
        return await post(Targets(HERE), self.address, b"{}", {}, tenant="default")

    async def takes(self, count: int) -> None:
        for _ in range(count):
            assert await asyncio.to_thread(self.taken.acquire, timeout=20)

    async def is_left(self, count: int) -> None:
        for _ in range(count):
            assert await asyncio.to_thread(self.left.acquire, timeout=20)


class _Trickle(socketserver.BaseRequestHandler):
    server: Slow
    request: socket.socket

    def handle(self) -> None:
        self.request.recv(65536)
        self.server.taken.release()
        self.request.settimeout(0.02)
        with suppress(ConnectionError):
            self.request.sendall(self.server.begin)
            while not self.server.over.is_set():
                self.request.sendall(self.server.piece)
                with suppress(TimeoutError):
                    if not self.request.recv(65536):
                        break
        self.server.left.release()


@pytest.fixture
def slow() -> Iterator[Slow]:
    with Slow() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


async def test_an_endpoint_that_trickles_has_so_long_for_all_of_it(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.3)
    slow.piece = b"X-A: b\r\n"
    async with asyncio.timeout(20):
        answer = await slow.send()
        assert (answer.success, answer.error) == (False, "TimeoutError: no answer within 0.3 seconds")
        await slow.is_left(1)


async def test_a_status_is_an_answer_whatever_becomes_of_the_text(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.3)
    slow.begin, slow.piece = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x"
    async with asyncio.timeout(20):
        assert await slow.send() == Answer(200)
        await slow.is_left(1)


async def test_nobody_else_waits_for_slow_endpoints(slow: Slow) -> None:
    async with asyncio.timeout(20):
        sending = [asyncio.create_task(slow.send()) for _ in range(40)]
        await slow.takes(10)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        await slow.is_left(10)


async def test_the_end_waits_for_no_endpoint(here: Both, slow: Slow) -> None:
    hook = {"name": "hook", "url": slow.address, "events": EVENTS}
    await here.done("POST", "/webhooks", **hook)
    await here.model()
    await here.version()
    await here.plugin.startup()
    async with asyncio.timeout(20):
        await slow.takes(1)
        await here.plugin.shutdown()
        await slow.is_left(1)
    # The next one sends it again.
    assert await here.database["mlflow_deliveries"].count_documents({"outcome": "", "attempts": 1}) == 1
