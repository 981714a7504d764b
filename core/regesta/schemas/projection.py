"""Turns stored documents into what clients see, without building instances."""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson
from beanie import Document, Link
from bson import Binary, DBRef, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import OLD_UUID_SUBTYPE, UUID_SUBTYPE
from bson.datetime_ms import DatetimeMS
from pydantic import BaseModel

from regesta.errors import Unreadable
from regesta.schemas.shape import FieldShape, Shape

Projector = Callable[[Mapping[str, Any]], dict[str, Any]]
UUID_LENGTH = 16
REVISION = "revision_id"
OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


def dumps(value: Any) -> bytes:
    """JSON of a projected document or of several: naive datetimes are UTC, as MongoDB stores them.

    Raises Unreadable for what JSON cannot show: a date or a text that Python has no value for.
    """
    try:
        return orjson.dumps(value, default=as_json, option=OPTIONS)
    except orjson.JSONEncodeError as error:
        raise Unreadable("a stored value cannot be shown") from error


def as_json(value: Any) -> Any:
    """What JSON shows of a BSON type: text for ObjectId, Decimal128, UUID and bytes, the id for a reference."""
    if value.__class__ is ObjectId:  # most of all that comes here
        return value.binary.hex()
    if isinstance(value, _AS_TEXT):
        return str(value)
    if isinstance(value, Link):
        value = value.ref
    if isinstance(value, DBRef | Document):
        return value.id
    if isinstance(value, bytes):
        return _binary(value)
    if isinstance(value, Regex | re.Pattern):
        return value.pattern
    if isinstance(value, _AS_LIST):
        return list(value)
    if isinstance(value, DatetimeMS):
        raise TypeError("a date outside of the years 1 to 9999")
    if isinstance(value, BaseModel):  # an id may be a RootModel
        return value.model_dump(mode="json")
    return str(value)


def bson_as_json(value: Any) -> Any:
    """As `as_json`. Raises TypeError for what is no BSON: its text would be that of a Python object."""
    if not isinstance(value, _BSON):
        raise TypeError(f"JSON has no form for {type(value).__name__}")
    return as_json(value)


_AS_TEXT = (ObjectId, Decimal128)
_AS_LIST = (set, frozenset, tuple)
_BSON = (
    *_AS_TEXT,
    *_AS_LIST,
    Link,
    DBRef,
    Document,
    bytes,
    Regex,
    re.Pattern,
    BaseModel,
    Timestamp,
    MinKey,
    MaxKey,
    DatetimeMS,
)


def projector(shape: Shape, leave_out: frozenset[str] = frozenset(), *, consuming: bool = False) -> Projector:
    """A function from a stored dict to the wire dict: known keys renamed, defaults filled in, the rest dropped.

    `leave_out` are Python names of fields on this level. What needs no change is answered as it is, not copied.
    `consuming`: the stored dict itself becomes the wire dict, where it can.
    """
    return _Projectors().build(shape, leave_out, consuming=consuming).project


@dataclass(slots=True)
class _Level:
    """The projector of one model; `plain` are the keys of what it answers as it is, None where it always changes."""

    project: Projector
    plain: AbstractSet[str] | None = None


class _Projectors:
    """Builds projectors; a model that contains itself finds its own one already there."""

    def __init__(self) -> None:
        self._built: dict[int, _Level] = {}

    def build(self, shape: Shape, leave_out: frozenset[str] = frozenset(), *, consuming: bool = False) -> _Level:
        level = self._built[id(shape)] = _Level(lambda raw: level.project(raw))  # noqa: PLW0108 - replaced below
        fields = [found for found in shape.fields.values() if found.name not in leave_out]
        changing = [(found.wire, change) for found in fields if (change := self._change(found))]
        names = {found.stored: found.wire for found in fields}
        given = {found.stored: found.default for found in fields if found.default}
        as_declared = _picking(names, given, {found.stored: found.name for found in fields if shape.by_name})
        project = _exchanging(names, shape.fields.keys(), as_declared, consuming=consuming)
        if names.keys() == shape.fields.keys() == set(names.values()):
            project = _checking(shape.fields.keys(), as_declared)
            level.plain = None if changing else shape.fields.keys()
        level.project = _changing(project, changing) if changing else project
        return level

    def _change(self, found: FieldShape) -> Callable[[Any], Any] | None:
        if found.child is None:
            return found.convert
        below = self._built.get(id(found.child)) or self.build(found.child)
        return _CONTAINERS[found.container](below)


