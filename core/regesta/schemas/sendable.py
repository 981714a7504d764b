"""What clients could not send back as it is shown to them: it is refused when a resource is declared."""

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from beanie import Document, Link
from pydantic import BaseModel

from regesta.annotations import UNIONS, within
from regesta.errors import DeclarationError
from regesta.schemas.shape import CONTAINERS


def check_sendable(document: type[Document]) -> None:
    """Raises DeclarationError where no body could say what the document may hold."""
    for name, info in document.model_fields.items():
        field = f"{document.__name__}.{name}"
        if not _links_are_sent(info.annotation):
            raise DeclarationError(
                f"{field}: clients send a link as an id, so it is a field of the document itself, "
                "or in a list, set, tuple or dict there, and nothing else may stand in its place. "
                "In a model, or beside another type, store the id instead, or leave out the operations that take bodies"
            )
        if any(map(_has_float_keys, _all_within(info.annotation))):
            raise DeclarationError(
                f"{field}: a float is stored as a key with a dot, which no body may have: use texts or whole numbers"
            )


def _links_are_sent(annotation: Any) -> bool:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Link or not any(get_origin(part) is Link for part in _all_within(annotation)):
        return True
    if origin is Annotated:
        return _links_are_sent(arguments[0])
    parts = [part for part in arguments if part is not NoneType]
    if origin in UNIONS:
        return len(parts) == 1 and _links_are_sent(parts[0])
    return (origin in CONTAINERS or origin is dict) and all(map(_links_are_sent, parts))


def _has_float_keys(annotation: Any) -> bool:
    origin, arguments = get_origin(annotation), get_args(annotation)
    return (
        isinstance(origin, type) and issubclass(origin, Mapping) and any(float in within(key) for key in arguments[:1])
    )


def _all_within(annotation: Any, models: tuple[type, ...] = ()) -> Iterator[Any]:
    """As `within`, and into models, but not into documents: they are linked, and have resources of their own."""
    for part in within(annotation):
        yield part
        if isinstance(part, type) and issubclass(part, BaseModel) and not issubclass(part, (Document, *models)):
            for info in part.model_fields.values():
                yield from _all_within(info.annotation, (*models, part))
