"""A server as a process of its own, which is there again after each kill: forked from one that has imported everything.

`--gullible` takes away what makes its answers durable: it believes whatever the primary shows.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from beanie import init_beanie
from fastapi import FastAPI
from tests.promises.documents import Account, Plain

import regesta_models
from regesta import Hooks, Registry, crud_router
from regesta.audit import AuditRecord, AuditTrail
from regesta.http import registry_router
from regesta.operations import repeats, vouching
from regesta.store import open_store

GULLIBLE = "--gullible"
# Motor waits for each statement in a thread, and has five for each processor: all of them would wait for the majority,
# and nothing else would reach the database.
THREADS = 64


def application() -> FastAPI:
    """`/accounts` with an audit trail, `/plains` without a transaction, and the model registry."""
    app = FastAPI()
    app.include_router(crud_router(Account, key="name", hooks=Hooks(AuditTrail())))
    app.include_router(crud_router(Plain, key="name"))
    hooks = Hooks(AuditTrail())
    hooks.add(regesta_models, name="models")
    registry = Registry([found for _, some in hooks.collect("register_resources") for found in some], hooks)
    app.include_router(registry_router(registry))
    for _, routers in hooks.collect("register_routers", registry=registry):
        for router in routers:
            app.include_router(router)
    return app


def documents() -> list[Any]:
    """What the application stores."""
    hooks = Hooks()
    hooks.add(regesta_models, name="models")
    brought = [found for _, some in hooks.collect("register_resources") for found in some]
    return [Account, Plain, AuditRecord, *(resource.document for resource in brought)]


async def make_indexes(uri: str, database: str) -> None:
    """What a server does at its first start."""
    async with open_store(uri, database=database) as store:
        await init_beanie(store.database, document_models=documents())


async def _serve(listener: socket.socket, uri: str, database: str) -> None:
    async with open_store(uri, database=database) as store:
        await init_beanie(store.database, document_models=documents(), skip_indexes=True)
        server = uvicorn.Server(uvicorn.Config(application(), log_level="error", lifespan="off"))
        await server.serve(sockets=[listener])


def _believe_everything() -> None:
    """The negative control: whatever is read is taken for good."""

    async def confirms(_: Any, __: float) -> bool:
        return True

    def all_of(collection: Any) -> Any:
        return collection

    vouching.Witness.confirms = confirms  # type: ignore[method-assign, assignment]
    vouching.acknowledged = repeats.acknowledged = all_of  # type: ignore[attr-defined]


def main(port: int, uri: str, database: str, *options: str) -> None:
    """Fork a server, print its process id, wait until it was killed; for as long as somebody reads that."""
    if GULLIBLE in options:
        _believe_everything()
    listener = socket.create_server(("127.0.0.1", port))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(listener.getsockname()[1], flush=True)
    while True:
        child = os.fork()
        if not child:
            asyncio.run(_serve(listener, uri, database))
            os._exit(1)
        print(child, flush=True)
        os.waitpid(child, 0)


class Server:
    """A server for a test or a script: `url` answers again after each `kill`."""

    def __init__(self, uri: str, database: str, *options: str) -> None:
        command = [sys.executable, "-m", "tests.faults.server", "0", uri, database, *options]
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), *sys.path]))
        environment = {**os.environ, "PYTHONPATH": path, "MOTOR_MAX_WORKERS": str(THREADS)}
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self._next()}"
        self._pid = self._next()

    def kill(self) -> None:
        """With -9. Another one takes its place."""
        os.kill(self._pid, signal.SIGKILL)
        self._pid = self._next()

    def close(self) -> None:
        self._process.terminate()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _next(self) -> int:
        assert self._process.stdout
        return int(self._process.stdout.readline())


@contextlib.contextmanager
def serving(uri: str, database: str, *options: str) -> Iterator[Server]:
    """A server, closed in the end."""
    server = Server(uri, database, *options)
    try:
        yield server
    finally:
        server.close()


if __name__ == "__main__":
    arguments: Any = sys.argv[1:]
    main(int(arguments[0]), *arguments[1:])
