"""What waits to be delivered, in a collection that several processes take from.

A delivery is a document with `workspace` and `host` (its lane), `due_at`, `attempts`, `outcome` (empty until it is
done) and `finished_at`. Who takes one sets `due_at` to when others may try: if the process ends, it is sent again.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, IndexModel

from regesta.store import now

Raw = Mapping[str, Any]

LIFETIME = timedelta(days=1)  # after which a delivery to a host that does not answer is given up
WAITING: Raw = {"outcome": ""}
# Finds the next lane by a seek, however much waits in those before it.
BY_LANE = IndexModel(
    [("workspace", ASCENDING), ("host", ASCENDING), ("due_at", ASCENDING)], partialFilterExpression=WAITING
)


class Queue:
    """Deliveries, tenant by tenant and, of each tenant, host by host."""

    def __init__(self, collection: Callable[[], Any], lease: timedelta) -> None:
        self._collection = collection
        self._lease = lease
        self._last = ""  # the tenant that was served last
        self._hosts: dict[str, str] = {}  # the host that was served last, by tenant

    async def next_tenant(self, without: Collection[str]) -> str | None:
        """The tenant whose turn it is, if anything is due of it."""
        for turn in ({"$gt": self._last}, {}):
            wanted = {**WAITING, "due_at": {"$lte": now()}}
            if without or turn:
                wanted["workspace"] = {**turn, "$nin": list(without)}
            found = await self._collection().find_one(
                wanted, {"workspace": 1}, sort=[("workspace", 1), ("host", 1), ("due_at", 1)]
            )
            if found is not None:
                self._last = found["workspace"]
                return self._last
        return None

    async def take(self, tenant: str, without: Collection[str]) -> dict[str, Any] | None:
        """The oldest delivery of a tenant that is due, to the host whose turn it is."""
        time = now()
        for turn in ({"$gt": self._hosts.get(tenant, "")}, {}):
            found: dict[str, Any] | None = await self._collection().find_one_and_update(
                {**WAITING, "workspace": tenant, "host": {**turn, "$nin": list(without)}, "due_at": {"$lte": time}},
                {"$set": {"due_at": time + self._lease}, "$inc": {"attempts": 1}},
                sort=[("host", 1), ("due_at", 1)],
                return_document=True,
            )
            if found is not None:
                self._hosts[tenant] = found.get("host") or ""
                return found
        self._hosts.pop(tenant, None)
        return None

    async def finish(self, taken: Raw, outcome: str) -> None:
        """It is done."""
        await self._collection().update_one({"_id": taken["_id"]}, {"$set": _done(outcome)})

    async def postpone(self, taken: Raw, seconds: float) -> None:
        """It is due again after so many seconds."""
        await self._collection().update_one({"_id": taken["_id"]}, {"$set": {"due_at": _in(seconds)}})

    async def put_back(self, taken: Raw, host: str, seconds: float = 0.0) -> None:
        """It was not tried: it waits in the lane of this host."""
        change = {"$set": {"due_at": _in(seconds), "host": host}, "$inc": {"attempts": -1}}
        await self._collection().update_one({"_id": taken["_id"]}, change)

    async def give_up(self, tenant: str, host: str) -> int:
        """Finish what has waited in a lane for longer than a day; how many that were."""
        oldest = ObjectId.from_datetime(now() - LIFETIME)
        lane = {**WAITING, "workspace": tenant, "host": host, "_id": {"$lt": oldest}}
        done = await self._collection().update_many(lane, {"$set": _done("failed: the host did not answer for a day")})
        return int(done.modified_count)


def _in(seconds: float) -> datetime:
    return now() + timedelta(seconds=seconds)


def _done(outcome: str) -> dict[str, Any]:
    return {"outcome": outcome, "finished_at": now()}
