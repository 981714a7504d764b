"""A unit of work: what is written together, and what happens after it is committed."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pymongo.errors import PyMongoError

from regesta.errors import Unavailable
from regesta.store import Atomicity, atomicity_of, in_transaction, lock_of, unavailable

R = TypeVar("R")
AfterCommit = Callable[[], Awaitable[None]]

FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05
GRACE = 0.5


class LostRace(Exception):  # noqa: N818 - never leaves this package
    """Somebody else changed the document between our read and our write: start again."""


@dataclass(slots=True)
class Unit:
    """One attempt of a unit of work. `session` is None where the store has no transactions."""

    session: Any = None
    after_commit: list[AfterCommit] = field(default_factory=list)


async def run_unit(
    collection: Any,
    work: Callable[[Unit], Awaitable[R]],
    *,
    transactional: bool,
    seconds: float,
    turn: AbstractAsyncContextManager[None] | None = None,
) -> R:
    """Do `work` whole or not at all, then what it asked for after the commit.

    `work` may run again: it loads, decides and writes inside. `transactional` asks for a transaction where
    the store has them. `turn` is waited for first. Raises Unavailable when time runs out or the database is away.
    """
    try:
        async with asyncio.timeout(seconds + GRACE), turn or nullcontext():
            unit, result = await _attempts(collection, work, transactional=transactional, seconds=seconds)
    except TimeoutError as error:
        raise Unavailable("the write took too long; whether it was done is unknown", code="TIMEOUT") from error
    except PyMongoError as error:
        known = unavailable(error)
        if known is None:
            raise
        raise known from error
    for action in unit.after_commit:
        await action()
    return result


async def _attempts(
    collection: Any, work: Callable[[Unit], Awaitable[R]], *, transactional: bool, seconds: float
) -> tuple[Unit, R]:
    atomicity = await atomicity_of(collection)
    if atomicity is Atomicity.LOCK:
        async with lock_of(collection), asyncio.timeout(seconds):
            return await _once(work)
    if not (transactional and atomicity is Atomicity.TRANSACTIONS):
        async with asyncio.timeout(seconds):
            return await _until_won(work)

    async def attempt(session: Any) -> tuple[Unit, R]:
        unit = Unit(session)
        return unit, await work(unit)

    while True:
        try:
            async with asyncio.timeout(seconds):
                return await in_transaction(collection, attempt, seconds)
        except LostRace:
            await asyncio.sleep(random.uniform(0, FIRST_PAUSE))  # noqa: S311 - spreads writers, guards nothing


async def _once(work: Callable[[Unit], Awaitable[R]]) -> tuple[Unit, R]:
    unit = Unit()
    return unit, await work(unit)


async def _until_won(work: Callable[[Unit], Awaitable[R]]) -> tuple[Unit, R]:
    pause = FIRST_PAUSE
    while True:
        try:
            return await _once(work)
        except LostRace:
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - spreads writers, guards nothing
            pause = min(pause * 2, LONGEST_PAUSE)
