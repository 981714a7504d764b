"""Request ids, the line in the log, addresses behind proxies."""

import re
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from .conftest import Serve
from .faults import SECRET, Faults

BOOK = {"isbn": "1", "title": "Emma"}


async def events(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get("/api/v1/audit-events")
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_the_clients_request_id_is_in_the_answer_the_log_and_the_audit_event(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        answer = await client.post("/api/v1/books", json=BOOK, headers={"X-Request-Id": "job-7/step:3"})

    assert answer.status_code == 201
    assert answer.headers.get_list("x-request-id") == ["job-7/step:3"]
    assert [line["request_id"] for line in logs] == ["job-7/step:3"]
    assert [event["data"]["request_id"] for event in await events(client)] == ["job-7/step:3"]


@pytest.mark.parametrize(
    "harmful", ["a\r\nSet-Cookie: x=1", "a\nb", "a b", "", "x" * 129, "\xe4", '"', "a\x00", "%0a<script>"]
)
async def test_a_harmful_request_id_is_replaced(client: httpx.AsyncClient, harmful: str) -> None:
    answer = await client.get("/livez", headers=[(b"X-Request-Id", harmful.encode("latin-1"))])

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert "set-cookie" not in answer.headers


async def test_every_request_gets_another_id(client: httpx.AsyncClient) -> None:
    ids = {(await client.get("/livez")).headers["x-request-id"] for _ in range(20)}

    assert len(ids) == 20


@pytest.mark.parametrize("path", ["/nope", "/api/v1/faults/defect", "/api/v1/books/none", "/docs"])
async def test_every_answer_has_an_id_and_is_not_sniffed(serve: Serve, path: str) -> None:
    async with serve(Faults()) as client:
        answer = await client.get(path, headers={"X-Request-Id": "mine"})

    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_one_line_per_request_says_what_happened(client: httpx.AsyncClient) -> None:
    await client.post("/api/v1/books", json=BOOK, headers={"X-Regesta-Workspace": "team-a"})

    with capture_logs() as logs:
        answer = await client.get("/api/v1/books/1?fields=title", headers={"X-Regesta-Workspace": "team-a"})

    (line,) = logs
    assert line.pop("duration_ms") > 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "logger": "regesta.request",
        "method": "GET",
        "path": "/api/v1/books/1",
        "route": "/api/v1/books/{book}",
        "status": 200,
        "bytes": len(answer.content),
        "request_id": answer.headers["x-request-id"],
        "client": "127.0.0.1",
        "workspace": "team-a",
        "actor": "anonymous",
    }


async def test_neither_the_query_nor_control_characters_get_into_the_log(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        await client.get("/%1b[31m%0aforged?token=hunter2", headers={"X-Regesta-Workspace": "\x1b[31m"})

    (line,) = logs
    assert line["path"] == "/%1b[31m%0aforged"
    assert line["route"] is None
    assert "workspace" not in line
    assert "hunter2" not in str(line)


async def test_a_workspace_that_is_named_twice_is_refused_and_not_logged(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        answer = await client.get("/api/v1/books", headers=[("X-Regesta-Workspace", name) for name in ("a", "b")])

    assert answer.status_code == 422
    assert "workspace" not in logs[0]


async def test_probes_are_logged_for_debugging_only(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        await client.get("/livez")
        await client.get("/readyz")

    assert [line["log_level"] for line in logs] == ["debug", "debug"]


async def test_a_defect_is_logged_with_its_traceback_and_at_the_level_error(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(Faults()) as client:
        with capture_logs() as logs:
            answer = await client.get("/api/v1/faults/defect")

    (request,) = logs
    (failed,) = (record for record in caplog.records if record.name == "regesta.request")
    assert (failed.levelname, failed.exc_info and failed.exc_info[0]) == ("ERROR", RuntimeError)
    assert answer.headers["x-request-id"] in failed.getMessage()
    assert (request["event"], request["log_level"], request["status"]) == ("request", "error", 500)
    assert request["error"] == "RuntimeError"
    assert request["route"] == "/api/v1/faults/defect"
    assert request["request_id"] == answer.headers["x-request-id"]


async def test_tracebacks_show_no_variables_where_nobody_set_up_logging(
    serve: Serve, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(Faults()) as client:
        await client.get("/api/v1/faults/careless", headers={"X-Key": SECRET})

    said = caplog.text + "".join(capsys.readouterr())
    assert f"a key of {len(SECRET)} letters" in said
    assert SECRET not in said


async def test_an_answer_that_breaks_off_is_logged(serve: Serve) -> None:
    async with serve(Faults()) as client:
        with capture_logs() as logs:
            await client.get("/api/v1/faults/halfway")

    assert logs[-1]["event"] == "request"
    assert (logs[-1]["status"], logs[-1]["error"], logs[-1]["bytes"]) == (200, "RuntimeError", 4)
    assert logs[-1]["log_level"] == "error"
    assert SECRET not in str(logs[-1])


async def test_nobody_can_claim_another_method(client: httpx.AsyncClient) -> None:
    await client.post("/api/v1/books", json=BOOK)
    override = {"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE", "X-Method-Override": "DELETE"}

    with capture_logs() as logs:
        await client.get("/api/v1/books/1", headers=override)

    assert [line["method"] for line in logs] == ["GET"]
    assert (await client.get("/api/v1/books/1")).status_code == 200


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        ("", "203.0.113.9", "10.0.0.1"),
        ("192.0.2.0/24", "203.0.113.9", "10.0.0.1"),
        ("10.0.0.0/8", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.0/8", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.3", "10.0.0.3"),
        ("10.0.0.0/8", "203.0.113.9, <script>", "10.0.0.1"),
        ("10.0.0.0/8", "", "10.0.0.1"),
        ("10.0.0.0/8,::1/128", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.0/8", "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
async def test_only_trusted_proxies_say_who_the_client_is(
    serve: Serve, trusted: str, forwarded: str, address: str
) -> None:
    async with serve(peer="10.0.0.1", trusted_proxies=trusted) as client:
        with capture_logs() as logs:
            await client.post("/api/v1/books", json=BOOK, headers={"X-Forwarded-For": forwarded})
        (event,) = await events(client)

    assert logs[0]["client"] == address
    assert event["data"]["actor"]["address"] == address
