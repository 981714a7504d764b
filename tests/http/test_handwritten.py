"""What routes written by hand read and answer, as the generated ones do."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from beanie import Document, init_beanie
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel, Field

from regesta import Caller, Duplicate, NotFound, ProblemRoute, Registry, Resource, caller_of
from regesta.http import (
    body_schema,
    document_answer,
    document_response,
    json_body,
    no_parameters,
    only_validates,
    precondition_of,
    preferred,
    problem_answers,
    registry_router,
    text_body,
)


class Lamp(Document):
    name: str
    place: str
    lit: bool = False

    class Settings:
        name = "handwritten_lamps"
        use_revision = True


class Part(BaseModel):
    size: int


class Wish(BaseModel):
    place: Annotated[str, Field(min_length=1)]
    parts: list[Part] = []


def application() -> FastAPI:
    registry = Registry([Resource(Lamp, name="lamps", key="name", scope=lambda: {"place": "hall"})])
    lamps = registry["lamps"]
    router = APIRouter(route_class=ProblemRoute)

    @router.get("/lamps/lit", responses={200: document_answer(Lamp, "The lamp"), **problem_answers(NotFound)})
    async def lit(request: Request, caller: Annotated[Caller, Depends(caller_of(lamps, "lit"))]) -> Response:
        no_parameters(request)
        found = await lamps.find_where(caller, (), {"lit": True}, sort=[("name", -1)])
        if found is None:
            raise NotFound("no lamp is lit")
        return document_response(request, found, headers={"X-Lamp": found.key})

    @router.get("/lamps/{name}/place")
    async def place(name: str, caller: Annotated[Caller, Depends(caller_of(lamps, "place"))]) -> str:
        return f"{name} is in the {caller.scope['place']}"

    @router.get("/lamps/{name}/parts/{path:path}")
    async def part(
        name: str, path: str, _: Annotated[Caller, Depends(caller_of(lamps, "part", slashes_after="/parts/"))]
    ) -> str:
        return f"{path} of {name}"

    @router.post("/wishes", openapi_extra=body_schema(Wish), responses=problem_answers(Duplicate))
    async def wish(request: Request) -> Response:
        wished = await json_body(request, Wish, limit=100)
        return Response(wished.model_dump_json())

    @router.put("/notes")
    async def note(request: Request) -> dict[str, Any]:
        dry, condition = only_validates(request), precondition_of(request)
        text = await text_body(request, "text/markdown", "text/plain", limit=10)
        return {"dry": dry, "text": text, "if_match": sorted(condition.if_match)}

    @router.post("/lamps:off")
    async def off() -> None: ...

    @router.get("/forms")
    async def forms(request: Request) -> str:
        return preferred(request, "text/markdown", "text/html", "application/json")

    app = FastAPI()
    app.include_router(router)
    app.include_router(registry_router(registry))
    return app


@pytest.fixture
async def client(any_database: Any) -> AsyncIterator[httpx.AsyncClient]:
    await init_beanie(any_database, document_models=[Lamp])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application()), base_url="http://test") as opened:
        yield opened


async def test_a_document_is_found_by_what_it_has_within_the_scope(client: httpx.AsyncClient) -> None:
    for name, place, lit in (("a", "hall", True), ("b", "hall", True), ("c", "hall", False), ("d", "attic", True)):
        await Lamp(name=name, place=place, lit=lit).insert()
    answer = await client.get("/lamps/lit")
    assert (answer.json()["name"], answer.headers["x-lamp"]) == ("b", "b")
    assert answer.headers["etag"] == (await client.get("/lamps/b")).headers["etag"]


async def test_a_document_is_answered_as_http_means_it(client: httpx.AsyncClient) -> None:
    assert (await client.get("/lamps/lit")).json()["code"] == "NOT_FOUND"
    await Lamp(name="a", place="hall", lit=True).insert()
    etag = (await client.get("/lamps/lit")).headers["etag"]
    known = await client.get("/lamps/lit", headers={"If-None-Match": f'"x", W/{etag}'})
    assert (known.status_code, known.headers["etag"], known.content) == (304, etag, b"")
    assert (await client.get("/lamps/lit", headers={"If-Match": '"x"'})).status_code == 412
    assert (await client.get("/lamps/lit", headers={"If-None-Match": "x"})).json()["code"] == "INVALID_ETAG"
    assert (await client.get("/lamps/lit?a=b")).status_code == 422


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/lamps/%c3%a9/place", 200, ""),
        ("/lamps/%ff/place", 400, "INVALID_PATH"),
        ("/lamps/%00/place", 404, "NOT_FOUND"),
        ("/lamps/a/parts/b%2Fc", 200, ""),
        ("/lamps/a/parts/%ff", 400, "INVALID_PATH"),
        ("/lamps/a/parts/b%0a", 404, "NOT_FOUND"),
        ("/lamps/a%2Fparts/parts/b", 404, "NOT_FOUND"),
    ],
)
async def test_paths_are_read_as_those_of_generated_routes(
    path: str, status: int, code: str, client: httpx.AsyncClient
) -> None:
    answer = await client.get(httpx.URL("http://test/x").copy_with(raw_path=path.encode()))
    assert answer.status_code == status, answer.text
    assert code in answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"place": "hall", "parts": [{"size": 1}]}', 200),
        (b'{"place": "hall", "parts": [{"size": 1.0}]}', 422),
        (b'{"place": "hall", "parts": [{"size": 1, "x": 2}]}', 422),
        (b'{"place": "hall", "more": 1}', 422),
        (b'{"place": ""}', 422),
        (b'{"place": "a", "place": "b"}', 400),
        (b'{"place": "\\ud800"}', 422),
        (b"", 400),
        (b"[]", 422),
        (b'{"place": "' + b"x" * 100 + b'"}', 413),
    ],
)
async def test_a_body_is_read_strictly(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    answer = await client.post("/wishes", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert (await client.post("/wishes", content=body)).status_code == 415


async def test_a_body_that_no_route_reads_needs_a_type(client: httpx.AsyncClient) -> None:
    refused = await client.post("/lamps:off", content=b"x")
    assert (refused.status_code, refused.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (await client.post("/lamps:off", json={})).status_code == 200
    assert (await client.post("/lamps:off")).status_code == 200


def test_openapi_shows_both() -> None:
    paths = application().openapi()["paths"]
    shown = paths["/wishes"]["post"]
    schema = shown["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["parts"]["items"]["properties"]["size"]["type"] == "integer"
    assert "application/problem+json" in shown["responses"]["409"]["content"]
    ok = paths["/lamps/lit"]["get"]["responses"]["200"]
    assert ok["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Lamp"}
    assert "ETag" in ok["headers"]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "text/markdown"),
        ("", "text/markdown"),
        ("*/*", "text/markdown"),
        ("text/*;q=0.1", "text/markdown"),
        ("TEXT/HTML", "text/html"),
        ("text/html, */*;q=0.8", "text/html"),
        ("text/html;q=0.8, */*", "text/markdown"),
        ("application/json;q=0.9, text/html;q=0.8", "application/json"),
        ("text/*;q=0, */*", "application/json"),
        ("text/markdown;variant=GFM;q=0.2, application/*;q=0.3", "application/json"),
        ("text/html;q=2, application/json;q=0.1", "application/json"),
    ],
)
async def test_the_form_that_is_preferred(accept: str | None, form: str, client: httpx.AsyncClient) -> None:
    request = client.build_request("GET", "/forms")
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    assert (await client.send(request)).json() == form


@pytest.mark.parametrize("accept", ["image/png", "text/html;q=0", "*/*;q=0", "nonsense"])
async def test_no_form_that_is_accepted(accept: str, client: httpx.AsyncClient) -> None:
    answer = await client.get("/forms", headers={"Accept": accept})
    assert (answer.status_code, answer.json()["code"]) == (406, "NOT_ACCEPTABLE")


async def test_a_text_is_read(client: httpx.AsyncClient) -> None:
    sent = {"Content-Type": "text/plain; charset=utf-8", "If-Match": '"a"'}
    answer = await client.put("/notes", content="é\r\n", headers=sent, params={"validate_only": "true"})
    assert answer.json() == {"dry": True, "text": "é\r\n", "if_match": ["a"]}
    assert (await client.put("/notes", content="x", headers={"Content-Type": "text/markdown"})).json()["dry"] is False
    for content, kind, status in (
        (b"x", "text/html", 415),
        (b"x", "text/plain; charset=latin-1", 415),
        (b"\xff", "text/plain", 400),
        (b"x" * 11, "text/plain", 413),
    ):
        assert (await client.put("/notes", content=content, headers={"Content-Type": kind})).status_code == status
    for parameters in ({"validate_only": "yes"}, {"x": "1"}):
        refused = await client.put("/notes", content="x", headers={"Content-Type": "text/plain"}, params=parameters)
        assert refused.status_code == 422
