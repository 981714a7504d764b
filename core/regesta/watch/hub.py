"""One change stream for all the watchers of a collection in this process."""

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pymongo.errors import PyMongoError

from regesta.errors import Gone, ProblemError, Unavailable
from regesta.pacing import Pace
from regesta.store import PerClient, keep_images, open_changes, unavailable
from regesta.watch.audience import Commit, commit_of
from regesta.watch.watcher import Watcher

logger = logging.getLogger("regesta.watch")

# Seconds between attempts while the database is away.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0

# How many readers of one hub may catch up at once: each has a change stream of its own meanwhile.
CATCHING_UP = 16

_hubs: PerClient[dict[str, "Hub"]] = PerClient(dict)
_kept = PerClient(set[str])
_asking = PerClient(asyncio.Lock)
_ended: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


class Hub:
    """The shared stream of one collection: opened for the first user, closed after the last one."""

    def __init__(self, collection: Any) -> None:
        self.collection = collection
        self.loop = asyncio.get_running_loop()
        self.watchers: set[Watcher] = set()
        self.users = 0
        self.ended = False
        self.catching_up = asyncio.Semaphore(CATCHING_UP)
        self._pause = FIRST_PAUSE
        self._position: Mapping[str, Any] | None = None
        self._opened: asyncio.Future[None] = self.loop.create_future()
        self._opened.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._task = self.loop.create_task(self._run(), name=f"watch {collection.full_name}")

    @property
    def position(self) -> Mapping[str, Any]:
        """The token behind all that watchers were told; once `opened` is over."""
        if self._position is None:
            raise LookupError("the stream is not open yet")
        return self._position

    async def opened(self) -> None:
        """Wait until the stream is open. Raises what kept it from it."""
        await asyncio.shield(self._opened)

    def join(self, watcher: Watcher) -> None:
        """Tell the watcher of every change behind `position`."""
        if self.ended:
            watcher.end(None)
        else:
            self.watchers.add(watcher)

    def end(self, reason: ProblemError | None = None) -> None:
        """End all watches; the next ones get a hub of their own."""
        forget(self.collection, self)
        self.ended = True
        for watcher in list(self.watchers):
            watcher.end(reason)
        self.watchers.clear()

    async def _run(self) -> None:
        reason: ProblemError | None = None
        try:
            while self.users and not self.ended:
                try:
                    await self._share()
                except PyMongoError as error:
                    if not self._opened.done() or unavailable(error) is None:
                        raise
                    logger.warning("the changes of %s pause: %s", self.collection.full_name, error)
                    await asyncio.sleep(self._pause)
                    self._pause = min(self._pause * 2, LONGEST_PAUSE)
        except Gone as gone:
            reason = gone
            kept_of(self.collection).discard(self.collection.full_name)
            self._fail(gone)
        except PyMongoError as error:
            self._fail(error)
            # A client that was closed needs no more words: the application ends.
            logger.info("the changes of %s end: %s", self.collection.full_name, error)
        finally:
            self._fail(Unavailable("the watch was ended"))
            self.end(reason)

    async def _share(self) -> None:
        async with open_changes(self.collection, after=self._position) as changes:
            self._position = changes.token
            if not self._opened.done():
                self._opened.set_result(None)
            while self.users and not self.ended:
                found = await changes.next()
                self._pause = FIRST_PAUSE
                if found is not None:
                    await self._offer(commit_of(found))
                self._position = changes.token

    async def _offer(self, commit: Commit) -> None:
        """Tell all watchers of a change, also those that join meanwhile: they have the position before it."""
        pace, told = Pace(), set[Watcher]()
        while waiting := self.watchers - told:
            for watcher in waiting:
                watcher.offer(commit)
                await pace.rest()
            told |= waiting

    def _fail(self, error: Exception) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)


@asynccontextmanager
async def hub_of(collection: Any) -> AsyncIterator[Hub]:
    """The open hub of a collection, kept until the block is left.

    Raises Unsupported where the store cannot be watched, Unavailable while the process ends.
    """
    if asyncio.get_running_loop() in _ended:
        raise Unavailable("the service is being stopped")
    await kept(collection)
    hubs = _hubs.of(collection.database.client)
    hub = hubs.get(collection.full_name)
    if hub is None or hub.ended or hub.loop is not asyncio.get_running_loop():
        hub = hubs[collection.full_name] = Hub(collection)
    hub.users += 1
    try:
        await hub.opened()
        yield hub
    finally:
        hub.users -= 1
        if hub.users <= 0:
            forget(collection, hub)


async def kept(collection: Any) -> None:
    """Let the server keep what watches need of changes. Raises Unsupported."""
    known = kept_of(collection)
    if collection.full_name in known:
        return
    # Who connects at once, as after a restart, shall not ask the same at once.
    async with asking(collection):
        if collection.full_name not in known:
            await keep_images(collection)
            known.add(collection.full_name)


def asking(collection: Any) -> asyncio.Lock:
    """Held while something is asked of the database that all want to know and one may ask for them."""
    return _asking.of(collection.database.client)


def kept_of(collection: Any) -> set[str]:
    """The collections of this client whose images are known to be kept."""
    return _kept.of(collection.database.client)


def forget(collection: Any, hub: Hub) -> None:
    """Let the next watch of the collection have a new hub: this one ends."""
    hubs = _hubs.of(collection.database.client)
    if hubs.get(collection.full_name) is hub:
        del hubs[collection.full_name]


def watchers_here() -> int:
    """How many watches this process serves."""
    return sum(hub.users for hubs in _hubs.values() for hub in hubs.values())


def end_watches() -> None:
    """End every watch of the running event loop and refuse new ones: the server is about to stop.

    Clients see the end of the stream and connect again, wherever their proxy then leads them.
    """
    loop = asyncio.get_running_loop()
    _ended.add(loop)
    for hub in [hub for hubs in _hubs.values() for hub in hubs.values() if hub.loop is loop]:
        hub.end()
