"""The import of the ONNX Model Zoo, as a program that talks to a server."""

import asyncio
import json
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from tests.eventually import eventually_async
from tests.models.application import OLD_BEANIE, Service, serve

pytestmark = OLD_BEANIE

EXAMPLES = Path(__file__).parents[2] / "examples"
MANIFEST: list[dict[str, Any]] = json.loads((EXAMPLES / "data" / "onnx-hub-manifest.json").read_text("utf-8"))


@asynccontextmanager
async def listening(app: FastAPI, prefix: str = "") -> AsyncIterator[str]:
    """The address at which an application answers, over real HTTP."""
    outer = FastAPI(openapi_url=None)
    outer.mount(prefix, app)
    server = uvicorn.Server(uvicorn.Config(outer, lifespan="off", log_level="error", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server.serve([listener]))

        async def started() -> bool:
            return server.started or running.done()

        await eventually_async(started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await running


async def run(*arguments: str, example: str = "import_onnx_zoo.py") -> tuple[int | None, list[str], str]:
    """Exit code, lines and what it complains of."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", str(EXAMPLES / example), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(program.communicate(), 300)
    return program.returncode, out.decode().splitlines(), err.decode()


@pytest.fixture
async def service(database: Any) -> AsyncIterator[Service]:
    async with serve(database) as opened:
        yield opened


async def stored(service: Service) -> list[Any]:
    """Everything there is, with its revisions."""
    return [await service.database[name].find({}).sort("_id", 1).to_list(1000) for name in ("models", "versions")]


def test_the_counts() -> None:
    assert len(MANIFEST) == 184
    assert len({entry["model"] for entry in MANIFEST}) == 116


async def test_it_registers_all_of_it_once(service: Service) -> None:
    async with listening(service.app, "/api/v1") as url:
        code, lines, complaints = await run(url)
        assert (code, complaints) == (0, "")
        assert lines[-2:] == ["registered 116 new models and 184 new versions", "116 models, 184 versions"]
        assert len(lines) == 116 + 2
        first = await stored(service)

        code, lines, complaints = await run(url)
        assert (code, complaints) == (0, "")
        assert lines[-2:] == ["nothing changed: all of it was there", "116 models, 184 versions"]
        assert await stored(service) == first

        gone = "/models/ResNet50/versions/1"
        assert (await service.client.delete(gone)).status_code == 204
        code, lines, complaints = await run(url)
        assert lines[-2] == "registered 0 new models and 1 new versions"
    models, versions = first
    assert (len(models), len(versions)) == (116, 184)
    expected = Counter(entry["model"] for entry in MANIFEST)
    names = {model["_id"]: model["name"] for model in models}
    assert Counter(names[version["model_id"]] for version in versions) == expected
    digests = {artifact["sha256"] for version in versions for artifact in version["artifacts"]}
    assert digests >= {entry["metadata"]["model_sha"] for entry in MANIFEST}


async def test_what_it_says_of_a_version(service: Service) -> None:
    async with listening(service.app) as url:
        assert (await run(url))[0] == 0
    model = (await service.client.get("/models/BERT-Squad")).json()
    assert (model["task"], model["framework"]) == ("machine comprehension", "onnx")
    listed = (await service.client.get("/models/BERT-Squad/versions")).json()["items"]
    assert [version["params"]["opset_version"] for version in listed] == [8, 10, 12]
    version = listed[1]
    source = "https://github.com/onnx/models/raw/main/validated/text/machine_comprehension/bert-squad/model/bertsquad-10.onnx"
    assert version["source"] == source
    assert version["params"] == {"opset_version": 10, "onnx_version": "1.5"}
    assert version["artifacts"][0] == {
        "path": "bertsquad-10.onnx",
        "size": 435852734,
        "sha256": "5945dee6478abdab2d5e4ce3868b4d969741e3dad2134cc669da65a4f092755b",
    }
    ids = {"name": "segment_ids:0", "dtype": "tensor(int64)", "shape": ["unk__493", 256]}
    assert version["signature"]["inputs"][1] == ids
    found = await service.client.get("/models", params={"task": "machine comprehension", "tags.key": "int8"})
    assert found.status_code == 200


async def test_a_server_that_is_something_else() -> None:
    other = FastAPI()

    @other.get("/models")
    def models() -> list[str]:
        return ["not", "Regesta"]

    async with listening(other) as url:
        code, lines, complaint = await run(url)
    assert (code, lines) == (1, [])
    assert complaint.count("\n") == 1
    assert "is not Regesta" in complaint


async def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "ftp://127.0.0.1", "nonsense", "http://"):
        code, lines, complaint = await run(url)
        assert (code, lines) == (1, []), url
        assert complaint.count("\n") == 1, complaint
        assert "Traceback" not in complaint
