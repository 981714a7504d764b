"""The bundled service, as `regesta serve` runs it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.eventually import eventually

STOP = 60  # seconds


@dataclass(frozen=True)
class Running:
    """A service that answers."""

    process: "subprocess.Popen[bytes]"
    address: str


@pytest.fixture
def service_address(tmp_path: Path, mongod_uri: str) -> Iterator[str]:
    """The address of a running service with an empty database."""
    with running(tmp_path, mongod_uri, f"docs_{_free_port()}") as service:
        yield service.address


@contextmanager
def running(folder: Path, uri: str, database: str, **settings: str) -> Iterator[Running]:
    """A service on a database, with further settings in its environment; told to stop at the end if it still runs."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "regesta", "serve", "--port", str(port), "--store", uri]
    environment = {**os.environ, "REGESTA_DATABASE": database, **settings}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            eventually(lambda: _ready(address), within=60)
            yield Running(process, address)
        finally:
            process.terminate()
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz").status_code == 200
    except httpx.TransportError:
        return False
