"""Turns stored documents into what clients see, without building instances."""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

import orjson
from bson import Binary, DBRef, Decimal128, ObjectId, Regex
from bson.binary import OLD_UUID_SUBTYPE, UUID_SUBTYPE

from regesta.schemas.shape import FieldShape, Shape

Projector = Callable[[Mapping[str, Any]], dict[str, Any]]
UUID_LENGTH = 16
OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


def dumps(value: Any) -> bytes:
    """JSON of a projected document or of several: naive datetimes are UTC, as MongoDB stores them."""
    return orjson.dumps(value, default=as_json, option=OPTIONS)


def as_json(value: Any) -> Any:
    """What JSON shows of a BSON type: text for ObjectId, Decimal128 and UUID, the id for a reference."""
    if isinstance(value, _AS_TEXT):
        return str(value)
    if isinstance(value, DBRef):
        return value.id
    if isinstance(value, bytes):
        return _binary(value)
    if isinstance(value, Regex):
        return value.pattern
    if isinstance(value, _AS_LIST):
        return list(value)
    return str(value)


_AS_TEXT = (ObjectId, Decimal128)
_AS_LIST = (set, frozenset, tuple)


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
        changing: list[tuple[str, Callable[[Any], Any]]] = []
        pick, wires = _picker(tuple(names)), tuple(names.values())
        as_stored = names.keys() if all(stored == wire for stored, wire in names.items()) else None

        # On the path of every document that is read, so written for speed: C code does the picking.
        def project(raw: Mapping[str, Any]) -> dict[str, Any]:
            if not changing and raw.keys() == as_stored:
                return raw  # type: ignore[return-value]
            try:
                wire = dict(zip(wires, pick(raw), strict=True))
            except KeyError:
                wire = _incomplete(raw, names, defaults)
            for name, change in changing:
                if name in wire:
                    wire[name] = change(wire[name])
            return wire

        self._built[id(shape)] = project
        for found in fields:
            change = self._change(found)
            if change:
                changing.append((found.wire, change))
        return project

    def _change(self, found: FieldShape) -> Callable[[Any], Any] | None:
        if found.child is None:
            return found.convert
        known = self._built.get(id(found.child))
        below = known or self.build(found.child)
        return _CONTAINERS[found.container](below)


def _picker(keys: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """A function from a dict to the values of these keys; it raises KeyError where one is missing."""
    if len(keys) == 1:
        return lambda raw: (raw[keys[0]],)
    return itemgetter(*keys) if keys else lambda _: ()


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
    return lambda value: below(value) if isinstance(value, dict) else value


def _many(below: Projector) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [below(item) if isinstance(item, dict) else item for item in value]

    return change


def _keyed(below: Projector) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: below(item) if isinstance(item, dict) else item for key, item in value.items()}

    return change


_CONTAINERS = {"one": _one, "list": _many, "dict": _keyed}


def _binary(value: bytes) -> str:
    if isinstance(value, Binary) and value.subtype in (OLD_UUID_SUBTYPE, UUID_SUBTYPE) and len(value) == UUID_LENGTH:
        return str(value.as_uuid(value.subtype))
    return value.decode(errors="replace")
