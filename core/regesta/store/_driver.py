"""What differs between PyMongo Async, Motor and mongomock-motor, behind a few functions."""

import asyncio
import inspect
import random
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Any, TypeVar

import pymongo
from beanie import Document
from beanie.exceptions import CollectionWasNotInitialized
from pymongo import DeleteOne, ReadPreference, UpdateMany, WriteConcern
from pymongo.errors import PyMongoError

from regesta.errors import ConfigurationError, ProblemError, TooLarge, Unavailable

from ._bson import tolerant
from ._clients import PerClient
from ._clock import ask_hello

R = TypeVar("R")

# Seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.1
ABORT_SECONDS = 10.0

# MongoDB says so of any statement of a transaction, and of its commit.
TRANSACTION_TOO_LARGE_FOR_CACHE = 388
TRANSACTION_TOO_LARGE = "TRANSACTION_TOO_LARGE"


class Atomicity(Enum):
    """How a store keeps a write whole.

    TRANSACTIONS: a replica set or a sharded cluster. COMPARE: a server without them, where each write only
    replaces exactly what was read. LOCK: the memory store, one write at a time, nothing undone.
    """

    TRANSACTIONS = "transactions"
    COMPARE = "compare"
    LOCK = "lock"


# By the id of the client: clients are equal by their addresses, and to compare those costs every write more than this.
_atomicity: dict[int, Atomicity] = {}
_locks = PerClient(asyncio.Lock)


def collection_of(document: type[Document]) -> Any:
    """The driver's collection of an initialised document class, by which every document can be read.

    Times come from it in UTC, or without a zone. What Python has no value for comes as `_bson` says.
    Raises ConfigurationError if Beanie does not know the class.
    """
    getter = getattr(document, "get_pymongo_collection", None) or document.get_motor_collection
    try:
        collection = getter()
    except CollectionWasNotInitialized:
        raise ConfigurationError(
            f"Beanie does not know {document.__name__}: add it to the `document_models` of `init_beanie`"
        ) from None
    known = _collections.get(document)
    if known is not None and known[0] is collection:
        return known[1]
    options = collection.codec_options
    if options.tzinfo is not None:
        # A client of the application may have a zone of its own, in which an instant would be written otherwise.
        options = options.with_options(tzinfo=None)
    if not _is_mongomock(collection.database.client):
        options = tolerant(options)
    found = collection if options is collection.codec_options else collection.with_options(codec_options=options)
    _collections[document] = (collection, found)
    return found


# By their documents: as Beanie holds them, and as they are read here.
_collections: weakref.WeakKeyDictionary[type[Document], tuple[Any, Any]] = weakref.WeakKeyDictionary()


def durable(collection: Any) -> Any:
    """The collection, with writes that wait for a majority and reads of the primary, whatever its client does."""
    if _is_mongomock(collection.database.client):
        return collection
    return collection.with_options(write_concern=WriteConcern("majority"), read_preference=ReadPreference.PRIMARY)


async def atomicity_of(collection: Any) -> Atomicity:
    """What the collection's server can do; asked once per client."""
    client = collection.database.client
    known = _atomicity.get(id(client))
    if known is None:
        known = _atomicity[id(client)] = await _ask(client)
        # The id is somebody else's once the client is gone.
        weakref.finalize(client, _atomicity.pop, id(client), None)
    return known


def known_atomicity(collection: Any) -> Atomicity | None:
    """The same, without a round trip: None until it was asked for."""
    return _atomicity.get(id(collection.database.client))


async def started_session(collection: Any, **options: Any) -> Any:
    """A session of the collection's client, for the caller to end."""
    return await _awaited(collection.database.client.start_session(**options))


