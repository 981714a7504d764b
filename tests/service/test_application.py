"""`create_app`: what is mounted, and what stops start-up."""

import logging
import sys
import types
from pathlib import Path
from typing import Any

import httpx
import pytest
from beanie import Document
from fastapi import APIRouter
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from regesta import ConfigurationError, Hooks, Parent, PluginError, Registry, Resource, hookimpl
from regesta.audit import AuditTrail
from regesta.service import Settings, create_app
from regesta.service.problems import routes_of
from regesta.store import LocalServer

from . import shelf
from .conftest import Serve, client_of, service
from .faults import Recorder


class OtherBook(Document):
    """Another plugin's idea of a book."""

    name: str


class Rival:
    """A plugin with these resources."""

    def __init__(self, *resources: Any) -> None:
        self.name = "rival"
        self._resources = resources

    @hookimpl
    def register_resources(self) -> Any:
        return list(self._resources)


def test_every_open_route_is_known() -> None:
    """There is no authentication yet: whatever is in this list is open to whoever reaches the service."""
    found = {f"{method} {route.path}" for route in routes_of(service()) for method in route.methods or ()}

    assert found == {
        *("GET /", "HEAD /", "GET /openapi.json", "HEAD /openapi.json"),
        *("GET /docs", "HEAD /docs", "GET /docs/{name}", "HEAD /docs/{name}"),
        *("GET /livez", "HEAD /livez", "GET /readyz", "HEAD /readyz"),
        *("GET /api/v1/audit-events", "HEAD /api/v1/audit-events"),
        *("GET /api/v1/audit-events/{audit_event}", "HEAD /api/v1/audit-events/{audit_event}"),
        *("GET /api/v1/books", "HEAD /api/v1/books", "POST /api/v1/books"),
        *("GET /api/v1/books/{book}", "HEAD /api/v1/books/{book}", "PUT /api/v1/books/{book}"),
        *("PATCH /api/v1/books/{book}", "DELETE /api/v1/books/{book}"),
        *("GET /api/v1/books:facets", "HEAD /api/v1/books:facets"),
        *("GET /api/v1/books:schema", "HEAD /api/v1/books:schema", "POST /api/v1/books:batch"),
        *("GET /api/v1/audit-events:facets", "HEAD /api/v1/audit-events:facets"),
        *("GET /api/v1/audit-events:schema", "HEAD /api/v1/audit-events:schema"),
        *("GET /api/v1/books/{book}:history", "HEAD /api/v1/books/{book}:history"),
        "POST /api/v1/books/{book}:revert",
    }


async def test_no_route_fails_when_it_is_called_without_credentials(client: httpx.AsyncClient) -> None:
    routes = [route for route in routes_of(service()) if route.path != "/openapi.json"]
    for route in routes:
        for method in route.methods or ():
            answer = await client.request(method, route.path)
            assert answer.status_code < 500, f"{method} {route.path}"


async def test_the_root_leads_to_the_documentation(client: httpx.AsyncClient) -> None:
    for method in ("GET", "HEAD"):
        answer = await client.request(method, "/", headers={"Host": "elsewhere.localhost:1"})
        assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    assert "/" not in service().openapi()["paths"]


def test_openapi_is_there_without_a_server() -> None:
    document = service().openapi()

    assert document["info"]["title"] == "Regesta"
    assert document["servers"][0]["url"] == "/"
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert sorted(ids) == [
        *(
            "batch_books",
            "create_book",
            "delete_book",
            "facets_audit_events",
            "facets_books",
            "get_audit_event",
            "get_book",
        ),
        *("history_book", "list_audit_events", "list_books", "livez", "patch_book", "readyz", "replace_book"),
        *("revert_book", "schema_audit_events", "schema_books"),
    ]


async def test_writes_and_reads_and_keeps_workspaces_apart(client: httpx.AsyncClient) -> None:
    book = {"isbn": "1", "title": "Emma"}
    created = await client.post("/api/v1/books", json=book)
    other = await client.post("/api/v1/books", json=book, headers={"X-Regesta-Workspace": "team-a"})
    listed = await client.get("/api/v1/books")
    trail = await client.get("/api/v1/audit-events")

    assert (created.status_code, other.status_code) == (201, 201)
    assert created.headers["location"] == "/api/v1/books/1"
    assert [item["isbn"] for item in listed.json()["items"]] == ["1"]
    assert [event["type"] for event in trail.json()["items"]] == ["regesta.books.create"]


