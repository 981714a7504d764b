"""Walks through annotations: `Annotated[str, Secret] | None`, and what `type Password = ...` stands for."""

from collections.abc import Collection, Iterator
from dataclasses import is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from beanie import Link
from pydantic import BaseModel, RootModel
from typing_extensions import is_typeddict
from typing_inspection.typing_objects import is_newtype, is_typealiastype

UNIONS = (Union, UnionType)


def within(annotation: Any) -> Iterator[Any]:
    """An annotation and all that it is made of, from the outside in: types, arguments, what `Annotated` notes.

    Of a model only the class: its fields are annotations of their own.
    """
    return _within(annotation, ())


def compounds(annotation: Any) -> Iterator[Any]:
    """The types within an annotation whose values are made of several, or of bytes, which no text stands for."""
    for part in within(annotation):
        kind = get_origin(part) or part
        if not isinstance(kind, type):
            continue
        if issubclass(kind, RootModel):
            yield from compounds(kind.model_fields["root"].annotation)
        elif issubclass(kind, BaseModel | Link) or is_dataclass(kind) or _holds_several(kind):
            yield part


def _holds_several(kind: type) -> bool:
    return issubclass(kind, Collection) and not issubclass(kind, str | Enum)


def members_of(kind: Any) -> Iterator[tuple[str, Any]]:
    """The names and annotations of the members of a model, dataclass, TypedDict or NamedTuple; of others none.

    What Pydantic has taken out of an annotation is in it again.
    """
    infos: Any = getattr(kind, "model_fields" if _is_model(kind) else "__pydantic_fields__", None)
    if isinstance(infos, dict):
        for name, info in infos.items():
            yield name, Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    elif isinstance(kind, type) and (is_dataclass(kind) or is_typeddict(kind) or hasattr(kind, "_fields")):
        yield from get_type_hints(kind, include_extras=True).items()


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def takes_none(annotation: Any) -> bool:
    """Whether None is a value of it, by itself or as one of a union's."""
    named = aliased(annotation)
    if named is not None:
        return takes_none(named)
    if get_origin(annotation) is Annotated:
        return takes_none(get_args(annotation)[0])
    if get_origin(annotation) in UNIONS:
        return any(map(takes_none, get_args(annotation)))
    return annotation in (None, NoneType)


def aliased(annotation: Any) -> Any:
    """What an alias (PEP 695) or a NewType stands for; None for what is neither.

    The parameters of a generic alias stay as they are.
    """
    for candidate in (annotation, get_origin(annotation)):
        if is_typealiastype(candidate):
            return candidate.__value__
    return annotation.__supertype__ if is_newtype(annotation) else None


def _within(annotation: Any, aliases: tuple[Any, ...]) -> Iterator[Any]:
    yield annotation
    named = aliased(annotation)
    # An alias may stand for something with itself in it.
    if named is not None and all(annotation is not known for known in aliases):
        yield from _within(named, (*aliases, annotation))
    for part in get_args(annotation):
        yield from _within(part, aliases)