async def in_transaction(collection: Any, callback: Callable[[Any], Awaitable[R]], seconds: float) -> R:
    """Run `callback(session)` in one transaction, again where MongoDB asks for it, and commit.

    Not the drivers' `with_transaction`: Motor's does not repeat after a conflict at commit, and under a
    deadline neither sends the abort, which leaves the documents locked for a minute. `seconds` bounds the
    attempts; with Motor each statement in them too, with PyMongo Async it is for the caller to cancel.
    """
    client = collection.database.client
    session = await started_session(collection)
    _confine(session)
    deadline = time.monotonic() + seconds
    pause = FIRST_PAUSE
    async with session:
        while True:
            try:
                with _deadline(client, deadline):
                    return await _attempt(session, callback, deadline)
            except PyMongoError as error:
                outdated = _is_outdated(error)
                if not (outdated or error.has_error_label("TransientTransactionError")):
                    raise
                if time.monotonic() + pause > deadline:
                    raise
                # PyMongo keeps the error, and its traceback would keep all that the callback knew.
                error.__traceback__ = None
                if outdated:
                    await _renew_connections(client)
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - spreads writers, guards nothing
            pause = min(pause * 2, LONGEST_PAUSE)


async def update_each(
    collection: Any,
    updates: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    session: Any = None,
    *,
    upsert: bool = False,
) -> None:
    """Update all that each filter matches, in this order and in one round trip; with `upsert` one more, if none is."""
    if _is_mongomock(collection.database.client):  # its bulk writes do not know what today's PyMongo asks of them
        for filter_, update in updates:
            await collection.update_many(filter_, update, upsert=upsert)
        return
    statements = [UpdateMany(filter_, update, upsert=upsert) for filter_, update in updates]
    await collection.bulk_write(statements, session=session)


async def delete_each(collection: Any, filters: Sequence[Mapping[str, Any]], session: Any = None) -> int:
    """Delete one document that each filter matches, in one round trip; how many there were."""
    if len(filters) == 1 or _is_mongomock(collection.database.client):
        results = [await collection.delete_one(filter_, session=session) for filter_ in filters]
        return sum(result.deleted_count for result in results)
    result = await collection.bulk_write([DeleteOne(filter_) for filter_ in filters], session=session)
    return int(result.deleted_count)


async def _attempt(session: Any, callback: Callable[[Any], Awaitable[R]], deadline: float) -> R:
    await _awaited(session.start_transaction())
    failure: BaseException | None = None
    try:
        result = await callback(session)
    except BaseException as error:  # noqa: BLE001 - it is raised again below
        failure = error
    if failure is not None:
        # Not while it is handled: what fails in an abort would hold it, and with it all that the callback knew.
        try:
            await _abort(session)
            raise failure
        finally:
            failure = None
    while True:
        try:
            await session.commit_transaction()
            return result
        except PyMongoError as error:
            # Outdated: this commit was not sent, but one before it may have been. Only another one can tell. The same
            # if the driver has found no server: its time for that is shorter than the deadline.
            outdated = _is_outdated(error)
            unknown = outdated or error.has_error_label("UnknownTransactionCommitResult")
            if not unknown or time.monotonic() >= deadline:
                raise
            if outdated:
                await _renew_connections(session.client)
                await asyncio.sleep(FIRST_PAUSE)


async def _abort(session: Any) -> None:
    """Abort with a deadline of its own: the one around may be over already."""
    if session.in_transaction:
        with _deadline(session.client, time.monotonic() + ABORT_SECONDS):
            await session.abort_transaction()


def _deadline(client: Any, deadline: float) -> AbstractContextManager[None]:
    return _deadline_in(client, deadline - time.monotonic())


def _deadline_in(client: Any, seconds: float) -> AbstractContextManager[None]:
    """A deadline for the statements in a thread of Motor's, which nobody can cancel.

    PyMongo Async is cancelled by who waits for it: its own deadline costs a task for each statement.
    """
    if _inner(client) is client:
        return nullcontext()
    return pymongo.timeout(max(seconds, 0.001))


def _confine(session: Any) -> None:
    """Refuse statements that come when the transaction is over.

    Motor runs a statement in a thread, which goes on when its caller is cancelled. One that waits for a connection
    until the transaction is aborted, PyMongo would send without any: an audit event without its write, committed.
    """
    inner = _inner(session)
    apply_to, alive = type(inner)._apply_to, weakref.ref(inner)  # noqa: SLF001 - the last step before it is sent

    def apply_within(command: MutableMapping[str, Any], *arguments: Any) -> None:
        apply_to(alive(), command, *arguments)
        if command.get("autocommit") is not False and "killCursors" not in command:
            raise pymongo.errors.InvalidOperation("the transaction is over")

    inner._apply_to = apply_within  # noqa: SLF001


