"""Creates that come at once go into the store together: one transaction for several, as databases commit groups.

A create that comes alone runs by itself. While one is on its way, those that come next wait until nobody else comes for
a moment, and then share the round trips of one transaction, with their own hooks, callers, audit events and answers;
those that would abort another one wait for its end. Where one of them fails there, or the transaction meets another
one, nothing of it stands, and each runs by itself after all.
"""

import asyncio
import contextvars
import copy
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from pymongo.errors import PyMongoError

from regesta.change import Caller
from regesta.errors import ProblemError, TooLarge
from regesta.hooks import HookFailed
from regesta.operations.deadlines import LATE, bounded
from regesta.operations.pending import ItemFailed, NotRecorded, Pending
from regesta.operations.unit import AfterCommit, Unit, telling
from regesta.pacing import Pace

W = TypeVar("W")

Work = Callable[[Unit], Coroutine[Any, Any, W]]

# How many transactions at a time, and how many creates in one.
AT_ONCE = 3
MOST = 64
# Seconds: who waits goes once nobody came for a lull, or a gathering after the first came; answers bring new requests,
# one after the other. Where others take long, nobody whom they do not meet waits for them for more than the patience.
LULL = 0.001
LONGEST = 0.01
PATIENCE = 0.05


class Scattered(Exception):
    """Nothing was written: each is to run by itself."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a new document goes: below these parents, as the caller sees them."""

    caller: Caller
    parents: tuple[str, ...]

    @property
    def meets(self) -> Hashable:
        """Transactions with the same one would abort each other; None meets nobody."""
        return self.parents or None


@dataclass(slots=True, eq=False)
class _Waiting:
    """A create that waits. Its hooks see the context variables of its own request."""

    work: Work[Any]
    target: Target
    outcome: asyncio.Future[Any]
    since: float
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    after_commit: list[AfterCommit] = field(default_factory=list)
    telling: asyncio.Task[None] | None = None


Works = Mapping[int, Callable[[Unit], Awaitable[Any]]]
Run = Callable[[Callable[[Unit], Awaitable[Mapping[int, Any]]]], Awaitable[Mapping[int, Any]]]
# Does them in one transaction, once: what became of each. Raises ItemFailed, NotRecorded, Scattered: nothing stands.
Together = Callable[[Works, Sequence[Target]], Awaitable[Mapping[int, Any]]]
Step = Callable[[Unit], Awaitable[None]]


def _whole(_: int, outcome: Any) -> Any:
    return outcome


async def done_in(
    unit: Unit, works: Works, send: Step, begin: Step | None = None, keep: Callable[[int, Any], Any] = _whole
) -> dict[int, Any]:
    """What `keep` makes of each outcome, in one unit that holds back what it writes; `send` sends it.

    `begin` comes before. What is held back is sent at the end, and whenever it is too much to be held back. `keep` is
    given what was sent, or a problem. One that fails and has done nothing yet does not stop the others. Raises
    ItemFailed where one fails that has, or whose plugin did: only an abort undoes it.
    """
    unit.pending = pending = Pending()
    outcomes: dict[int, Any] = {}
    waiting: list[int] = []
    if begin is not None:
        await begin(unit)
    pace = Pace()

    async def send_all() -> None:
        await send(unit)
        for index in waiting:
            outcomes[index] = keep(index, outcomes[index])
            await pace.rest()
        waiting.clear()

    for index, work in works.items():
        pending.index, before = index, pending.effects
        try:
            outcomes[index] = await work(unit)
            waiting.append(index)
        except HookFailed as error:
            # Whatever the plugin did within the transaction, or MongoDB refused to it, which has ended it.
            raise ItemFailed(index, error) from None
        except ProblemError as error:
            if pending.effects != before:
                # What is held back came before it, and may fail too.
                await send(unit)
                raise ItemFailed(index, error) from None
            outcomes[index] = keep(index, error)
        await pace.rest()
        if pending.heavy:
            await send_all()
    await send_all()
    return outcomes


async def once(run: Run, works: Works, send: Step, begin: Step) -> Mapping[int, Any]:
    """As `done_in`, in one transaction that is tried once. Raises Scattered where that meets another one."""
    tried = False

    async def work(unit: Unit) -> Mapping[int, Any]:
        nonlocal tried
        if tried:
            raise Scattered
        tried = True
        return await done_in(unit, works, send, begin)

    try:
        return await run(work)
    except TooLarge:  # all of them together
        raise Scattered from None


