"""`/docs` works without the internet, and as a page of the service; what OpenAPI says in which order."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from regesta import Operation, Resource
from regesta.service import Settings, create_app
from regesta.service.documentation import ASSETS, FOLDER

from .chromium import Page, needs_chromium, opened
from .conftest import Serve, service

# The files of swagger-ui-dist 5.35.0, as npm has them.
VENDORED = {
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui-bundle.js.LICENSE.txt": "37eb6e7e59aed57b2c1acf076574b818ea07b74265717e0bd67b59e0baf9abbb",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
    "favicon-32x32.png": "3ed612f41e050ca5e7000cad6f1cbe7e7da39f65fca99c02e99e6591056e5837",
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "NOTICE": "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2",
}


def test_the_vendored_files_are_unchanged() -> None:
    found = {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in VENDORED}
    assert found == VENDORED
    assert "swagger-ui-dist` 5.35.0" in (FOLDER / "README.md").read_text("utf-8")


async def test_the_page_names_no_other_host_and_has_no_script_inside(serve: Serve) -> None:
    async with serve() as client:
        page = await client.get("/docs")
        named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert {name.removeprefix("docs/") for name in named} == {*ASSETS, "openapi.json"}
        assert "//" not in re.sub(r"<!--.*?-->", "", page.text)
        assert re.findall(r"<script[^>]*>[^<]", page.text) == re.findall("<style| style=", page.text) == []
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        for name in named:
            asset = await client.get(f"/{name}")
            assert asset.status_code == 200
            assert (await client.head(f"/{name}")).headers["content-type"] == asset.headers["content-type"]
        known = {"If-None-Match": asset.headers["etag"]} if "etag" in asset.headers else {}
        assert (await client.get("/docs", headers={"If-None-Match": page.headers["etag"]} | known)).status_code == 304


@pytest.mark.parametrize(
    "path", ["/docs/", "/docs/index.html", "/docs/README.md", "/docs/%2e%2e%2fopenapi.py", "/redoc"]
)
async def test_nothing_else_of_the_folder_is_served(serve: Serve, path: str) -> None:
    async with serve() as client:
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with opened(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@needs_chromium
def test_a_browser_shows_every_operation_and_asks_nobody_else(page: Page, service_address: str) -> None:
    page.events.clear()
    document = httpx.get(f"{service_address}/openapi.json", trust_env=False).json()
    operations = sum(len(path) for path in document["paths"].values())
    page.go_to(f"{service_address}/docs")
    assert page.eventually(f"document.querySelectorAll('.opblock').length === {operations}")
    tags = page.value("[...document.querySelectorAll('.opblock-tag')].map(tag => tag.dataset.tag)")
    assert tags == [tag["name"] for tag in document["tags"]]
    requested = page.requested()
    assert f"{service_address}/openapi.json" in requested
    assert [url for url in requested if not url.startswith((f"{service_address}/", "data:"))] == []
    assert page.complaints() == []


@needs_chromium
def test_a_browser_tries_a_write_out(page: Page, service_address: str) -> None:
    page.events.clear()
    page.go_to(f"{service_address}/docs")
    block = "document.querySelector('#operations-models-create_model"
    for button in ("button.opblock-summary-control", "button.try-out__btn", "button.execute"):
        page.eventually(f"{block} {button}') !== null")
        page.value(f"{block} {button}').click()")
    status = page.eventually(f"{block} .live-responses-table tbody .response-col_status')?.textContent")
    assert status.startswith("201"), page.value(f"{block} .live-responses-table')?.textContent")
    assert page.complaints() == []


class Elsewhere(BaseHTTPRequestHandler):
    """A page of another origin."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>elsewhere</title>")

    def log_message(self, format: str, *arguments: object) -> None: ...


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@needs_chromium
@pytest.mark.parametrize("kind", ["Blob without a type", "text/plain", "form"])
def test_a_page_of_another_origin_writes_nothing(page: Page, service_address: str, elsewhere: str, kind: str) -> None:
    """Each of these a browser sends without a preflight."""
    body = {
        "Blob without a type": 'new Blob([\'{"name": "evil"}\'])',
        "text/plain": '\'{"name": "evil"}\'',
        "form": "new URLSearchParams({name: 'evil'})",
    }[kind]
    page.go_to(elsewhere)
    for path in ("/api/v1/models", "/api/2.0/mlflow/registered-models/create"):
        sent = f"fetch('{service_address}{path}', {{method: 'POST', mode: 'no-cors', body: {body}}})"
        assert page.value(f"{sent}.then(answer => answer.type)") == "opaque"
    models = httpx.get(f"{service_address}/api/v1/models", trust_env=False).json()
    assert models["items"] == []


def test_tags_are_described_and_in_the_order_of_importance() -> None:
    tags = create_app(Settings(store="memory://", plugins=("models", "mlflow"))).openapi()["tags"]
    names = [tag["name"] for tag in tags]

    assert names[:4] == ["models", "aliases", "cards", "versions"]
    assert names[-2:] == ["audit-events", "health"]
    assert [tag["name"] for tag in tags if not tag.get("description")] == []
    assert all("\n\n" not in tag["description"] for tag in tags)
    assert len({tag["description"] for tag in tags}) == len(tags)


def test_paths_follow_their_tags() -> None:
    paths = list(service().openapi()["paths"])

    assert paths[:4] == ["/api/v1/books", "/api/v1/books:batch", "/api/v1/books:facets", "/api/v1/books:schema"]
    assert paths[-2:] == ["/livez", "/readyz"]


def test_a_resource_says_its_description(serve: Serve) -> None:
    from beanie import Document

    class Described(Document):
        """What the docstring says.

        And more.
        """

    class Silent(Document):
        name: str

    assert Resource(Described).description == "What the docstring says.\n\nAnd more."
    assert Resource(Described, description="What the declaration says.").description == "What the declaration says."
    assert Resource(Silent).description == ""


def test_no_word_of_restore_if_no_resource_has_it() -> None:
    document = create_app(Settings(store="memory://", plugins=("models", "mlflow"))).openapi()
    assert not any(Operation.RESTORE in path for path in document["paths"])
    assert ":restore" not in json.dumps(document)


def test_the_files_are_all_that_is_there() -> None:
    assert {path.name for path in Path(FOLDER).iterdir()} == {*VENDORED, "README.md", "index.html", "start.js"}
