"""The records of kept bytes, and the one rule by which bytes are deleted.

There is one record for each content in a workspace and store, and one for each upload that is under way. It is inserted
before the first byte, so every byte that is kept has a record. Its fields:

- `sha256`, `size`: the content, once its bytes are complete. Records are found by it and in no other way.
- `candidate`: no entry of a version names the content, as far as the record knows. Only candidates are swept.
- `touched_at`: when somebody last relied on it. `revision`: how often somebody did.
- `displaced`: the content, after other bytes took its place because these seemed to be lost.
- `swept`: the record is condemned.

**The rule:** bytes are deleted only after their record was condemned, and a record is condemned in one atomic step
that proves that nothing relies on it. Whoever starts to rely on a record finds it by its content and counts `revision`
in the same write: an upload that adopts it, a version's entry that names it, an import that keeps it. A record is
condemned only if its `revision` is the one that was read before the entries of versions were searched, or if it never
had a content. Condemning takes the content away. So if two such steps race, the second one fails, whichever it is; and
no caller needs the answer of a failed step to know what it did.

Every write waits for a majority, whatever the client of the application does: a condemnation must outlive a failover
before bytes outside the database are deleted.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from bson import ObjectId
from pymongo import ASCENDING, IndexModel

from regesta.store import durable, make_indexes, now

COLLECTION: Final = "blobs"
Record = Mapping[str, Any]

INDEXES: Final = (
    IndexModel(
        [("workspace", ASCENDING), ("sha256", ASCENDING), ("store", ASCENDING)],
        unique=True,
        partialFilterExpression={"sha256": {"$gt": ""}},
    ),
    IndexModel([("candidate", ASCENDING), ("touched_at", ASCENDING)], partialFilterExpression={"candidate": True}),
)
_NOT_CONDEMNED: Final = {"swept": {"$exists": False}}


class BlobRecords:
    """The records of one database. Each method is one atomic step, or part of the caller's transaction."""

    def __init__(self, database: Any) -> None:
        self.collection = durable(database[COLLECTION])

    async def prepare(self) -> None:
        """Make the indexes. Raises ConfigurationError if one is stored with other options."""
        await make_indexes(self.collection, INDEXES)

    # reading

    async def of(
        self, workspace: str, contents: Iterable[str], stores: Iterable[str] | None = None, session: Any = None
    ) -> list[dict[str, Any]]:
        """The records of these contents, in all stores unless some are named."""
        wanted: dict[str, Any] = {"workspace": workspace, "sha256": {"$in": list(contents)}}
        if stores is not None:
            wanted["store"] = {"$in": list(stores)}
        return [record async for record in self.collection.find(wanted, session=session)]

    async def candidates(self, stores: Iterable[str], before: datetime) -> AsyncIterator[dict[str, Any]]:
        """The candidates in these stores that were not touched since `before`."""
        wanted = {"candidate": True, "touched_at": {"$lt": before}, "store": {"$in": list(stores)}}
        async for record in self.collection.find(wanted):
            yield record

    # steps of those who rely on bytes

    async def begin(self, name: ObjectId, workspace: str, store: str) -> None:
        """Insert the record of an upload, before its first byte."""
        record = {"_id": name, "workspace": workspace, "store": store, "candidate": True, "touched_at": now()}
        await self.collection.insert_one(record | {"revision": 0})

    async def sign_of_life(self, name: ObjectId) -> bool:
        """Keep an upload that is under way from being swept; False if it was condemned."""
        done = await self.collection.update_one({"_id": name, **_NOT_CONDEMNED}, _touched())
        return bool(done.matched_count)

    async def adopt(self, workspace: str, sha256: str, store: str) -> dict[str, Any] | None:
        """Rely on the record of a content, and return it; None if there is none."""
        same = {"workspace": workspace, "sha256": sha256, "store": store}
        found: dict[str, Any] | None = await self.collection.find_one_and_update(same, _touched())
        return found

    async def touch(self, workspace: str, contents: Iterable[str]) -> None:
        """Rely on all records of these contents."""
        await self.collection.update_many({"workspace": workspace, "sha256": {"$in": list(contents)}}, _touched())

    async def publish(self, name: ObjectId, sha256: str, size: int, session: Any = None) -> bool:
        """Give a record its content, by which it is found from now on; False if it was condemned.

        Raises DuplicateKeyError if another record of the same store has this content.
        """
        done = await self.collection.update_one(
            {"_id": name, **_NOT_CONDEMNED},
            _touched({"sha256": sha256, "size": size}, unset="displaced"),
            session=session,
        )
        return bool(done.matched_count)

    async def displace(self, record: Record, session: Any = None) -> None:
        """Take the content from a record whose bytes seem to be lost. A sweep decides what happens to these bytes."""
        await self.collection.update_one(
            {"_id": record["_id"], "sha256": record["sha256"]},
            _touched({"displaced": record["sha256"], "candidate": True}, unset="sha256"),
            session=session,
        )

    async def named(self, workspace: str, contents: Iterable[str], session: Any) -> None:
        """Entries of versions name these contents now: in the transaction that writes the entries.

        Also written if another entry named them before: that one may go, and a sweep follow, while this one is written.
        """
        wanted = {"workspace": workspace, "sha256": {"$in": list(contents)}}
        await self.collection.update_many(wanted, _touched({"candidate": False}), session=session)

    async def released(self, workspace: str, contents: Iterable[str], session: Any) -> None:
        """An entry that named these contents is deleted: in the transaction that deletes it."""
        wanted = {"workspace": workspace, "sha256": {"$in": list(contents)}}
        await self.collection.update_many(wanted, _touched({"candidate": True}), session=session)

    # steps of those who delete bytes

    async def condemn_unfinished(self, name: ObjectId) -> bool:
        """Condemn an upload that has no content yet, so that no other upload can have found it; False if it has one.

        One whose record is gone was condemned before.
        """
        unfinished = {"_id": name, "sha256": {"$exists": False}, "displaced": {"$exists": False}}
        if (await self.collection.update_one(unfinished, _touched({"swept": True}))).matched_count:
            return True
        return await self.collection.find_one({"_id": name}, {"_id": 1}) is None

    async def condemn(self, record: Record, session: Any) -> bool:
        """Condemn a candidate; False if somebody has come to rely on it since it was read.

        In the transaction that has found no entry which names its content.
        """
        done = await self.collection.update_one(
            _unchanged(record), _touched({"swept": True}, unset="sha256"), session=session
        )
        return bool(done.matched_count)

    async def still_named(self, record: Record, session: Any) -> None:
        """An entry was found that names the content of a candidate: it is none."""
        await self.collection.update_one(_unchanged(record), {"$set": {"candidate": False}}, session=session)

    async def rely_on(self, record: Record, session: Any) -> bool:
        """Rely on this very record; False if it does not have its content any more."""
        mine = {"_id": record["_id"], "sha256": record["sha256"]}
        return bool((await self.collection.update_one(mine, _touched(), session=session)).matched_count)

    async def is_condemned(self, name: ObjectId) -> bool:
        """Whether a record is condemned for good. It is a write, since that proves that a majority knows it."""
        return bool((await self.collection.update_one({"_id": name, "swept": True}, _touched())).matched_count)

    async def delete(self, name: ObjectId) -> None:
        """Delete a condemned record, after its bytes."""
        await self.collection.delete_one({"_id": name})


def _unchanged(record: Record) -> dict[str, Any]:
    """The record as it was read. Builds before this one did not write `revision`."""
    names = ("_id", "candidate", "touched_at", "revision", "sha256", "displaced", "swept")
    return {name: record.get(name) for name in names}


def _touched(changes: Mapping[str, Any] | None = None, *, unset: str | None = None) -> dict[str, Any]:
    update: dict[str, Any] = {"$set": {"touched_at": now(), **(changes or {})}, "$inc": {"revision": 1}}
    return update if unset is None else update | {"$unset": {unset: ""}}
