"""Long work in short pieces, so that one request does not stop the others."""

import asyncio
from time import perf_counter

# Seconds that a request may hold the event loop before others get their turn.
LONGEST_HOLD = 0.02


class Pace:
    """Counts how long a request holds the event loop: `await pace.rest()` between two pieces of work.

    A piece is what cannot be interrupted, such as one document. What bounds a piece is the limit of its size.
    """

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = perf_counter()

    async def rest(self) -> None:
        """Let others run if this request has held the loop for LONGEST_HOLD seconds."""
        if perf_counter() - self._since >= LONGEST_HOLD:
            await asyncio.sleep(0)
            self._since = perf_counter()
