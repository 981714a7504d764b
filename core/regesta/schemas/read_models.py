"""What clients see of documents where the application has a model of its own for that."""

from functools import cached_property
from typing import Any, cast
from uuid import UUID

from beanie import Document, Link
from bson import ObjectId
from pydantic import BaseModel, TypeAdapter, create_model, field_validator
from pydantic_core import PydanticOmit, SchemaValidator, core_schema

from regesta.schemas.dumping import dump
from regesta.schemas.exact import Schema, children
from regesta.schemas.projection import as_json

# What a document that somebody else wrote may make of the code in a model, or in the document.
_BROKEN = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
_ABSENT = object()


class ReadModel:
    """Shows documents by a model, and nothing beside it. Its texts take ids and links too.

    Of a document that does not fit the model, which somebody else wrote, it shows each field that fits by itself,
    and nothing that is computed.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    @property
    def reads(self) -> frozenset[str]:
        """The attributes of a document that it shows."""
        return frozenset(str(info.validation_alias or name) for name, info in self._fields)

    def wire(self, document: Document) -> dict[str, Any]:
        """What `dumps` turns into the JSON of the document."""
        if document.__dict__.keys() >= type(document).model_fields.keys():
            try:
                whole = self._whole.validate_python(document, from_attributes=True)
                return dump(whole, computed=True, fallback=as_json)[0]
            except _BROKEN:
                pass
        given = {name: _value(document, info.validation_alias or name) for name, info in self._fields}
        try:
            parts = self._parts.validate_python(given, from_attributes=True, by_alias=False, by_name=True)
            return dump(parts, computed=False, fallback=as_json)[0]
        except _BROKEN:
            return {}

    @property
    def _fields(self) -> Any:
        return self._model.model_fields.items()

    @cached_property
    def _whole(self) -> SchemaValidator:
        return _validator(self._model)

    @cached_property
    def _parts(self) -> SchemaValidator:
        leave_out: Any = {"fits": field_validator("*", mode="wrap")(_fitting)}
        return _validator(create_model(self._model.__name__, __base__=self._model, __validators__=leave_out))


def _validator(model: type[BaseModel]) -> SchemaValidator:
    return SchemaValidator(
        cast("core_schema.CoreSchema", _with_texts(TypeAdapter(model).core_schema)), _use_prebuilt=False
    )


def _with_texts(schema: Schema) -> dict[str, Any]:
    """The schema, whose texts take what JSON shows as a text."""
    below = children(schema, _with_texts)
    if schema.get("type") != "str":
        return below
    return {**core_schema.no_info_before_validator_function(_text, cast("core_schema.CoreSchema", below))}


def _text(value: Any) -> Any:
    if isinstance(value, Link):
        value = value.ref.id
    return str(value) if isinstance(value, ObjectId | UUID) else value


def _fitting(value: Any, validate: core_schema.ValidatorFunctionWrapHandler) -> Any:
    if value is _ABSENT:
        raise PydanticOmit
    try:
        return validate(value)
    except _BROKEN:
        raise PydanticOmit from None


def _value(document: Document, name: Any) -> Any:
    if name in document.__dict__:
        return document.__dict__[name]
    if name in type(document).model_fields:  # where an instance has none, the class has Beanie's expression of it
        return _ABSENT
    try:
        return getattr(document, name, _ABSENT)
    except _BROKEN:
        return _ABSENT
