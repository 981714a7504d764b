"""A large collection: everything in one answer, a page far behind the first, a count beside a page.

    python -m tests.benchmarks --large 1000000

builds that many documents first, which takes a while, and measures nothing else.
"""

import argparse
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database

from .checks import BenchmarkError
from .documents import bodies
from .servers import Server, serve

LEAST = 1000
DISTINCT = 10_000
PAGE, FAR_PAGE, LARGEST_PAGE = 50, 10_000, 1000
REPEATED, WARM_UP = 200, 20
READ = 1024 * 1024
NDJSON = {"Accept": "application/x-ndjson"}

# In a process of its own, as the server is one: the least that can be done with each document.
BARE = """
import sys, orjson
from pymongo import MongoClient
documents = MongoClient(sys.argv[1])[sys.argv[2]]["items"].find().sort("sku", 1)
for document in documents:
    document["id"] = document.pop("_id")
    sys.stdout.buffer.write(orjson.dumps(document, default=str, option=orjson.OPT_APPEND_NEWLINE))
"""


def measure(options: argparse.Namespace, uri: str, database: Database[dict[str, Any]]) -> Iterator[str]:
    """The lines of the report."""
    build(database, options.large)
    yield f"{options.large:,} documents"
    yield f"{'':<40}{'measured':>12}{'target':>12}"
    with serve("ours", uri, database.name) as server:
        yield from _exports(options, uri, database, server)
        yield from _pages(options.large, server)


def build(database: Database[dict[str, Any]], count: int) -> None:
    """Fill the collection; but for their keys the documents repeat, which spares making each."""
    collection = database["items"]
    collection.create_index("sku", unique=True, name="sku_1")
    collection.create_index([("price", ASCENDING), ("_id", ASCENDING)])
    models = [body.model_dump() for body in bodies(min(DISTINCT, count))]
    documents = ({**models[number % DISTINCT], "sku": f"sku-{number:08d}"} for number in range(count))
    while batch := list(islice(documents, DISTINCT)):
        collection.insert_many(batch, ordered=False)


def _exports(
    options: argparse.Namespace, uri: str, database: Database[dict[str, Any]], server: Server
) -> Iterator[str]:
    _drained(server, "/items?sku__lt=sku-00001000", NDJSON)  # the code is warm; so is the cache, by the bare loop
    bare, ours, growths = [], [], []
    for _ in range(options.rounds):
        print("export", file=sys.stderr)
        bare.append(options.large / _timed(lambda: _count_lines([sys.executable, "-c", BARE, uri, database.name])))
        before = _resident(server)
        ours.append(options.large / _timed(lambda: _expect(options.large, _drained(server, "/items", NDJSON))))
        growths.append(_peak(server) - before)
    ratio = median(mine / theirs for mine, theirs in zip(ours, bare, strict=True))
    yield f"{'export, documents/s':<40}{median(ours):>12,.0f}"
    yield f"{'bare cursor and orjson, documents/s':<40}{median(bare):>12,.0f}"
    yield _verdict("export / bare", ratio, 0.5, at_least=True)
    yield _verdict("memory that exports took, MB", max(growths), 50)


def _pages(count: int, server: Server) -> Iterator[str]:
    far = min(FAR_PAGE, count // PAGE)
    for sort in ("sku", "price"):
        path = f"/items?sort={sort}&page_size="
        token = _token_of(server, path, far)
        pages = {"first": f"{path}{PAGE}", "far": f"{path}{PAGE}&page_token={token}"}
        first, beyond = _alternating(server, pages).values()
        yield _verdict(f"page {far:,} / page 1, sort={sort}", beyond / first, 1.2)
    counted = {"plain": {}, "counted": {"Prefer": "count=estimated"}}
    plain, estimated = _alternating(server, dict.fromkeys(counted, f"/items?page_size={PAGE}"), counted).values()
    yield _verdict("count=estimated / without", estimated / plain, 1.1)


def _token_of(server: Server, path: str, page: int) -> str:
    """The token of a page of PAGE documents, found by pages that are larger: a token does not know the size."""
    rows, token = (page - 1) * PAGE, ""
    while rows:
        size = min(rows, LARGEST_PAGE)
        token = json.loads(_get(server, f"{path}{size}" + (f"&page_token={token}" if token else "")))["next_page_token"]
        rows -= size
    return token


def _alternating(
    server: Server, paths: Mapping[str, str], headers: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, float]:
    """The median time of each request; one after the other, so that a machine's moods meet all of them."""
    times: dict[str, list[float]] = {name: [] for name in paths}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for _ in range(REPEATED):
        for name, path in paths.items():
            began = time.perf_counter()
            connection.request("GET", path, headers=dict((headers or {}).get(name, {})))
            answer = connection.getresponse()
            answer.read()
            times[name].append(time.perf_counter() - began)
            if answer.status != 200:
                raise BenchmarkError(f"GET {path}: {answer.status}")
    connection.close()
    return {name: median(found[WARM_UP:]) for name, found in times.items()}


def _drained(server: Server, path: str, headers: Mapping[str, str]) -> int:
    """How many lines the answer has."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", path, headers=dict(headers))
    answer = connection.getresponse()
    lines = 0
    while piece := answer.read1(READ):
        lines += piece.count(b"\n")
    connection.close()
    if answer.status != 200:
        raise BenchmarkError(f"GET {path}: {answer.status}")
    return lines


def _count_lines(command: list[str]) -> None:
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while piece := process.stdout.read1(READ):  # type: ignore[attr-defined]
            piece.count(b"\n")
    if process.returncode:
        raise BenchmarkError("the bare loop failed")


def _expect(count: int, lines: int) -> None:
    if lines != count:
        raise BenchmarkError(f"{lines} documents were exported instead of {count}")


def _get(server: Server, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        raise BenchmarkError(f"GET {path}: {answer.status} {content[:500]!r}")
    return content


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _resident(server: Server) -> float:
    return _memory(server, "VmRSS")


def _peak(server: Server) -> float:
    """The most that the server ever held: what it took in between shows too."""
    return _memory(server, "VmHWM")


def _memory(server: Server, name: str) -> float:
    """Megabytes; not a number where the system has no /proc."""
    facts = Path(f"/proc/{server.pid}/status")
    if not facts.exists():
        return float("nan")
    line = next(line for line in facts.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def _verdict(name: str, measured: float, target: float, *, at_least: bool = False) -> str:
    met = measured >= target if at_least else measured <= target
    shown = f"{'>=' if at_least else '<='}{target:g}"
    return f"{name:<40}{measured:>12.3f}{shown:>12}{'  met' if met else '  MISSED'}"