def test_two_resources_of_one_name_stop_start_up() -> None:
    with pytest.raises(PluginError, match=r"'books' is registered by plugins '.*shelf' and 'rival'"):
        service(Rival(Resource(OtherBook, name="books")))
    with pytest.raises(PluginError, match="by plugin 'rival' twice"):
        service(Rival(Resource(OtherBook, name="x"), Resource(OtherBook, name="x")))


def test_two_equal_operation_ids_stop_start_up_and_the_cure_is_told() -> None:
    both = r"operationId '\w+_book': /api/v1/books/{book}\S* and /api/v1/tomes/{book}\S*; `regesta plugins`.*`sing"
    with pytest.raises(PluginError, match=both):
        service(Rival(Resource(OtherBook, name="tomes", singular="book", shared=True)))


@pytest.mark.parametrize("answer", [None, [OtherBook], "books"])
def test_something_else_than_resources_stops_start_up(answer: Any) -> None:
    class Odd:
        name = "odd"

        @hookimpl
        def register_resources(self) -> Any:
            return answer

    with pytest.raises(PluginError, match="'odd': register_resources must answer a list of Resource"):
        service(Odd())


def test_a_misspelt_hook_stops_start_up() -> None:
    class Misspelt:
        name = "misspelt"

        @hookimpl
        def register_resuorces(self) -> None: ...

    with pytest.raises(PluginError, match="misspelt"):
        service(Misspelt())


