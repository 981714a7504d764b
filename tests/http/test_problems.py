"""The problems themselves (RFC 9457): whole, clean, and no larger than they must be."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from regesta import crud_router

from .asking import JSON, MERGE, Api, ask, problem_in
from .library import Book

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("method", "target", "headers", "content", "expected"),
    [
        ("GET", "/books/x", {}, b"", {"status": 404, "code": "NOT_FOUND", "type": "urn:regesta:problem:not-found"}),
        ("GET", "/books?x=1", {}, b"", {"status": 422, "code": "INVALID", "type": "urn:regesta:problem:invalid"}),
        (
            "POST",
            "/books",
            {"content-type": JSON},
            b"",
            {"status": 400, "code": "EMPTY_BODY", "type": "urn:regesta:problem:empty-body"},
        ),
        ("PUT", "/books", {}, b"", {"status": 405, "code": "METHOD_NOT_ALLOWED", "title": "Method not allowed"}),
        ("GET", "/books/seed", {"if-match": '"x"'}, b"", {"status": 412, "code": "PRECONDITION_FAILED"}),
        ("POST", "/books", {}, b"{}", {"status": 415, "code": "UNSUPPORTED_MEDIA_TYPE", "errors": []}),
        ("DELETE", "/notes/65a000000000000000000001", {}, b"", {"status": 428, "title": "Precondition required"}),
    ],
)
async def test_members(
    api: Api, *, method: str, target: str, headers: dict[str, str], content: bytes, expected: dict[str, Any]
) -> None:
    answer = await api.refuses(
        expected["status"], expected.get("code", "PRECONDITION_REQUIRED"), method, target, content, headers
    )
    problem = answer.json()
    assert {name: problem[name] for name in expected} == expected
    assert problem["instance"] == target.partition("?")[0]
    assert isinstance(problem["detail"], str)
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("/books/a%20b", "/books/a%20b"),
        ("/books/%C3%BC", "/books/%C3%BC"),
        ("/books/a%3Fb%23c", "/books/a%3Fb%23c"),
        ("/books/%22%3Cscript%3E", "/books/%22%3Cscript%3E"),
        ("/books/a:b@c;d=e", "/books/a:b@c;d=e"),
        ("/books/a%25b", "/books/a%25b"),
        ("/books/a%ff", "/books/a%EF%BF%BD"),
    ],
)
async def test_the_instance_is_a_uri_reference(api: Api, path: str, instance: str) -> None:
    assert problem_in(await api.ask("GET", path))["instance"] == instance


async def test_the_instance_where_the_router_is_mounted(api: Api) -> None:
    inner, outer = FastAPI(), FastAPI()
    inner.include_router(crud_router(Book, key="isbn"), prefix="/v1")
    outer.mount("/inner", inner)
    problem = problem_in(await ask(outer, "GET", "/inner/v1/books/missing"))
    assert problem["instance"] == "/inner/v1/books/missing"
    answer = await ask(outer, "POST", "/inner/v1/books", b'{"isbn": "n", "title": "T"}', {"content-type": JSON})
    assert answer.headers["location"] == "/inner/v1/books/n"
    assert (await ask(outer, "GET", answer.headers["location"])).content == answer.content


async def refuse(
    api: Api, body: Any, method: str = "POST", target: str = "/books", media: str = JSON
) -> httpx.Response:
    before = await api.stored()
    answer = await api.send(method, target, json.dumps(body), media)
    assert answer.status_code == 422
    problem_in(answer)
    assert await api.stored() == before
    return answer


async def test_faults_without_number(api: Api) -> None:
    """A megabyte of faults, each under a long name, would be answered by gigabytes."""
    name = "n" * 400_000
    for body in (
        {"isbn": "n", "title": "T", "meta": {name: [{"$a": 1}] * 20_000}},
        {"isbn": "n", "title": "T", "tags": [1] * 49_000},
        {"isbn": "n", "title": "T", "author": {"name": "n", name: 1}},
        {"isbn": "n", "title": "T", **{f"{n}": 1 for n in range(49_000)}},
        {"isbn": "n", "title": "T", name: {"$x": 2**70}},
    ):
        answer = await refuse(api, body)
        assert len(answer.content) < 100_000
        assert len(answer.json()["errors"]) <= 100
    patch = [{"op": "x" * 200_000}] * 2 + [{"op": "add", "path": "/" + name, "value": 1}]
    assert len((await refuse(api, patch, "PATCH", "/books/seed", "application/json-patch+json")).content) < 100_000


@pytest.mark.parametrize("sent", ["hush hush", "<script>alert(1)</script>", "\u202e\u0000", "\ud800"])
async def test_what_was_sent_is_not_said_again(api: Api, sent: str) -> None:
    for body in (
        {"isbn": "n", "title": "T", "secret": [sent]},
        {"isbn": "n", "title": "T", "year": sent},
        {"isbn": "n", "title": "T", "published": sent},
        {"isbn": "n", "title": "T", "author": sent},
        {"isbn": "n", "title": "T", "author": {"name": "n", "age": sent}},
    ):
        answer = await refuse(api, body)
        assert "hush" not in answer.text
        assert "script" not in answer.text
    await refuse(api, {"secret": {"a": sent}}, "PATCH", "/books/seed", MERGE)


async def test_a_key_that_does_not_exist_is_cut(api: Api) -> None:
    answer = await api.refuses(404, "NOT_FOUND", "GET", "/books/" + "k" * 50_000)
    assert len(answer.json()["detail"]) < 1100
    headers = {"content-type": JSON}
    await api.refuses(404, "NOT_FOUND", "PUT", "/books/" + "k" * 5000, b'{"title": "T"}', headers)
