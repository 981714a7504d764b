"""Search over the versions of many models: the first page at many versions against the same at few.

    python -m tests.benchmarks.search 1000000

builds both collections first, which takes minutes, and measures nothing else. With --uri it uses a replica set that
is there already, in databases of its own that are dropped at the end.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import httpx
from bson import Binary, ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection

FEW = 10_000
CHUNK = 5000
PER_MODEL = 10
REPEATED, WARM_UP = 30, 5
TARGET = 3.0
SINCE = datetime(2020, 1, 1, tzinfo=UTC)
FAMILIES = ("vit", "resnet", "convnext", "swin", "eva", "deit", "regnet", "mobilenet", "beit", "maxvit")

# Each finds more than a page; the rare tag stands on one version of a thousand.
SEARCHES: Mapping[str, Mapping[str, str]] = {
    "newest": {},
    "metric": {"filter": "metrics.top1 > 85"},
    "metric on a data set": {"filter": 'metrics.top1.imagenet > 85 AND metrics."top5" > 99'},
    "selective metric": {"filter": "metrics.top1 > 99.9"},
    "tag": {"filter": 'tags.family = "vit"'},
    "rare tag": {"filter": 'tags.batch = "b7"'},
    "metric and tag": {"filter": 'metrics.top1 > 85 AND tags.family = "vit"'},
    "metric and rare tag": {"filter": 'metrics.top1 > 85 AND tags.batch = "b7"'},
    "parameter": {"filter": "params.depth = 12"},
    "name": {"filter": "model = model-0000007"},
    "beginning of names": {"filter": "model = model-00000*"},
    "latest": {"filter": "latest = true"},
    "latest, metric and tag": {"filter": 'latest = true AND metrics.top1 > 85 AND tags.family = "vit"'},
}


def version(number: int) -> dict[str, Any]:
    """A version as it is stored; numbers that are far from each other by a hash stand for chance."""
    chance = (number * 2654435761) % 100_003 / 100_003
    model, position = divmod(number, PER_MODEL)
    name, made = f"model-{model:07d}", SINCE + timedelta(seconds=number)
    top1 = round(100 * ((chance * 7919) % 1), 3)
    return {
        "_id": ObjectId(f"{int(made.timestamp()):08x}{number:016x}"),
        "workspace": "default",
        "model_id": ObjectId(f"{1:08x}{model:016x}"),
        "model": name,
        "number": position + 1,
        "latest": position + 1 == PER_MODEL,
        "leads": position + 1 == PER_MODEL,
        "reference": {"model": name, "version": position + 1},
        "description": f"{FAMILIES[number % 7]} number {number}",
        "tags": [
            {"key": "family", "value": FAMILIES[int(chance * 1000) % len(FAMILIES)]},
            {"key": "batch", "value": f"b{int(chance * 97_001) % 1000}"},
        ],
        "metrics": [
            {"name": "top1", "value": top1, "dataset": "imagenet", "split": "validation"},
            {"name": "top5", "value": min(100.0, top1 + 10), "dataset": "imagenet", "split": "validation"},
        ],
        "params": {"depth": int(chance * 5003) % 100, "optimizer": "adam"},
        "status": "ready",
        "stage": "None",
        "aliases": [],
        "artifacts": [],
        "lineage": {"parents": [], "datasets": []},
        "protected": False,
        "created_at": made,
        "updated_at": made,
        "revision_id": Binary.from_uuid(uuid4()),
    }


def fill(collection: Collection[dict[str, Any]], count: int) -> None:
    """So many versions, without any indexes yet."""
    versions = map(version, range(count))
    while batch := list(islice(versions, CHUNK)):
        collection.insert_many(batch, ordered=False)


async def measure(count: int, uri: str) -> Iterable[str]:
    """The lines of the report."""
    from regesta.store import open_store
    from tests.models.application import serve

    times: dict[int, dict[str, float]] = {FEW: {}, count: {}}
    async with AsyncExitStack() as stack:
        clients: dict[int, httpx.AsyncClient] = {}
        with MongoClient[dict[str, Any]](uri) as client:
            for size in times:
                name = f"search_{size}_{uuid4().hex[:8]}"
                stack.push_async_callback(asyncio.to_thread, _drop, uri, name)
                began = time.perf_counter()
                fill(client[name]["versions"], size)
                store = await stack.enter_async_context(open_store(uri, database=name))
                # The indexes are built by what the service does at its start.
                service = await stack.enter_async_context(serve(store.database))
                clients[size] = service.client
                print(f"{size:,} versions and their indexes: {time.perf_counter() - began:.0f} s", file=sys.stderr)
        for title, parameters in SEARCHES.items():
            found: dict[int, list[float]] = {size: [] for size in clients}
            # One after the other, so that a machine's moods meet both.
            for _ in range(REPEATED):
                for size, http in clients.items():
                    found[size].append(await _first_page(http, parameters))
            for size in clients:
                times[size][title] = median(found[size][WARM_UP:])
    return list(_report(times[FEW], times[count], count))


async def _first_page(client: httpx.AsyncClient, parameters: Mapping[str, str]) -> float:
    began = time.perf_counter()
    answer = await client.get("/versions", params=dict(parameters))
    took = time.perf_counter() - began
    if answer.status_code != httpx.codes.OK or not answer.json()["items"]:
        raise RuntimeError(f"{parameters}: {answer.status_code} {answer.text[:300]}")
    return took


def _report(few: Mapping[str, float], many: Mapping[str, float], count: int) -> Iterator[str]:
    yield f"{'first page, ms':<28}{FEW:>12,}{count:>12,}{'ratio':>8}   target <={TARGET:g}"
    for title in few:
        ratio = many[title] / few[title]
        said = "met" if ratio <= TARGET else "MISSED"
        yield f"{title:<28}{few[title] * 1e3:>12.2f}{many[title] * 1e3:>12.2f}{ratio:>8.2f}   {said}"


def _drop(uri: str, name: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        client.drop_database(name)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search", description=__doc__)
    parser.add_argument("count", type=int, help="how many versions are many")
    parser.add_argument("--uri", help="a replica set to use instead of starting a server")
    options = parser.parse_args()
    with ExitStack() as stack:
        uri = options.uri
        if not uri:
            from regesta.store import LocalServer

            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-"))
            uri = stack.enter_context(LocalServer(Path(directory))).uri
        print("\n".join(asyncio.run(measure(options.count, uri))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
