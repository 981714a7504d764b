"""Routers in foreign applications: their errors are problems, the host's stay the host's."""

import json
from typing import Any

import pytest
from beanie import Document, init_beanie
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse

from regesta import Hooks, ProblemRoute, crud_router, hookimpl

from .serving import Client, client_of, created, pointers


class Book(Document):
    title: str

    class Settings:
        name = "books"


def host() -> FastAPI:
    """An application with handlers of its own for everything."""
    app = FastAPI()

    @app.exception_handler(Exception)
    def broken(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("host: broken", 500)

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> PlainTextResponse:
        return PlainTextResponse("host: refused", error.status_code)

    @app.exception_handler(404)
    def lost(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("host: lost", 404)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> PlainTextResponse:
        return PlainTextResponse("host: invalid", 400)

    @app.get("/own/{number}")
    def own(number: int) -> int:
        if number < 0:
            raise HTTPException(418)
        return 10 // number

    return app


async def is_ours(client: Client, prefix: str) -> None:
    """The generated routes at this prefix work, and their errors are problems."""
    books = f"{prefix}/books"
    document = await created(client, books, {"title": "t"})
    url = f"{books}/{document['id']}"
    missing = f"{books}/65a000000000000000000001"
    assert (await client.post(books, json={"title": "t"})).headers["location"].startswith(f"{books}/")
    assert pointers(await client.post(books, json={"title": 5})) == {"/title"}
    for status, answer in {
        400: await client.post(books, content=b"{", headers={"content-type": "application/json"}),
        404: await client.get(missing),
        405: await client.request("PROPFIND", url),
        412: await client.delete(url, headers={"if-match": '"x"'}),
        415: await client.post(books, content=b"x"),
        422: await client.get(f"{books}?nothing=1"),
    }.items():
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
        assert answer.json()["instance"].startswith(prefix)
    page = await client.get(f"{books}?page_size=1")
    link = page.headers["link"]
    assert link.startswith(f"<{books}?")
    assert (await client.get(link[1 : link.index(">")])).status_code == 200


async def is_the_hosts(client: Client) -> None:
    """The host's routes keep the host's format."""
    assert (await client.get("/own/2")).text == "5"
    for path, text in (("/own/x", "invalid"), ("/own/-1", "refused"), ("/own/0", "broken"), ("/nothing", "lost")):
        assert (await client.get(path)).text == f"host: {text}"


async def test_mounted_twice_in_a_foreign_application(any_database: Any) -> None:
    app = host()
    app.include_router(crud_router(Book), prefix="/a")
    app.include_router(crud_router(Book), prefix="/deep/er")
    await init_beanie(any_database, document_models=[Book])
    async with client_of(app, raises=False) as client:
        for prefix in ("/a", "/deep/er"):
            await is_ours(client, prefix)
        await is_the_hosts(client)


async def test_one_router_included_twice(any_database: Any) -> None:
    app, router = host(), crud_router(Book)
    app.include_router(router, prefix="/a")
    app.include_router(router, prefix="/b")
    await init_beanie(any_database, document_models=[Book])
    async with client_of(app, raises=False) as client:
        for prefix in ("/a", "/b"):
            await is_ours(client, prefix)


async def test_as_a_sub_application(any_database: Any) -> None:
    app, below = host(), FastAPI()
    below.include_router(crud_router(Book), prefix="/api")
    app.mount("/sub", below)
    await init_beanie(any_database, document_models=[Book])
    async with client_of(app, raises=False) as client:
        await is_ours(client, "/sub/api")
        await is_the_hosts(client)


async def test_in_a_router_in_a_router(any_database: Any) -> None:
    app, outer, inner = host(), APIRouter(prefix="/outer"), APIRouter(prefix="/inner")
    inner.include_router(crud_router(Book), prefix="/x")
    outer.include_router(inner)
    app.include_router(outer)
    await init_beanie(any_database, document_models=[Book])
    async with client_of(app, raises=False) as client:
        await is_ours(client, "/outer/inner/x")
        await is_the_hosts(client)


async def test_behind_a_prefix_in_the_path(any_database: Any) -> None:
    app = host()
    app.include_router(crud_router(Book), prefix="/{tenant}")
    await init_beanie(any_database, document_models=[Book])
    async with client_of(app, raises=False) as client:
        await is_ours(client, "/acme")


async def test_what_a_plugin_breaks_is_a_problem_and_tells_nothing(any_database: Any) -> None:
    class Broken:
        @hookimpl
        def validate_change(self) -> None:
            raise RuntimeError("a secret of the server")

    app = host()
    app.include_router(crud_router(Book, hooks=Hooks(Broken())))
    await init_beanie(any_database, document_models=[Book])
    async with client_of(app, raises=False) as client:
        answer = await client.post("/books", json={"title": "t"})
        assert pointers(answer, 500) == set()
        assert "a secret" not in answer.text


async def test_problems_for_routes_of_ones_own(memory_database: Any) -> None:
    app, router = host(), APIRouter(route_class=ProblemRoute)

    @router.get("/mine/{number}")
    def mine(number: int) -> int:
        if number < 0:
            raise HTTPException(418, "a teapot", headers={"X-Tea": "yes"})
        return 10 // number

    app.include_router(router)
    async with client_of(app, raises=False) as client:
        assert (await client.get("/mine/x")).json()["errors"][0]["loc"] == ["path", "number"]
        teapot = await client.get("/mine/-1")
        assert (teapot.status_code, teapot.json()["detail"], teapot.headers["x-tea"]) == (418, "a teapot", "yes")
        assert (await client.get("/mine/0")).text == "host: broken"


@pytest.mark.parametrize("detail", [{"reason": "closed", "until": [1, None]}, ["a", {"b": 1}], "text", {}, "\ud800"])
async def test_an_http_exception_keeps_its_detail(memory_database: Any, detail: Any) -> None:
    def closed() -> None:
        raise HTTPException(403, detail, headers={"X-Reason": "night"})

    app = host()
    app.include_router(crud_router(Book, dependencies=[Depends(closed)]))
    await init_beanie(memory_database, document_models=[Book])
    async with client_of(app) as client:
        for answer in (await client.get("/books"), await client.post("/books", json={"title": "t"})):
            assert answer.status_code == 403
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-reason"] == "night"
            assert answer.json()["code"] == "FORBIDDEN"
            assert answer.json()["detail"] == (detail if detail != "\ud800" else "\\ud800")


@pytest.mark.parametrize("status", [204, 304])
async def test_an_http_exception_without_a_body_has_none(memory_database: Any, status: int) -> None:
    def elsewhere() -> None:
        raise HTTPException(status, headers={"X-Tea": "yes"})

    app = host()
    app.include_router(crud_router(Book, dependencies=[Depends(elsewhere)]))
    await init_beanie(memory_database, document_models=[Book])
    async with client_of(app) as client:
        answer = await client.get("/books")
        assert (answer.status_code, answer.content, answer.headers["x-tea"]) == (status, b"", "yes")


@pytest.mark.parametrize("same_router", [True, False])
def test_openapi_of_two_mounts_has_distinct_operation_ids(same_router: bool) -> None:
    app, router = host(), crud_router(Book)
    app.include_router(router, prefix="/a")
    app.include_router(router if same_router else crud_router(Book), prefix="/b")
    schema = app.openapi()
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)), ids
    assert {path for path in schema["paths"] if path != "/own/{number}"} == {
        f"/{mount}/books{one}" for mount in "ab" for one in ("", "/{book}", ":facets", ":schema", ":batch")
    }
    assert json.loads(json.dumps(schema)) == schema


