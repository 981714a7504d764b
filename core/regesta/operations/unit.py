"""A unit of work: what is written together, and what happens after it is committed."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, TypeVar

from regesta.errors import ProblemError
from regesta.operations.deadlines import LATE, bounded
from regesta.operations.pending import ItemFailed, Pending
from regesta.operations.vouching import Witness, rests_on_reads
from regesta.store import Atomicity, atomicity_of, exactly, in_transaction, lock_of

R = TypeVar("R")
AfterCommit = Callable[[], Awaitable[None]]

FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05
GRACE = 1.0
PATIENCE = 15.0


class LostRace(Exception):
    """Somebody else changed the document between our read and our write: start again."""


class Interrupt:
    """Ends a transaction early without cancelling what the driver does.

    A statement, commit or abort that is given up on its way may still reach the server, and may open there a
    transaction that nobody closes: its documents stay locked for a minute. So only hooks are cancelled,
    and the transaction goes on to its own, orderly abort. The driver's calls are bounded by its deadline.
    """

    def __init__(self) -> None:
        self._requested = False
        self._in_hook: asyncio.Task[Any] | None = None

    def request(self) -> None:
        """End it: now where a hook runs, else before the next hook or the commit."""
        self._requested = True
        if self._in_hook is not None:
            self._in_hook.cancel()

    def check(self) -> None:
        """Raises CancelledError once the end was asked for."""
        if self._requested:
            raise asyncio.CancelledError

    async def run(self, hook: Coroutine[Any, Any, R]) -> R:
        """Await a hook, which may be cancelled."""
        if self._requested:
            hook.close()
            raise asyncio.CancelledError
        self._in_hook = asyncio.current_task()
        try:
            return await hook
        finally:
            self._in_hook = None


@dataclass(slots=True)
class Unit:
    """One attempt of a unit of work. `session` is None where the store has no transactions.

    `pending` is there where many writes are sent together. With `validate_only` nothing of it will stand. `unchanged`:
    the result tells what is stored already.
    """

    session: Any = None
    interrupt: Interrupt | None = None
    after_commit: list[AfterCommit] = field(default_factory=list)
    pending: Pending | None = None
    validate_only: bool = False
    unchanged: bool = False

    @property
    def vouches(self) -> bool:
        """Whether the result rests on what was read. The commit of a transaction waits for that as for its writes."""
        return self.unchanged and self.session is None

    @property
    def read_only(self) -> bool:
        """Whether what is written could not be undone, but must not stand."""
        return self.validate_only and self.session is None

    def holds(self, raw: Mapping[str, Any]) -> None:
        """Count a stored document that is kept until what is held back is sent."""
        if self.pending is not None:
            self.pending.size += len(exactly(raw))

    def changes_something(self) -> None:
        """Another write is about to be sent: from here on only an abort undoes what this one did."""
        if self.pending is not None:
            self.pending.effects += 1

    async def hook(self, hook: Coroutine[Any, Any, R]) -> R:
        """Await a hook: the only part of a transaction that may be cancelled."""
        return await (self.interrupt.run(hook) if self.interrupt else hook)


async def run_unit(
    collection: Any,
    work: Callable[[Unit], Awaitable[R]],
    *,
    transactional: bool,
    seconds: float,
    turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
) -> R:
    """Do `work` whole or not at all, then what it asked for after the commit, which is waited for as long.

    `work` may run again: it loads, decides and writes inside. `transactional` asks for a transaction where
    the store has them. `turn` is waited for first. What `work` raises or answers because of what it read is as durable
    as a write. Raises Unavailable when time runs out or the database is away.
    """
    task = asyncio.current_task()
    cancelled = task.cancelling() if task else 0
    deadline, left = time.monotonic() + seconds, seconds
    while True:
        witness = Witness()
        try:
            async with bounded(left, LATE), turn():
                unit, result = await _attempts(collection, work, witness, transactional=transactional, seconds=left)
        except (ProblemError, ItemFailed) as error:
            if not rests_on_reads(error) or await witness.confirms(deadline):
                raise
        else:
            if not unit.vouches or await witness.confirms(deadline):
                break
        await asyncio.sleep(LONGEST_PAUSE)
        left = max(deadline - time.monotonic(), 0)
    if unit.after_commit:
        await asyncio.wait({telling(unit.after_commit)}, timeout=seconds)
    if task and task.cancelling() > cancelled:
        # It came when the commit was on its way, and was kept back until that was known.
        raise asyncio.CancelledError
    return result


def telling(after_commit: Iterable[AfterCommit], context: Context | None = None) -> asyncio.Task[None]:
    """Do what was asked for after the commit: to its end, even where nobody waits for that any more."""

    async def tell() -> None:
        for action in after_commit:
            await action()

    task = asyncio.get_running_loop().create_task(tell(), context=context)
    _left.add(task)
    task.add_done_callback(_left.discard)
    return task


class _Rehearsed(Exception):
    """Ends a unit that must not stand, with what came of it."""


async def rehearse(collection: Any, work: Callable[[Unit], Awaitable[R]], seconds: float) -> R:
    """Do `work` and undo it; on a store without transactions it is told not to write."""
    results: list[R] = []

    async def undone(unit: Unit) -> None:
        unit.validate_only = True
        results.append(await work(unit))
        raise _Rehearsed

    with suppress(_Rehearsed):
        await run_unit(collection, undone, transactional=True, seconds=seconds)
    return results[-1]


async def _attempts(
    collection: Any, work: Callable[[Unit], Awaitable[R]], witness: Witness, *, transactional: bool, seconds: float
) -> tuple[Unit, R]:
    atomicity = await atomicity_of(collection)
    if atomicity is Atomicity.LOCK:
        async with lock_of(collection):
            return await _until_won(work)
    if atomicity is not Atomicity.TRANSACTIONS:
        return await _until_won(work)
    if not transactional:
        witness.see(collection, collection.database.client)
        return await _until_won(work)

    while True:
        try:
            # The driver's deadline is later than ours, so that a statement on its way can come to its end.
            return await _in_transaction(collection, work, witness, seconds + GRACE)
        except LostRace:
            await asyncio.sleep(random.uniform(0, FIRST_PAUSE))  # noqa: S311 - spreads writers, guards nothing


async def _in_transaction(
    collection: Any, work: Callable[[Unit], Awaitable[R]], witness: Witness, seconds: float
) -> tuple[Unit, R]:
    interrupt = Interrupt()

    async def attempt(session: Any) -> tuple[Unit, R]:
        interrupt.check()
        if session is not None:
            witness.see(collection, session.client)
        unit = Unit(session, interrupt)
        result = await work(unit)
        interrupt.check()
        return unit, result

    task = asyncio.ensure_future(in_transaction(collection, attempt, seconds))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        interrupt.request()
        try:
            await asyncio.wait({task}, timeout=GRACE)
        finally:
            if not task.done():
                _leave(task)
        if task.done() and not task.cancelled() and task.exception() is None:
            return task.result()
        raise
    finally:
        del task  # its exception holds this frame, and this frame held it


def _leave(task: asyncio.Future[Any]) -> None:
    """Let a transaction that nobody waits for any more come to its end: an abort may have to wait for a connection.

    Without the abort its documents would stay locked for a minute. It is cancelled once, late, and not again and
    again: on Python 3.11 a task that waits for a connection and is cancelled twice leaves the lock of PyMongo's pool
    taken for good.
    """

    async def see_to_its_end() -> None:
        await asyncio.wait({task}, timeout=PATIENCE)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nobody is left to be told

    _left.add(ending := asyncio.ensure_future(see_to_its_end()))
    ending.add_done_callback(_left.discard)


_left: set[asyncio.Future[None]] = set()  # asyncio itself holds tasks weakly


async def _until_won(work: Callable[[Unit], Awaitable[R]]) -> tuple[Unit, R]:
    pause = FIRST_PAUSE
    while True:
        unit = Unit()
        try:
            return unit, await work(unit)
        except LostRace:
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - spreads writers, guards nothing
            pause = min(pause * 2, LONGEST_PAUSE)
