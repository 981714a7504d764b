"""Change streams with the state before and after each change, in both drivers."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any

import pymongo.errors
from bson import Timestamp
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from regesta.errors import Gone, Unavailable, Unsupported

from ._driver import Atomicity, _awaited, atomicity_of

logger = logging.getLogger("regesta.store")

IMAGES = "changeStreamPreAndPostImages"
WATCH_UNSUPPORTED = "WATCH_UNSUPPORTED"

# How long a server waits for a change before it says that there is none. Milliseconds.
PATIENT, HASTY = 500, 20

NAMESPACE_NOT_FOUND, NAMESPACE_EXISTS = 26, 48
# InvalidResumeToken, CappedPositionLost, ChangeStreamFatalError, ChangeStreamHistoryLost, BSONObjectTooLarge (a change
# whose states before and after are larger than 16 MB together)
LOST = frozenset({260, 136, 280, 286, 10334})


class Changes:
    """An open change stream. `token` is the position behind all that `next` answered."""

    def __init__(self, stream: Any, token: Mapping[str, Any] | None) -> None:
        self._stream = stream
        self._begin = token

    @property
    def token(self) -> Mapping[str, Any]:
        """MongoDB's resume token: `{"_data": hex}`. These texts have the order of the changes."""
        found: Mapping[str, Any] | None = self._stream.resume_token or self._begin
        if found is None:  # no server of our age answers so
            raise Unsupported("the server tells no position of its changes", code=WATCH_UNSUPPORTED)
        return found

    async def begin(self) -> None:
        """Find where "from now on" is: where changes came while it was opened, behind the first of them."""
        if self._stream.resume_token is None:
            await self.next()

    async def next(self) -> dict[str, Any] | None:
        """The next change; None where there was none for a while. Raises Gone where there can be no more."""
        with _told_as_gone():
            found: dict[str, Any] | None = await self._stream.try_next()
        return found


@asynccontextmanager
async def open_changes(
    collection: Any, *, after: Mapping[str, Any] | None = None, at: Timestamp | None = None, hasty: bool = False
) -> AsyncIterator[Changes]:
    """The changes of a collection after a token, or from a cluster time on, or from now on.

    `hasty`: for who only wants to know whether there are more. Raises Gone where the history does not reach so far.
    """
    with _told_as_gone():
        stream = await _awaited(
            collection.watch(
                [{"$unset": "updateDescription"}],
                full_document="whenAvailable",
                full_document_before_change="whenAvailable",
                resume_after=after,
                start_at_operation_time=at,
                max_await_time_ms=HASTY if hasty else PATIENT,
            )
        )
        await stream.__aenter__()  # Motor opens it only here
    changes = Changes(stream, after)
    try:
        if after is None and at is None:
            await changes.begin()
        yield changes
    finally:
        with suppress(PyMongoError):  # the server is away: so is its cursor
            await stream.close()


async def keep_images(collection: Any) -> None:
    """Let the server keep the states before and after each change, unless it does. Raises Unsupported where it cannot.

    Without them nobody could tell who was allowed to see a document that is deleted.
    """
    if await atomicity_of(collection) is not Atomicity.TRANSACTIONS:
        raise Unsupported("this store cannot be watched: it needs a replica set", code=WATCH_UNSUPPORTED)
    database, name = collection.database, collection.name
    listed = await database.command("listCollections", filter={"name": name})
    options = listed["cursor"]["firstBatch"][0].get("options", {}) if listed["cursor"]["firstBatch"] else None
    if options and "collation" in options:
        raise Unsupported("a collection with a collation of its own cannot be watched", code=WATCH_UNSUPPORTED)
    if options and options.get(IMAGES, {}).get("enabled"):
        return
    try:
        await _enable(database, name, exists=options is not None)
    except OperationFailure as error:
        if unavailable_for_now(error):
            raise
        logger.warning("%s cannot be watched: %s could not be enabled: %s", name, IMAGES, error)
        raise Unsupported(
            f"this collection cannot be watched: its {IMAGES} (MongoDB 6) could not be enabled", code=WATCH_UNSUPPORTED
        ) from error


async def _enable(database: Any, name: str, *, exists: bool) -> None:
    images = {IMAGES: {"enabled": True}}
    if not exists:
        try:
            await database.command("create", name, **images)
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                raise
        else:
            return
    await database.command("collMod", name, **images)


def unavailable_for_now(error: PyMongoError) -> bool:
    """Whether another node, or the same one later, may do what this one did not."""
    return isinstance(error, pymongo.errors.ConnectionFailure) or error.has_error_label("ResumableChangeStreamError")


async def cluster_time(session: Any) -> Timestamp:
    """Now, as the cluster counts; what is read in this session afterwards is at least as new."""
    await session.client.admin.command("ping", session=session)
    found: Timestamp | None = session.operation_time
    if found is None:
        raise Unavailable("the database told no time")
    return found


@asynccontextmanager
async def causal_session(collection: Any) -> AsyncIterator[Any]:
    """A session in which each statement sees what the ones before it saw, whichever node answers."""
    session = await _awaited(collection.database.client.start_session(causal_consistency=True))
    async with session:
        yield session


def committed(collection: Any) -> Any:
    """The collection as far as its writes cannot be rolled back any more: what a change stream tells of."""
    return collection.with_options(read_concern=ReadConcern("majority"))


class _told_as_gone:  # noqa: N801 - reads as what it does
    """Raises Gone for what the driver raises where the history is lost."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OperationFailure) and error.code in LOST:
            raise Gone("the changes since then are not known any more: read again") from error
