"""Turns stored documents into what clients see, without building instances."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from bson import Binary, DBRef, Decimal128, ObjectId, Regex
from bson.binary import UUID_SUBTYPE

from regesta.schemas.shape import FieldShape, Shape

Projector = Callable[[Mapping[str, Any]], dict[str, Any]]
OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


def dumps(value: Any) -> bytes:
    """JSON of a projected document or of several: naive datetimes are UTC, as MongoDB stores them."""
    return orjson.dumps(value, default=as_json, option=OPTIONS)


def as_json(value: Any) -> Any:
    """What JSON shows of a BSON type: text for ObjectId, Decimal128 and UUID, the id for a reference.

    Raises TypeError for what has no JSON form.
    """
    if isinstance(value, ObjectId | Decimal128):
        return str(value)
    if isinstance(value, DBRef):
        return value.id
    if isinstance(value, bytes):
        return _binary(value)
    if isinstance(value, Regex):
        return value.pattern
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)


def projector(shape: Shape, leave_out: frozenset[str] = frozenset()) -> Projector:
    """A function from a stored dict to the wire dict: known keys renamed, defaults filled in, the rest dropped.

    `leave_out` are Python names of fields on this level.
    """
    return _Projectors().build(shape, leave_out)


class _Projectors:
    """Builds projectors; a model that contains itself gets its own projector once it is there."""

    def __init__(self) -> None:
        self._built: dict[int, Projector] = {}

    def build(self, shape: Shape, leave_out: frozenset[str] = frozenset()) -> Projector:
        fields = [found for found in shape.fields.values() if found.name not in leave_out]
        names = {found.stored: found.wire for found in fields}
        defaults = {found.stored: found.default for found in fields if found.default}
        plain = all(found.convert is None and found.child is None for found in fields)
        changes: dict[str, Callable[[Any], Any]] = {}

        def project(raw: Mapping[str, Any]) -> dict[str, Any]:
            try:
                wire = {name: raw[stored] for stored, name in pairs}
            except KeyError:
                wire = _incomplete(raw, names, defaults)
            for name, change in changing:
                if name in wire:
                    wire[name] = change(wire[name])
            return wire

        self._built[id(shape)] = project
        if not plain:
            for found in fields:
                change = self._change(found)
                if change:
                    changes[found.wire] = change
        pairs, changing = tuple(names.items()), tuple(changes.items())
        return project

    def _change(self, found: FieldShape) -> Callable[[Any], Any] | None:
        if found.child is None:
            return found.convert
        known = self._built.get(id(found.child))
        below = known or self.build(found.child)
        return _CONTAINERS[found.container](below)


def _incomplete(
    raw: Mapping[str, Any], names: Mapping[str, str], defaults: Mapping[str, Callable[[], Any]]
) -> dict[str, Any]:
    """A document of somebody else, or an older one: defaults where there are some, nothing where not."""
    wire = {}
    for stored, name in names.items():
        if stored in raw:
            wire[name] = raw[stored]
        elif stored in defaults:
            wire[name] = defaults[stored]()
    return wire


def _one(below: Projector) -> Callable[[Any], Any]:
    return lambda value: below(value) if isinstance(value, Mapping) else value


def _many(below: Projector) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [below(item) if isinstance(item, Mapping) else item for item in value]

    return change


def _keyed(below: Projector) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {key: below(item) if isinstance(item, Mapping) else item for key, item in value.items()}

    return change


_CONTAINERS = {"one": _one, "list": _many, "dict": _keyed}


def _binary(value: bytes) -> str:
    if isinstance(value, Binary) and value.subtype in (3, UUID_SUBTYPE):
        return str(value.as_uuid(value.subtype))
    return value.decode(errors="replace")
