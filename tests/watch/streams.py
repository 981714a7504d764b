"""A server for watches, which need real HTTP: httpx's transport to applications answers whole responses only."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from beanie import init_beanie
from fastapi import FastAPI
from tests.eventually import eventually_async

from regesta import Hooks, Resource, WatchLimits, crud_router

EVENTS = {"accept": "text/event-stream"}
QUICK = WatchLimits(heartbeat=0.2, retry=0.0)
WITHIN = 20.0


@dataclass
class Seen:
    """One event."""

    event: str
    id: str
    data: Any


@dataclass
class Stream:
    """An open watch. `last` is what a browser would send as Last-Event-ID."""

    response: httpx.Response
    last: str = ""
    beats: int = 0
    lines: Any = None
    head: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines = self.response.aiter_lines()

    async def next(self) -> Seen | None:
        """The next event; None where the stream ends."""
        async with asyncio.timeout(WITHIN):
            event, data, number = "message", "", ""
            async for line in self.lines:
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    data = value
                elif name == "id":
                    number = value
                elif name == "retry":
                    self.head.append(line)
                elif not line:
                    self.last = number or self.last
                    if data:
                        return Seen(event, number, json.loads(data))
                    self.beats += 1
                    event, data, number = "message", "", ""
            return None

    async def take(self, count: int) -> list[Seen]:
        """So many events."""
        found = [await self.next() for _ in range(count)]
        assert None not in found
        return found  # type: ignore[return-value]

    async def beat(self) -> None:
        """Wait for a sign of life; an event in between is an error."""
        before = self.beats
        async with asyncio.timeout(WITHIN):
            async for line in self.lines:
                assert not line.startswith("data"), line
                if line.startswith("id: "):
                    self.last = line[4:]
                elif line.startswith("retry"):
                    self.head.append(line)
                elif not line:
                    self.beats += 1
                    if self.beats > before:
                        return
        raise AssertionError("the stream has ended")


class Client(httpx.AsyncClient):
    """Asks a server."""

    @asynccontextmanager
    async def watch(self, url: str, **options: Any) -> AsyncIterator[Stream]:
        """Open a watch and wait for its first bytes."""
        headers = {**EVENTS, **options.pop("headers", {})}
        async with self.stream("GET", url, headers=headers, **options) as response:
            assert response.status_code == 200, await response.aread()
            assert response.headers["content-type"].startswith("text/event-stream")
            yield Stream(response)

    async def refused(self, url: str, status: int, **options: Any) -> Any:
        """The problem that is answered instead."""
        headers = {**EVENTS, **options.pop("headers", {})}
        answer = await self.get(url, headers=headers, **options)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.json()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[Client]:
    """A client of an application behind a real server, in this event loop."""
    server = _Server(
        uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    )
    task = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await eventually_async(started)
    port = server.servers[0].sockets[0].getsockname()[1]
    limits = httpx.Limits(max_connections=None)
    async with Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=WITHIN, limits=limits) as client:
        yield client
    server.should_exit = True
    await task


@asynccontextmanager
async def watched(
    database: Any, first: Any, *more: Resource[Any], hooks: Hooks | None = None, also: Any = (), **options: Any
) -> AsyncIterator[Client]:
    """The resources behind a real server, with short heartbeats."""
    app = FastAPI()
    if not isinstance(first, Resource):
        options.setdefault("watch", QUICK)
    app.include_router(crud_router(first, *more, hooks=hooks, **options))
    documents = [found.document if isinstance(found, Resource) else found for found in (first, *more)]
    await init_beanie(database, document_models=list(dict.fromkeys([*documents, *also])))
    async with listening(app) as client:
        yield client
