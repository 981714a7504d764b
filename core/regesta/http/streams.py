"""Answers that are sent piece by piece, in constant memory."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

# Seconds in which a client must have taken a piece: somebody who reads nothing more must not hold a cursor for ever.
STALLED = 60.0


class Streamed(Response):
    """An answer in pieces. What fails on the way is raised, and so the connection is broken off.

    A client can tell an answer that was broken off from a whole one: the last chunk is missing (RFC 9112, 7.1), or
    bytes of the `length` that was announced.
    `close` is awaited at the end, whatever happened.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes],
        close: Callable[[], Coroutine[Any, Any, None]],
        media_type: str,
        headers: Mapping[str, str],
        *,
        status: int = 200,
        length: int | None = None,
    ) -> None:
        self.status_code = status
        self.background = None
        self.body = b""
        self.media_type = media_type
        self._pieces = pieces
        self._close = close
        self.init_headers(headers)
        del self.headers["content-length"]
        if length is not None:
            self.headers["content-length"] = str(length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all pieces, until the client is gone."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                async for piece in self._pieces:
                    await in_time(send({"type": "http.response.body", "body": piece, "more_body": True}))
                    # A server need not wait for anything in `send`; others want their turn too.
                    await asyncio.sleep(0)
                    if gone.done():
                        return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            await surely(self._end())

    async def _end(self) -> None:
        try:
            await self._pieces.aclose()
        finally:
            await self._close()


async def in_time(sending: Awaitable[None]) -> None:
    """Await what is sent. Raises TimeoutError where the client does not take it."""
    async with asyncio.timeout(STALLED):
        await sending


async def surely(work: Coroutine[Any, Any, None]) -> None:
    """Do it to its end, even where who waits for it is cancelled, again and again as anyio does it."""
    task = asyncio.ensure_future(work)
    _ENDING.add(task)
    task.add_done_callback(_ENDING.discard)
    await asyncio.shield(task)


_ENDING: set[asyncio.Future[None]] = set()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
