"""Links as clients send them: the id of what a link points to, by itself or in a container of the document's own."""

from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from beanie import Document, Link
from pydantic import BaseModel

from regesta.annotations import UNIONS, within
from regesta.errors import DeclarationError
from regesta.schemas.shape import CONTAINERS


def check_links(document: type[Document]) -> None:
    """Raises DeclarationError where the document has a link of which the id alone would not say enough."""
    for name, info in document.model_fields.items():
        if not _is_sent(info.annotation):
            raise DeclarationError(
                f"{document.__name__}.{name}: clients send a link as an id, so it is a field of the document itself, "
                "or in a list, set, tuple or dict there, and nothing else may stand in its place. "
                "In a model, or beside another type, store the id instead, or leave out the operations that take bodies"
            )


def _is_sent(annotation: Any) -> bool:
    """Whether each link in it is sent as an id."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Link or not _has_link(annotation):
        return True
    if origin is Annotated:
        return _is_sent(arguments[0])
    parts = [part for part in arguments if part is not NoneType]
    if origin in UNIONS:
        return len(parts) == 1 and _is_sent(parts[0])
    return (origin in CONTAINERS or origin is dict) and all(map(_is_sent, parts))


def _has_link(annotation: Any, models: tuple[type, ...] = ()) -> bool:
    for part in within(annotation):
        if get_origin(part) is Link:
            return True
        if not (isinstance(part, type) and issubclass(part, BaseModel)) or issubclass(part, (Document, *models)):
            continue
        if any(_has_link(info.annotation, (*models, part)) for info in part.model_fields.values()):
            return True
    return False
