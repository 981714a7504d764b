"""One watch: from where the reader was, through what it missed, to the stream that all share."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from regesta.declarations import WatchLimits
from regesta.errors import Unavailable
from regesta.operations import bounded
from regesta.store import Changes, open_changes
from regesta.time_limits import TimeLimit
from regesta.watch.audience import Audience, Commit, beat, commit_of, order_of, pieces
from regesta.watch.hub import Hub, hub_of, watchers_here
from regesta.watch.tokens import Position
from regesta.watch.watcher import Watcher

# Connections that were made at once shall not all end at once.
SPREAD = 0.1

NOW = Position()


class Watch:
    """An open watch of one connection."""

    def __init__(self, hub: Hub, audience: Audience, limits: WatchLimits) -> None:
        self._hub = hub
        self._watcher = Watcher(audience, limits.queued)
        self._audience = audience
        self._limits = limits
        # The token behind all that the reader was told.
        self._position = hub.position
        self._missed = AsyncExitStack()
        self._history: Changes | None = None
        self._next: Commit | None = None
        self._clock = hub.loop.time

    async def open(self, position: Position) -> None:
        """Take the place in the stream. Raises Gone where the server knows nothing of it any more."""
        if position == NOW:
            self._hub.join(self._watcher)
            return
        await self._missed.enter_async_context(self._hub.catching_up)
        changes = open_changes(self._hub.collection, after=position.after, at=position.at, hasty=True)
        self._history = await self._missed.enter_async_context(changes)
        # The first look tells whether the history reaches back so far.
        self._next = await _next(self._history)
        self._position = position.after or self._position

    async def frames(self) -> AsyncIterator[bytes]:
        """Events, and a sign of life at least every `heartbeat` seconds, until the watch's life is over.

        Raises Gone where there is no telling what comes next, Overrun where the reader is too slow.
        """
        end = self._clock() + self._limits.lifetime * (1 - SPREAD * random.random())  # noqa: S311 - guards nothing
        yield f"retry: {int(self._limits.retry * 1000)}\n".encode()
        if self._history is None:
            yield self._beat()
        else:
            yield b"\n"
            async for part in self._catch_up(self._history):
                yield part
        seen = order_of(self._position)
        while (left := end - self._clock()) > 0:
            try:
                async with TimeLimit(min(self._limits.heartbeat, left)):
                    found = await self._watcher.next()
            except TimeoutError:
                if self._watcher.idle:
                    self._position = max(self._position, self._hub.position, key=order_of)
                    yield self._beat()
                continue
            if found is None:
                return
            commit, told = found
            if commit.order > seen:
                self._position = commit.token
                for part in pieces(told):
                    yield part

    async def close(self) -> None:
        """Leave; whatever is open is closed."""
        self._hub.watchers.discard(self._watcher)
        self._watcher.end(None)
        await self._missed.aclose()

    async def _catch_up(self, history: Changes) -> AsyncIterator[bytes]:
        """What was missed, by a stream of its own, until that has come to where the watcher joined the shared one."""
        found, goal, told_at = self._next, None, self._clock()
        while goal is None or order_of(history.token) < goal:
            if found is None and goal is None:  # about now: join, then make sure that nothing lies between
                self._hub.join(self._watcher)
                goal = order_of(self._hub.position)
            told = () if found is None else found.told(self._audience)
            if told or self._clock() - told_at >= self._limits.heartbeat:
                self._position = history.token
                for part in pieces(told or (self._beat(),)):
                    yield part
                told_at = self._clock()
            if self._watcher.over.is_set():
                self._watcher.clear()  # what it has missed before that, it will not be told
                return
            found = await _next(history)
        # The last one found lies behind the goal only where the loop ends before it is told.
        if found is not None:
            for part in pieces(found.told(self._audience)):
                yield part
        self._position = history.token
        await self._missed.aclose()

    def _beat(self) -> bytes:
        return beat(self._audience.tokens.issue(Position(self._position)))


async def _next(history: Changes) -> Commit | None:
    found = await history.next()
    return None if found is None else commit_of(found)


@asynccontextmanager
async def open_watch(
    collection: Any, audience: Audience, position: Position, limits: WatchLimits, seconds: float
) -> AsyncIterator[Watch]:
    """A watch from this position on; left with the block.

    Raises Unsupported, Gone, Unavailable (TOO_MANY_WATCHES, TIMEOUT after `seconds`, or the database is away).
    """
    if watchers_here() >= limits.watches:
        raise Unavailable("too many watches are open", code="TOO_MANY_WATCHES", retry_after=30)
    async with AsyncExitStack() as stack:
        async with bounded(seconds):
            hub = await stack.enter_async_context(hub_of(collection))
            watch = Watch(hub, audience, limits)
            stack.push_async_callback(watch.close)
            await watch.open(position)
        yield watch
