"""What Beanie would write for a document, without its encoder where values are stored as they are.

Beanie's encoder looks at every value and asks what it is; the annotations know for most fields. What they
leave open goes through Beanie's encoder, and so does every document that has rules of its own.
"""

import datetime
import types
import typing
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, Union

from beanie import Document, PydanticObjectId
from beanie.exceptions import DocumentWasNotSaved
from beanie.odm.utils.dump import get_dict
from beanie.odm.utils.encoder import Encoder
from bson import DBRef, ObjectId
from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

from regesta.inheritance import class_name
from regesta.schemas.projection import picker
from regesta.schemas.shape import linked_document

Encode = Callable[[Any], Any]

# MongoDB's driver stores these as they are, whatever else they may be called.
NATIVE = (str, int, float, bool, type(None), datetime.datetime, ObjectId, PydanticObjectId)


def encoder_of(document: type[Document]) -> Callable[[Any], dict[str, Any]]:
    """A function from an instance to what is stored of it. `document` is initialised.

    The function raises ValueError, TypeError or AttributeError for a value that cannot be stored.
    """
    encode = _whole_encoder(document)
    references = [
        info.alias or name
        for name, info in document.model_fields.items()
        if (linked := linked_document(info.annotation)) and not _is_native(linked.model_fields["id"].annotation)
    ]
    if not references:
        return encode

    def with_references(instance: Any) -> dict[str, Any]:
        stored = encode(instance)
        return stored | {key: _with_encoded_ids(stored[key]) for key in references if key in stored}

    return with_references


def _with_encoded_ids(value: Any) -> Any:
    """References with what is stored of the ids: Beanie leaves a UUID, which the driver does not take."""
    if isinstance(value, DBRef):
        return DBRef(value.collection, Encoder().encode(value.id), value.database)
    if isinstance(value, list):
        return [_with_encoded_ids(item) for item in value]
    return {key: _with_encoded_ids(item) for key, item in value.items()} if isinstance(value, dict) else value


def _whole_encoder(document: type[Document]) -> Callable[[Any], dict[str, Any]]:
    settings = document.get_settings()
    keep_nulls = settings.keep_nulls

    class_id, name = settings.class_id, class_name(document)

    def by_beanie(instance: Any) -> dict[str, Any]:
        try:
            found: dict[str, Any] = get_dict(instance, to_db=True, keep_nulls=keep_nulls)
        except DocumentWasNotSaved as error:
            raise ValueError("a link points to a document without an id") from error
        if name is not None:
            found[class_id] = name  # a field that is stored there must not make it another class
        return found

    if name is not None or settings.bson_encoders or document.get_link_fields() or not _is_plain(document):
        return by_beanie
    left_out = set() if settings.use_revision else {"revision_id"}
    whole = _Encoders(keep_nulls=keep_nulls).build(document, by_beanie, left_out)

    def encode(instance: Any) -> dict[str, Any]:
        stored: dict[str, Any] = whole(instance)
        if "_id" in stored and stored["_id"] is None:
            del stored["_id"]
        return stored

    return encode


class _Encoders:
    """Builds the encoders of models; one that contains itself finds its own already there."""

    def __init__(self, *, keep_nulls: bool) -> None:
        self._keep_nulls = keep_nulls
        self._by_beanie = _unless_plain(Encoder(to_db=True, keep_nulls=keep_nulls).encode)
        self._built: dict[type, Encode] = {}

    def build(self, model: type[BaseModel], otherwise: Encode, left_out: AbstractSet[str] = frozenset()) -> Encode:
        self._built[model] = lambda value: encode(value)  # noqa: PLW0108 - not there yet
        fields = {name: info for name, info in model.model_fields.items() if name not in left_out}
        keys = tuple(info.alias or name for name, info in fields.items())
        converting = [
            (info.alias or name, convert)
            for name, info in fields.items()
            if (convert := self._encode(info)) is not None
        ]
        pick, keep_nulls = picker(tuple(fields)), self._keep_nulls

        def encode(value: Any) -> Any:
            if type(value) is not model:
                return otherwise(value)
            try:
                stored = dict(zip(keys, pick(value.__dict__), strict=True))
            except KeyError:  # built without validation, and not whole
                return otherwise(value)
            for key, convert in converting:
                if stored[key] is not None:
                    stored[key] = convert(stored[key])
            return stored if keep_nulls else {key: found for key, found in stored.items() if found is not None}

        return encode

    def _encode(self, info: FieldInfo) -> Encode | None:
        """How values of a field become what is stored; None where they are that already."""
        if not _default_fits(info):
            return self._by_beanie
        if _is_native(info.annotation):
            return None
        annotation = _one_of(info.annotation)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if isinstance(annotation, type) and _is_plain(annotation):
            return self._built.get(annotation) or self.build(annotation, self._by_beanie)
        below = arguments[-1] if arguments and (origin is list or (origin is dict and arguments[0] is str)) else None
        if not (isinstance(below, type) and _is_plain(below)):
            return self._by_beanie
        item = self._built.get(below) or self.build(below, self._by_beanie)
        if origin is list:
            return lambda value: [item(each) for each in value]
        return lambda value: {key: item(each) for key, each in value.items()}


def _unless_plain(encode: Encode) -> Encode:
    """`encode`, which is not asked for what JSON can say: that is stored as it is.

    Beanie's encoder asks of each array whether it is of some twenty types, which costs more than everything else.
    """
    return lambda value: value if _is_json(value) else encode(value)


def _is_json(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(type(key) is str for key in value) and all(map(_is_json, value.values()))
    return all(map(_is_json, value)) if kind is list else kind in _SCALARS


_SCALARS = frozenset({str, int, float, bool, type(None)})


def _is_plain(model: type[Any]) -> bool:
    """A model whose fields are all there is to store of it."""
    return (
        issubclass(model, BaseModel)
        and not issubclass(model, RootModel)
        and model.__iter__ is BaseModel.__iter__
        and model.model_config.get("extra") != "allow"
        and not any(info.exclude for name, info in model.model_fields.items() if name != "revision_id")
    )


def _default_fits(info: FieldInfo) -> bool:
    """Pydantic does not validate defaults: a field of text may begin as anything."""
    if info.is_required() or info.default_factory in (list, dict):
        return True
    if info.default_factory is not None:
        return False
    default = info.default
    items = default if type(default) is list else default.values() if type(default) is dict else [default]
    return all(type(item) in NATIVE or isinstance(item, BaseModel) for item in items)


def _is_native(annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _is_native(arguments[0])
    if origin in (Union, types.UnionType):
        return all(map(_is_native, arguments))
    if origin is typing.Literal:
        return all(type(value) in NATIVE for value in arguments)
    if origin is list:  # of anything, where it has no arguments
        return _is_native(arguments[0] if arguments else Any)
    if origin is dict:
        return arguments[:1] == (str,) and _is_native(arguments[1])
    return annotation in NATIVE


def _one_of(annotation: Any) -> Any:
    """What is meant by an annotation beside None and metadata."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _one_of(arguments[0])
    if origin in (Union, types.UnionType):
        parts = [part for part in arguments if part is not type(None)]
        return _one_of(parts[0]) if len(parts) == 1 else annotation
    return annotation
