"""Whether what was read stays: a primary that has lost its majority shows writes that a failover takes back."""

from collections.abc import Mapping
from typing import Any

from ._changes import committed
from ._driver import _deadline_in, _inner

# Never made: an update of nothing in it changes nothing, but is acknowledged like any other write.
NOWHERE = "regesta_nowhere"
NOTHING: Mapping[str, Any] = {"_id": {"$in": []}}


def acknowledged(collection: Any) -> Any:
    """The collection as far as writes to it are acknowledged: all of it if the client asks for a number of nodes."""
    return collection if isinstance(collection.write_concern.document.get("w"), int) else committed(collection)


def election_of(client: Any) -> Any:
    """The last election of a primary that the driver knows of, without a round trip; None if it knows of none."""
    return _inner(client).topology_description.max_election_id


async def confirmed(collection: Any, election: Any, seconds: float) -> bool:
    """Wait until all that was read since `election_of` answered `election` is as durable as an acknowledged write.

    False if another primary was elected meanwhile, which may not have what was read: then read again. For a replica
    set or a sharded cluster.

    The server acknowledges a write that changes nothing when everything it had written before would be acknowledged.
    A sharded cluster tells of no elections: there the shards of this collection are waited for, but a failover in
    between stays unseen. `seconds` bounds Motor's thread; PyMongo Async is for the caller to cancel.
    """
    client = collection.database.client
    with _deadline_in(client, seconds):
        if _inner(client).topology_description.topology_type_name == "Sharded":
            await collection.update_many({"_id": {"$exists": False}}, {"$unset": {"_": ""}})
            return True
        nowhere = collection.database.get_collection(NOWHERE, write_concern=collection.write_concern)
        acknowledgement = await nowhere.update_one(NOTHING, {"$unset": {"_": ""}})
    return election is None or acknowledgement.raw_result.get("electionId", election) == election
