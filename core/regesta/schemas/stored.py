"""What Beanie would write for a document, without its encoder where values are stored as they are.

Beanie's encoder looks at every value and asks what it is; the annotations know for most fields. What they
leave open goes through Beanie's encoder, and so does every document that has rules of its own.
"""

import dataclasses
import datetime
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any, Union

import bson
from beanie import Document, PydanticObjectId
from beanie.exceptions import DocumentWasNotSaved
from beanie.odm.fields import LinkTypes
from beanie.odm.utils.encoder import Encoder
from bson import Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

from regesta.inheritance import class_name
from regesta.schemas.projection import picker
from regesta.schemas.shape import linked_document
from regesta.store import STANDARD

Encode = Callable[[Any], Any]

# Beanie's encoder does not know all of them.
_LEFT_OUT = frozenset((Binary, Code, DBRef, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp))

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
            found = as_beanie(instance, keep_nulls=keep_nulls)
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


def as_beanie(document: Document, *, keep_nulls: bool) -> dict[str, Any]:
    """What Beanie stores of a document, but for what `BsonEncoder` does in another way."""
    revision = {"revision_id"} if document.get_settings().use_revision else set()
    left_out = ({"revision_id"} - revision) | ({"_id"} if document.id is None else set())
    # Beanie 2 excludes the revision, unless it is included.
    included: Any = {"include": revision} if "include" in Encoder.__dataclass_fields__ else {}
    encoder = BsonEncoder(exclude=left_out, to_db=True, keep_nulls=keep_nulls, **included)
    found: dict[str, Any] = encoder.encode(document)
    return found


class BsonEncoder(Encoder):
    """Beanie's encoder, which leaves every type of BSON's own as it is, takes dataclasses, and puts sets into an order.

    The order keeps a set that did not change from looking like another one. A pattern is stored without the flag
    that Python adds to each one, so that a stored pattern stays the same.
    """

    def encode(self, obj: Any) -> Any:
        """What is stored of a value. Raises ValueError for one that cannot be."""
        if not isinstance(obj, tuple(self.custom_encoders)):
            if type(obj) in _LEFT_OUT:
                return obj
            if isinstance(obj, re.Pattern):
                return _regex(obj)
            if dataclasses.is_dataclass(obj):
                return {key: self.encode(value) for key, value in _members_of(obj)}
            if isinstance(obj, Mapping):
                return {_key(key): self.encode(value) for key, value in obj.items()}
        encoded = super().encode(obj)
        return _in_order(encoded) if isinstance(obj, AbstractSet) and isinstance(encoded, list) else encoded

    def _encode_document(self, obj: Document) -> Mapping[str, Any]:
        """As Beanie's, with this encoder for what lies below."""
        obj.parse_store()
        settings, links = obj.get_settings(), obj.get_link_fields() or {}
        below = _EmbeddedEncoder(custom_encoders=settings.bson_encoders, to_db=self.to_db, keep_nulls=self.keep_nulls)
        found: dict[str, Any] = {}
        if settings.union_doc is not None:
            found[settings.class_id] = settings.union_doc_alias or obj.__class__.__name__
        if obj._class_id:  # noqa: SLF001 - Beanie has no public name for it
            found[settings.class_id] = obj._class_id  # noqa: SLF001
        for key, value in self._iter_model_items(obj):
            kind = links[key].link_type if key in links else None
            if kind in _ONE_LINK:
                found[key] = below.encode(None if value is None else value.to_ref())
            elif kind in _MANY_LINKS:
                found[key] = below.encode(None if value is None else [link.to_ref() for link in value])
            elif kind is None or not self.to_db:
                found[key] = below.encode(value)
        return found


class _EmbeddedEncoder(BsonEncoder):
    """For what lies in a document: a document there has no revision. Beanie 1.30 would store null for it."""

    def _encode_document(self, obj: Document) -> Mapping[str, Any]:
        return {key: value for key, value in super()._encode_document(obj).items() if key != "revision_id" or value}


def _regex(pattern: "re.Pattern[Any]") -> "Regex[Any]":
    """The pattern in BSON. Each pattern of text has the flag UNICODE in Python, which MongoDB does not know."""
    return Regex(pattern.pattern, pattern.flags & ~re.UNICODE)


_ONE_LINK = (LinkTypes.DIRECT, LinkTypes.OPTIONAL_DIRECT)
_MANY_LINKS = (LinkTypes.LIST, LinkTypes.OPTIONAL_LIST)


def _key(key: Any) -> str:
    """The key of a member: Beanie leaves an Enum, which the driver does not take."""
    value = key.value if isinstance(key, Enum) else key
    return value if isinstance(value, str) else str(key)


def _members_of(obj: Any) -> Iterator[tuple[str, Any]]:
    """The members of a dataclass by the keys that Pydantic reads them from."""
    infos: Mapping[str, FieldInfo] = getattr(obj, "__pydantic_fields__", {})
    for found in dataclasses.fields(obj):
        alias = infos[found.name].alias if found.name in infos else None
        yield alias or found.name, getattr(obj, found.name)


def _in_order(items: list[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=lambda item: bson.encode({"": item}, codec_options=STANDARD))


class _Encoders:
    """Builds the encoders of models; one that contains itself finds its own already there."""

    def __init__(self, *, keep_nulls: bool) -> None:
        self._keep_nulls = keep_nulls
        self._by_beanie = _unless_plain(_EmbeddedEncoder(to_db=True, keep_nulls=keep_nulls).encode)
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
        if isinstance(annotation, type) and _is_plain_part(annotation):
            return self._built.get(annotation) or self.build(annotation, self._by_beanie)
        below = arguments[-1] if arguments and (origin is list or (origin is dict and arguments[0] is str)) else None
        if not (isinstance(below, type) and _is_plain_part(below)):
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


def _is_plain_part(model: type[Any]) -> bool:
    """As `_is_plain`, of what stands in a document: another document has rules of its own there."""
    return _is_plain(model) and not issubclass(model, Document)


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
