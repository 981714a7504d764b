"""One small document per parent and kind of child: numbers the children, and makes writes meet.

A transaction that adds a child and one that deletes the parent both write it, so MongoDB lets only one of
them through: no child is left without its parent. It stays when the parent goes.
"""

from dataclasses import dataclass, field
from typing import Any

COLLECTION = "regesta_sequences"


@dataclass(slots=True)
class Numbers:
    """The numbers that one unit gives: the first one is taken from the sequence, which belongs to the unit then."""

    _parents: dict[str, Any] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)
    _stored: dict[str, int] = field(default_factory=dict)

    async def next(self, children: Any, parent: Any, session: Any) -> int:
        """As `next_number`, without a round trip for each."""
        name = repr(parent)
        if name in self._last:
            self._last[name] += 1
        else:
            self._parents[name] = parent
            self._last[name] = self._stored[name] = await next_number(children, parent, session)
        return self._last[name]

    async def store(self, children: Any, session: Any) -> None:
        """Write how far they have come."""
        for name, last in self._last.items():
            if ahead := last - self._stored[name]:
                wanted = {"_id": _identity(children, self._parents[name])}
                await _collection(children).update_one(wanted, {"$inc": {"last": ahead}}, session=session)
                self._stored[name] = last


async def next_number(children: Any, parent: Any, session: Any) -> int:
    """1, 2, 3, ... for each parent: the number of a new child of the collection `children`, never given twice."""
    found = await _collection(children).find_one_and_update(
        {"_id": _identity(children, parent)}, {"$inc": {"last": 1}}, upsert=True, return_document=True, session=session
    )
    return int(found["last"])


async def skip_to(children: Any, parent: Any, number: int, session: Any) -> int:
    """Let the next number be `number`, or a later one where that is given already: which one it will be."""
    found = await _collection(children).find_one_and_update(
        {"_id": _identity(children, parent)},
        {"$max": {"last": number - 1}},
        upsert=True,
        return_document=True,
        session=session,
    )
    return int(found["last"]) + 1


async def number_ahead(children: Any, parent: Any) -> int:
    """The number that a new child would get now."""
    found = await _collection(children).find_one({"_id": _identity(children, parent)})
    return int(found["last"]) + 1 if found else 1


async def close(children: Any, parent: Any, session: Any, *, for_good: bool = True) -> None:
    """The parent goes: a transaction that adds a child at the same time will not commit.

    One that may come back goes on with its numbers then. The write is there to be met by others.
    """
    change = {"$set": {"last": 0}} if for_good else {"$inc": {"last": 0, "closed": 1}}
    await _collection(children).update_one({"_id": _identity(children, parent)}, change, upsert=True, session=session)


def _collection(children: Any) -> Any:
    return children.database[COLLECTION]


def _identity(children: Any, parent: Any) -> dict[str, Any]:
    return {"children": children.name, "parent": parent}
