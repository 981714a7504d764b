"""Writers of this process that mean the same document go one after the other.

Correctness does not rest on it: the write itself decides, also between processes. But transactions that meet
on one document abort each other, and fifty of them at once spend most of their time starting again.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from weakref import WeakValueDictionary


class Turns:
    """A queue per document; those that nobody waits in are forgotten."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    def of(self, subject: Hashable) -> AbstractAsyncContextManager[None]:
        """Wait until everybody before is done with the subject; None stands for nothing to wait for."""
        return nullcontext() if subject is None else self._turn(subject)

    @asynccontextmanager
    async def _turn(self, subject: Hashable) -> AsyncIterator[None]:
        lock = self._locks.get(subject)
        if lock is None:
            lock = self._locks[subject] = asyncio.Lock()
        async with lock:
            yield
