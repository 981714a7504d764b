"""The update that turns one stored document into another, touching nothing else."""

from collections.abc import Mapping
from typing import Any

import bson

from regesta.operations.refusals import UNSTORABLE
from regesta.store import STANDARD


def update_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`$set` and `$unset` from one encoded document to another; {} where they are equal.

    Both come from the document class, so stored keys that the class does not know are in neither and stay.
    """
    sets: dict[str, Any] = {}
    unsets: dict[str, Any] = {}
    _compare("", before, after, sets, unsets)
    update = {"$set": sets, "$unset": unsets}
    return {operator: fields for operator, fields in update.items() if fields}


def _compare(
    prefix: str, before: Mapping[str, Any], after: Mapping[str, Any], sets: dict[str, Any], unsets: dict[str, Any]
) -> None:
    for key in before.keys() - after.keys():
        unsets[prefix + key] = ""
    for key, value in after.items():
        if key not in before:
            sets[prefix + key] = value
        elif not _same(before[key], value):
            if _can_go_below(before[key], value):
                _compare(f"{prefix}{key}.", before[key], value, sets, unsets)
            else:
                sets[prefix + key] = value


def _same(one: Any, other: Any) -> bool:
    """Equal in MongoDB: 1, 1.0 and True are three things there, an instant is one in every zone."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if type(one) is type(other) and one == other:
        return True
    try:
        return bson.encode({"": one}, codec_options=STANDARD) == bson.encode({"": other}, codec_options=STANDARD)
    except UNSTORABLE:
        return False


def _can_go_below(before: Any, after: Any) -> bool:
    """Whether keys can be named by path: not those with a dot or `$`, nor below an empty object."""
    if not (isinstance(before, dict) and isinstance(after, dict) and before and after):
        return False
    return not any(not key or "." in key or key.startswith("$") for key in (*before, *after))
