"""Keyset paging: where a row stands in an order, and a filter for the rows strictly after it.

A later row has nothing in the sort field that is not later: so it is of any type, and so is an array, by whose first
element MongoDB sorts (descending by its last). Said that way it is one range of an index, whatever types there are.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bson import DBRef

from regesta.store import sendable

from .order import BRACKETS, NULL, RARE, SINGLE, bracket, place
from .paging import Sort

Filter = dict[str, Any]


def position(raw: Mapping[str, Any], sort: Sort) -> list[Any]:
    """The values by which MongoDB sorts a stored document; None where one is missing."""
    return [_value(raw, path, direction) for path, direction in sort]


def _value(raw: Mapping[str, Any], path: str, direction: int) -> Any:
    found = list(_values(raw, path.split(".")))
    if len(found) == 1:
        return found[0]
    return (min if direction == 1 else max)(found, key=place, default=None)


def _values(raw: Any, segments: Sequence[str]) -> Iterator[Any]:
    """What stands at a path: several values where it goes through or to an array, which somebody else stored there."""
    for at, segment in enumerate(segments):
        if isinstance(raw, DBRef):
            raw = raw.as_doc()
        if isinstance(raw, list):
            for item in raw:
                yield from _values(None if isinstance(item, list) else item, segments[at:])
            return
        if not isinstance(raw, Mapping):
            yield None
            return
        raw = raw.get(segment)
    if isinstance(raw, list) and raw:
        # An array in the array is none of its values: not to be taken for an empty one.
        yield from ([item] if isinstance(item, list) else item for item in raw)
    else:
        yield raw


def keyset_filter(sort: Sort, values: Sequence[Any], *, rare: bool = False) -> Filter:
    """A filter for the rows strictly after the one with these sort values, in this order.

    sort: paths with 1 or -1, the last one unique (`_id`). values: one for each (`position`), of any type; of regular
    expressions, and of arrays in arrays, one is as good as another. rare: know timestamps and regular expressions,
    which mongomock does not.
    """
    if not sort or len(sort) != len(values):
        raise ValueError("a keyset needs one value for each sort key")
    first, *others = [_Step(path, way, value, rare=rare) for (path, way), value in zip(sort, values, strict=True)]
    branches, tied = [first.beyond], [first.same]
    for step in others:
        branches.append({"$and": [*tied, *step.not_before, step.beyond]})
        tied += [*step.not_before, step.same]
    # What holds in all branches stands beside them: it lets MongoDB walk an index from there, in order, where it
    # cannot merge the branches of the $or.
    return {"$and": [*first.not_before, {"$or": branches} if others else first.beyond]}


class _Step:
    """What a row may have in one sort key, against the last one's value.

    not_before: nothing that is earlier. beyond, together with that: nothing that is the same. same: that instead.
    """

    def __init__(self, path: str, direction: int, value: Any, *, rare: bool) -> None:
        own = bracket(value)
        sides = [
            [found for found in side if rare or found not in RARE] for side in (BRACKETS[:own], BRACKETS[own + 1 :])
        ]
        before, after = sides[::direction]
        until = BRACKETS[own]
        self.same: Filter = {path: until}
        if own not in SINGLE:
            comparison = "$lt" if direction == 1 else "$gt"
            before.append(sendable({comparison: value}))
            until, self.same = sendable({f"{comparison}e": value}), {path: sendable({"$eq": value})}
        elif own == NULL and "." in path:
            # `$eq` overlooks an array on the way with nothing there: what has nothing else has null.
            self.same = {"$and": [_without(path, found) for found in (*before, *after)]}
        self.not_before = [_without(path, found) for found in before]
        self.beyond = _without(path, until)


def _without(path: str, found: Filter) -> Filter:
    nothing = {path: {"$not": found}}
    return {"$and": [nothing, {path: {"$exists": True}}]} if found is BRACKETS[NULL] and "." in path else nothing
