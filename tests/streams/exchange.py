"""An exchange with an application in which both sides talk at once, and the client may go away."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from tests.promises.asgi import scope_of
from tests.resources.serving import Client

Message = MutableMapping[str, Any]


class Exchange:
    """One request: what it has been answered so far; `feed` sends more of its body, `leave` cuts the connection."""

    def __init__(self, client: Client, method: str, path: str, **headers: str) -> None:
        self.status = 0
        self.body = bytearray()
        self.whole = False
        self.reading = asyncio.Event()
        self.reading.set()
        self.blocked = asyncio.Event()
        self.changed = asyncio.Condition()
        self._coming: asyncio.Queue[Message] = asyncio.Queue()
        self._app: Any = client._transport.app  # type: ignore[attr-defined]
        sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        self._scope = scope_of(method, path, sent)

    def begin(self) -> "asyncio.Task[None]":
        """Start it; the task ends when the application is done with it."""
        return asyncio.ensure_future(self._app(self._scope, self._coming.get, self._send))

    def feed(self, data: bytes, *, last: bool = False) -> None:
        self._coming.put_nowait({"type": "http.request", "body": data, "more_body": not last})

    def leave(self) -> None:
        self._coming.put_nowait({"type": "http.disconnect"})

    async def until_lines(self, count: int) -> None:
        """Wait for so many lines of the answer."""
        async with self.changed, asyncio.timeout(30):
            await self.changed.wait_for(lambda: self.body.count(b"\n") >= count)

    async def _send(self, message: Message) -> None:
        if not self.reading.is_set():
            self.blocked.set()
            await self.reading.wait()
        async with self.changed:
            self.status = message.get("status", self.status)
            self.body += message.get("body", b"")
            self.whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            self.changed.notify_all()
