"""Which operations there are, who may call them, and models of the application's own."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pytest
from beanie import Document, init_beanie
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from regesta import READS, DeclarationError, Hooks, ReadOnly, Schemas, crud_router, hookimpl
from regesta.change import AuditEvent
from regesta.store import collection_of

from .serving import Client, client_of, created, pointers, served

COLLECTION, ONE = "/books", "/books/65a000000000000000000001"


class Book(Document):
    title: str
    year: int = 2000
    made_at: Annotated[datetime, ReadOnly] = Field(default_factory=lambda: datetime.now(UTC))

    class Settings:
        name = "books"


async def answers(client: Client) -> dict[str, int]:
    """The status of each operation."""
    found = {
        "list": await client.get(COLLECTION),
        "head_list": await client.head(COLLECTION),
        "get": await client.get(ONE),
        "head": await client.head(ONE),
        "create": await client.post(COLLECTION, json={"title": "t"}),
        "replace": await client.put(ONE, json={"title": "t"}),
        "patch": await client.merge(ONE, {"title": "t"}),
        "delete": await client.delete(ONE),
    }
    return {name: answer.status_code for name, answer in found.items()}


ALL_OPEN = {
    "list": 200,
    "head_list": 200,
    "get": 404,
    "head": 404,
    "create": 201,
    "replace": 404,
    "patch": 404,
    "delete": 404,
}


@pytest.mark.parametrize(
    ("operations", "allow_all", "allow_one"),
    [
        (READS, "GET, HEAD", "GET, HEAD"),
        (["list", "create"], "GET, HEAD, POST", ""),
        (["create", "get"], "POST", "GET, HEAD"),
        (["get", "patch", "delete"], "", "DELETE, GET, HEAD, PATCH"),
    ],
    ids=["reads", "collection", "drop_box", "one"],
)
async def test_operations_that_are_not_offered(
    any_database: Any, operations: Any, allow_all: str, allow_one: str
) -> None:
    async with served(any_database, Book, operations=operations) as client:
        for url, allow in ((COLLECTION, allow_all), (ONE, allow_one)):
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "OPTIONS"):
                answer = await client.request(method, url)
                if not allow:
                    assert answer.status_code == 404
                elif method not in allow.split(", "):
                    assert answer.status_code == 405, method
                    assert answer.headers["allow"] == allow
                    assert answer.headers["content-type"] == "application/problem+json"
                else:
                    assert answer.status_code != 405


async def test_operations_can_be_renamed_and_put_beside_others(any_database: Any) -> None:
    app = FastAPI()
    app.include_router(
        crud_router(Book, operation_ids={"list": "find_books", "get": "read_book"}, operations=["list", "get"])
    )
    app.include_router(crud_router(Book, operations=["create"]))
    await init_beanie(any_database, document_models=[Book])
    paths = app.openapi()["paths"]
    assert paths["/books"]["get"]["operationId"] == "find_books"
    assert paths["/books/{book}"]["get"]["operationId"] == "read_book"
    with pytest.raises(DeclarationError):
        crud_router(Book, operations=["lisst"])
    with pytest.raises(DeclarationError):
        crud_router(Book, operation_ids={"lisst": "x"})


def closed(x_key: Annotated[str | None, Header()] = None) -> None:
    if x_key != "open":
        raise HTTPException(401, "no key", headers={"WWW-Authenticate": "Key"})


async def aclosed(x_key: Annotated[str | None, Header()] = None) -> None:
    closed(x_key)


EVERY = dict.fromkeys(ALL_OPEN, 401)


def on_router() -> FastAPI:
    app = FastAPI()
    app.include_router(crud_router(Book, dependencies=[Depends(closed)]))
    return app


def at_include() -> FastAPI:
    app = FastAPI()
    app.include_router(crud_router(Book), dependencies=[Depends(aclosed)])
    return app


def two_levels_up() -> FastAPI:
    app, outer = FastAPI(), APIRouter()
    outer.include_router(crud_router(Book))
    app.include_router(outer, dependencies=[Depends(closed)])
    return app


def on_a_router_above() -> FastAPI:
    app, outer = FastAPI(), APIRouter(dependencies=[Depends(aclosed)])
    outer.include_router(crud_router(Book))
    app.include_router(outer)
    return app


def on_the_application() -> FastAPI:
    app = FastAPI(dependencies=[Depends(closed)])
    app.include_router(crud_router(Book))
    return app


def added_later() -> FastAPI:
    app, outer = FastAPI(), APIRouter()
    app.include_router(outer, dependencies=[Depends(closed)])
    outer.include_router(crud_router(Book))
    return app


@pytest.mark.parametrize(
    "build", [on_router, at_include, two_levels_up, on_a_router_above, on_the_application, added_later]
)
async def test_dependencies_guard_every_operation_wherever_they_stand(memory_database: Any, build: Any) -> None:
    app = build()
    await init_beanie(memory_database, document_models=[Book])
    async with client_of(app) as client:
        found = await answers(client)
        assert found in (
            EVERY,
            dict.fromkeys(ALL_OPEN, 404),
        )  # FastAPI may not serve what is added later; it must not be open
        assert await collection_of(Book).count_documents({}) == 0
        if found == EVERY:
            refused = await client.get(COLLECTION)
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.headers["www-authenticate"] == "Key"
            assert refused.json()["code"] == "UNAUTHORIZED"
            client.headers["x-key"] = "open"
            assert await answers(client) == ALL_OPEN


async def test_the_same_router_guarded_here_and_open_there(memory_database: Any) -> None:
    router, app = crud_router(Book), FastAPI()
    app.include_router(router, prefix="/open")
    app.include_router(router, prefix="/closed", dependencies=[Depends(closed)])
    await init_beanie(memory_database, document_models=[Book])
    async with client_of(app) as client:
        for _ in range(2):
            assert (await client.get("/open/books")).status_code == 200
            assert (await client.get("/closed/books")).status_code == 401
            assert (await client.post("/closed/books", json={"title": "t"})).status_code == 401
        assert await collection_of(Book).count_documents({}) == 0


async def test_dependencies_of_one_operation(any_database: Any) -> None:
    guarded = {"create": [Depends(closed)], "delete": [Depends(aclosed)], "get": [Depends(closed)]}
    async with served(any_database, Book, operation_dependencies=guarded) as client:
        expected = ALL_OPEN | {"create": 401, "delete": 401, "get": 401, "head": 401}
        assert await answers(client) == expected


async def test_dependencies_can_be_overridden(memory_database: Any) -> None:
    def scope() -> dict[str, Any]:
        return {"year": 1}

    def actor() -> str:
        return "alice"

    seen: list[AuditEvent] = []

    class Observer:
        @hookimpl
        def audit_event(self, event: AuditEvent) -> None:
            seen.append(event)

    app = FastAPI()
    app.include_router(
        crud_router(Book, scope=scope, actor=actor, dependencies=[Depends(closed)], hooks=Hooks(Observer()))
    )
    app.dependency_overrides = {closed: lambda: None, scope: lambda: {"year": 5}, actor: lambda: "bob"}
    await init_beanie(memory_database, document_models=[Book])
    async with client_of(app) as client:
        document = await created(client, COLLECTION, {"title": "t"})
        assert document["year"] == 5
        assert [event.actor.subject for event in seen] == ["bob"]
        app.dependency_overrides = {}
        assert (await client.get(COLLECTION)).status_code == 401


async def test_a_dependency_sees_a_body_free_request_and_its_errors_are_problems(memory_database: Any) -> None:
    def number(x_number: Annotated[int, Header()]) -> int:
        return x_number

    async with served(memory_database, Book, dependencies=[Depends(number)]) as client:
        refused = await client.post(COLLECTION, json={"title": "t"}, headers={"x-number": "x"})
        assert pointers(refused) == {""}
        assert refused.json()["errors"][0]["loc"] == ["header", "x-number"]
        assert (await client.post(COLLECTION, json={"title": "t"}, headers={"x-number": "1"})).status_code == 201


class BookCreate(BaseModel):
    title: str = Field(min_length=2)
    year: int = 1990


class BookReplace(BaseModel):
    title: str = Field(alias="newTitle")
    year: int = 1991


class BookPatch(BaseModel):
    year: int = Field(1992, ge=0)


class BookRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: Any
    name: str = Field(validation_alias="title")
    year: int


async def test_models_of_ones_own(any_database: Any) -> None:
    schemas = Schemas(create=BookCreate, replace=BookReplace, patch=BookPatch, read=BookRead)
    async with served(any_database, Book, schemas=schemas) as client:
        answer = await client.post(COLLECTION, json={"title": "tt"})
        assert answer.status_code == 201, answer.text
        document = answer.json()
        assert document == {"id": document["id"], "name": "tt", "year": 1990}
        url = answer.headers["location"]
        assert (await client.get(url)).json() == document
        assert (await client.get(COLLECTION)).json()["items"] == [document]
        assert pointers(await client.post(COLLECTION, json={"title": "t"})) == {"/title"}
        assert pointers(await client.post(COLLECTION, json={"title": "tt", "year": "5"})) == {"/year"}
        assert pointers(await client.post(COLLECTION, json={"title": "tt", "made_at": "2024-01-01T00:00:00Z"})) == {
            "/made_at"
        }
        assert (await client.put(url, json={"newTitle": "n"})).json() == {**document, "name": "n", "year": 1991}
        assert pointers(await client.put(url, json={"title": "n"}))
        assert (await client.merge(url, {"year": 7})).json() == {**document, "name": "n", "year": 7}
        assert pointers(await client.merge(url, {"year": -7})) == {"/year"}
        assert pointers(await client.merge(url, {"year": 1, "title": "x"})) == {"/title"}
        assert (await client.merge(url, {})).json() == {**document, "name": "n", "year": 7}
        assert pointers(await client.merge(url, {"year": 1, "made_at": "2024-01-01T00:00:00Z"})) == {"/made_at"}


class Lent(BaseModel):
    days: Literal[1, 7] = 1
    since: datetime | None = None


@pytest.mark.parametrize("wrong", [{"days": True}, {"days": 1.0}, {"since": "1700000000"}, {"until": 1}])
async def test_models_of_ones_own_take_json_exactly(memory_database: Any, wrong: dict[str, Any]) -> None:
    schemas = Schemas(create=Lent, replace=Lent, patch=Lent)
    async with served(memory_database, Loan, schemas=schemas) as client:
        url = (await client.post("/loans", json={"since": "2024-01-01T00:00:00Z"})).headers["location"]
        where = {f"/{name}" for name in wrong}
        assert pointers(await client.post("/loans", json=wrong)) == where
        assert pointers(await client.put(url, json=wrong)) == where
        assert pointers(await client.merge(url, wrong)) == where


class Loan(Document):
    days: int = 1
    since: datetime | None = None
