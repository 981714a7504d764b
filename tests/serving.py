"""The bundled service, as `regesta serve` runs it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.eventually import eventually

STOP = 60  # seconds


@pytest.fixture
def service_address(tmp_path: Path, mongod_uri: str) -> Iterator[str]:
    """The address of a running service with an empty database."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "regesta", "serve", "--port", str(port), "--store", mongod_uri]
    environment = {**os.environ, "REGESTA_DATABASE": f"docs_{port}"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            eventually(lambda: _ready(address))
            yield address
        finally:
            process.terminate()
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz").status_code == 200
    except httpx.TransportError:
        return False
