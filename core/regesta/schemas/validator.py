"""Validates JSON bodies straight into documents, in Pydantic's strict JSON mode.

Three things stand in the way of `Book.model_validate_json(body, strict=True)`, and the schema that is built
here goes around them:

- Beanie's `Document.__init__` makes Pydantic call it with Python values, which loses JSON mode (in which
  strict still takes a string for a datetime) and needs an initialised database. Here the instance is
  constructed from the validated fields.
- Beanie's `fill_back_refs` looks into an initialised database. It is left out; back links are no input.
- "Before" validators of the whole want a whole body, also where a part is sent, and make Python values of it.
  They run before, by themselves.
- "Before" validators of a field look at what clients send. Values of a document that is there have been through
  them, and may be of types that they do not expect. So they run in JSON mode only.
- `Link` wants a collection name from the client. Here a link is sent as the id of what it points to.
"""

import typing
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

import orjson
from beanie import BackLink, Document, Link
from bson import DBRef
from pydantic import GetCoreSchemaHandler, TypeAdapter, ValidationInfo
from pydantic_core import CoreSchema, SchemaValidator, core_schema

from regesta.annotations import UNIONS
from regesta.errors import DeclarationError
from regesta.schemas.compiled import Compiled
from regesta.schemas.exact import children
from regesta.schemas.projection import dumps
from regesta.schemas.shape import input_name, is_back_link, linked_document

T = TypeVar("T", bound=Document)

# The fields that a part of a body lacks, by Python name, for validators that look at other fields.
_UNSENT: ContextVar[Mapping[str, Any]] = ContextVar("unsent")
# The fields that the server gives a new document, by Python name.
_GIVEN: ContextVar[Mapping[str, Any]] = ContextVar("given")
NOTHING: Mapping[str, Any] = {}