def test_operation_ids_of_one_mount_are_plain() -> None:
    app = FastAPI()
    app.include_router(crud_router(Book), prefix="/api/v1")
    paths = app.openapi()["paths"]
    found = {operation["operationId"] for path in paths.values() for operation in path.values()}
    assert found == {
        *("list_books", "get_book", "create_book", "replace_book", "patch_book", "delete_book"),
        *("facets_books", "schema_books", "batch_books"),
    }


async def test_a_middleware_may_match_the_routes_itself(memory_database: Any) -> None:
    """Instrumentation asks every route whether a request is its own, to name it; the answer is the right route's."""

    def closed() -> None:
        raise HTTPException(403)

    app = FastAPI()
    app.include_router(crud_router(Book), prefix="/a")
    app.include_router(crud_router(Book), prefix="/closed", dependencies=[Depends(closed)])
    app.include_router(crud_router(Book, operations=["list"], page_size=1), prefix="/{any}")

    async def instrumented(scope: Any, receive: Any, send: Any) -> None:
        for route in app.router.routes:
            route.matches(scope)
        await app(scope, receive, send)

    await init_beanie(memory_database, document_models=[Book])
    async with client_of(instrumented) as client:
        await is_ours(client, "/a")
        await created(client, "/a/books", {"title": "2"})
        assert len((await client.get("/a/books")).json()["items"]) > 1
        assert len((await client.get("/b/books")).json()["items"]) == 1
        for method in ("GET", "HEAD", "POST"):
            assert (await client.request(method, "/closed/books")).status_code == 403


async def test_routes_without_dependencies_go_the_short_way(memory_database: Any) -> None:
    """FastAPI tells of it in names of its own: where they are gone, every route becomes slower, and this fails."""
    scopes: list[dict[str, Any]] = []

    class Seeing:
        @hookimpl
        async def validate_change(self) -> None:
            scopes.append(current)

    app = FastAPI()
    app.include_router(crud_router(Book, hooks=Hooks(Seeing())), prefix="/a")
    app.include_router(crud_router(Book, hooks=Hooks(Seeing()), actor=lambda: "me"), prefix="/b")
    current: dict[str, Any] = {}

    async def kept(scope: Any, receive: Any, send: Any) -> None:
        nonlocal current
        current = scope
        await app(scope, receive, send)

    await init_beanie(memory_database, document_models=[Book])
    async with client_of(kept) as client:
        for prefix in ("/a", "/b"):
            assert (await client.post(f"{prefix}/books", json={"title": "t"})).status_code == 201
    # FastAPI's own way leaves the stack of its dependencies in the scope.
    assert ["fastapi_inner_astack" in scope for scope in scopes] == [False, True]
