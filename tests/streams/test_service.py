"""Imports and exports of the bundled service: uvicorn, real sockets, clients as they are."""

import csv
import io
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from tests.eventually import eventually

NDJSON = "application/x-ndjson"
COUNT = 2000
BODY = "=1+1 " + "x" * 9_000  # so many that no buffers on the way hold them all


def lines(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield json.dumps({"name": f"model-{number:05}", "description": BODY}).encode() + b"\n"


@pytest.fixture
def api(service_address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{service_address}/api/v1", trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def filled(api: httpx.Client) -> httpx.Client:
    answer = api.post("/models", content=lines(COUNT), headers={"content-type": NDJSON})
    *results, summary = map(json.loads, answer.text.splitlines())
    assert summary == {"summary": {"created": COUNT, "replaced": 0, "skipped": 0, "failed": 0}}, results[:3]
    assert [result["line"] for result in results] == list(range(1, COUNT + 1))
    return api


@pytest.fixture
def mongo(mongod_uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongod_uri) as client:
        yield client


def open_cursors(mongo: MongoClient[dict[str, Any]]) -> int:
    """On any server's models: other tests may have left some of theirs."""
    pipeline: list[dict[str, Any]] = [
        {"$currentOp": {"allUsers": True, "idleCursors": True}},
        {"$match": {"ns": {"$regex": r"^docs_.*\.models$"}, "cursor.cursorId": {"$exists": True}}},
        {"$group": {"_id": "$cursor.cursorId"}},
    ]
    return len(list(mongo.admin.aggregate(pipeline)))


def test_what_is_imported_is_exported_or_broken_off(filled: httpx.Client, mongo: MongoClient[dict[str, Any]]) -> None:
    with filled.stream("GET", "/models", headers={"accept": NDJSON}) as answer:
        assert answer.headers["content-type"] == NDJSON
        assert answer.headers["x-request-id"]
        found = [json.loads(line) for line in answer.iter_lines()]
    assert [model["name"] for model in found] == [f"model-{number:05}" for number in range(COUNT)]
    page = filled.get("/models", params={"page_size": 100}).json()["items"]
    assert found[:100] == page
    table = filled.get("/models?fields=description", headers={"accept": "text/csv"})
    rows = list(csv.reader(io.StringIO(table.text, newline=""), strict=True))
    assert rows[:2] == [["name", "description"], ["model-00000", f"'{BODY}"]]
    assert len(rows) == COUNT + 1
    head = filled.head("/models", headers={"accept": "text/csv"})
    assert (head.status_code, head.content) == (200, b"")
    assert 'filename="models.csv"' in head.headers["content-disposition"]
    eventually(lambda: open_cursors(mongo) == 0)

    # A client that goes away leaves no cursor.
    with filled.stream("GET", "/models", headers={"accept": NDJSON}) as answer:
        next(answer.iter_raw())
        assert open_cursors(mongo) == 1
    eventually(lambda: open_cursors(mongo) == 0)

    # What cannot go on is broken off.
    with filled.stream("GET", "/models", headers={"accept": NDJSON}) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        mongo.admin.command("killAllSessions", [])
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            list(pieces)
    assert filled.get("/models?page_size=1").status_code == 200
    eventually(lambda: open_cursors(mongo) == 0)


def test_a_body_that_is_cut_leaves_what_was_acknowledged(api: httpx.Client) -> None:
    url = api.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        head = f"POST {url.path}models HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: {NDJSON}\r\n"
        head += "Content-Length: 100000\r\n\r\n"
        connection.sendall(head.encode() + b'{"name": "one"}\n{"name": "two"}\n{"name": "half"}')
        received = b""
        while received.count(b'"status":201') < 2:
            piece = connection.recv(65536)
            assert piece, received
            received += piece
    eventually(lambda: api.get("/models/two").status_code == 200)
    assert api.get("/models/half").status_code == 404
