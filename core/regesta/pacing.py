"""Long work in short pieces, so that one request does not stop the others."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic, perf_counter

# Seconds that a request may hold the event loop before others get their turn.
LONGEST_HOLD = 0.02
# Seconds without a full collection after which one is made, however many requests would rather wait.
LONGEST_WITHOUT = 30.0
_NEVER = 2**31 - 1


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


class _Collections:
    """How many requests want no full collection now, and what the threshold was before the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way, self._usual, self._since = 0, 0, 0.0

    @contextmanager
    def held_off(self) -> Iterator[None]:
        with self._lock:
            young, middle, old = gc.get_threshold()
            if not self._under_way:
                self._usual, self._since = old, monotonic()
            self._under_way += 1
            gc.set_threshold(young, middle, _NEVER)
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                if not self._under_way:
                    young, middle, _ = gc.get_threshold()
                    gc.set_threshold(young, middle, self._usual)
                elif monotonic() - self._since > LONGEST_WITHOUT and gc.isenabled():
                    self._since = monotonic()
                    gc.collect()


_collections = _Collections()


def without_full_collections() -> AbstractContextManager[None]:
    """Let the garbage collector look at young objects only, while many are alive that are needed.

    A full collection holds the event loop for as long as it looks at all of them: hundreds of milliseconds for a
    million values.
    """
    return _collections.held_off()
