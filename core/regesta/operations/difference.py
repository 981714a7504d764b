"""The update that turns one stored document into another, touching nothing else."""

from collections.abc import Mapping
from typing import Any

from regesta.operations.kept import same


def update_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`$set` and `$unset` from one stored document to another; {} if they are equal."""
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
        elif not same(before[key], value):
            if _can_go_below(before[key], value):
                _compare(f"{prefix}{key}.", before[key], value, sets, unsets)
            else:
                sets[prefix + key] = value


def _can_go_below(before: Any, after: Any) -> bool:
    """Whether keys can be named by path: not those with a dot or `$`, nor below an empty object."""
    if not (isinstance(before, dict) and isinstance(after, dict) and before and after):
        return False
    return not any(not key or "." in key or key.startswith("$") for key in (*before, *after))
