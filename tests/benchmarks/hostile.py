# ruff: noqa: E501, PLW0108 - one line for each kind
"""Requests that mean to stop the others: how long each kind holds the event loop, and what eight at once take.

    python -m tests.benchmarks --hostile

Each kind is sent at its limits. A hold is the CPU time that the loop's thread spends in one callback, during which
no other client is served; a busy machine does not change it.
"""

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import Any
from uuid import uuid4

from bson import Binary, ObjectId
from pymongo.database import Database

from .checks import BenchmarkError
from .servers import Server, command_of, environment, free_port, wait_until_ready

LONGEST_HOLD, MOST_GROWTH = 200.0, 200.0  # milliseconds of CPU, megabytes
TOGETHER, WATCHERS = 8, 300
API = "/api/v1"
MLFLOW = "/api/2.0/mlflow"
MB = 1024 * 1024

JSON = {"Content-Type": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
PATCH = {"Content-Type": "application/json-patch+json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
MARKDOWN = {"Content-Type": "text/markdown"}

Body = Callable[[], bytes]


@dataclass(frozen=True)
class Kind:
    """One kind of request. `together`: its memory is measured, too."""

    title: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = bytes
    together: bool = False


def measure(uri: str, database: Database[dict[str, Any]], only: str = "", share: float = 1.0) -> Iterator[str]:
    """The lines of the report. `share`: of the documents that the requests meet. Raises BenchmarkError if one fails."""
    yield f"{'kind':<58}{'status':>7}{'loop ms':>9}{'all ms':>8}{'limit':>7}{'MB of 8':>9}{'limit':>7}"
    with serving(uri, database.name) as server:
        seed(server, database, share)
        taken(server)
        for kind in KINDS:
            if re.search(only, kind.title):
                print(kind.title, file=sys.stderr)
                yield row(server, kind)
        if re.search(only, "watchers"):
            yield watched(server)


def row(server: Server, kind: Kind) -> str:
    """Send one request, and where its memory counts, eight at once."""
    body = kind.body()
    taken(server)
    status = sent(server, kind, body)
    held, grown = taken(server), float("nan")
    if kind.together:
        before = resident(server)
        with ThreadPoolExecutor(TOGETHER) as pool:
            list(pool.map(lambda _: sent(server, kind, kind.body()), range(TOGETHER)))
        grown, again = peak(server) - before, taken(server)
        held = {name: max(held[name], again[name]) if name == "loop" else held[name] for name in held}
    return line(kind.title, status, held, grown)


def line(title: str, status: int, held: Mapping[str, float], grown: float) -> str:
    """One row of the table."""
    missed = held["loop"] > LONGEST_HOLD or grown > MOST_GROWTH
    memory = f"{grown:>9.0f}{MOST_GROWTH:>7.0f}" if not isnan(grown) else f"{'':>16}"
    verdict = "  MISSED" if missed else ""
    return f"{title:<58}{status:>7}{held['loop']:>9.0f}{held['process']:>8.0f}{LONGEST_HOLD:>7.0f}{memory}{verdict}"


def watched(server: Server) -> str:
    """Watchers that never read, while their document of 1 MB changes."""
    with ThreadPoolExecutor(1) as pool:
        sockets = [stalled_watch(server) for _ in range(WATCHERS)]
        taken(server)
        patch = Kind("", "PATCH", f"{API}/free/watched", MERGE, lambda: b"")
        for number in range(3):
            text = json.dumps({"text": f"{number}" + "x" * (MB - 100)}).encode()
            status = pool.submit(sent, server, patch, text).result()
        held = taken(server)
        for one in sockets:
            one.close()
    return line(f"{WATCHERS} stalled watchers of a document of 1 MB", status, held, float("nan"))


def stalled_watch(server: Server) -> socket.socket:
    """A connection that asked for a watch and reads no more than its head."""
    one = socket.create_connection(("127.0.0.1", server.port))
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.sendall(f"GET {API}/free HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())
    one.recv(1000)
    return one


# requests


def sent(server: Server, kind: Kind, body: bytes) -> int:
    """Send it and read all of the answer; its status."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    with closing(connection):
        try:
            unique = (
                body.replace(b'"name":"x"', b'"name":"%b"' % uuid4().hex.encode()) if kind.method == "POST" else body
            )
            connection.request(kind.method, kind.path, unique or None, dict(kind.headers))
            answer = connection.getresponse()
            while answer.read1(MB):
                pass
        except (BrokenPipeError, ConnectionResetError):  # answered before all of it was sent
            return 0
        if answer.status >= 500 and answer.status != 503:
            raise BenchmarkError(f"{kind.title}: {answer.status}")
        return answer.status


def taken(server: Server) -> dict[str, float]:
    """The longest holds since they were asked for last."""
    time.sleep(0.05)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    with closing(connection):
        connection.request("GET", "/-/holds")
        found: dict[str, float] = json.loads(connection.getresponse().read())
    return found


def resident(server: Server) -> float:
    """Megabytes that the server has now; `peak` counts from here."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    return _memory(server, "VmRSS")


def peak(server: Server) -> float:
    """The most megabytes that it had since."""
    return _memory(server, "VmHWM")


def _memory(server: Server, name: str) -> float:
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return int(next(one for one in lines if one.startswith(f"{name}:")).split()[1]) / 1024


@contextmanager
def serving(uri: str, database: str) -> Iterator[Server]:
    """The service in a loop that measures itself."""
    port = free_port()
    command = [*command_of("hostile"), str(port)]
    told = environment() | {"BENCHMARK_URI": uri, "BENCHMARK_DATABASE": database}
    with subprocess.Popen(command, env=told, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until_ready("hostile", process, port)
            yield Server(port, process.pid)
        finally:
            process.terminate()


# what is there


def seed(server: Server, database: Database[dict[str, Any]], share: float) -> None:
    """Large rows, a long history, versions that name each other: this share of all that there may be."""
    free = database["free"]
    text = "x" * (MB - 300)
    numbers = list(range(100_000))
    for start in range(0, int(1000 * share), 20):
        free.insert_many([_row(f"wide-{number:04d}", text=text) for number in range(start, start + 20)])
    for start in range(0, int(200 * share), 10):
        free.insert_many([_row(f"many-{n:04d}", data={"n": numbers}) for n in range(start, start + 10)])
    free.insert_one(_row("watched", text=""))
    free.insert_one(_row("patched", data={"list": [[n, []] for n in range(12_000)]}))
    _expect(server, "POST", f"{API}/free", {"name": "told"})
    for number in range(int(40 * share)):
        _expect(server, "PATCH", f"{API}/free/told", {"text": f"{number}" + text[:-20]}, MERGE)
    _expect(server, "POST", f"{API}/models", {"name": "m"})
    for number in range(1, 11):
        _expect(server, "POST", f"{API}/models/m/versions", version(number))
    model = database["models"].find_one({"name": "m"})
    assert model is not None
    _lineage(database, model)


def _row(name: str, **fields: Any) -> dict[str, Any]:
    whole = {"workspace": "default", "name": name, "year": 1, "text": "", "data": {}, **fields}
    return {"_id": ObjectId(), "revision_id": Binary.from_uuid(uuid4()), **whole}


def version(number: int) -> dict[str, Any]:
    """A version as large as they may be, which shares next to nothing with others."""
    return {
        "params": {f"param-{number}-{n}": n * number for n in range(1000)},
        "metrics": [
            {"name": f"metric-{number}-{n}", "value": n / number, "dataset": "d", "split": "s"} for n in range(1000)
        ],
        "tags": [{"key": f"tag-{number}-{n}", "value": str(number)} for n in range(100)],
        "environment": {"python": "3.12", "packages": [f"package-{number}-{n}=={n}" for n in range(1000)]},
        "artifacts": [{"path": f"file-{n}", "size": n, "sha256": f"{n:064x}"} for n in range(1000)],
        "signature": {"inputs": [{"name": f"t{n}", "dtype": "f", "shape": [1] * 5} for n in range(1000)]},
    }


def _lineage(database: Database[dict[str, Any]], model: Mapping[str, Any]) -> None:
    """600 versions, each made from a hundred before it."""
    now = datetime.now(UTC)
    lines = []
    for number in range(1001, 1601):
        parents = [{"model": "m", "version": above} for above in range(max(1001, number - 100), number)]
        sets = [f"set-{number}-{n}" for n in range(100)]
        one = {"workspace": "default", "model_id": model["_id"], "model": "m", "number": number, "status": "ready"}
        one |= {"reference": {"model": "m", "version": number}, "lineage": {"parents": parents, "datasets": sets}}
        one |= {"created_at": now, "updated_at": now, "revised_at": now, "kind": "model", "stage": "None"}
        lines.append({**one, "tags": [], "metrics": [], "params": {}, "aliases": [], "latest": False, "leads": False})
    database["versions"].insert_many(lines)


def _expect(server: Server, method: str, path: str, body: Any, headers: Mapping[str, str] = JSON) -> None:
    status = sent(server, Kind(path, method, path, headers), json.dumps(body).encode())
    if status not in (200, 201):
        raise BenchmarkError(f"{method} {path}: {status}")


# the kinds


def filled(start: bytes, unit: bytes, end: bytes, size: int = MB - 1000, least: int = 0) -> Body:
    """A body of about this size."""
    count = (size - len(start) - len(end) - least) // len(unit)
    return lambda: start + unit * count + end


def lines_of(one: Callable[[int], Any], count: int) -> Body:
    """NDJSON."""
    return lambda: b"".join(json.dumps(one(number)).encode() + b"\n" for number in range(count))


def operations(*, count: int, op: Callable[[int], dict[str, Any]], atomic: bool = True) -> Body:
    """A batch."""
    return lambda: json.dumps({"atomic": atomic, "operations": [op(number) for number in range(count)]}).encode()


def _create(number: int, **fields: Any) -> dict[str, Any]:
    return {"op": "create", "body": {"name": f"{uuid4()}-{number}", **fields}}


def _patches(one: Callable[[int], dict[str, Any]], count: int = 1000) -> Body:
    return lambda: json.dumps([one(number) for number in range(count)]).encode()


FREE, ONE = f"{API}/free", f"{API}/free/patched"
START = b'{"name":"x","data":{"a":['
END = b"0]}}"
NESTED = b"[[],[[]],[]],"
LONG = 60_000
VERSIONS = f"{API}/models/m/versions"


def _header(title: str, name: str, unit: str, *, method: str = "GET", path: str = f"{FREE}/told") -> Kind:
    value = (unit * (LONG // len(unit)))[:LONG]
    media = {"GET": {}, "PATCH": MERGE}.get(method, JSON)
    return Kind(f"{name}: {title}", method, path, {**media, name: value}, (lambda: b"{}") if method != "GET" else bytes)


def _query(title: str, text: str, path: str = FREE) -> Kind:
    return Kind(f"query: {title}", "GET", f"{path}?{text[:LONG]}")


KINDS: tuple[Kind, ...] = (
    # bodies
    Kind("create, 1 MB of nested arrays", "POST", FREE, JSON, filled(START, NESTED, END), together=True),
    Kind("create, 1 MB of digits", "POST", FREE, JSON, filled(START, b"1,", END), together=True),
    Kind("create, 1 MB of texts", "POST", FREE, JSON, filled(START, b'"a",', END)),
    Kind("create, 1 MB of braces in a text", "POST", FREE, JSON, filled(b'{"name":"x","text":"', b"{[,", b'"}')),
    Kind("create, 1 MB of escapes", "POST", FREE, JSON, filled(b'{"name":"x","text":"', b'\\\\\\"', b'"}')),
    Kind("create, 1 MB of surrogates", "POST", FREE, JSON, filled(b'{"name":"x","text":"', b"\\ud83d\\ude00", b'"}')),
    Kind("create, 1 MB of lone surrogates", "POST", FREE, JSON, filled(b'{"name":"x","text":"', b"\\ud83d", b'"}')),
    Kind("create, 1 MB of brackets", "POST", FREE, JSON, filled(b"", b"[", b"")),
    Kind("create, 1 MB of unknown fields", "POST", FREE, JSON, lambda: json.dumps({f"f{n}": n for n in range(70_000)}).encode()),
    Kind("create, 1 MB of keys with dots", "POST", FREE, JSON, lambda: json.dumps({"name": "x", "data": {f"a.{n}": n for n in range(60_000)}}).encode()),
    Kind("create, 1 MB of repeated keys", "POST", FREE, JSON, filled(b'{"name":"x","data":{', b'"a":1,', b'"a":1}}')),
    Kind("create, a number of 1 MB", "POST", FREE, JSON, filled(b'{"name":"x","year":', b"1", b"}")),
    Kind("create, 50,000 values in arrays", "POST", FREE, JSON, filled(START, b"[[]],", END, 80_000), together=True),
    Kind("create, 50,000 numbers", "POST", FREE, JSON, filled(START, b"1,", END, 99_000), together=True),
    Kind("create, 50,000 texts", "POST", FREE, JSON, filled(START, b'"aaaaaaaaaaaaaaaa",', END, 930_000), together=True),
    Kind("create, 16,000 objects", "POST", FREE, JSON, filled(START, b'{"a":[1]},', END, 160_000), together=True),
    Kind("create version, 1 MB of wrong metrics", "POST", VERSIONS, JSON, filled(b'{"metrics":[', b'{"a":1},', b"{}]}")),
    Kind("create version, as much as may be", "POST", VERSIONS, JSON, lambda: json.dumps(version(1)).encode()),
    Kind("batch, 15.6 MB of nested arrays", "POST", f"{FREE}:batch", JSON, filled(b'{"operations":[{"op":"create","body":{"name":"x","data":{"a":[', NESTED, b"0]}}}]}", 15 * MB + 600_000), together=True),
    Kind("batch, 15.6 MB of nested arrays as operations", "POST", f"{FREE}:batch", JSON, filled(b'{"operations":[', NESTED, b"0]}", 15 * MB + 600_000)),
    Kind("batch, 1,000 creates of 15 KB of text", "POST", f"{FREE}:batch", JSON, operations(count=1000, op=lambda n: _create(n, text="x" * 15_000)), together=True),
    Kind("batch, 1,000 creates of 100 values", "POST", f"{FREE}:batch", JSON, operations(count=1000, op=lambda n: _create(n, data={"n": list(range(100))}))),
    Kind("batch, 15 creates of 20,000 values", "POST", f"{FREE}:batch", JSON, operations(count=15, op=lambda n: _create(n, data={"n": list(range(20_000))})), together=True),
    Kind("batch, 1,000 patches of one large document", "POST", f"{FREE}:batch", JSON, operations(count=1000, op=lambda n: {"op": "patch", "key": "patched", "body": {"year": n}}), together=True),
    Kind("batch, 1,000 invalid operations", "POST", f"{FREE}:batch", JSON, operations(count=1000, op=lambda n: {"op": "create", "body": {f"f{x}": n for x in range(100)}})),
    Kind("batch, 1,000 invalid, each by itself", "POST", f"{FREE}:batch", JSON, operations(count=1000, op=lambda n: {"op": "create", "body": {f"f{x}": n for x in range(100)}}, atomic=False)),
    Kind("import, 100,000 short lines", "POST", FREE, NDJSON, filled(b"", b"1\n", b"", 200_000)),
    Kind("import, 3 MB of empty lines", "POST", FREE, NDJSON, filled(b"", b"\n", b"", 3 * MB)),
    Kind("import, 20 lines of 1 MB of nested arrays", "POST", FREE, NDJSON, lambda: (filled(START, NESTED, END)() + b"\n") * 20, together=True),
    Kind("import, 20 lines of 1 MB of text", "POST", FREE, NDJSON, lines_of(lambda n: {"name": str(uuid4()), "text": "x" * (MB - 200)}, 20), together=True),
    Kind("import, 40 lines of 20,000 values", "POST", FREE, NDJSON, lines_of(lambda n: {"name": str(uuid4()), "data": {"n": list(range(20_000))}}, 40), together=True),
    Kind("import of versions, 20 large lines", "POST", f"{API}/versions", NDJSON, lines_of(lambda n: {"model": {"name": "i"}, "version": version(1) | {"source": f"s3://b/{uuid4()}"}}, 20)),
    Kind("put, 1 MB of digits", "PUT", ONE, JSON, filled(b'{"data":{"list":[', b"1,", b"0]}}")),
    Kind("override of an alias, 64 KB of brackets", "POST", f"{API}/models/m/aliases/a:override", JSON, filled(b'{"a":[', b"[],", b"0]}", 65_000)),
    # patches
    Kind("merge patch, 1 MB of nested arrays", "PATCH", ONE, MERGE, filled(b'{"data":{"b":[', NESTED, b"0]}}")),
    Kind("merge patch of a document of 48,000 values", "PATCH", ONE, MERGE, lambda: json.dumps({"year": time.time_ns() % 10**9}).encode(), together=True),
    Kind("merge patch of a document of 100,000 values", "PATCH", f"{FREE}/many-0000", MERGE, lambda: json.dumps({"year": time.time_ns() % 10**9}).encode()),
    Kind("merge patch, each other of 40,000 values", "PATCH", ONE, MERGE, lambda: json.dumps({"data": {"list": [n if n % 2 else -n for n in range(40_000)]}}).encode()),
    Kind("JSON patch, 1,000 adds of 1 KB", "PATCH", ONE, PATCH, _patches(lambda n: {"op": "add", "path": f"/data/t{n}", "value": "x" * 900})),
    Kind("JSON patch, 1,000 adds to the start of a list", "PATCH", ONE, PATCH, _patches(lambda n: {"op": "add", "path": "/data/list/0", "value": n})),
    Kind("JSON patch, 1,000 removes from a list", "PATCH", ONE, PATCH, _patches(lambda n: {"op": "remove", "path": "/data/list/0"})),
    Kind("JSON patch, 1,000 moves within a list", "PATCH", ONE, PATCH, _patches(lambda n: {"op": "move", "from": "/data/list/0", "path": "/data/list/10000"})),
    Kind("JSON patch, 1,000 moves of a list", "PATCH", ONE, PATCH, _patches(lambda n: {"op": "move", "from": "/data/list" if n % 2 == 0 else "/data/l", "path": "/data/l" if n % 2 == 0 else "/data/list"})),
    Kind("JSON patch, 1,000 copies of a list", "PATCH", ONE, PATCH, _patches(lambda n: {"op": "copy", "from": "/data/list", "path": f"/data/l{n}"})),
    Kind("JSON patch, copies that double", "PATCH", ONE, PATCH, _patches(lambda n: {"op": "copy", "from": "/data", "path": f"/data/c{n}"})),
    Kind("JSON patch, 1,000 tests of a list", "PATCH", ONE, PATCH, _patches(lambda n: {"op": "test", "path": "/data/list", "value": []})),
    Kind("JSON patch, tests of what is equal, 1 MB", "PATCH", ONE, PATCH, lambda: json.dumps([{"op": "test", "path": "/data/list", "value": list(range(40_000))}] * 4).encode()),
    Kind("JSON patch, 1 MB of values", "PATCH", ONE, PATCH, filled(b'[{"op":"add","path":"/data/v","value":[', b"1,", b"0]}]")),
    Kind("JSON patch, 500 replaces of a large value", "PATCH", ONE, PATCH, _patches(lambda n: {"op": "add", "path": "/data/v", "value": [1] * 900}, 500)),
    Kind("JSON patch, 1,000 pointers of 1,000 parts", "PATCH", ONE, PATCH, _patches(lambda n: {"op": "test", "path": "/a" * 490, "value": 1})),
    Kind("JSON patch, one pointer of 1 MB", "PATCH", ONE, PATCH, filled(b'[{"op":"test","value":1,"path":"', b"/a", b'"}]')),
    # headers
    _header("parameters", "Content-Type", "application/json;a=b;", method="POST", path=FREE),
    _header("quotes", "Content-Type", 'application/json; charset="', method="POST", path=FREE),
    _header("continuations", "Content-Type", "application/json;charset*0=a;charset*1=b;", method="POST", path=FREE),
    _header("parentheses", "Content-Type", "(", method="POST", path=FREE),
    _header("ranges", "Accept", "text/csv;q=0.5,a/b,", path=FREE),
    _header("semicolons", "Accept", "text/csv;", path=FREE),
    _header("spaces", "Accept", "text/csv ", path=FREE),
    _header("of a card", "Accept", "a/b;q=0.5,", path=f"{API}/models/m/card"),
    _header("tags", "If-Match", '"a",', method="PATCH", path=ONE),
    _header("spaces", "If-Match", " ,", method="PATCH", path=ONE),
    _header("spaces, then a stranger", "If-Match", '"a" , ', method="PATCH", path=ONE),
    _header("tags", "If-None-Match", 'W/"a",'),
    _header("preferences", "Prefer", "count=x,", path=FREE),
    _header("quotes", "Idempotency-Key", '"\\"\\"', method="POST", path=FREE),
    _header("visible", "Idempotency-Key", "a", method="POST", path=FREE),
    _header("pairs", "Cookie", "a=b;"),
    _header("ranges", "Range", "bytes=0-1,", path=f"{VERSIONS}/1/artifacts/file-1"),
    _header("addresses", "X-Forwarded-For", "1.2.3.4, "),
    _header("characters", "X-Request-Id", "a"),
    _header("characters", "Last-Event-ID", "a."),
    _header("items", "Content-Digest", "sha-256=:AAAA:,", method="PUT", path=f"{VERSIONS}/1/artifacts/file-1"),
    _header("codings", "Content-Encoding", "gzip,", method="POST", path=FREE),
    # query strings
    _query("strange parameters", "&".join(f"strange-{n}=1" for n in range(4000))),
    _query("repeated parameters", "a&" * 30_000),
    _query("empty parameters", "&" * LONG),
    _query("escapes", "name=" + "%41" * 20_000),
    _query("in", "&".join(f"name__in={n:0500d}" for n in range(100))),
    _query("in, too many", "&".join(f"name__in={n}" for n in range(5000))),
    _query("contains", "text__contains=" + "a" * 1000),
    _query("filter, parentheses", "filter=" + "(" * 4000),
    _query("filter, nested", "filter=" + "(" * 1900 + "year=1" + ")" * 1900),
    _query("filter, NOT", "filter=" + "NOT%20" * 1000 + "year=1"),
    _query("filter, minus", "filter=" + "-" * 4000 + "year=1"),
    _query("filter, AND", "filter=" + "%20AND%20".join(["year=1"] * 350)),
    _query("filter, stars", "filter=text=%22" + "*" * 3900 + "%22"),
    _query("filter, backslashes", "filter=text=%22" + "%5C" * 3900 + "%22"),
    _query("filter, dots", "filter=" + "a." * 2000 + "b=1"),
    _query("filter, a number", "filter=year=" + "1" * 4000),
    _query("filter, in", "filter=" + "%20OR%20".join(["text=%22*a%22"] * 49)),
    _query("sort", "sort=" + ",".join(["name"] * 12_000)),
    _query("fields", "fields=" + ",".join(["name"] * 12_000)),
    _query("fields, strange", "fields=" + "a." * 30_000),
    _query("include", "include=" + "etag," * 10_000),
    _query("expand", "expand=" + "a." * 30_000),
    _query("page_token", "page_token=" + "a" * LONG),
    _query("page_token, dots", "page_token=" + "a." * 30_000),
    _query("page_size", "page_size=" + "9" * LONG),
    _query("facets", "by=" + ",".join(["name"] * 10_000), f"{FREE}:facets"),
    _query("facets, limit", "by=name,year,text&limit=1000", f"{FREE}:facets"),
    _query("versions to compare", "versions=" + ",".join(str(n) for n in range(10_000)), f"{VERSIONS}:compare"),
    _query("metrics to compare", "versions=1,2&higher=" + "a," * 20_000, f"{VERSIONS}:compare"),
    Kind("path: a segment of 60 KB", "GET", f"{FREE}/{'a' * LONG}"),
    Kind("path: escapes", "GET", f"{FREE}/{'%41' * 20_000}"),
    Kind("path: slashes", "GET", f"{API}{'/a' * 30_000}"),
    Kind("path: of an artifact", "GET", f"{VERSIONS}/1/artifacts{'/a' * 30_000}"),
    Kind("path: colons", "GET", f"{FREE}/{':' * LONG}:history"),
    # pages and streams
    Kind("page of 1,000 rows of 1 MB of text", "GET", f"{FREE}?page_size=1000&sort=-name", together=True),
    Kind("page of 200 rows of 100,000 values", "GET", f"{FREE}?page_size=1000&name__prefix=many", together=True),
    Kind("page of fields of 1,000 large rows", "GET", f"{FREE}?page_size=1000&fields=text&name__prefix=wide", together=True),
    Kind("page with etags", "GET", f"{FREE}?page_size=1000&include=etag&name__prefix=wide", together=True),
    Kind("page with a count", "GET", f"{FREE}?page_size=1", {"Prefer": "count=exact"}),
    Kind("export, NDJSON, 200 rows of 100,000 values", "GET", f"{FREE}?name__prefix=many", {"Accept": "application/x-ndjson"}, together=True),
    Kind("export, CSV, 200 rows of 100,000 values", "GET", f"{FREE}?name__prefix=many", {"Accept": "text/csv"}, together=True),
    Kind("export, NDJSON, 1,000 rows of 1 MB", "GET", f"{FREE}?name__prefix=wide", {"Accept": "application/x-ndjson"}, together=True),
    Kind("history of 40 changes of 1 MB", "GET", f"{FREE}/told:history?page_size=1000", together=True),
    Kind("audit events, 40 of 1 MB", "GET", f"{API}/audit-events?page_size=1000&key=told", together=True),
    Kind("audit events, NDJSON", "GET", f"{API}/audit-events?key=told", {"Accept": "application/x-ndjson"}, together=True),
    Kind("get, 100,000 values", "GET", f"{FREE}/many-0001", together=True),
    Kind("facets of large rows", "GET", f"{FREE}:facets?by=text&limit=1000&name__prefix=wide", together=True),
    # the model registry
    Kind("list of 10 large versions", "GET", f"{VERSIONS}?page_size=1000&number__lt=20", together=True),
    Kind("compare 10 versions as large as may be", "GET", f"{VERSIONS}:compare?versions=1,2,3,4,5,6,7,8,9,10", together=True),
    Kind("lineage of 500 versions with 100 parents", "GET", f"{VERSIONS}/1600:lineage?depth=20", together=True),
    Kind("alias moved to a large version", "PUT", f"{API}/models/m/aliases/a", JSON, lambda: b'{"version": 3}'),
    Kind("card, front matter with aliases", "PUT", f"{API}/models/m/card", MARKDOWN, lambda: ("---\na: &a [x]\n" + "".join(f"b{n}: &b{n} [*a,*a]\n" for n in range(900)) + "---\n").encode()),
    Kind("card, front matter of 5,000 values", "PUT", f"{API}/models/m/card", MARKDOWN, lambda: ("---\n" + "".join(f"a{n}: {n}\n" for n in range(2400)) + "---\n").encode()),
    Kind("card, front matter of brackets", "PUT", f"{API}/models/m/card", MARKDOWN, lambda: ("---\na: " + "[" * 30_000 + "\n---\n").encode()),
    Kind("card, front matter of wrong results", "PUT", f"{API}/models/m/card", MARKDOWN, lambda: ("---\nmodel-index:\n" + "- {}\n" * 2400 + "---\n").encode()),
    Kind("card, 100,000 characters of brackets", "PUT", f"{API}/models/m/card", MARKDOWN, filled(b"", b"[](", b"", 99_000)),
    Kind("card rendered: brackets", "GET", f"{API}/models/m/card", {"Accept": "text/html"}),
    Kind("card, emphasis", "PUT", f"{API}/models/m/card", MARKDOWN, filled(b"", b"*a_ ", b"", 99_000)),
    Kind("card rendered: emphasis", "GET", f"{API}/models/m/card", {"Accept": "text/html"}),
    # MLflow's protocol
    Kind("MLflow, 8 MB of nested arrays", "POST", f"{MLFLOW}/registered-models/create", JSON, filled(b'{"name":"x","tags":[', NESTED, b"0]}", 8 * MB - 100), together=True),
    Kind("MLflow, 8 MB of tags", "POST", f"{MLFLOW}/registered-models/create", JSON, filled(b'{"name":"x","tags":[', b'{"key":"a","value":"b"},', b'{"key":"a","value":"b"}]}', 8 * MB - 100), together=True),
    Kind("MLflow, 8 MB in a JSON text", "POST", f"{MLFLOW}/registered-models/create", JSON, filled(b'"{\\"a\\":[', b"[],", b'0]}"', 8 * MB - 100)),
    Kind("MLflow, 8 MB of text", "POST", f"{MLFLOW}/registered-models/create", JSON, filled(b'{"name":"', b"x", b'"}', 8 * MB - 100)),
    Kind("MLflow, a number of 8 MB", "POST", f"{MLFLOW}/model-versions/update", JSON, filled(b'{"name":"m","version":"', b"1", b'"}', 8 * MB - 100)),
    Kind("MLflow, 8 MB of orders", "POST", f"{MLFLOW}/registered-models/get-latest-versions", JSON, filled(b'{"name":"m","stages":["a"', b',"None"', b"]}", 8 * MB - 100)),
    Kind("MLflow, search with a long filter", "GET", f"{MLFLOW}/registered-models/search?filter=" + "name%20LIKE%20%27%25a%25%27%20AND%20" * 90 + "name%20=%20%27a%27"),
    Kind("MLflow, search with a filter of quotes", "GET", f"{MLFLOW}/registered-models/search?filter=" + "%27" * 16_000),
    Kind("MLflow, search with parentheses", "GET", f"{MLFLOW}/model-versions/search?filter=name%20IN%20(" + "%27a%27," * 2000 + "%27a%27)"),
    Kind("MLflow, search with many orders", "GET", f"{MLFLOW}/model-versions/search?" + "&".join(["order_by=name%20ASC"] * 990)),
    Kind("MLflow, page token", "GET", f"{MLFLOW}/model-versions/search?page_token=" + "a" * 50_000),
    Kind("MLflow, search of all versions", "GET", f"{MLFLOW}/model-versions/search?max_results=10000", together=True),
    Kind("MLflow, search of all models", "GET", f"{MLFLOW}/registered-models/search?max_results=1000", together=True),
    # descriptions
    Kind("OpenAPI, the first request", "GET", "/openapi.json"),
    Kind("schema", "GET", f"{VERSIONS}:schema"),
    # the end of the model
    Kind("delete of a model with 610 versions", "DELETE", f"{API}/models/m?cascade=true"),
)  # fmt: skip
