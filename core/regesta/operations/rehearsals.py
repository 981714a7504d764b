"""`validate_only` on a store that cannot undo: what would be written, found out by reading."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from pymongo.errors import DuplicateKeyError


async def refuse_taken(collection: Any, raw: Mapping[str, Any]) -> None:
    """Raises DuplicateKeyError as an insert (or an update to this) would, by every plain unique index."""
    for fields in _unique((await collection.index_information()).values()):
        values = {field: _value(raw, field) for field in fields}
        taken = {**values, "_id": {"$ne": raw["_id"]}} if "_id" not in values else values
        if await collection.find_one(taken, {"_id": 1}):
            raise DuplicateKeyError("is taken", 11000, {"keyPattern": dict.fromkeys(fields, 1)})


def updated(raw: Mapping[str, Any], update: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The document after `$set` and `$unset`."""
    after = copy.deepcopy(dict(raw))
    for path, value in update.get("$set", {}).items():
        *above, last = path.split(".")
        _below(after, above)[last] = value
    for path in update.get("$unset", {}):
        *above, last = path.split(".")
        _below(after, above).pop(last, None)
    return after


def _below(document: dict[str, Any], path: list[str]) -> dict[str, Any]:
    for part in path:
        document = document.setdefault(part, {})
    return document


def _unique(indexes: Any) -> Iterator[list[str]]:
    """Those that hold for each document: sparse and partial ones are left to the write itself."""
    for index in indexes:
        fields = [name for name, _ in index["key"]]
        if fields != ["_id"] and index.get("unique") and not (index.keys() & {"sparse", "partialFilterExpression"}):
            yield fields


def _value(raw: Any, path: str) -> Any:
    for part in path.split("."):
        raw = raw.get(part) if isinstance(raw, Mapping) else None
    return raw
