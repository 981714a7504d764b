"""What numbers the children of a parent, and makes writes meet.

A transaction that adds a child and one that deletes the parent both write one document, so MongoDB lets only one of
them through: no child is left without its parent. That is a small document per parent and kind of child; or the
parent itself (`Parent.counter`), which then is found and counted up in one write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from regesta.store import update_each

COLLECTION = "regesta_sequences"


@dataclass(frozen=True, slots=True)
class Numbering:
    """Where the numbers of one parent's children are counted. `field` and `touches` are of the parent that counts."""

    collection: Any
    identity: Mapping[str, Any]
    field: str = ""
    touches: str = ""

    @classmethod
    def beside(cls, children: Any, parent: Any) -> "Numbering":
        """In a document of its own, for the children of a collection that store `parent`."""
        return cls(children.database[COLLECTION], {"_id": {"children": children.name, "parent": parent}})

    @property
    def in_parent(self) -> bool:
        """Whether every write of the parent meets those of its children by itself."""
        return bool(self.field)

    @property
    def last(self) -> str:
        """The path of the last number."""
        return self._path("last")

    @property
    def meeting(self) -> Mapping[str, Any]:
        """The update that changes nothing but that it was written."""
        return {"$inc": {self.last: 0, self._path("closed"): 1}}

    def counting(self, steps: int, time: datetime) -> dict[str, dict[str, Any]]:
        """The update that gives the next numbers."""
        update: dict[str, dict[str, Any]] = {"$inc": {self.last: steps}}
        if self.touches:
            update["$max"] = {self.touches: time}
        return update

    def last_in(self, raw: Mapping[str, Any] | None) -> int:
        """The last number in a raw document that counts, 0 where it counted none yet."""
        counted = (raw or {}).get(self.field) if self.field else raw
        return int((counted or {}).get("last", 0))

    async def next(self, time: datetime, session: Any) -> int:
        """1, 2, 3, ...: the number of a new child, never given twice."""
        return self.last_in(await self._update(self.counting(1, time), session))

    async def ahead(self) -> int:
        """The number that a new child would get now."""
        return self.last_in(await self.collection.find_one(self.identity)) + 1

    async def skip_to(self, number: int, session: Any) -> int:
        """Let the next number be `number`, or a later one where that is given already: which one it will be."""
        return self.last_in(await self._update({"$max": {self.last: number - 1}}, session)) + 1

    async def meet(self, session: Any) -> None:
        """Write: of this transaction and one that adds a child, or deletes the parent, only one will commit."""
        await self._update(self.meeting, session)

    def _path(self, name: str) -> str:
        return f"{self.field}.{name}" if self.field else name

    async def _update(self, update: Mapping[str, Any], session: Any) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = await self.collection.find_one_and_update(
            self.identity, update, upsert=not self.in_parent, return_document=True, session=session
        )
        return found


async def meet_all(numberings: Sequence[Numbering], session: Any) -> None:
    """As `Numbering.meet`, for parents whose children are counted beside them, in one round trip."""
    updates = [(numbering.identity, numbering.meeting) for numbering in numberings]
    await update_each(numberings[0].collection, updates, session, upsert=True)


async def close_all(numberings: Sequence[Numbering], session: Any) -> None:
    """As `meet_all`, where the parents go for good: `forget` is to come after the commit.

    Those are written which never counted a child, too: a transaction that began before must find something to meet.
    """
    updates = [(numbering.identity, CLOSED) for numbering in numberings]
    await update_each(numberings[0].collection, updates, session, upsert=True)


async def forget(numberings: Sequence[Numbering]) -> None:
    """Remove what counts nothing any more.

    A transaction that began before the commit meets this as it met that. A new parent that is stored alike starts anew.
    """
    identities = [numbering.identity["_id"] for numbering in numberings]
    await numberings[0].collection.delete_many({"_id": {"$in": identities}, **CLOSED["$set"]})


CLOSED: Mapping[str, Mapping[str, Any]] = {"$set": {"last": 0}}


@dataclass(slots=True)
class _Given:
    """How far one sequence was counted: by this unit, and in the store."""

    numbering: Numbering
    last: int
    stored: int
    time: datetime

    def update(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The filter and the update that write it."""
        return self.numbering.identity, self.numbering.counting(self.last - self.stored, self.time)


@dataclass(slots=True)
class Numbers:
    """The numbers that one unit gives. Where they are written at its end, it meets who gave some meanwhile."""

    _given: dict[str, _Given] = field(default_factory=dict)

    async def next(self, numbering: Numbering, parent: Mapping[str, Any], time: datetime, session: Any) -> int:
        """As `Numbering.next`, without a round trip for each. `parent`: raw, as the unit found it."""
        subject = repr((numbering.collection.full_name, numbering.field, numbering.identity))
        given = self._given.get(subject)
        if given is None:
            given = self._given[subject] = await _begun(numbering, parent, time, session)
        given.last, given.time = given.last + 1, time
        return given.last

    async def store(self, session: Any) -> None:
        """Write how far they have come, in one round trip for each collection where they are."""
        collections: dict[str, list[_Given]] = {}
        for given in self._given.values():
            if given.last != given.stored:
                collections.setdefault(given.numbering.collection.full_name, []).append(given)
        for ahead in collections.values():
            await update_each(ahead[0].numbering.collection, [given.update() for given in ahead], session)
            for given in ahead:
                given.stored = given.last


async def _begun(numbering: Numbering, parent: Mapping[str, Any], time: datetime, session: Any) -> _Given:
    if numbering.in_parent:
        last = numbering.last_in(parent)
        return _Given(numbering, last, last, time)
    # Taken at once: two that upsert the same document at their ends would be told of a duplicate.
    number = await numbering.next(time, session)
    return _Given(numbering, number - 1, number, time)
