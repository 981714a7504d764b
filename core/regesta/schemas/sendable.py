"""What clients could not send back as it is shown to them: it is refused when a resource is declared."""

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from beanie import Document, Link
from pydantic import EncodedBytes, EncodedStr, Json

from regesta.annotations import UNIONS, members_of, within
from regesta.errors import DeclarationError
from regesta.schemas.shape import CONTAINERS


def check_sendable(document: type[Document]) -> None:
    """Raises DeclarationError if no body could say what the document may hold, or it could not be read back."""
    encoders = getattr(getattr(document, "Settings", None), "bson_encoders", None)
    for name, info in document.model_fields.items():
        field = f"{document.__name__}.{name}"
        if not _links_are_sent(info.annotation):
            raise DeclarationError(
                f"{field}: clients send a link as an id, so it is a field of the document itself, "
                "or in a list, set, tuple or dict there, and nothing else may stand in its place. "
                "In a model, or beside another type, store the id instead, or leave out the operations that take bodies"
            )
        parts = [*info.metadata, *_all_within(info.annotation)]
        if any(get_origin(part) is Link and Document in get_args(part) for part in parts):
            raise DeclarationError(f"{field}: Document has no collection: link to the class that is meant")
        if any(map(_has_float_keys, parts)):
            raise DeclarationError(
                f"{field}: a float is stored as a key with a dot, which no body may have: use texts or whole numbers"
            )
        if any(get_origin(part) is type for part in parts):
            raise DeclarationError(f"{field}: JSON has no form for a class: store its name")
        if not encoders and any(isinstance(part, _DECODED) or part is Json for part in parts):
            raise DeclarationError(
                f"{field}: it is stored decoded, and decoded once more when it is read, which fails: annotate it with "
                "what it holds (`bytes`, `str`, `list[int]`), or encode it again with `bson_encoders`"
            )


# What Pydantic decodes; Json is a class where it has no argument.
_DECODED = (EncodedBytes, EncodedStr, Json)


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


def _all_within(annotation: Any, known: tuple[type, ...] = ()) -> Iterator[Any]:
    """As `within`, and into models, but not into documents: they are linked, and have resources of their own."""
    for part in within(annotation):
        yield part
        if isinstance(part, type) and part not in known and not issubclass(part, Document):
            for _, below in members_of(part):
                yield from _all_within(below, (*known, part))
