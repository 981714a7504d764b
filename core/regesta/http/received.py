"""The bytes of a body: whole, or piece by piece."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import ClientDisconnect, Request

from regesta.errors import Malformed, TooLarge
from regesta.http import streams
from regesta.pacing import Pace

MAX_DIGITS = 20
SMALL = 16 * 1024


async def body_of(request: Request, limit: int) -> bytes:
    """The body's bytes. Raises TooLarge as soon as it is known to exceed `limit` bytes, Malformed where it is cut."""
    check_announced(request, limit)
    chunks = bytearray()
    async with aclosing(whole_pieces(request)) as pieces:
        async for chunk in pieces:
            chunks += chunk
            if len(chunks) > limit:
                raise TooLarge(f"the body may have at most {limit} bytes")
    return bytes(chunks)


def check_announced(request: Request, limit: int) -> None:
    """Raises TooLarge for a body whose Content-Length is larger than `limit`."""
    announced = request.headers.get("content-length", "")
    # int() refuses thousands of digits with an error of its own.
    if announced.isdecimal() and (len(announced) > MAX_DIGITS or int(announced) > limit):
        raise TooLarge(f"the body may have at most {limit} bytes")


async def small_pieces_of(request: Request) -> AsyncGenerator[bytes]:
    """As `pieces_of`, in small pieces with turns for others between them: for work that is done for single bytes."""
    pace = Pace()
    async with aclosing(pieces_of(request)) as pieces:
        async for piece in pieces:
            for start in range(0, len(piece), SMALL):
                yield piece[start : start + SMALL]
                await pace.rest()


async def whole_pieces(request: Request) -> AsyncGenerator[bytes]:
    """As `pieces_of`. Raises Malformed where the body is cut, too."""
    try:
        async with aclosing(pieces_of(request)) as pieces:
            async for piece in pieces:
                yield piece
    except ClientDisconnect:
        raise Malformed("the body ended before it was whole", code="INCOMPLETE_BODY") from None


async def pieces_of(request: Request) -> AsyncGenerator[bytes]:
    """The body in pieces, as they come.

    Raises ClientDisconnect where the client is gone, Malformed where nothing comes for `streams.STALLED` seconds: a
    connection on which nobody sends must not stay open for ever.
    """
    async with aclosing(request.stream()) as pieces:
        while True:
            try:
                async with asyncio.timeout(streams.STALLED):
                    piece = await anext(pieces, None)
            except TimeoutError:
                said = f"nothing of the body came for {streams.STALLED:.0f} seconds"
                raise Malformed(said, code="INCOMPLETE_BODY") from None
            if piece is None:
                return
            if piece:
                yield piece
