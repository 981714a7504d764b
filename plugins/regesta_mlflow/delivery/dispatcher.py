"""Sends what is due, in the background: fairly among tenants and hosts, and again if that may help."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from regesta_mlflow.delivery.back_off import LONGEST, BackOff
from regesta_mlflow.delivery.queue import Queue
from regesta_mlflow.delivery.results import Blame, Result
from regesta_mlflow.delivery.shares import Shares

logger = logging.getLogger("regesta.delivery")

PLACES = 64  # deliveries at once
PLACES_OF_LANE = 4  # of one tenant to one host
MOST_RETRIES = 3
MOST_TENANTS = 100  # that are asked for one after the other
FIRST_PAUSE = 1.0  # seconds
POLL = 1.0  # seconds; what this process writes itself is sent at once

Send = Callable[[Mapping[str, Any]], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class _Lane:
    tenant: str
    host: str


class Dispatcher:
    """Takes deliveries that are due from a collection, each for one process at a time, and sends them.

    One tenant, or one host, has at most half of the places; see `Shares`. A host that there is no connection to rests
    for all tenants, one that does not answer a tenant's request for this tenant only: the request is the tenant's.
    """

    def __init__(self, collection: Callable[[], Any], send: Send, lease: timedelta, places: int = PLACES) -> None:
        self._queue = Queue(collection, lease)
        self._send = send
        self._wake = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._tenants, self._hosts = Shares(places), Shares(places)
        self._lanes: Counter[_Lane] = Counter()
        self._down = BackOff()
        self._silent: dict[str, BackOff] = {}  # by tenant

    def start(self) -> None:
        """Begin."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; what is on its way is sent again by whoever comes next."""
        tasks = [task for task in (self._running, *self._sending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                while self._tenants.free and (taken := await self._take()):
                    self._begin(taken)
            except Exception:
                logger.exception("the deliveries cannot be read")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._wake.wait()

    async def _take(self) -> dict[str, Any] | None:
        without = {str(tenant) for tenant in self._tenants.full()}
        for _ in range(MOST_TENANTS):
            tenant = await self._queue.next_tenant(without)
            if tenant is None:
                return None
            if taken := await self._queue.take(tenant, self._held(tenant)):
                return taken
            without.add(tenant)
        return None

    def _held(self, tenant: str) -> set[str]:
        """The hosts that this tenant sends nothing to now."""
        full = {str(host) for host in self._hosts.full()}
        silent = self._silent.get(tenant)
        busy = {lane.host for lane, count in self._lanes.items() if lane.tenant == tenant and count >= PLACES_OF_LANE}
        probed = {
            lane.host
            for lane in self._lanes
            if self._down.is_doubtful(lane.host)
            or (silent is not None and lane.tenant == tenant and silent.is_doubtful(lane.host))
        }
        return full | busy | probed | set(silent.resting() if silent is not None else ())

    def _begin(self, taken: dict[str, Any]) -> None:
        lane = _Lane(taken["workspace"], taken.get("host") or "")
        self._tenants.take(lane.tenant)
        self._hosts.take(lane.host)
        self._lanes[lane] += 1
        task = asyncio.create_task(self._deliver(lane, taken))
        self._sending.add(task)
        task.add_done_callback(lambda done: self._ended(lane, done))

    def _ended(self, lane: _Lane, task: "asyncio.Task[None]") -> None:
        self._sending.discard(task)
        self._tenants.leave(lane.tenant)
        self._hosts.leave(lane.host)
        self._lanes[lane] -= 1
        if not self._lanes[lane]:
            del self._lanes[lane]
        self._wake.set()
        if not task.cancelled() and (error := task.exception()):
            logger.error("a delivery failed", exc_info=error)

    async def _deliver(self, lane: _Lane, taken: dict[str, Any]) -> None:
        if rest := self._down.remaining(lane.host):
            # Another tenant has found out. From now on nothing of this lane is taken until the rest is over.
            self._silent_of(lane.tenant).asked(lane.host, rest)
            await self._queue.put_back(taken, lane.host, rest)
            return
        result = await self._send(taken)
        if result.moved_to is not None:
            await self._queue.put_back(taken, result.moved_to)
            return
        await self._learn(lane, result)
        if result.final or taken["attempts"] > MOST_RETRIES:
            await self._queue.finish(taken, result.said)
        else:
            pause = FIRST_PAUSE * 2.0 ** (taken["attempts"] - 1) if result.pause is None else result.pause
            await self._queue.postpone(taken, min(pause, LONGEST))

    async def _learn(self, lane: _Lane, result: Result) -> None:
        if result.blame is Blame.NOTHING:
            self._down.answered(lane.host)
            self._answered(lane)
        elif result.blame is Blame.HOST:
            self._down.failed(lane.host)
        else:
            self._down.answered(lane.host)
            self._silent_of(lane.tenant).failed(lane.host)
        if result.pause is not None:
            self._silent_of(lane.tenant).asked(lane.host, result.pause)
        if result.blame is not Blame.NOTHING and (count := await self._queue.give_up(lane.tenant, lane.host)):
            logger.warning("%d deliveries to %s are given up", count, lane.host)

    def _answered(self, lane: _Lane) -> None:
        if silent := self._silent.get(lane.tenant):
            silent.answered(lane.host)
            if not len(silent):
                del self._silent[lane.tenant]

    def _silent_of(self, tenant: str) -> BackOff:
        return self._silent.setdefault(tenant, BackOff())
