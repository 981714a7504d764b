"""One reader of a shared stream: a bounded queue that is filled without waiting."""

import asyncio
import logging
from collections import deque

from regesta.errors import ProblemError, Unavailable
from regesta.watch.audience import Audience, Commit, Parts

logger = logging.getLogger("regesta.watch")

MAX_BYTES = 16 * 1024 * 1024


class Overrun(Unavailable):
    """The reader was too slow: what it has not read is given up. It can resume from the last event it has read."""

    default_code = "OVERRUN"


class Watcher:
    """What an audience is told, queued for one connection of it."""

    def __init__(self, audience: Audience, most: int) -> None:
        self.audience = audience
        self._most = most
        self._queue: deque[tuple[Commit, Parts]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self.over = asyncio.Event()
        self.reason: ProblemError | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be read, and more may come."""
        return not self._queue and not self.over.is_set()

    def offer(self, commit: Commit) -> None:
        """Queue what the audience is told of a change; the watch ends where it does not read fast enough."""
        if self.over.is_set():
            return
        try:
            told = commit.told(self.audience)
        except Exception:
            logger.exception("a change could not be told")
            self.end(Unavailable("a change could not be told"))
            return
        if told:
            self._queue.append((commit, told))
            self._bytes += sum(map(len, told))
            self._wake.set()
        if len(self._queue) > self._most or self._bytes > MAX_BYTES:
            self.end(Overrun("too slow: resume from the last event that was read"))

    def end(self, reason: ProblemError | None) -> None:
        """No more changes. With a reason, what is queued is given up where that is why."""
        if self.over.is_set():
            return
        if isinstance(reason, Overrun):
            self.clear()
        self.reason = reason
        self.over.set()
        self._wake.set()

    def clear(self) -> None:
        """Give up what is queued."""
        self._queue.clear()
        self._bytes = 0

    async def next(self) -> tuple[Commit, Parts] | None:
        """The next change that concerns the audience with its events; None where the watch is over.

        What was queued before the end still comes. Raises the end's reason.
        """
        while not self._queue:
            if self.over.is_set():
                if self.reason is not None:
                    raise self.reason
                return None
            self._wake.clear()
            await self._wake.wait()
        commit, told = self._queue.popleft()
        self._bytes -= sum(map(len, told))
        return commit, told
