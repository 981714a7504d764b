"""Clients that go away and servers that are killed, with real processes: nothing half is ever visible."""

import base64
import hashlib
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pymongo import MongoClient
from tests.eventually import eventually
from tests.promises.effort import times
from tests.serving import Running, running

KILLS = int(os.environ.get("REGESTA_KILLS", times(3)))
MEGABYTES = int(os.environ.get("REGESTA_LARGE_ARTIFACT", "256"))
MB = 2**20
BYTES = {"Content-Type": "application/octet-stream"}
MOST_GROWTH = 64 * MB
API = "/api/v1/models/resnet"
ARTIFACTS = f"{API}/versions/1/artifacts"


@pytest.fixture
def stored(mongod_uri: str) -> Iterator[Any]:
    """The database of the services of a test."""
    with MongoClient[Any](mongod_uri) as client:
        name = f"test_{uuid.uuid4().hex}"
        yield client[name]
        client.drop_database(name)


def prepare(service: Running) -> None:
    with httpx.Client(base_url=service.address) as client:
        assert client.post("/api/v1/models", json={"name": "resnet"}).status_code == 201
        assert client.post(f"{API}/versions", json={"status": "pending"}).status_code == 201


def began(service: Running, size: int, content: bytes) -> socket.socket:
    """An upload of `size` bytes, of which these were sent."""
    parts = urlsplit(service.address)
    connection = socket.create_connection((str(parts.hostname), int(parts.port or 0)))
    head = f"PUT {ARTIFACTS}/weights.bin HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {size}\r\n"
    head += "Content-Type: application/octet-stream\r\n\r\n"
    connection.sendall(head.encode() + content)
    return connection


def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path, mongod_uri: str, stored: Any) -> None:
    with running(tmp_path, mongod_uri, stored.name) as service:
        prepare(service)
        with began(service, 100 * MB, os.urandom(10 * MB)):
            eventually(lambda: stored["artifacts.chunks"].count_documents({}) >= 4)
        eventually(lambda: not stored["blobs"].count_documents({}))
        assert not stored["artifacts.chunks"].count_documents({})
        assert httpx.get(f"{service.address}{ARTIFACTS}").json()["artifacts"] == []
        assert httpx.get(f"{service.address}{ARTIFACTS}/weights.bin").status_code == 404


def test_a_server_that_is_killed_leaves_nothing_visible(tmp_path: Path, mongod_uri: str, stored: Any) -> None:
    with running(tmp_path, mongod_uri, stored.name) as service:
        prepare(service)
        with began(service, 100 * MB, os.urandom(10 * MB)):
            eventually(lambda: stored["artifacts.chunks"].count_documents({}) >= 4)
            service.process.send_signal(signal.SIGKILL)
            service.process.wait(60)
    with running(tmp_path, mongod_uri, stored.name) as service:
        assert httpx.get(f"{service.address}{ARTIFACTS}").json()["artifacts"] == []
        assert httpx.get(f"{service.address}{ARTIFACTS}/weights.bin").status_code == 404
    assert stored["artifacts.chunks"].count_documents({}) >= 4
    assert swept(mongod_uri, stored.name) == "swept 0 uploads and contents, 0 bytes"
    stored["blobs"].update_many({}, {"$set": {"touched_at": datetime.now(UTC) - timedelta(hours=2)}})
    assert swept(mongod_uri, stored.name) == "swept 1 uploads and contents, 0 bytes"
    assert not stored["artifacts.chunks"].count_documents({})
    assert not stored["blobs"].count_documents({})