def test_a_plugin_that_cannot_be_imported_stops_start_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "broken", "broken_plugin")
    (tmp_path / "broken_plugin.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(PluginError, match=r"'broken' \(broken_plugin\) cannot be loaded.*no_such_module"):
        create_app(Settings(plugins=("broken",)))
    with pytest.raises(PluginError, match="'nowhere' is not installed"):
        create_app(Settings(plugins=("nowhere",)))


def test_a_plugin_that_cannot_be_made_stops_start_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unset:
        def __init__(self) -> None:
            raise ConfigurationError("the setting UNSET: must be something")

    module: Any = types.ModuleType("unset_plugin")
    module.Plugin = Unset
    monkeypatch.setitem(sys.modules, module.__name__, module)
    install(tmp_path, "unset", "unset_plugin:Plugin")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(PluginError, match=r"'unset' \(unset_plugin:Plugin\) cannot be loaded: the setting UNSET: must"):
        create_app(Settings(plugins=("unset",)))


def test_two_installed_plugins_of_one_name_stop_start_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("one", "other"):
        install(tmp_path, package, f"{package}_plugin", name="same")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(PluginError, match=r"two plugins are named 'same' \((one|other)_plugin, (one|other)_plugin\)"):
        create_app(Settings(plugins=("same",)))
    assert [name for name, _ in Hooks.load(only=["models"])] == ["models"]


def install(folder: Path, package: str, value: str, *, name: str = "") -> None:
    """As pip does: a package with a plugin, for who has the folder on the path."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[regesta]\n{name or package} = {value}\n")


async def test_the_document_of_a_parent_that_is_not_served_is_prepared(serve: Serve) -> None:
    class Shelf(Document):
        name: str

    class Place(Document):
        shelf: Any = None
        name: str

    above = Resource(Shelf, key="name", shared=True)
    nested = Resource(Place, name="places", parent=Parent(resource=above, field="shelf"), shared=True)
    async with serve(Rival(nested)):
        assert await Shelf.find_all().to_list() == []


async def test_a_router_of_a_plugin_wins_over_generated_routes(serve: Serve) -> None:
    class Search:
        @hookimpl
        def register_routers(self, registry: Registry) -> list[APIRouter]:
            router = APIRouter()

            @router.get("/books/search", operation_id="search_books")
            async def search() -> list[str]:
                return sorted(bound.resource.name for bound in registry)

            return [router]

    async with serve(Search()) as client:
        answer = await client.get("/api/v1/books/search")

    assert answer.json() == ["audit-events", "books"]


class Protocol:
    """Speaks something else under a path of its own."""

    def __init__(self, *paths: str, name: str = "protocol") -> None:
        self.name = name
        self.paths = paths

    @hookimpl
    def register_applications(self, registry: Registry) -> dict[str, ASGIApp]:
        known = sorted(bound.resource.name for bound in registry)

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse(f"{scope['path']} {','.join(known)}")(scope, receive, send)

        return dict.fromkeys(self.paths, application)


async def test_a_plugin_mounts_an_application(serve: Serve) -> None:
    async with serve(Protocol("/api/2.0/other")) as client:
        answer = await client.get("/api/2.0/other/any/thing")
        assert answer.text == "/api/2.0/other/any/thing audit-events,books"
        assert answer.headers["x-request-id"]
        assert (await client.get("/api/v1/books")).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1", "/api", "api/2", "/", "", "/a b", "/api/2/", "/api/v1/things"])
async def test_an_application_covers_nothing_and_has_a_path(serve: Serve, path: str) -> None:
    with pytest.raises(PluginError, match="plugin 'protocol': nothing can be mounted at"):
        async with serve(Protocol(path)):
            pass


async def test_two_applications_need_two_paths(serve: Serve) -> None:
    with pytest.raises(PluginError, match="plugin 'second': another plugin is mounted at '/other'"):
        async with serve(Protocol("/other"), Protocol("/other", name="second")):
            pass


async def test_plugins_start_in_order_and_shut_down_in_the_opposite_one(serve: Serve) -> None:
    calls: list[str] = []
    async with serve(Recorder("one", calls), Recorder("two", calls)):
        assert calls == ["one startup", "two startup"]

    assert calls[2:] == ["two shutdown", "one shutdown"]


async def test_a_failing_start_names_the_plugin_and_shuts_down_the_others(serve: Serve) -> None:
    calls: list[str] = []
    with pytest.raises(PluginError, match="plugin 'two' failed in startup: out of paper"):
        async with serve(Recorder("one", calls), Recorder("two", calls, failing="startup")):
            pass

    assert calls == ["one startup", "two startup", "one shutdown"]


async def test_a_failing_shutdown_is_logged_and_the_others_go_on(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []
    async with serve(Recorder("one", calls), Recorder("two", calls, failing="shutdown")):
        pass

    assert calls[2:] == ["two shutdown", "one shutdown"]
    assert "plugin two did not shut down" in caplog.text


async def test_a_store_that_does_not_answer_stops_start_up(tmp_path: Path) -> None:
    with LocalServer(tmp_path) as server:
        uri = server.uri.replace("?", "?serverSelectionTimeoutMS=300&")
    with pytest.raises(ConfigurationError, match="no MongoDB that takes writes answers"):
        async with client_of(service(store=uri)):
            pass


async def test_data_that_an_index_refuses_stops_start_up(serve: Serve, mongod_uri: str, database: Any) -> None:
    await database["books"].insert_many([{"workspace": "w", "isbn": "1"}, {"workspace": "w", "isbn": "1"}])

    with pytest.raises(ConfigurationError, match="cannot prepare the collections and indexes"):
        async with client_of(service(store=mongod_uri, database=database.name)):
            pass


async def test_memory_works_and_warns(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regesta.store._open._warned", False)
    with caplog.at_level(logging.WARNING):
        async with client_of(service(store="memory://")) as client:
            created = await client.post("/api/v1/books", json={"isbn": "1", "title": "Emma"})
            found = await client.get("/api/v1/books/1")
            ready = await client.get("/readyz")

    assert [created.status_code, found.status_code, ready.status_code] == [201, 200, 200]
    assert "memory:// is for tests" in caplog.text


def test_installed_plugins_are_loaded_in_the_order_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("alpha", "beta"):
        install(tmp_path, name, f"{name}_plugin")
        module: Any = types.ModuleType(f"{name}_plugin")
        module.startup = hookimpl(_startup_of(name))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.syspath_prepend(tmp_path)

    app = create_app(Settings(plugins=("beta", "alpha")))

    assert [name for name, _ in app.state.registry.hooks] == ["audit-trail", "beta", "alpha"]


def _startup_of(name: str) -> Any:
    def startup(app: Any) -> str:
        return name

    return startup


def test_the_order_of_hooks_is_the_callers() -> None:
    hooks = Hooks(shelf, AuditTrail())

    assert create_app(Settings(), hooks=hooks).state.registry.hooks is hooks


@pytest.mark.parametrize(
    ("options", "name"), [({}, "workspace_1_isbn_1"), ({"name": "other", "unique": True}, "other")]
)
async def test_an_index_with_other_options_is_named_at_start_up(
    serve: Serve, mongod_uri: str, database: Any, options: dict[str, Any], name: str
) -> None:
    await database["books"].create_index([("workspace", 1), ("isbn", 1)], **options)

    said = (
        rf"plugin 'tests.service.shelf': the index '{name}' of the collection 'books' in .* is stored with "
        r"other options than Book declares\. .* drop it by "
        rf"db\.getCollection\('books'\)\.dropIndex\('{name}'\)"
    )
    with pytest.raises(ConfigurationError, match=said):
        async with client_of(service(store=mongod_uri, database=database.name)):
            pass
