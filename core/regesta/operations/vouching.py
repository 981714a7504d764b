"""Answers that vouch for what somebody else wrote: refusals, writes that had nothing to do, and 304.

They must be as durable as the answer to a write. A primary that has lost its majority still shows writes that were not
acknowledged yet; if it dies, the next primary has never had them. So such an answer waits until what it rests on would
be acknowledged itself; if another primary takes over meanwhile, it is asked again. Plain reads do not wait.
"""

import time
from dataclasses import dataclass
from typing import Any

from regesta.errors import Conflict, Gone, NotFound, PreconditionFailed
from regesta.operations.deadlines import bounded
from regesta.operations.etags import etag_of
from regesta.operations.pages import Stored
from regesta.operations.pending import ItemFailed
from regesta.store import Atomicity, acknowledged, atomicity_of, collection_of, confirmed, election_of

# What no caller can be told who did not read.
_RESTS_ON_READS = (NotFound, Conflict, PreconditionFailed, Gone)
_UNCONFIRMED = "what the answer rests on is not confirmed by a majority of the database's nodes; nothing was written"


@dataclass(slots=True)
class Witness:
    """The primary that shows a unit of work what it reads. Without a collection, no failover can take that back."""

    collection: Any = None
    election: Any = None

    def see(self, collection: Any, client: Any) -> None:
        """Remember which primary answers from now on."""
        self.collection, self.election = collection, election_of(client)

    async def confirms(self, deadline: float) -> bool:
        """Wait until what was read cannot be taken back. False if it is to be read again, of another primary.

        Raises Unavailable if that takes until the deadline (by `time.monotonic`).
        """
        if self.collection is None:
            return True
        seconds = max(deadline - time.monotonic(), 0)
        async with bounded(seconds, _UNCONFIRMED):
            return await confirmed(self.collection, self.election, seconds)


def rests_on_reads(error: Exception) -> bool:
    """Whether a refusal tells what is stored, and not only what is wrong with the request."""
    return isinstance(error.error if isinstance(error, ItemFailed) else error, _RESTS_ON_READS)


async def stands(stored: Stored[Any]) -> bool:
    """Whether no failover can take this revision of a document back. Raises Unavailable."""
    resource = stored.codec.resource
    collection = collection_of(resource.document)
    async with bounded(resource.timeout):
        if await atomicity_of(collection) is not Atomicity.TRANSACTIONS:
            return True
        shown = {"revision_id": 1} if stored.raw.get("revision_id") is not None else None
        found = await acknowledged(collection).find_one({"_id": stored.raw["_id"]}, shown)
    return found is not None and etag_of(found) == stored.etag
