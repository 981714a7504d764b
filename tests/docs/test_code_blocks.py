"""Every code block of the README and of docs/ is run."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import beanie
import httpx
import pytest
from fastapi import FastAPI
from pymongo import MongoClient
from tests.resources.serving import served

import regesta_models  # noqa: F401 - its documents too are there before Beanie knows any
from regesta import Hooks, Resource
from regesta.store import collection_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HAS_MOTOR = not hasattr(beanie.Document, "get_pymongo_collection")


def blocks(language: str) -> list[Any]:
    """The blocks of one language; the two that install are run by the project's own check, word for word."""
    found = []
    for page in PAGES:
        for number, (kind, code) in enumerate(BLOCK.findall(page.read_text())):
            if kind == language and "pip install" not in code:
                found.append(pytest.param(code, id=f"{page.stem}-{number}"))
    return found


def run(code: str, name: str, uri: str = "mongodb://localhost") -> ModuleType:
    module = ModuleType(name)
    module.__dict__["__name__"] = name
    sys.modules[name] = module
    exec(compile(code.replace("mongodb://localhost", uri), name, "exec"), module.__dict__)  # noqa: S102 - our own pages
    return module


# A class is made before Beanie knows another one of its base, as in a service: so before any test of this process.
WORKSPACED = {
    block.values[0]: run(block.values[0], f"early_{block.id}")
    for block in blocks("python")
    if "Workspaced" in block.values[0]
}


def test_there_are_no_blocks_of_a_kind_that_nobody_runs() -> None:
    kinds = {kind for page in PAGES for kind, _ in BLOCK.findall(page.read_text())}
    assert kinds == {"python", "bash", "toml"}
    assert all(page.read_text().count("```") == 2 * len(BLOCK.findall(page.read_text())) for page in PAGES)


@pytest.mark.parametrize("code", blocks("python"))
async def test_python_blocks_run_and_their_applications_describe_themselves(
    code: str, request: pytest.FixtureRequest, mongod_uri: str
) -> None:
    module = WORKSPACED.get(code) or run(code, f"block_{request.node.callspec.id.replace('-', '_')}", mongod_uri)
    app = getattr(module, "app", None)
    if isinstance(app, FastAPI):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            assert (await client.get("/openapi.json")).json()["paths"]
    if "def register_resources" in code:
        (_, resources), *_ = Hooks(module).collect("register_resources")
        assert [resource.name for resource in resources] in (["datasets"], ["letters"])


@pytest.mark.skipif(
    HAS_MOTOR, reason="the README's application opens PyMongo's client, which Beanie 1.30 does not take"
)
async def test_the_readmes_application_keeps_its_promises(mongod_uri: str) -> None:
    code = next(code for kind, code in BLOCK.findall(PAGES[0].read_text()) if "crud_router" in code)
    with MongoClient[Any](mongod_uri) as mongo:  # the example of the same name uses the same database
        mongo.drop_database("library")
    app = run(code, "readme_application", mongod_uri).app
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        assert (await client.post("/books", json={"isbn": "1", "title": "T", "year": 1990})).status_code == 201
        assert (await client.post("/books", json={"isbn": "2", "title": "T", "year": 2200})).status_code == 422
        page = await client.get("/books?year__gte=1990&sort=-year&page_size=20")
        assert [book["isbn"] for book in page.json()["items"]] == ["1"]


def block_of_plugins(sign: str) -> str:
    """The block of docs/plugins.md that has these words."""
    found = BLOCK.findall((ROOT / "docs" / "plugins.md").read_text())
    (code,) = (str(code) for _, code in found if sign in code)
    return code


async def test_a_plugins_own_document_is_written_with_the_change(any_database: Any) -> None:
    plugin = run(block_of_plugins("class Letter"), "letters_of_plugins")
    ((_, resources),) = Hooks(plugin).collect("register_resources")

    class Note(beanie.Document):
        text: str

    async with served(any_database, Resource(Note), *resources, hooks=Hooks(plugin)) as client:
        note = (await client.post("/notes", json={"text": "a"})).json()
        assert (await client.get("/letters")).status_code == 404
    letters = await collection_of(plugin.Letter).find({}, {"_id": 0}).to_list(None)
    assert letters == [{"resource": "notes", "key": note["id"], "action": "create"}]


def test_a_plugins_own_command_asks_the_registry() -> None:
    code = block_of_plugins("def register_commands") + "\ncli = typer.Typer()\nregister_commands(cli)\ncli()\n"
    done = subprocess.run(
        [sys.executable, "-c", code, "resnet50", "--store", "memory://"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "regesta: there is no model" in done.stderr


@pytest.mark.parametrize("code", blocks("toml"))
def test_toml_blocks_parse(code: str) -> None:
    assert tomllib.loads(code)["project"]["entry-points"]["regesta"]


@pytest.mark.parametrize("code", blocks("bash"))
def test_shell_blocks_run(code: str, service_address: str) -> None:
    run_shell(code, service_address)


def test_shell_blocks_of_all_pages_run_one_after_the_other(service_address: str) -> None:
    """As somebody does who reads on: no page takes a name that another one needs."""
    for block in blocks("bash"):
        (code,) = block.values
        run_shell(code, service_address)


def run_shell(code: str, address: str) -> None:
    python = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", code.replace("http://127.0.0.1:8000", address)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": f"{python}:/usr/local/bin:/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
