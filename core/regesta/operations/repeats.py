"""One effect for requests that are sent again with the same `Idempotency-Key`.

The record of a request is written in the transaction of what the request does: one that was committed has its
answer here, one that was not has left nothing. (draft-ietf-httpapi-idempotency-key-header)
"""

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import bson
from beanie.odm.utils.encoder import Encoder
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError, OperationFailure

from regesta.change import Caller
from regesta.errors import Conflict, Invalid, Issue, Unsupported
from regesta.operations.deadlines import LATE, MIN_SECONDS, bounded
from regesta.operations.refusals import UNSTORABLE, unstorable
from regesta.operations.unit import Unit
from regesta.store import STANDARD, Atomicity, PerClient, acknowledged, atomicity_of, make_indexes, now

R = TypeVar("R")

COLLECTION = "idempotency_keys"
EXPIRY = "at_1"
KEPT_SECONDS = 24 * 60 * 60
RETRY_AFTER = 1
WRITE_CONFLICT = 112


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class InUse(Exception):
    """Another request with the same key is on its way, or has just been done."""


# The names of the databases whose index is there.
_ready = PerClient(set[str])


class Repeats:
    """The records beside one resource's collection. `subject` says which request it is, `body` what was sent."""

    def __init__(self, collection: Any, caller: Caller, subject: tuple[str, ...], body: bytes) -> None:
        self._documents = collection
        self._collection = collection.database[COLLECTION]
        scope = Encoder().encode(dict(caller.scope))
        whose = {"subject": caller.actor.subject, "method": caller.actor.method, "scope": scope}
        self._id = _digest(bson.encode({**whose, "request": list(subject)}, codec_options=STANDARD))
        self._fingerprint = _digest(body)

    async def once(self, seconds: float, perform: Callable[["Repeats"], Awaitable[Answer]]) -> tuple[Answer, bool]:
        """The answer, and whether it was given before. `perform` calls `begin` and `keep` in its transaction.

        Raises Invalid where the key was used with another body, Conflict where the request is still on its way,
        Unsupported where the store has no transactions.
        """
        deadline = time.monotonic() + seconds
        async with bounded(seconds):
            if await atomicity_of(self._documents) is not Atomicity.TRANSACTIONS:
                raise Unsupported(
                    "this store has no transactions, so it cannot keep to an Idempotency-Key",
                    code="TRANSACTIONS_UNSUPPORTED",
                )
            await self._prepare()
            known = await self._known()
        if known is not None:
            return known, True
        try:
            async with bounded(max(deadline - time.monotonic(), MIN_SECONDS), LATE):
                return await perform(self), False
        except InUse:
            async with bounded(max(deadline - time.monotonic(), MIN_SECONDS)):
                known = await self._known()
        if known is not None:
            return known, True
        raise _in_use()

    async def begin(self, unit: Unit) -> None:
        """Claim the key, before anything else is done in the transaction. Raises InUse."""
        record = {"_id": self._id, "fingerprint": self._fingerprint, "at": now()}
        try:
            await self._collection.insert_one(record, session=unit.session)
        except DuplicateKeyError:
            raise InUse from None
        except OperationFailure as error:
            if error.code == WRITE_CONFLICT:
                raise InUse from None
            raise

    async def keep(self, unit: Unit, answer: Answer) -> None:
        """Store the answer with what was done."""
        kept = {"status": answer.status, "headers": dict(answer.headers), "body": answer.body}
        try:
            await self._collection.update_one({"_id": self._id}, {"$set": kept}, session=unit.session)
        except UNSTORABLE as error:
            raise unstorable(error) from None

    async def _known(self) -> Answer | None:
        """What the first request was answered; None if it has stored nothing. Raises Conflict as long as it waits
        for its majority, without which a failover would take its answer back.
        """
        if await self._collection.find_one({"_id": self._id}, {"_id": 1}) is None:
            return None
        found = await acknowledged(self._collection).find_one({"_id": self._id})
        if found is None:
            raise _in_use()
        if found["fingerprint"] != self._fingerprint:
            issue = Issue(("header", "Idempotency-Key"), "was sent with another body before", "idempotency_key_reused")
            reused = Invalid.of([issue])
            reused.code = "IDEMPOTENCY_KEY_REUSED"
            raise reused
        return Answer(found["status"], found["headers"], bytes(found["body"]))

    async def _prepare(self) -> None:
        """Let MongoDB forget the records after a day. The index is made at the first use in this process."""
        database = self._collection.database
        ready = _ready.of(database.client)
        if database.name not in ready:
            # To ask for what is there already would wait for the majority.
            if EXPIRY not in await self._collection.index_information():
                expiry = IndexModel([("at", ASCENDING)], name=EXPIRY, expireAfterSeconds=KEPT_SECONDS)
                await make_indexes(self._collection, [expiry])
            ready.add(database.name)


def _in_use() -> Conflict:
    conflict = Conflict("a request with this Idempotency-Key is still on its way", code="IDEMPOTENCY_KEY_IN_USE")
    conflict.headers["Retry-After"] = str(RETRY_AFTER)
    return conflict


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()
