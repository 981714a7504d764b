"""G4: a request with an Idempotency-Key that is repeated has one effect, wherever its first server was killed."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pymongo import MongoClient
from tests.promises.killed_server import AFTER, BEFORE

from regesta.store import LocalServer

# All 200 points of the promise take minutes: `REGESTA_KILLS=200`.
KILLS = int(os.environ.get("REGESTA_KILLS", "10"))
PATIENCE = 60  # seconds


class Killed:
    """A server that is there again after each kill."""

    def __init__(self, server: LocalServer, database: str, port: int) -> None:
        command = [sys.executable, "-m", "tests.promises.killed_server", str(port), server.uri, database]
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), *sys.path]))
        environment = {**os.environ, "PYTHONPATH": path}
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self._mongo: MongoClient[dict[str, Any]] = MongoClient(server.uri)
        self.database = self._mongo[database]
        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(trust_env=False, timeout=PATIENCE)
        self.pid = self._next()

    def kill(self) -> None:
        """With -9."""
        os.kill(self.pid, signal.SIGKILL)
        self.revive()

    def revive(self) -> None:
        """What MongoDB does after a minute it is told to do at once: abort what nobody will commit."""
        self.pid = self._next()
        self._mongo.admin.command("killAllSessions", [])

    def post(self, path: str, body: Any, key: str | None, name: str = "request") -> httpx.Response:
        headers = {"connection": "close", "x-request-id": name} | ({} if key is None else {"idempotency-key": key})
        return self._client.post(f"{self.url}{path}", json=body, headers=headers)

    def close(self) -> None:
        self._process.terminate()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        assert self._process.stdout
        self._process.stdout.close()
        self._mongo.close()
        self._client.close()

    def _next(self) -> int:
        assert self._process.stdout
        return int(self._process.stdout.readline())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """One whose sessions may be killed."""
    with LocalServer(tmp_path_factory.mktemp("mongod")) as server:
        yield server


@pytest.fixture
def killed(server: LocalServer, unused_tcp_port: int) -> Iterator[Killed]:
    killed = Killed(server, f"test_{uuid4().hex}", unused_tcp_port)
    try:
        yield killed
    finally:
        killed.close()


@pytest.fixture
def unused_tcp_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def interrupted(killed: Killed, path: str, body: Any, key: str | None, after: float) -> httpx.Response | None:
    """Send a request and kill its server so many seconds later; the answer, if there was one."""
    answers: list[httpx.Response] = []

    def send() -> None:
        with contextlib.suppress(httpx.TransportError):
            answers.append(killed.post(path, body, key))

    thread = threading.Thread(target=send)
    thread.start()
    thread.join(after)
    killed.kill()
    thread.join(PATIENCE)
    return answers[0] if answers else None


def repeated(killed: Killed, path: str, body: Any, key: str | None) -> httpx.Response:
    """Send it until it is answered with what was done."""
    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(httpx.TransportError):
            answer = killed.post(path, body, key)
            if answer.status_code not in {409, 503} or time.monotonic() > end:
                return answer


def usual_time(killed: Killed) -> float:
    """How long the first request to a server takes when nobody kills it."""
    took = []
    for number in range(3):
        killed.kill()
        began = time.perf_counter()
        killed.post("/accounts", {"name": f"usual-{number}"}, f"usual-{number}")
        took.append(time.perf_counter() - began)
    return sorted(took)[1]


def run(killed: Killed, *, keyed: bool) -> tuple[Counter[str], Counter[str], int, int]:
    """Kill the server at random moments: how many documents and events each request has, how often the first
    attempt was committed without an answer, and how many answers differed."""
    dice, usual = random.Random(4), usual_time(killed)
    unanswered, differing = 0, 0
    for number in range(KILLS):
        path = "/accounts"
        body: dict[str, Any] = {"name": f"n{number}"}
        if number % 3 == 2:
            path = "/accounts:batch"
            body = {"operations": [{"op": "create", "body": {"name": f"n{number}"}}]}
        key = f"key-{number}" if keyed else None
        first = interrupted(killed, path, body, key, dice.uniform(0.3, 1.4) * usual)
        committed = killed.database["Account"].count_documents({"name": f"n{number}"})
        unanswered += committed if first is None else 0
        again = repeated(killed, path, body, key)
        assert again.status_code in {200, 201}, again.text
        differing += first is not None and first.content != again.content
        if keyed:
            assert ("idempotency-replayed" in again.headers) == bool(committed)
    wanted = {"name": {"$regex": "^n"}}
    documents = list(killed.database["Account"].find(wanted))
    names = {str(found["_id"]): found["name"] for found in documents}
    events = [names.get(event["key"], "") for event in killed.database["audit_events"].find({})]
    return Counter(found["name"] for found in documents), Counter(filter(None, events)), unanswered, differing


def test_one_document_one_event_and_the_same_answer(killed: Killed, record_property: pytest.FixtureRequest) -> None:
    documents, events, unanswered, differing = run(killed, keyed=True)
    once = Counter(f"n{number}" for number in range(KILLS))
    assert documents == once
    assert events == once
    assert differing == 0
    record_property("summary", f"{KILLS} kills, {unanswered} after the commit and before the answer")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("key", "death", "documents"),
    [
        pytest.param("k", AFTER, 1, id="after-the-commit"),
        pytest.param("k", BEFORE, 1, id="before-the-commit"),
        pytest.param(None, AFTER, 2, id="control-without-a-key"),
    ],
)
@pytest.mark.parametrize("path", ["/accounts", "/accounts:batch"])
def test_a_server_that_dies_beside_its_commit(
    killed: Killed, path: str, key: str | None, death: str, documents: int
) -> None:
    single = {"name": "a"}
    body = single if path == "/accounts" else {"operations": [{"op": "create", "body": single}]}
    with pytest.raises(httpx.TransportError):
        killed.post(path, body, key, death)
    killed.revive()
    answers = [repeated(killed, path, body, key) for _ in range(2 if key else 1)]
    assert all(answer.status_code in {200, 201} for answer in answers)
    assert {answer.content for answer in answers} == {answers[0].content}
    for collection in ("Account", "audit_events"):
        assert killed.database[collection].count_documents({}) == documents
