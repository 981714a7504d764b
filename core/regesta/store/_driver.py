"""What differs between PyMongo Async, Motor and mongomock-motor, behind four functions."""

import asyncio
import inspect
import random
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import pymongo
from beanie import Document
from pymongo.errors import PyMongoError

from regesta.errors import Unavailable

R = TypeVar("R")

# Seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.1
ABORT_SECONDS = 1.0


class Atomicity(Enum):
    """How a store keeps a write whole.

    TRANSACTIONS: a replica set or a sharded cluster. COMPARE: a server without them, where each write only
    replaces exactly what was read. LOCK: the memory store, one write at a time, nothing undone.
    """

    TRANSACTIONS = "transactions"
    COMPARE = "compare"
    LOCK = "lock"


_atomicity: WeakKeyDictionary[Any, Atomicity] = WeakKeyDictionary()
_locks: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()


def collection_of(document: type[Document]) -> Any:
    """The driver's collection of an initialised document class.

    Raises beanie.exceptions.CollectionWasNotInitialized before `init_beanie`.
    """
    getter = getattr(document, "get_pymongo_collection", None) or document.get_motor_collection
    return getter()


async def atomicity_of(collection: Any) -> Atomicity:
    """What the collection's server can do; asked once per client."""
    client = collection.database.client
    known = _atomicity.get(client)
    if known is None:
        known = _atomicity[client] = await _ask(client)
    return known


async def in_transaction(collection: Any, callback: Callable[[Any], Awaitable[R]], seconds: float) -> R:
    """Run `callback(session)` in one transaction, again where MongoDB asks for it, and commit.

    Not the drivers' `with_transaction`: Motor's does not repeat after a conflict at commit, and under a
    deadline neither sends the abort, which leaves the documents locked for a minute. `seconds` bounds the
    attempts and each statement in them.
    """
    client = collection.database.client
    session = await _awaited(client.start_session())
    deadline = time.monotonic() + seconds
    pause = FIRST_PAUSE
    async with session:
        while True:
            try:
                with pymongo.timeout(max(deadline - time.monotonic(), 0.001)):
                    return await _attempt(session, callback)
            except PyMongoError as error:
                if not error.has_error_label("TransientTransactionError") or time.monotonic() + pause > deadline:
                    raise
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - spreads writers, guards nothing
            pause = min(pause * 2, LONGEST_PAUSE)


async def _attempt(session: Any, callback: Callable[[Any], Awaitable[R]]) -> R:
    await _awaited(session.start_transaction())
    try:
        result = await callback(session)
    except BaseException:
        await _abort(session)
        raise
    while True:
        try:
            await session.commit_transaction()
            return result
        except PyMongoError as error:
            if not error.has_error_label("UnknownTransactionCommitResult") or error.timeout:
                raise


async def _abort(session: Any) -> None:
    """Abort with a deadline of its own: the one around may be over already."""
    if session.in_transaction:
        with pymongo.timeout(ABORT_SECONDS):
            await session.abort_transaction()


async def _awaited(value: Any) -> Any:
    """PyMongo and Motor differ in what is a coroutine."""
    return await value if inspect.isawaitable(value) else value


def lock_of(collection: Any) -> asyncio.Lock:
    """The lock that stands in for transactions in the memory store."""
    client = collection.database.client
    if client not in _locks:
        _locks[client] = asyncio.Lock()
    return _locks[client]


def unavailable(error: PyMongoError) -> Unavailable | None:
    """What a driver's error means to a client: Unavailable where trying again may help, else None."""
    if error.timeout or isinstance(error, pymongo.errors.ConnectionFailure | pymongo.errors.WaitQueueTimeoutError):
        return Unavailable("the database did not answer in time; whether a write was done is unknown")
    if isinstance(error, pymongo.errors.OperationFailure) and error.has_error_label("TransientTransactionError"):
        return Unavailable("the write met others too often; nothing was written", code="CONTENTION")
    return None


async def _ask(client: Any) -> Atomicity:
    if _is_mongomock(client):
        return Atomicity.LOCK
    hello = await client.admin.command("hello")
    replicated = "setName" in hello or hello.get("msg") == "isdbgrid"
    return Atomicity.TRANSACTIONS if replicated else Atomicity.COMPARE


def _is_mongomock(client: Any) -> bool:
    return any(ancestor.__module__.startswith("mongomock") for ancestor in type(client).__mro__)