class BodyValidator(Generic[T]):
    """Validates bodies of one document class. `read_only` fields (Python names) need not be there."""

    def __init__(self, document: type[T], read_only: frozenset[str]) -> None:
        self._plan, self._partial_plan = _Plan(document, read_only), _Plan(document, read_only, partial=True)
        self._giving: dict[frozenset[str], _Plan] = {}

    def validate(self, body: bytes, given: Mapping[str, Any] = NOTHING) -> T:
        """A document from a body, whose fields of `given` have those values. Raises pydantic.ValidationError."""
        plan = self._plan if not given else self._plan_giving(frozenset(given))
        if self.fills:
            body = orjson.dumps(self._filled_beside(body, given), default=str)
        token = _GIVEN.set(given)
        try:
            validator = plan.compiled.for_body(body)
            document: T = validator.validate_json(body, strict=True, extra=plan.extra, by_alias=True, by_name=False)
        finally:
            _GIVEN.reset(token)
        return document

    def _plan_giving(self, names: frozenset[str]) -> "_Plan":
        """For each scope that the requests have: most often they all set the same fields."""
        if names not in self._giving:
            self._giving[names] = _Plan(self._plan.document, self._plan.read_only, given=names)
        return self._giving[names]

    def _filled_beside(self, body: bytes, given: Mapping[str, Any]) -> dict[str, Any]:
        """As `filled`; the validators see what is given, and cannot change it."""
        fields = self._plan.document.model_fields
        names = {name: input_name(name, fields[name]) for name in given}
        shown = {names[name]: value for name, value in given.items()}
        filled = self.filled(dumps({**orjson.loads(body), **shown}) if shown else body)
        return {name: value for name, value in filled.items() if name not in shown}

    @cached_property
    def fills(self) -> bool:
        """Whether the document has "before" validators of the whole, which may change and add fields."""
        return bool(self._plan.before)

    def filled(self, body: bytes) -> dict[str, Any]:
        """What "before" validators of the whole make of a whole body. Raises pydantic.ValidationError."""
        found: dict[str, Any] = self._plan.filling.validate_json(body)
        return found

    def validate_some(
        self, tree: Mapping[str, Any], unsent: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The fields that are there, by Python name, and the extra ones. Model validators do not run.

        `unsent` are the values that all other fields have or will get. Raises pydantic.ValidationError.
        """
        body = orjson.dumps(dict(tree), default=str)
        token = _UNSENT.set(unsent)
        try:
            values, extra, sent = self._partial_plan.compiled.for_body(body).validate_json(
                body, strict=True, extra=self._partial_plan.extra, by_alias=True, by_name=False
            )
        finally:
            _UNSENT.reset(token)
        return {name: values[name] for name in sent if name in values}, extra or {}

    def validate_values(self, values: Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> T:
        """A document from Python values by field name. Raises pydantic.ValidationError."""
        fields = self._plan.document.model_fields
        named = {input_name(name, info): values[name] for name, info in fields.items() if name in values}
        named.pop("revision_id", None)
        document: T = self._plan.compiled.validator.validate_python(
            {**named, **(extra or {})}, by_alias=True, by_name=False
        )
        return document


class _Plan:
    """Rewrites the core schema of a document: see the module."""

    def __init__(
        self,
        document: type[Document],
        read_only: frozenset[str],
        *,
        partial: bool = False,
        given: frozenset[str] = frozenset(),
    ) -> None:
        self.document = document
        self.read_only = read_only
        self._partial = partial
        self._given = given
        self._config: dict[str, Any] = {}
        self.extra: typing.Literal["forbid"] | None = None
        self.before: list[Mapping[str, Any]] = []
        planned: Any = Annotated[document, self]
        # The document's own configuration holds for the fields taken out of its schema.
        self._schema: Mapping[str, Any] = TypeAdapter[Any](planned).core_schema
        if "allow" in (_extra_of(self._config), *_extras(self._schema)):
            self._schema, self._config = _closed(self._schema), _forbidding(self._config)
        else:
            self.extra = "forbid"
        self.compiled = Compiled(_for_input(self._schema), self._config)

    @cached_property
    def filling(self) -> SchemaValidator:
        """The "before" validators of the whole, which were taken out of the schema."""
        schema: CoreSchema = core_schema.dict_schema()
        for found in reversed(self.before):
            schema = typing.cast("CoreSchema", {**found, "schema": schema})
        return SchemaValidator(schema)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        self.before.clear()
        schema = handler.resolve_ref_schema(handler(source))
        return self._rebuild(schema, handler)

    def _rebuild(self, schema: Mapping[str, Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        if schema["type"] == "model" and schema["cls"] is self.document:
            self._config = schema.get("config", {})
            fields = self._fields(schema["schema"], handler)
            if self._partial:
                return fields
            return core_schema.no_info_after_validator_function(self._construct, fields)
        if schema["type"] == "function-before":
            self.before.append(schema)
            return self._rebuild(schema["schema"], handler)
        if self._partial and "schema" in schema:
            return self._rebuild(schema["schema"], handler)
        if "schema" not in schema:
            raise DeclarationError(f"{self.document.__name__}: a {schema['type']} schema cannot take bodies")
        rebuilt = {**schema, "schema": self._rebuild(schema["schema"], handler)}
        rebuilt.pop("ref", None)
        return typing.cast("CoreSchema", rebuilt)

    def _fields(self, schema: Mapping[str, Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        if schema["type"] == "model-fields":
            fields = {name: self._field(name, found, handler) for name, found in schema["fields"].items()}
            del fields["revision_id"]
            return typing.cast("CoreSchema", {**schema, "fields": fields})
        if schema["type"] == "function-before":
            if getattr(schema["function"]["function"], "__name__", "") != "fill_back_refs":
                self.before.append(schema)
            return self._fields(schema["schema"], handler)
        return typing.cast("CoreSchema", {**schema, "schema": self._fields(schema["schema"], handler)})

    def _field(self, name: str, found: Mapping[str, Any], handler: GetCoreSchemaHandler) -> dict[str, Any]:
        info = self.document.model_fields[name]
        schema = found["schema"]
        alias = {"validation_alias": "id"} if name == "id" else {}
        if linked_document(info.annotation):
            schema = handler.generate_schema(with_link_ids(info.annotation))
            if not info.is_required():
                schema = core_schema.with_default_schema(
                    schema, default_factory=lambda: info.get_default(call_default_factory=True)
                )
        elif is_back_link(info.annotation):
            schema = core_schema.with_default_schema(
                core_schema.any_schema(), default_factory=_back_link(info.annotation)
            )
        if self._partial:
            unsent = core_schema.with_default_schema(
                schema, default_factory=lambda: _UNSENT.get().get(name), validate_default=False
            )
            return {**found, **alias, "schema": unsent}
        if name in self._given:
            schema = core_schema.with_default_schema(
                schema, default_factory=lambda: _GIVEN.get()[name], validate_default=False
            )
            return {**found, **alias, "schema": schema}
        if name in self.read_only and info.is_required() and not is_back_link(info.annotation):
            schema = core_schema.with_default_schema(schema, default=None)
        return {**found, **alias, "schema": schema}

    def _construct(self, validated: tuple[dict[str, Any], dict[str, Any] | None, set[str]]) -> Document:
        """The instance, as `model_construct` makes it, which looks for aliases and defaults once more."""
        values, extra, fields_set = validated
        document = self.document.__new__(self.document)
        object.__setattr__(document, "__dict__", {"id": None, "revision_id": None, **values})
        object.__setattr__(document, "__pydantic_fields_set__", fields_set)
        object.__setattr__(document, "__pydantic_extra__", extra)
        object.__setattr__(document, "__pydantic_private__", None)
        if self.document.__pydantic_post_init__:
            document.model_post_init(None)
        return document


def _for_input(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a document or field, whose "before" validators leave Python values as they are."""
    if schema["type"] == "model-fields":
        return {**schema, "fields": {name: _for_input(found) for name, found in schema["fields"].items()}}
    if schema["type"] not in _AROUND:
        return {**schema}
    found = {**schema, "schema": _for_input(schema["schema"])}
    if schema["type"] == "function-before":
        found["function"] = {**schema["function"], "type": "with-info", "function": _of_input(schema["function"])}
    return found


_AROUND = frozenset(
    ("definitions", "model-field", "default", "nullable", "function-before", "function-after", "function-wrap")
)


def _of_input(described: Mapping[str, Any]) -> Callable[[Any, ValidationInfo], Any]:
    function = described["function"]
    if described["type"] == "no-info":
        return lambda value, info: function(value) if info.mode == "json" else value
    return lambda value, info: function(value, info) if info.mode == "json" else value


def _extras(schema: Mapping[str, Any]) -> Iterator[Any]:
    """What the schema's models do with unknown fields: `extra="forbid"` at validation would override "allow"."""
    below: list[Any] = []
    children(schema, below.append)
    yield _extra_of(schema.get("config") or {})
    for part in below:
        yield from _extras(part)


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema in which each model refuses unknown fields, but those that keep them."""
    closed = children(schema, _closed)
    if schema.get("type") in ("model", "dataclass", "typed-dict"):
        closed["config"] = _forbidding(schema.get("config") or {})
    return closed


def _forbidding(config: Mapping[str, Any]) -> dict[str, Any]:
    return dict(config) if _extra_of(config) == "allow" else {**config, "extra_fields_behavior": "forbid"}


def _extra_of(config: Mapping[str, Any]) -> Any:
    return config.get("extra_fields_behavior")


def with_link_ids(annotation: Any) -> Any:
    """The annotation with each `Link[Author]` replaced by a link that is sent as an id."""
    if typing.get_origin(annotation) is Link:
        return Annotated[Link, _LinkById(typing.get_args(annotation)[0])]
    arguments = typing.get_args(annotation)
    if not arguments:
        return annotation
    replaced = tuple(with_link_ids(part) for part in arguments)
    origin = typing.get_origin(annotation)
    return typing.Union[replaced] if origin in UNIONS else origin[replaced]  # noqa: UP007


class _LinkById:
    """Validates an id of the linked document into a Link."""

    def __init__(self, document: type[Document]) -> None:
        self.document = document

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        identifier = handler.generate_schema(self.document.model_fields["id"].annotation)
        if identifier["type"] == "nullable":
            identifier = identifier["schema"]
        linked = core_schema.no_info_after_validator_function(self._link, identifier)
        return core_schema.json_or_python_schema(
            json_schema=linked,
            # Where somebody else stored the whole document, Beanie reads one.
            python_schema=core_schema.union_schema([core_schema.is_instance_schema((Link, self.document)), linked]),
        )

    def _link(self, identifier: Any) -> Link[Any]:
        return Link(DBRef(self.document.get_collection_name(), identifier), self.document)


def _back_link(annotation: Any) -> Callable[[], Any]:
    origin = typing.get_origin(annotation)
    if origin is BackLink:
        document = typing.get_args(annotation)[0]
        return lambda: BackLink(document)
    if origin is list:
        inner = _back_link(typing.get_args(annotation)[0])
        return lambda: [inner()]
    parts = [part for part in typing.get_args(annotation) if part is not type(None)]
    return _back_link(parts[0])