def _is_outdated(error: PyMongoError) -> bool:
    """Whether a connection was refused to a session for what it remembers of the server.

    PyMongo asks whether there are sessions only once, when it makes a connection, and a primary that steps down
    answers no. Such a connection outlives the election, and no transaction works on it any more.
    """
    return isinstance(error, pymongo.errors.ConfigurationError) and "Sessions are not supported" in str(error)


async def _renew_connections(client: Any) -> None:
    """Close the connections: idle ones now, the others once they are given back."""
    for server in list(_inner(client)._topology._servers.values()):  # noqa: SLF001 - there is no public way
        await _awaited(server.pool.reset_without_pause())


def _inner(wrapped: Any) -> Any:
    """PyMongo's own object inside of Motor's."""
    return vars(wrapped).get("delegate", wrapped)


async def _awaited(value: Any) -> Any:
    """PyMongo and Motor differ in what is a coroutine."""
    return await value if inspect.isawaitable(value) else value


def lock_of(collection: Any) -> asyncio.Lock:
    """The lock that stands in for transactions in the memory store."""
    return _locks.of(collection.database.client)


def as_problem(error: PyMongoError) -> ProblemError | None:
    """Return what a driver's error means to any client, whatever it asked for; None if that is not known."""
    if _code_of(error) == TRANSACTION_TOO_LARGE_FOR_CACHE:
        return TooLarge(
            "MongoDB has no room for so much in one transaction; nothing was written: write less at once",
            code=TRANSACTION_TOO_LARGE,
        )
    return unavailable(error)


def unavailable(error: PyMongoError) -> Unavailable | None:
    """What a driver's error means to a client: Unavailable where trying again may help, else None."""
    # A write that was done, and not acknowledged as it should be, is one that may be undone.
    away = pymongo.errors.ConnectionFailure | pymongo.errors.WaitQueueTimeoutError | pymongo.errors.WriteConcernError
    if error.timeout or isinstance(error, away) or _is_outdated(error) or _is_unacknowledged(error):
        return Unavailable("the database did not answer in time; whether a write was done is unknown")
    if isinstance(error, pymongo.errors.OperationFailure) and error.has_error_label("TransientTransactionError"):
        return Unavailable("the write met others too often; nothing was written", code="CONTENTION")
    return None


def _code_of(error: PyMongoError) -> int | None:
    """Return MongoDB's number of the error; of many writes that were sent together, of the first that failed."""
    details = error.details or {} if isinstance(error, pymongo.errors.BulkWriteError) else {}
    first: Mapping[str, Any] = next(iter(details.get("writeErrors", ())), {})
    if "code" in first:
        return int(first["code"])
    return error.code if isinstance(error, pymongo.errors.OperationFailure) else None


def _is_unacknowledged(error: PyMongoError) -> bool:
    """Whether many writes were done together, and none of them was refused."""
    details = error.details or {} if isinstance(error, pymongo.errors.BulkWriteError) else {}
    return bool(details.get("writeConcernErrors")) and not details.get("writeErrors")


async def _ask(client: Any) -> Atomicity:
    if _is_mongomock(client):
        return Atomicity.LOCK
    hello = await ask_hello(client)
    replicated = "setName" in hello or hello.get("msg") == "isdbgrid"
    return Atomicity.TRANSACTIONS if replicated else Atomicity.COMPARE


async def ping(client: Any) -> None:
    """Ask the server whether it is there, and for its time. Raises what the driver raises."""
    await (client.admin.command("ping") if _is_mongomock(client) else ask_hello(client))


def _is_mongomock(client: Any) -> bool:
    return any(ancestor.__module__.startswith("mongomock") for ancestor in type(client).__mro__)
