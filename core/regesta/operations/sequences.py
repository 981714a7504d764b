"""One small document per parent and kind of child: numbers the children, and makes writes meet.

A transaction that adds a child and one that deletes the parent both write it, so MongoDB lets only one of
them through: no child is left without its parent. It stays when the parent goes.
"""

from typing import Any

COLLECTION = "regesta_sequences"


async def next_number(children: Any, parent: Any, session: Any) -> int:
    """1, 2, 3, ... for each parent: the number of a new child of the collection `children`, never given twice."""
    found = await children.database[COLLECTION].find_one_and_update(
        {"_id": _identity(children, parent)}, {"$inc": {"last": 1}}, upsert=True, return_document=True, session=session
    )
    return int(found["last"])


async def close(children: Any, parent: Any, session: Any) -> None:
    """The parent goes: a transaction that adds a child at the same time will not commit."""
    await children.database[COLLECTION].update_one(
        {"_id": _identity(children, parent)}, {"$set": {"last": 0}}, upsert=True, session=session
    )


def _identity(children: Any, parent: Any) -> dict[str, Any]:
    return {"children": children.name, "parent": parent}