class Gathering:
    """The creates of one resource in this process."""

    def __init__(self, together: Together, seconds: float) -> None:
        self._together = together
        self._seconds = seconds
        self._running = 0
        self._busy: Counter[Hashable] = Counter()
        # Those that meet each other stand in one queue, a dict of which only the keys count: who goes away leaves it.
        self._waiting: dict[Hashable, dict[_Waiting, None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lull: asyncio.TimerHandle | None = None
        self._overdue: asyncio.TimerHandle | None = None
        self._latest = 0.0

    async def join(self, work: Work[W], alone: Callable[[], Awaitable[W]], target: Target) -> W:
        """Do `work` together with others where some are on their way, else `alone`. Raises what either raises.

        Who waits longer than `seconds` is told Unavailable.
        """
        if not self._running:
            return await self._alone(alone, target.meets)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(work, target, loop.create_future(), loop.time())
        self._waiting.setdefault(target.meets, {})[waiting] = None
        self._soon()
        if self._overdue is None:
            self._overdue = loop.call_later(PATIENCE, self._hurry)
        try:
            async with bounded(self._seconds, LATE):
                written: W = await waiting.outcome
        except Scattered:
            return await self._alone(alone, target.meets)
        finally:
            self._leave(waiting)
        if waiting.telling is not None:
            await asyncio.wait({waiting.telling}, timeout=self._seconds)
        return written

    def _leave(self, waiting: _Waiting) -> None:
        queue = self._waiting.get(waiting.target.meets)
        if queue is not None:
            queue.pop(waiting, None)
            if not queue:
                del self._waiting[waiting.target.meets]
        if self._overdue is not None and not self._waiting:
            self._overdue.cancel()
            self._overdue = None

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
        if self._waiting:
            self._soon()

    def _soon(self) -> None:
        """Let those who wait begin after a lull."""
        loop = asyncio.get_running_loop()
        if self._lull is None:
            self._latest = loop.time() + LONGEST
        else:
            self._lull.cancel()
        self._lull = loop.call_at(min(loop.time() + LULL, self._latest), self._begin_ready)

    def _begin_ready(self) -> None:
        self._lull = None
        while self._running < AT_ONCE and (meets := self._ready()):
            self._begin(meets)

    def _ready(self) -> list[Hashable]:
        """The queues that make up the next group, the one that waited longest for its turn first."""
        found, count = [], 0
        for meets, queue in self._waiting.items():
            if self._may_begin(meets):
                found.append(meets)
                count += len(queue)
                if count >= MOST:
                    break
        return found

    def _hurry(self) -> None:
        """Those before them take long: whom they do not meet, they do not wait for."""
        loop = asyncio.get_running_loop()
        now, due = loop.time(), 0.0
        while meets := self._ready():
            due = next(iter(self._waiting[meets[0]])).since + PATIENCE
            if due > now:
                break
            self._begin(meets)
        self._overdue = loop.call_at(max(due, now) if meets else now + PATIENCE, self._hurry) if self._waiting else None

    def _begin(self, ready: list[Hashable]) -> None:
        group: list[_Waiting] = []
        for meets in ready:
            queue = self._waiting.pop(meets)
            for one in list(islice(queue, MOST - len(group))):
                del queue[one]
                if not one.outcome.done():
                    group.append(one)
            if queue:
                self._waiting[meets] = queue
        if group:
            self._take({one.target.meets for one in group})
            task = asyncio.get_running_loop().create_task(self._write(group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _write(self, group: list[_Waiting]) -> None:
        outcomes: Mapping[int, Any] = {}
        try:
            works = {index: _in_own_context(one) for index, one in enumerate(group)}
            outcomes = await self._together(works, [one.target for one in group])
        except (ItemFailed, NotRecorded, Scattered):
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            outcomes = {index: _copied(error) for index in range(len(group))}
        finally:
            self._end({one.target.meets for one in group})
            for index, one in enumerate(group):
                outcome = outcomes.get(index, Scattered())
                if one.after_commit and not isinstance(outcome, BaseException):
                    one.telling = telling(one.after_commit, one.context)
                _answer(one.outcome, outcome)


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


def _answer(waits: asyncio.Future[Any], outcome: Any) -> None:
    if waits.done():
        return
    if isinstance(outcome, BaseException):
        waits.set_exception(outcome)
    else:
        waits.set_result(outcome)