def swept(uri: str, database: str) -> str:
    command = [sys.executable, "-m", "regesta", "models", "sweep", "--store", uri, "--database", database]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_killed_at_any_moment_it_is_there_or_not(tmp_path: Path, mongod_uri: str, stored: Any) -> None:
    """The more kills the better: `REGESTA_KILLS=50`."""
    content = os.urandom(12 * MB)
    chance = random.Random(4)
    visible = 0
    for turn in range(KILLS):
        path = f"{ARTIFACTS}/{turn}.bin"
        with running(tmp_path, mongod_uri, stored.name) as service:
            if not turn:
                prepare(service)

            def upload(url: str = f"{service.address}{path}") -> None:
                with suppress(httpx.TransportError):
                    httpx.put(url, content=content, headers=BYTES, timeout=60)

            client = threading.Thread(target=upload)
            client.start()
            # Moments that are spread over the upload: by what of it has arrived.
            arrived = chance.choice((0, 4, 8, 12, 13))
            before = stored["artifacts.chunks"].count_documents({})
            if arrived == 13:
                client.join()
            elif arrived:
                eventually(lambda: stored["artifacts.chunks"].count_documents({}) >= before + arrived)  # noqa: B023
            service.process.send_signal(signal.SIGKILL)
            service.process.wait(60)
            client.join()
        with running(tmp_path, mongod_uri, stored.name) as service:
            listed = httpx.get(f"{service.address}{ARTIFACTS}").json()["artifacts"]
            got = httpx.get(f"{service.address}{path}")
            assert (got.status_code == 200) == (f"{turn}.bin" in [file["path"] for file in listed])
            assert got.status_code == 404 or got.content == content
            assert got.status_code == 200 or arrived < 13
            visible += got.status_code == 200
    stored["blobs"].update_many({}, {"$set": {"touched_at": datetime.now(UTC) - timedelta(hours=2)}})
    swept(mongod_uri, stored.name)
    assert stored["blobs"].count_documents({}) == min(visible, 1)
    assert stored["artifacts.chunks"].count_documents({}) == 12 * min(visible, 1)


# memory


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process as Linux tells it")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("place", ["gridfs", "folder"])
def test_a_large_artifact_in_constant_memory(
    place: str, tmp_path: Path, mongod_uri: str, stored: Any, record_property: Any
) -> None:
    """`REGESTA_LARGE_ARTIFACT=2048` for the full 2 GB."""
    settings = {}
    if place == "folder":
        pytest.importorskip("fsspec")
        settings = {"REGESTA_MODELS_ARTIFACTS": f"file://{tmp_path}/kept"}
    with running(tmp_path, mongod_uri, stored.name, **settings) as service:
        prepare(service)
        # Everything is imported, and connections are there.
        exchange(service, "warm.bin", 8)
        before = memory(service, "VmRSS")
        seconds = exchange(service, "large.bin", MEGABYTES)
        growth = memory(service, "VmHWM") - before
    up, down = (MEGABYTES / taken for taken in seconds)
    said = f"{MEGABYTES} MB in at {up:.0f} MB/s, out at {down:.0f} MB/s; the server grew by {growth / MB:.0f} MB"
    record_property("summary", f"{place}: {said}")
    assert growth < MOST_GROWTH, said


def exchange(service: Running, name: str, megabytes: int) -> tuple[float, float]:
    """Upload with a digest, download, compare: seconds for each way."""
    block, whole = os.urandom(MB), hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        for number in range(megabytes):
            yield number.to_bytes(8, "big") + block[8:]

    for piece in pieces():
        whole.update(piece)
    digest = f"sha-256=:{base64.b64encode(whole.digest()).decode()}:"
    parts = urlsplit(service.address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=120)
    headers = {**BYTES, "Content-Length": str(megabytes * MB), "Content-Digest": digest}
    start = datetime.now(UTC)
    connection.request("PUT", f"{ARTIFACTS}/{name}", body=pieces(), headers=headers)
    answer = connection.getresponse()
    assert answer.status == 201, answer.read()
    answer.read()
    middle = datetime.now(UTC)
    connection.request("GET", f"{ARTIFACTS}/{name}")
    answer = connection.getresponse()
    assert answer.headers["Repr-Digest"] == digest
    got = hashlib.sha256()
    while piece := answer.read(MB):
        got.update(piece)
    connection.close()
    assert got.digest() == whole.digest()
    return (middle - start).total_seconds(), (datetime.now(UTC) - middle).total_seconds()


def memory(service: Running, field: str) -> int:
    """Bytes: what the process has (`VmRSS`), or the most it had (`VmHWM`)."""
    text = Path(f"/proc/{service.process.pid}/status").read_text("ascii")
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(field))
