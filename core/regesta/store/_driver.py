"""What differs between PyMongo Async, Motor and mongomock-motor, behind four functions."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import pymongo
from beanie import Document
from pymongo.errors import PyMongoError

from regesta.errors import Unavailable

R = TypeVar("R")


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
    """Run `callback(session)` in one transaction, again where MongoDB asks for it, and commit. Bounded in time."""
    client = collection.database.client
    started = client.start_session()
    session = await started if inspect.isawaitable(started) else started
    with pymongo.timeout(seconds):
        async with session:
            result: R = await session.with_transaction(callback)
            return result


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
