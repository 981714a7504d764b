"""Integers beyond 64 bits, which BSON has no place for and JSON writes like any other number.

JavaScript writes 1e20 as 100000000000000000000. A float and a Decimal take it; nothing else does.
"""

import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, RootModel

from regesta.annotations import UNIONS, aliased
from regesta.schemas.shape import CONTAINERS, input_name

Path = Sequence[str | int]
# What stands in a tree in place of the integer at a path; None where nothing there takes it.
Widen = Callable[[Path, int], float | str | None]


def widened(annotation: Any, path: Path, value: int) -> float | str | None:
    """Return what JSON could say instead of the integer at this path below an annotation: a float, a Decimal's text.

    None if neither a float nor a Decimal stands there, or a float cannot hold it.
    """
    kinds = {kind for kind in _at(annotation, path) if isinstance(kind, type)}
    if any(issubclass(kind, float) for kind in kinds):
        try:
            return float(value)
        except OverflowError:
            return None
    return str(value) if any(issubclass(kind, Decimal) for kind in kinds) else None


def _at(annotation: Any, path: Path) -> Iterator[Any]:
    """The types that may stand at a path."""
    for part in _choices(annotation):
        if path:
            for below in _below(part, path[0]):
                yield from _at(below, path[1:])
        else:
            yield part


def _choices(annotation: Any) -> Iterator[Any]:
    """An annotation without Annotated, aliases, unions and root models."""
    named, origin, arguments = aliased(annotation), typing.get_origin(annotation), typing.get_args(annotation)
    if named is not None:
        yield from _choices(named)
    elif origin is Annotated:
        yield from _choices(arguments[0])
    elif origin in UNIONS:
        for part in arguments:
            yield from _choices(part)
    elif isinstance(annotation, type) and issubclass(annotation, RootModel):
        yield from _choices(annotation.model_fields["root"].annotation)
    else:
        yield annotation


def _below(part: Any, step: str | int) -> Iterator[Any]:
    origin, arguments = typing.get_origin(part), typing.get_args(part)
    if isinstance(part, type) and issubclass(part, BaseModel):
        yield from (info.annotation for name, info in part.model_fields.items() if input_name(name, info) == step)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from arguments[1:]
    elif origin is tuple and Ellipsis not in arguments:
        yield from arguments[int(step) : int(step) + 1] if str(step).isdecimal() else ()
    elif origin in CONTAINERS:
        yield from arguments[:1]
