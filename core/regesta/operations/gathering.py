"""Creates that come at once go into the store together: one transaction for several, as databases commit groups.

A create that comes alone runs by itself. Where two are on their way, or one with the same parent, those that come next
wait for the end of one, and then share the round trips of one transaction, with their own hooks, callers, audit events
and answers. Where one of them fails there, or the transaction meets another one, nothing of it stands, and each runs by
itself after all.
"""

import asyncio
import contextvars
import copy
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pymongo.errors import PyMongoError

from regesta.errors import ProblemError
from regesta.operations.deadlines import LATE, bounded
from regesta.operations.pending import ItemFailed, NotRecorded, Pending
from regesta.operations.unit import AfterCommit, Unit

W = TypeVar("W")

Work = Callable[[Unit], Coroutine[Any, Any, W]]

# How many transactions at a time, how many creates in one, and how many seconds these wait for others that take long.
AT_ONCE = 3
MOST = 64
PATIENCE = 0.05
# After so many writes others get their turn: a thousand would keep the event loop for a tenth of a second.
AT_A_TIME = 32


class Scattered(Exception):
    """Nothing was written: each is to run by itself."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A create that waits. Its hooks see the context variables of its own request."""

    work: Work[Any]
    meets: Hashable
    outcome: asyncio.Future[Any]
    overdue: asyncio.TimerHandle | None = None
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    after_commit: list[AfterCommit] = field(default_factory=list)


Works = Mapping[int, Callable[[Unit], Awaitable[Any]]]
Run = Callable[[Callable[[Unit], Awaitable[Mapping[int, Any]]]], Awaitable[Mapping[int, Any]]]
# Does them in one transaction, once: what became of each. Raises ItemFailed, NotRecorded, Scattered: nothing stands.
Together = Callable[[Works], Awaitable[Mapping[int, Any]]]


async def done_in(unit: Unit, works: Works, send: Callable[[Unit], Awaitable[None]]) -> dict[int, Any]:
    """What became of each, in one unit that holds back what it writes; `send` sends it.

    One that fails and has done nothing yet does not stop the others. Raises ItemFailed where one fails that has: only
    an abort undoes it.
    """
    unit.pending = pending = Pending()
    outcomes: dict[int, Any] = {}
    for count, (index, work) in enumerate(works.items(), 1):
        pending.index, before = index, pending.effects
        try:
            outcomes[index] = await work(unit)
        except ProblemError as error:
            if pending.effects != before:
                # What is held back came before it, and may fail too.
                await send(unit)
                raise ItemFailed(index, error) from None
            outcomes[index] = error
        if count % AT_A_TIME == 0:
            await asyncio.sleep(0)
    await send(unit)
    return outcomes


async def once(run: Run, works: Works, send: Callable[[Unit], Awaitable[None]]) -> Mapping[int, Any]:
    """As `done_in`, in one transaction that is tried once. Raises Scattered where that meets another one."""
    tried = False

    async def work(unit: Unit) -> Mapping[int, Any]:
        nonlocal tried
        if tried:
            raise Scattered
        tried = True
        return await done_in(unit, works, send)

    return await run(work)


class Gathering:
    """The creates of one resource in this process."""

    def __init__(self, together: Together, seconds: float) -> None:
        self._together = together
        self._seconds = seconds
        self._running = 0
        self._busy: Counter[Hashable] = Counter()
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def join(self, work: Work[W], alone: Callable[[], Awaitable[W]], meets: Hashable) -> W:
        """Do `work` together with others where some are on their way, else `alone`. Raises what either raises.

        Transactions with the same `meets` would abort each other; None meets nobody. Who waits longer than `seconds`
        is told Unavailable.
        """
        if self._running < AT_ONCE and self._may_begin(meets):
            return await self._alone(alone, meets)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(work, meets, loop.create_future())
        self._waiting.append(waiting)
        waiting.overdue = loop.call_later(PATIENCE, self._hurry, waiting)
        try:
            async with bounded(self._seconds, LATE):
                written: W = await waiting.outcome
        except Scattered:
            return await self._alone(alone, meets)
        finally:
            if waiting.overdue is not None:
                waiting.overdue.cancel()
        for action in waiting.after_commit:
            await action()
        return written

    async def _alone(self, alone: Callable[[], Awaitable[W]], meets: Hashable) -> W:
        self._take([meets])
        try:
            return await alone()
        finally:
            self._end([meets])

    def _may_begin(self, meets: Hashable) -> bool:
        return meets is None or not self._busy[meets]

    def _take(self, meets: Iterable[Hashable]) -> None:
        self._running += 1
        self._busy.update(meets)

    def _end(self, meets: Iterable[Hashable]) -> None:
        self._running -= 1
        self._busy.subtract(meets)
        self._busy = +self._busy
        while self._running < AT_ONCE and (ready := self._ready()):
            share = ready[: -(-len(ready) // (AT_ONCE - self._running))]
            same = {one.meets for one in share} - {None}
            self._begin(share + [one for one in ready[len(share) :] if one.meets in same])

    def _ready(self) -> list[_Waiting]:
        self._waiting = [one for one in self._waiting if not one.outcome.done()]
        return [one for one in self._waiting if self._may_begin(one.meets)]

    def _hurry(self, waiting: _Waiting) -> None:
        """Those before it take long: whom it does not meet, it does not wait for."""
        if waiting not in self._waiting:
            return
        if waiting in (ready := self._ready()):
            self._begin(ready)
        else:
            waiting.overdue = asyncio.get_running_loop().call_later(PATIENCE, self._hurry, waiting)

    def _begin(self, group: list[_Waiting]) -> None:
        group = group[:MOST]
        self._waiting = [one for one in self._waiting if one not in group]
        self._take({one.meets for one in group})
        task = asyncio.get_running_loop().create_task(self._write(group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, group: list[_Waiting]) -> None:
        outcomes: Mapping[int, Any] = {}
        try:
            outcomes = await self._together({index: _in_own_context(one) for index, one in enumerate(group)})
        except (ItemFailed, NotRecorded, Scattered):
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            outcomes = {index: _copied(error) for index in range(len(group))}
        finally:
            self._end({one.meets for one in group})
            for index, one in enumerate(group):
                _tell(one.outcome, outcomes.get(index, Scattered()))


def _in_own_context(waiting: _Waiting) -> Callable[[Unit], Awaitable[Any]]:
    async def work(unit: Unit) -> Any:
        before = len(unit.after_commit)
        try:
            return await asyncio.get_running_loop().create_task(waiting.work(unit), context=waiting.context)
        except (ProblemError, PyMongoError):
            raise
        except Exception as error:
            # Its own fault, of which the others are to hear nothing.
            raise Scattered from error
        finally:
            waiting.after_commit = unit.after_commit[before:]
            del unit.after_commit[before:]

    return work


def _copied(error: Exception) -> Exception:
    """For each who is told, since whoever raises an error writes into it; the same one where it cannot be copied."""
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001 - made by whoever wrote its class
        return error


def _tell(waits: asyncio.Future[Any], outcome: Any) -> None:
    if waits.done():
        return
    if isinstance(outcome, BaseException):
        waits.set_exception(outcome)
    else:
        waits.set_result(outcome)
