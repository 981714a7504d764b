"""What is to be sent while a body is still read: it waits where the client does not read, and nobody waits for it."""

import asyncio
from collections.abc import Awaitable, Callable
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Self

from regesta.http import streams

Sending = Callable[[bytes], Awaitable[None]]

# Bytes that wait in memory, more of them in a temporary file, and how many may wait at all.
IN_MEMORY, LARGEST = 1024 * 1024, 256 * 1024 * 1024
PIECE = 64 * 1024


class Outbox:
    """A queue of bytes between who writes and a task that sends. `async with` ends when everything is sent.

    Many clients send their whole body before they read the answer. Were the body not read until they do, both
    would wait for ever: so what they do not take is kept for them, in constant memory. Raises TimeoutError
    where LARGEST bytes wait, or nothing more comes, and the client takes nothing for `streams.STALLED` seconds.
    """

    def __init__(self, send: Sending) -> None:
        self._send = send
        self._waiting = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by `__aexit__`
        self._written = self._read = 0
        self._ended = False
        self._something = asyncio.Event()
        self._taken = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._sender = asyncio.ensure_future(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._ended = True
                self._something.set()
                while not self._sender.done():
                    await self._one_taken()
                await self._sender
        finally:
            self._sender.cancel()
            await asyncio.wait({self._sender})
            self._waiting.close()

    async def put(self, data: bytes) -> None:
        """Queue it; waits only where too much waits already."""
        while self._written - self._read > LARGEST and not self._sender.done():
            await self._one_taken()
        self._waiting.seek(self._written)
        self._waiting.write(data)
        self._written += len(data)
        self._something.set()

    async def _one_taken(self) -> None:
        async with asyncio.timeout(streams.STALLED):
            await self._taken.wait()
        self._taken.clear()

    async def _run(self) -> None:
        try:
            while piece := await self._next():
                await self._send(piece)
                self._taken.set()
        finally:
            self._taken.set()

    async def _next(self) -> bytes:
        """What waits longest; b"" after the end."""
        while self._read == self._written and not self._ended:
            self._something.clear()
            await self._something.wait()
        self._waiting.seek(self._read)
        piece = self._waiting.read(PIECE)
        self._read += len(piece)
        if self._read == self._written:
            self._waiting.seek(0)
            self._waiting.truncate()
            self._written = self._read = 0
        return piece
