"""From where each part of a document came: a tree like the one that clients see, for patches to move about."""

import copy
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

import bson
import orjson

from regesta.operations.refusals import UNSTORABLE
from regesta.schemas.projection import OPTIONS, as_json
from regesta.schemas.shape import FieldShape, Shape
from regesta.store import STANDARD


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """A value before the change: its form `before` that compares with the new one, and what is `stored` of it."""

    before: Any
    stored: Any

    def __deepcopy__(self, _: Any) -> "Origin":
        return self


class OriginObject(dict[str, Any]):
    """The members of an object on the wire, each with its origin; `stored_names` differ from those on the wire."""

    def __init__(self, members: Mapping[str, Any], origin: Origin, stored_names: Mapping[str, str]) -> None:
        super().__init__(members)
        self.origin, self.stored_names = origin, stored_names

    def __deepcopy__(self, memo: Any) -> "OriginObject":
        members = {name: copy.deepcopy(member, memo) for name, member in self.items()}
        return OriginObject(members, self.origin, self.stored_names)


class OriginList(list[Any]):
    """The items of a list on the wire, each with its origin."""

    def __init__(self, items: Sequence[Any], origin: Origin) -> None:
        super().__init__(items)
        self.origin = origin

    def __deepcopy__(self, memo: Any) -> "OriginList":
        return OriginList([copy.deepcopy(item, memo) for item in self], self.origin)


def traced(wire: Any, origin: Origin, field: FieldShape | None = None, *, alike: bool = False) -> Any:
    """A value on the wire with the origin of each part, as deep as the parts are certain.

    `field` describes it. `alike`: it is known that both forms of the origin have the same BSON.
    """
    before, stored = origin.before, origin.stored
    if isinstance(wire, dict) and isinstance(before, dict) and isinstance(stored, dict):
        shape = field.child if field and field.container == "one" else None
        names = {found.wire: key for key, found in shape.fields.items()} if shape else {}
        members = {}
        for name, value in wire.items():
            key = names.get(name, name)
            known = Origin(before[key], stored[key]) if key in before and key in stored else None
            members[name] = traced(value, known, _below(field, shape, str(key)), alike=alike) if known else value
        return OriginObject(members, origin, names)
    if isinstance(wire, list) and isinstance(before, list) and isinstance(stored, list):
        alike = alike or _are_alike(before, stored)
        origins = list(map(Origin, before, stored)) if alike else _origins_by_json(before, stored)
        if len(origins) == len(wire):
            below = _below(field, None, "")
            return OriginList(
                [traced(item, known, below, alike=alike) for item, known in zip(wire, origins, strict=True)], origin
            )
    return origin


def _below(field: FieldShape | None, shape: Shape | None, key: str) -> FieldShape | None:
    """What describes the parts of a value."""
    if shape is not None:
        return shape.fields.get(key)
    return replace(field, container="one") if field and field.child and field.container != "one" else None


def origin_of(trace: Any) -> Origin | None:
    """The origin of a part of a trace, None for what is new."""
    return trace if isinstance(trace, Origin) else getattr(trace, "origin", None)


def origins_of_items(before: list[Any], stored: list[Any]) -> list[Origin]:
    """The origins of a list's items, of those for which it is clear which is which: a validator may sort them."""
    return list(map(Origin, before, stored)) if _are_alike(before, stored) else _origins_by_json(before, stored)


def _are_alike(before: list[Any], stored: list[Any]) -> bool:
    """Whether both have the same BSON, which is far quicker to see than which item is which."""
    try:
        one, other = (bson.encode({"": items}, codec_options=STANDARD) for items in (before, stored))
    except UNSTORABLE:
        return False
    return one == other


def _origins_by_json(before: list[Any], stored: list[Any]) -> list[Origin]:
    members = {key for item in before if isinstance(item, dict) for key in item}
    keys, stored_keys = ([_shown(item, members) for item in items] for items in (before, stored))
    if len(keys) == len(stored_keys):
        known = set(stored_keys)
        if all(one == other or one not in known for one, other in zip(keys, stored_keys, strict=True)):
            return list(map(Origin, before, stored))
    waiting: defaultdict[bytes, deque[Any]] = defaultdict(deque)
    for key, item in zip(stored_keys, stored, strict=True):
        waiting[key].append(item)
    return [Origin(item, waiting[key].popleft()) for key, item in zip(keys, before, strict=True) if waiting[key]]


def _shown(item: Any, members: AbstractSet[str]) -> bytes:
    """What JSON shows of an item, with these members only."""
    if isinstance(item, dict):
        item = {key: value for key, value in item.items() if key in members}
    return orjson.dumps(item, default=as_json, option=OPTIONS | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
