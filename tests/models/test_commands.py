"""`regesta models export | import | sweep`, as processes, between two local stores."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.models.application import MERGE_PATCH

from regesta.service import Settings, create_app
from regesta.store import LocalServer

BYTES = {"Content-Type": "application/octet-stream"}
WEIGHTS = b"weights " * 400_000


def regesta(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "regesta", "models", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=folder)


async def fill(store: str) -> None:
    app = create_app(Settings(store=store, plugins=("models",)))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost/api/v1") as client,
    ):
        await client.post("/models", json={"name": "resnet"})
        await client.post("/models/resnet/versions", json={"status": "pending"})
        await client.put("/models/resnet/versions/1/artifacts/weights.bin", content=WEIGHTS, headers=BYTES)
        await client.patch("/models/resnet/versions/1", json={"status": "ready"}, headers=MERGE_PATCH)
        await client.put("/models/resnet/aliases/production", json={"version": 1})


async def weights(store: str) -> Any:
    app = create_app(Settings(store=store, plugins=("models",)))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost/api/v1") as client,
    ):
        version = (await client.get("/models/resnet/aliases/production")).json()["number"]
        return (await client.get(f"/models/resnet/versions/{version}/artifacts/weights.bin")).content


def test_from_one_local_store_into_another(tmp_path: Path) -> None:
    one, other = f"local:{tmp_path / 'one'}", f"local:{tmp_path / 'other'}"
    asyncio.run(fill(one))
    done = regesta(tmp_path, "export", "resnet@production", "-o", "resnet.tar", "--store", one)
    assert done.returncode == 0, done.stderr
    said, digest = done.stdout.splitlines()
    assert said == f"resnet: versions 1; {len(WEIGHTS)} bytes of files"
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest)

    wrong = regesta(tmp_path, "import", "resnet.tar", "--store", other, "--digest", "sha256:" + "0" * 64)
    assert (wrong.returncode, wrong.stderr) == (1, f"regesta: the bundle is another one: {digest}\n")
    first = regesta(tmp_path, "import", "resnet.tar", "--store", other, "--digest", digest)
    assert (first.returncode, first.stdout) == (
        0,
        "resnet: is new\nversion 1: is new\nalias production: is new\n",
    ), first.stderr
    again = regesta(tmp_path, "import", "resnet.tar", "--store", other)
    assert again.stdout.splitlines()[-1] == "nothing changed"
    assert asyncio.run(weights(other)) == WEIGHTS
    assert regesta(tmp_path, "sweep", "--store", other).stdout == "swept 0 uploads and contents, 0 bytes\n"


def test_beside_a_running_service_it_says_how(tmp_path: Path) -> None:
    directory = tmp_path / "one"
    with LocalServer(directory) as server:
        asyncio.run(fill(server.uri))
        refused = regesta(tmp_path, "export", "resnet", "-o", "resnet.tar", "--store", f"local:{directory}")
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        address = re.findall('--store "(.+)"', refused.stderr)
        assert address == [server.uri]
        done = regesta(tmp_path, "export", "resnet", "-o", "resnet.tar", "--store", *address)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [("export", "resnet", "-o", "resnet.tar"), ("sweep",)])
def test_what_only_reads_makes_no_store(tmp_path: Path, arguments: Any) -> None:
    done = regesta(tmp_path, *arguments)
    assert done.returncode == 1
    assert f"there is no local store in {tmp_path / '.regesta'}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_missing_in_a_store(tmp_path: Path, mongod_uri: str) -> None:
    done = regesta(tmp_path, "export", "none", "-o", "x.tar", "--store", mongod_uri, "--database", "test_commands")
    store = mongod_uri.partition("?")[0]
    assert done.stderr == f"regesta: there is no model 'none'; the store is {store}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "none", "-o", "x.tar"), "none"),
        (("export", "none@best", "-o", "x.tar"), "none"),
        (("import", "missing.tar"), "missing.tar"),
        (("import", "missing.tar", "--workspace", "../x"), "workspace"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, mongod_uri: str, arguments: Any, said: str) -> None:
    done = regesta(tmp_path, *arguments, "--store", mongod_uri, "--database", "test_commands")
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
