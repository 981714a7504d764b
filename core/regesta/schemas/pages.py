"""Turns a page of stored documents into what clients see, without a step of Python for each value.

Nearly always all documents of a page are as their class declares them. C code finds that out for all of them at once
in half the time that it takes one by one; where one is not, each goes the way of a single document.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from operator import itemgetter
from typing import Any

from bson import ObjectId

from regesta.schemas.projection import REVISION, picker, projector
from regesta.schemas.shape import FieldShape, Shape

Documents = Sequence[dict[str, Any]]
# Whether all of these values are dicts as a model declares them, so that nothing in them needs a change.
Alike = Callable[[Collection[Any]], bool]


def page_projector(shape: Shape, leave_out: frozenset[str] = frozenset()) -> Callable[[Documents], list[Any]]:
    """As `projector`, for several documents, which are spent with it."""
    one = projector(shape, leave_out, consuming=True)
    known = shape.fields.keys()
    shown = [found for found in shape.fields.values() if found.name not in leave_out]
    renamed = [(found.stored, found.wire) for found in shown if found.stored != found.wire]
    hidden = known - {found.stored for found in shown}
    below = _below(shown, [shape])
    if below is None or known & {wire for _, wire in renamed}:
        return lambda raws: list(map(one, raws))
    forms = [_alike(keys, below) for keys in (known - {REVISION}, known)]

    def project(raws: Documents) -> list[Any]:
        if not any(alike(raws) for alike in forms):
            return list(map(one, raws))
        for stored, wire in renamed:
            for raw in raws:
                value = raw.pop(stored)
                # Nearly every document has one, and orjson would have to call back for it.
                raw[wire] = value.binary.hex() if value.__class__ is ObjectId else value
        for stored in hidden:
            for raw in raws:
                raw.pop(stored, None)
        return list(raws)

    return project


def _below(fields: Collection[FieldShape], above: Sequence[Shape]) -> list[tuple[FieldShape, Alike]] | None:
    """The fields that hold models; None where a value may need a change."""
    found: list[tuple[FieldShape, Alike]] = []
    for field in fields:
        if field.convert:
            return None
        if field.child:
            inner = _model(field.child, above)
            if inner is None:
                return None
            found.append((field, inner))
    return found


def _model(shape: Shape, above: Sequence[Shape]) -> Alike | None:
    renames = any(found.stored != found.wire for found in shape.fields.values())
    if renames or any(shape is outer for outer in above):  # it contains itself: how deep, nobody knows
        return None
    below = _below(shape.fields.values(), [*above, shape])
    return None if below is None else _alike(shape.fields.keys(), below)


def _alike(keys: AbstractSet[str], below: Sequence[tuple[FieldShape, Alike]]) -> Alike:
    pick, size = picker(tuple(keys)), len(keys)
    nested = [(itemgetter(field.stored), _CONTENTS[field.container], inner) for field, inner in below]

    def alike(values: Collection[Any]) -> bool:
        if {*map(type, values)} - {dict} or {*map(len, values)} - {size}:
            return False
        try:
            deque(map(pick, values), maxlen=0)
        except KeyError:
            return False
        for get, contents, inner in nested:
            found = contents([value for value in map(get, values) if value is not None])
            if found is None or not inner(found):
                return False
        return True

    return alike


def _in_lists(values: list[Any]) -> list[Any] | None:
    return None if {*map(type, values)} - {list} else list(chain.from_iterable(values))


def _in_dicts(values: list[Any]) -> list[Any] | None:
    return None if {*map(type, values)} - {dict} else list(chain.from_iterable(map(dict.values, values)))


# What stands in the containers of models; None where one is no such container.
_CONTENTS: dict[str, Callable[[list[Any]], list[Any] | None]] = {
    "one": lambda values: values,
    "list": _in_lists,
    "dict": _in_dicts,
}
