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

from regesta import Hooks, crud_router
from regesta.audit import AuditRecord, AuditTrail
from regesta.store import open_store


async def serve(listener: socket.socket, uri: str, database: str) -> None:
    """Answer until killed."""
    async with open_store(uri, database=database) as store:
        await init_beanie(store.database, document_models=[Account, AuditRecord], skip_indexes=True)
        app = FastAPI()
        # Its key is the id: nothing but the Idempotency-Key tells two requests from one that was repeated.
        app.include_router(crud_router(Account, key="id", hooks=Hooks(AuditTrail())))
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
