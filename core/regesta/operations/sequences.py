"""What numbers the children of a parent, and makes writes meet.

A transaction that adds a child and one that deletes the parent both write one document, so MongoDB lets only one of
them through: no child is left without its parent. That is a small document per parent and kind of child, which
stays when the parent goes; or the parent itself (`Parent.counter`), which then is found and counted up in one write.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

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
        return f"{self.field}.last" if self.field else "last"

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
        await self._update({"$inc": {self.last: 0, self.last.replace("last", "closed"): 1}}, session)

    async def close(self, session: Any) -> None:
        """The parent goes for good; a new one that is stored alike starts anew."""
        if not self.in_parent:
            await self._update({"$set": {"last": 0}}, session)

    async def _update(self, update: Mapping[str, Any], session: Any) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = await self.collection.find_one_and_update(
            self.identity, update, upsert=not self.in_parent, return_document=True, session=session
        )
        return found


@dataclass(slots=True)
class _Given:
    """How far one sequence was counted: by this unit, and in the store."""

    numbering: Numbering
    last: int
    stored: int
    time: datetime


@dataclass(slots=True)
class Numbers:
    """The numbers that one unit gives: the first one is taken from the sequence, which belongs to the unit then."""

    _given: dict[str, _Given] = field(default_factory=dict)

    def begin(self, numbering: Numbering, number: int, time: datetime) -> None:
        """A first number was taken."""
        self._given[repr(numbering.identity)] = _Given(numbering, number, number, time)

    async def next(self, numbering: Numbering, time: datetime, session: Any) -> int:
        """As `Numbering.next`, without a round trip for each."""
        given = self._given.get(repr(numbering.identity))
        if given is None:
            number = await numbering.next(time, session)
            self.begin(numbering, number, time)
            return number
        given.last, given.time = given.last + 1, time
        return given.last

    async def store(self, session: Any) -> None:
        """Write how far they have come."""
        for given in self._given.values():
            if ahead := given.last - given.stored:
                numbering = given.numbering
                update = numbering.counting(ahead, given.time)
                await numbering.collection.update_one(numbering.identity, update, session=session)
                given.stored = given.last
