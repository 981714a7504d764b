"""Everything that a filter matches, batch by batch in constant memory, of one moment where the server can."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pymongo.errors import ConfigurationError, OperationFailure

from regesta.store._driver import Atomicity, _awaited, atomicity_of, started_session
from regesta.store._rows import Documents, decoded

# Documents that the server is asked for at a time, and the bytes that they should have together.
BATCH, BATCH_BYTES = 1000, 1024 * 1024

SNAPSHOT_UNAVAILABLE = 246
ATTEMPTS, PAUSE = 3, 0.02


class Batches:
    """One pass over a collection: `open`, then `next` until it answers None, and `close` whatever happened.

    What PyMongo raises passes: SnapshotTooOld (239) where a pass outlives the window for which MongoDB keeps the
    past (minSnapshotHistoryWindowInSeconds, 300 s unless set).
    """

    def __init__(
        self,
        collection: Any,
        filter: Mapping[str, Any],
        *,
        projection: Mapping[str, int] | None,
        sort: Sequence[tuple[str, int]],
    ) -> None:
        self._collection = collection
        self._find = {"filter": filter, "projection": projection, "sort": list(sort)}
        self._session: Any = None
        self._cursor: Any = None
        self._first: bytes | Documents | None = None

    async def open(self) -> None:
        """Ask for the first batch. What is read is of this moment on a replica set or a sharded cluster since 5.0.

        Capped collections and stand-alone servers have no snapshots: what is written meanwhile may be met or not.
        """
        atomicity = await atomicity_of(self._collection)
        if atomicity is Atomicity.LOCK:
            self._first = await self._collection.find(**self._find).to_list(None)
            return
        for attempt in range(ATTEMPTS if atomicity is Atomicity.TRANSACTIONS else 0):
            try:
                self._session = await started_session(self._collection, snapshot=True)
                self._first = await self._ask()
                return
            except ConfigurationError:  # a server before 5.0
                await self.close()
                break
            except OperationFailure as error:
                await self.close()
                if error.code != SNAPSHOT_UNAVAILABLE:
                    raise
                # The catalogue has just changed, which is over soon; or it is a capped collection.
                await asyncio.sleep(PAUSE * (attempt + 1))
        self._first = await self._ask()

    async def next(self) -> Iterator[Documents] | None:
        """The documents of the next batch, decoded piece by piece; None after the last."""
        batch, self._first = self._first, None
        if batch is None:
            batch = await anext(self._cursor, None) if self._cursor is not None else None
        if isinstance(batch, bytes):
            return decoded(memoryview(batch), self._collection.codec_options)
        return iter([batch]) if batch else None

    async def close(self) -> None:
        """Leave nothing on the server: neither the cursor nor the session."""
        cursor, self._cursor = self._cursor, None
        session, self._session = self._session, None
        try:
            if cursor is not None:
                await cursor.close()
        finally:
            if session is not None:
                await session.end_session()

    async def _ask(self) -> bytes | None:
        # Raw: the drivers take whole batches out of their buffers in this form only, and it is decoded in one call.
        self._cursor = self._collection.find_raw_batches(
            **self._find, batch_size=await self._batch_size(), session=self._session, allow_disk_use=True
        )
        first: bytes | None = await anext(self._cursor, None)
        return first

    async def _batch_size(self) -> int:
        """Return how many documents of usual size have BATCH_BYTES together: MongoDB fills replies up to 16 MB."""
        sizes = [
            {"$collStats": {"storageStats": {}}},
            {"$group": {"_id": None, "usual": {"$max": "$storageStats.avgObjSize"}}},
        ]
        try:
            cursor = await _awaited(self._collection.aggregate(sizes))
            found = await cursor.to_list(None)
        except OperationFailure:  # a view, or a user who may not ask
            return BATCH
        usual = found[0]["usual"] if found else None
        return max(min(int(BATCH_BYTES / usual), BATCH), 1) if usual else BATCH
