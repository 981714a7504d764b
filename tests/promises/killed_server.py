"""A server that is killed again and again: each time another process, forked from one that has imported everything."""

import asyncio
import os
import signal
import socket
import sys
from typing import Any

import uvicorn
from beanie import init_beanie
from fastapi import FastAPI
from tests.promises.documents import Account

from regesta import AuditEvent, Change, Hooks, crud_router, hookimpl
from regesta.audit import AuditRecord, AuditTrail
from regesta.store import open_store

BEFORE, AFTER = "die-before-the-commit", "die-after-the-commit"


class Dies:
    """Kills its own process where the request's id says so."""

    @hookimpl
    def record_change(self, change: Change[Any]) -> None:
        if change.caller.request_id == BEFORE:
            os.kill(os.getpid(), signal.SIGKILL)

    @hookimpl
    def audit_event(self, event: AuditEvent) -> None:
        if event.request_id == AFTER:
            os.kill(os.getpid(), signal.SIGKILL)


async def serve(listener: socket.socket, uri: str, database: str) -> None:
    """Answer until killed."""
    async with open_store(uri, database=database) as store:
        await init_beanie(store.database, document_models=[Account, AuditRecord], skip_indexes=True)
        app = FastAPI()
        # The key is the id, and no name is unique here: only the header tells a repetition from another request.
        app.include_router(crud_router(Account, key="id", hooks=Hooks(AuditTrail(), Dies())))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        await server.serve(sockets=[listener])


def main(port: int, uri: str, database: str) -> None:
    """Fork a server, tell its process id, wait until it was killed; for as long as there is somebody to tell."""
    listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        child = os.fork()
        if not child:
            asyncio.run(serve(listener, uri, database))
            os._exit(1)
        print(child, flush=True)
        os.waitpid(child, 0)


if __name__ == "__main__":
    arguments: Any = sys.argv[1:]
    main(int(arguments[0]), *arguments[1:])
