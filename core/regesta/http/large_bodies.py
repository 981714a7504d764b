"""Large bodies and answers: on the disk while they wait, so that many at once fit into memory.

What a body takes while it is worked on is a multiple of its size. So large ones are worked on one after the other.
"""

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import Self

from starlette.requests import Request
from starlette.responses import Response

from regesta.errors import TooLarge
from regesta.http.headers import JSON
from regesta.http.received import check_announced, whole_pieces
from regesta.http.responses import SLICE, JsonResponse
from regesta.http.streams import Streamed
from regesta.operations import bounded

# Bytes; smaller bodies do not wait.
LARGE = 1024 * 1024

_turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()


@asynccontextmanager
async def large_body_of(request: Request, limit: int, seconds: float) -> AsyncIterator[bytes]:
    """The bytes of a body, which may be large: the block is left before the next large one is in memory.

    Raises TooLarge for more than `limit` bytes, Malformed where it is cut, Unavailable if others take longer than
    `seconds`.
    """
    check_announced(request, limit)
    with SpooledTemporaryFile(max_size=LARGE) as kept:
        size = 0
        async with aclosing(whole_pieces(request)) as pieces:
            async for piece in pieces:
                size += len(piece)
                if size > limit:
                    raise TooLarge(f"the body may have at most {limit} bytes")
                kept.write(piece)
        kept.seek(0)
        if size <= LARGE:
            yield kept.read()
            return
        turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with bounded(seconds):
            await turn.acquire()
        try:
            yield kept.read()
        finally:
            turn.release()


class Parts:
    """Parts of an answer that wait until all of them are known; if they are large, on the disk."""

    def __init__(self) -> None:
        self._kept = SpooledTemporaryFile(max_size=LARGE)  # noqa: SIM115 - closed by `__exit__`
        self._end = self._position = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._kept.close()

    def put(self, part: bytes) -> slice:
        """Keep a part; where it lies."""
        self._go_to(self._end)
        self._kept.write(part)
        start, self._end = self._end, self._end + len(part)
        self._position = self._end
        return slice(start, self._end)

    def get(self, place: slice) -> bytes:
        """The part that lies there."""
        self._go_to(place.start)
        self._position = place.stop
        return self._kept.read(place.stop - place.start)

    def _go_to(self, position: int) -> None:
        if position != self._position:
            self._kept.seek(position)


async def kept_answer(parts: AsyncGenerator[bytes]) -> Response:
    """An answer of JSON that comes in parts, and is sent once all of it is known."""
    kept = SpooledTemporaryFile(max_size=LARGE)  # noqa: SIM115 - closed by `close`

    async def close() -> None:
        kept.close()

    async def slices() -> AsyncGenerator[bytes]:
        while piece := kept.read(SLICE):
            yield piece

    try:
        async with aclosing(parts):
            async for part in parts:
                kept.write(part)
        size = kept.tell()
        kept.seek(0)
        if size <= LARGE:
            with kept:
                return JsonResponse(kept.read())
    except BaseException:
        kept.close()
        raise
    return Streamed(slices(), close, JSON, {}, length=size)
