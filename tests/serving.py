"""The bundled service, as `regesta serve` runs it."""

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient

from tests.eventually import eventually

STOP = 60  # seconds


@dataclass(frozen=True)
class Running:
    """A service that answers."""

    process: "subprocess.Popen[bytes]"
    address: str


@pytest.fixture(scope="session")
def kept_service(mongod_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address and the database of a service that tests have one after the other: it needs seconds to start.

    It may send webhooks to this machine.
    """
    database = f"docs_{free_port()}"
    folder = tmp_path_factory.mktemp("service")
    with running(folder, mongod_uri, database, REGESTA_WEBHOOK_TARGETS="127.0.0.0/8,::1") as service:
        yield service.address, database


@pytest.fixture
def service_address(kept_service: tuple[str, str], mongod_uri: str) -> str:
    """The address of a running service with an empty database."""
    address, name = kept_service
    with MongoClient[dict[str, Any]](mongod_uri) as client:
        for collection in client[name].list_collections(filter={"type": "collection"}):
            client[name][collection["name"]].delete_many({})
    return address


@contextmanager
def running(folder: Path, uri: str, database: str, **settings: str) -> Iterator[Running]:
    """A service on a database, with further settings in its environment; told to stop at the end if it still runs."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "regesta", "serve", "--port", str(port), "--store", uri]
    environment = {**os.environ, "REGESTA_DATABASE": database, **settings}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            eventually(lambda: answers(f"{address}/readyz"), within=60)
            yield Running(process, address)
        finally:
            process.terminate()
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def free_port() -> int:
    """One of this machine on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def answers(url: str) -> bool:
    """Whether it says 200. It is asked often: httpx would read all of the system's certificates each time."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=10)) as connection:
        try:
            connection.request("GET", parts.path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
