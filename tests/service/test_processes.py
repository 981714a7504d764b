"""`regesta serve` as a real process: how it starts, and every way it ends."""

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.eventually import eventually

from regesta.service import Settings
from regesta.service.heads import LARGEST

from .processes import Service, mongods, regesta, serving, starting

WRITERS = 4
GRACE = Settings().shutdown_grace


class Load:
    """Writers that go on until the service does not answer any more."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self.acknowledged: set[str] = set()
        self.others: list[int] = []
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def _write(self, writer: int) -> None:
        with self._service.client() as client:
            for number in range(100_000):
                isbn = f"{writer}-{number}"
                try:
                    answer = client.post("/api/v1/books", json={"isbn": isbn, "title": "Emma"})
                except httpx.HTTPError:
                    return
                with self._lock:
                    if answer.status_code == 201:
                        self.acknowledged.add(isbn)
                    else:
                        self.others.append(answer.status_code)


def all_of(client: httpx.Client, path: str) -> list[dict[str, object]]:
    found, token = [], ""
    while True:
        page = client.get(path, params={"page_size": 1000} | ({"page_token": token} if token else {})).json()
        found += page["items"]
        token = page.get("next_page_token", "")
        if not token:
            return found


def end_under_load(service: Service, end: Callable[[], object]) -> Load:
    load = Load(service)
    eventually(lambda: len(load.acknowledged) > 50)
    end()
    load.join()
    return load


def check_kept(folder: Path, load: Load) -> None:
    """Every acknowledged write is there, and each that is there has exactly one audit event."""
    with serving(folder) as again, again.client() as client:
        stored = {str(book["isbn"]) for book in all_of(client, "/api/v1/books")}
        events = sorted(str(event["subject"]) for event in all_of(client, "/api/v1/audit-events"))

    assert load.acknowledged <= stored
    assert events == sorted(stored)


def test_sigterm_under_load_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        began = time.monotonic()
        load = end_under_load(service, service.process.terminate)
        status = service.process.wait(60)
        took = time.monotonic() - began

    assert status == 0
    assert took < 30
    assert load.others == []
    assert mongods(tmp_path) == []
    assert service.lines()[-1]["event"] == "stopped"
    check_kept(tmp_path, load)


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        load = end_under_load(service, service.process.kill)
        service.process.wait(60)

    assert load.others == []
    check_kept(tmp_path, load)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_idle_service_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as service, service.client() as idle:
        assert idle.get("/readyz").status_code == 200  # the connection stays open
        assert service.end(number) == 0

    assert mongods(tmp_path) == []
    assert "Traceback" not in service.log.read_text("utf-8")


def test_the_first_line_says_where_which_store_and_where_the_documentation_is(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        first = service.lines()[0]
        with service.client() as client:
            client.get("/api/v1/books", headers={"X-Request-Id": "mine"})
        line = eventually(lambda: next((found for found in service.lines() if found["event"] == "request"), None))

    assert service.url in first["event"]
    assert f"{service.url}/docs" in first["event"]
    assert str(tmp_path / "store") in first["event"]
    assert line is not None
    assert (line["request_id"], line["route"], line["status"]) == ("mine", "/api/v1/books", 200)
    assert set(line) >= {"time", "level", "method", "path", "duration_ms", "bytes", "client"}


def test_x_forwarded_for_of_this_machine_is_not_believed_either(tmp_path: Path) -> None:
    """uvicorn believes it by default."""
    with serving(tmp_path, store="memory://") as service, service.client() as client:
        client.get("/api/v1/books", headers={"X-Forwarded-For": "203.0.113.9"})
        line = eventually(lambda: next((found for found in service.lines() if found["event"] == "request"), None))

    assert line is not None
    assert line["client"] == "127.0.0.1"


def test_heads_without_end_are_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        address = httpx.URL(service.url)
        for start in (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: ", b"GET /"):
            with socket.create_connection((address.host, address.port or 0), timeout=30) as connection:
                connection.sendall(start + b"x" * LARGEST)
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
                assert answer.startswith(b"HTTP/1.1 431 "), answer
                assert b"HEADERS_TOO_LARGE" in answer
        with service.client() as client:
            long = {"X-Long": "x" * 30_000}
            assert client.get("/livez", headers=long).status_code == 200
            assert client.get("/livez", headers=long).status_code == 200


def test_an_address_that_others_reach_brings_a_warning(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0", store="memory://") as service:
        warnings = [line["event"] for line in service.lines() if line["level"] == "warning"]

    assert any("no authentication" in event for event in warnings)
    assert any("memory:// is for tests" in event for event in warnings)


def one_line(done: "object", *words: str) -> None:
    text = getattr(done, "stderr", "")
    assert getattr(done, "returncode", 0) == 1, text
    last = text.splitlines()[-1]
    assert last.startswith("regesta: ")
    assert all(word in last for word in words), last
    assert "Traceback" not in text


def test_a_second_service_on_the_same_store_says_who_has_it(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        done = regesta(tmp_path, "serve", "--port", "0", "--store", f"local:{tmp_path / 'store'}")
        with service.client() as client:
            assert client.get("/readyz").status_code == 200

    one_line(done, "already uses the local store", str(service.process.pid))
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = regesta(tmp_path, "serve", "--port", port, "--store", f"local:{tmp_path / 'store'}")

    one_line(done, f"127.0.0.1:{port}", "in use", "--port")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--store", "nonsense"), "nonsense"),
        (("--store", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"), "127.0.0.1:1"),
        (("--plugin", "nowhere"), "nowhere"),
        (("--port", "70000"), "REGESTA_PORT"),
        (("--host", "no.such.host.invalid"), "no.such.host.invalid"),
        (("--log-format", "xml"), "REGESTA_LOG_FORMAT"),
    ],
)
def test_what_is_set_up_wrongly_is_said_in_one_line(tmp_path: Path, arguments: tuple[str, ...], word: str) -> None:
    done = regesta(tmp_path, "serve", *(() if "--port" in arguments else ("--port", "0")), *arguments)

    one_line(done, word)


def test_a_misspelt_setting_brings_a_warning(tmp_path: Path) -> None:
    done = regesta(
        tmp_path, "serve", "--store", "nonsense", "--port", "0", REGESTA_STROE="hunter2", REGESTA_SHELF_X="y"
    )

    warning, _ = done.stderr.splitlines()
    assert json.loads(warning)["event"] == "REGESTA_STROE is no setting, and ignored: is it REGESTA_STORE?"


def test_a_signal_while_it_starts_ends_it_cleanly(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        store = f"mongodb://127.0.0.1:{silent.getsockname()[1]}/?serverSelectionTimeoutMS=60000"
        with starting(tmp_path, "--store", store) as process:
            connection, _ = silent.accept()  # it is in the middle of opening the store, and nobody answers
            with connection:
                process.terminate()
                assert process.wait(30) == 0

    assert "Traceback" not in (tmp_path / "log").read_text("utf-8")


def test_a_signal_ends_the_watches_and_not_only_after_the_grace(tmp_path: Path) -> None:
    watch = {"accept": "text/event-stream"}
    with serving(tmp_path) as service, service.client() as client, contextlib.ExitStack() as open_watches:
        streams = [open_watches.enter_context(client.stream("GET", "/api/v1/books", headers=watch)) for _ in range(3)]
        lines = [stream.iter_lines() for stream in streams]
        assert [next(found)[:6] for found in lines] == ["retry:"] * 3
        began = time.monotonic()
        assert service.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < GRACE / 2
        for found in lines:
            assert list(found)[-1] == ""  # the last event is whole, and the answer too
    assert "Traceback" not in service.log.read_text("utf-8")
