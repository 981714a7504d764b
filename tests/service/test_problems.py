"""Every error of the service is a problem."""

import httpx
import pytest
from structlog.testing import capture_logs

from .conftest import Serve
from .faults import SECRET, Faults


def problem(answer: httpx.Response, status: int, code: str) -> str:
    """The detail of the problem that the answer must be."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "instance", "errors"}
    assert (body["status"], body["code"], body["instance"]) == (status, code, answer.request.url.path)
    detail: str = body["detail"]
    return detail


@pytest.mark.parametrize("path", ["/nope", "/api/v1", "/api/v1/nope", "/api/v1/books/", "/livez/", "/redoc"])
async def test_unknown_paths(client: httpx.AsyncClient, path: str) -> None:
    problem(await client.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/livez", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("PUT", "/api/v1/books", "GET, HEAD, POST"),
        ("POST", "/api/v1/books/1", "DELETE, GET, HEAD, PATCH, PUT"),
        ("POST", "/api/v1/audit-events", "GET, HEAD"),
        ("DELETE", "/api/v1/audit-events/1", "GET, HEAD"),
        ("DELETE", "/api/v1/faults/number", "GET, PUT"),
        ("BREW", "/livez", "GET, HEAD"),
    ],
)
async def test_other_methods(serve: Serve, method: str, path: str, allowed: str) -> None:
    async with serve(Faults()) as client:
        answer = await client.request(method, path)

    problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == allowed


async def test_a_defect_tells_its_request_id_and_nothing_else(serve: Serve) -> None:
    async with serve(Faults()) as client:
        with capture_logs():
            answer = await client.get("/api/v1/faults/defect")

    assert answer.headers["x-request-id"] in problem(answer, 500, "INTERNAL")
    for secret in (SECRET, "RuntimeError", "Traceback", "faults.py"):
        assert secret not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("conflict", 409, "CONFLICT"),
        ("number", 422, "INVALID"),
        ("number?value=x", 422, "INVALID"),
        ("away", 503, "UNAVAILABLE"),
        ("refused", 500, "INTERNAL"),
    ],
)
async def test_what_plain_routes_raise(serve: Serve, path: str, status: int, code: str) -> None:
    async with serve(Faults()) as client:
        with capture_logs():
            answer = await client.get(f"/api/v1/faults/{path}")

    problem(answer, status, code)
    assert SECRET not in answer.text


async def test_an_exception_of_fastapi_keeps_its_status_and_detail(serve: Serve) -> None:
    async with serve(Faults()) as client:
        answer = await client.get("/api/v1/faults/teapot")

    assert answer.status_code == 418
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "short and stout"


async def test_a_validation_error_names_the_parameter(serve: Serve) -> None:
    async with serve(Faults()) as client:
        answer = await client.get("/api/v1/faults/number?value=x")

    assert [issue["loc"] for issue in answer.json()["errors"]] == [["query", "value"]]