# On the path of every document that is read, so written for speed: C code does the comparing and the picking.


def _checking(known: AbstractSet[str], otherwise: Projector) -> Projector:
    """The document itself where it has exactly the known keys."""
    return lambda raw: raw if raw.keys() == known else otherwise(raw)  # type: ignore[return-value]


def _exchanging(
    names: Mapping[str, str], known: AbstractSet[str], otherwise: Projector, *, consuming: bool
) -> Projector:
    """The document, or a copy of it, with some keys renamed and some left out, where it has exactly the known keys."""
    renamed = tuple((stored, wire) for stored, wire in names.items() if stored != wire)
    if {wire for _, wire in renamed} & known:  # a new name that another field is stored under
        return otherwise
    without_revision = known - {REVISION}
    hidden = tuple(known - names.keys())

    def project(raw: Mapping[str, Any]) -> dict[str, Any]:
        if raw.keys() != without_revision and raw.keys() != known:
            return otherwise(raw)
        wire: dict[str, Any] = raw if consuming else {**raw}  # type: ignore[assignment]
        for stored, name in renamed:
            value = wire.pop(stored)
            # Nearly every document has one, and orjson would have to call back for it.
            wire[name] = value.binary.hex() if value.__class__ is ObjectId else value
        for stored in hidden:
            wire.pop(stored, None)
        return wire

    return project


def _changing(inner: Projector, changing: Sequence[tuple[str, Callable[[Any], Any]]]) -> Projector:
    """What `inner` answers, with some values changed."""

    def project(raw: Mapping[str, Any]) -> dict[str, Any]:
        wire = inner(raw)
        for name, change in changing:
            if name in wire:
                value = wire[name]
                shown = change(value)
                if shown is not value:
                    wire = {**raw} if wire is raw else wire
                    wire[name] = shown
        return wire

    return project


def _picking(
    names: Mapping[str, str], defaults: Mapping[str, Callable[[], Any]], by_name: Mapping[str, str]
) -> Projector:
    """The known keys, whatever else is there; without them the fuller way of `_incomplete`."""
    pick, wires = picker(tuple(names)), tuple(names.values())

    def project(raw: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return dict(zip(wires, pick(raw), strict=True))
        except KeyError:
            return _incomplete(raw, names, defaults, by_name)

    return project


def picker(keys: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """A function from a dict to the values of these keys; it raises KeyError where one is missing."""
    if len(keys) == 1:
        return lambda raw: (raw[keys[0]],)
    return itemgetter(*keys) if keys else lambda _: ()


def _incomplete(
    raw: Mapping[str, Any],
    names: Mapping[str, str],
    defaults: Mapping[str, Callable[[], Any]],
    by_name: Mapping[str, str],
) -> dict[str, Any]:
    """A document of somebody else, or an older one: defaults where there are some, nothing where not.

    `by_name`: the Python names that the model reads as well (`populate_by_name`).
    """
    wire = {}
    for stored, name in names.items():
        if stored in raw:
            wire[name] = raw[stored]
        elif by_name.get(stored) in raw:
            wire[name] = raw[by_name[stored]]
        elif stored in defaults:
            wire[name] = defaults[stored]()
    return wire


def _one(below: _Level) -> Callable[[Any], Any]:
    return lambda value: below.project(value) if isinstance(value, dict) else value


def _many(below: _Level) -> Callable[[Any], Any]:
    plain = below.plain

    def change(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        for item in value:
            if item.__class__ is not dict or item.keys() != plain:
                return [below.project(item) if isinstance(item, dict) else item for item in value]
        return value

    return change


def _keyed(below: _Level) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: below.project(item) if isinstance(item, dict) else item for key, item in value.items()}

    return change


_CONTAINERS = {"one": _one, "list": _many, "dict": _keyed}


def _binary(value: bytes) -> str:
    if isinstance(value, Binary) and value.subtype in (OLD_UUID_SUBTYPE, UUID_SUBTYPE) and len(value) == UUID_LENGTH:
        return str(value.as_uuid(value.subtype))
    try:  # base64, unless it is a text that a body may hold
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    return base64.b64encode(value).decode() if "\0" in text else text
