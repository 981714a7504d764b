"""The whole service and one free-form resource, in a loop that measures how long each callback holds it.

    python -m tests.benchmarks.apps.hostile PORT

`GET /-/holds` answers the longest hold since the last time it was asked, in milliseconds of CPU, and forgets it.
"""

import asyncio
import json
import os
import sys
import time
from functools import partial
from typing import Annotated, Any

import uvicorn
from pymongo import ASCENDING, IndexModel
from starlette.types import ASGIApp, Receive, Scope, Send

from regesta import Immutable, Resource, hookimpl
from regesta.service import Settings, create_app
from regesta.service.heads import BoundedHttp, Bounds
from regesta.service.memory import keep_what_is_there
from regesta.service.plugins import load_hooks
from regesta.workspaces import Workspaced, workspace_scope

TICK = 0.005


class Free(Workspaced):
    """A document that takes any JSON."""

    name: Annotated[str, Immutable]
    year: int = 0
    text: str = ""
    data: dict[str, Any] = {}

    class Settings:
        name = "free"
        use_revision = True
        indexes = [IndexModel([("workspace", ASCENDING), ("name", ASCENDING)], unique=True)]


class FreePlugin:
    """Registers it."""

    name = "free"

    @hookimpl
    def register_resources(self) -> list[Resource[Any]]:
        return [Resource(Free, name="free", key="name", scope=workspace_scope, filters=["name", "year", "text"])]


class Meter:
    """The longest callback by the loop thread's own CPU time; the most CPU of all threads between two of them."""

    def __init__(self) -> None:
        self.loop = self.process = 0.0
        self._last = time.process_time()

    def install(self) -> None:
        """Measure every callback of every loop of this process."""
        run = asyncio.Handle._run

        def measured(handle: asyncio.Handle) -> None:
            began = time.thread_time()
            run(handle)
            self.loop = max(self.loop, time.thread_time() - began)

        asyncio.Handle._run = measured  # type: ignore[method-assign, assignment]

    async def tick(self) -> None:
        """What other threads do while the loop waits for the interpreter counts too: a probe sees both."""
        while True:
            await asyncio.sleep(TICK)
            now = time.process_time()
            self.process, self._last = max(self.process, now - self._last), now

    def taken(self) -> dict[str, float]:
        """Milliseconds, from then on forgotten."""
        found = {"loop": self.loop * 1000, "process": self.process * 1000}
        self.loop = self.process = 0.0
        return found


meter = Meter()


def measuring(app: ASGIApp) -> ASGIApp:
    """The application, with the route that tells what was measured."""

    async def measured(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/-/holds":
            await app(scope, receive, send)
            return
        body = json.dumps(meter.taken()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    return measured


async def main(port: int) -> None:
    """Serve."""
    hooks = load_hooks()
    hooks.add(FreePlugin(), name="free")
    settings = Settings.load(store=os.environ["BENCHMARK_URI"], database=os.environ["BENCHMARK_DATABASE"])
    app = create_app(settings, hooks=hooks)
    http: Any = partial(BoundedHttp, bounds=Bounds(settings.head_timeout, settings.max_connections))
    config = uvicorn.Config(
        measuring(app), port=port, http=http, lifespan="off", access_log=False, log_level="warning", ws="none"
    )
    async with app.router.lifespan_context(app):
        keep_what_is_there()
        await asyncio.to_thread(app.openapi)  # as the service does it when it starts
        meter.install()
        ticking = asyncio.create_task(meter.tick())
        await uvicorn.Server(config).serve()
        ticking.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
