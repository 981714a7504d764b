"""Validators of JSON bodies, compiled from core schemas that take JSON exactly."""

from functools import cached_property
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, TypeAdapter
from pydantic_core import SchemaValidator, core_schema

from regesta.schemas.exact import Schema, exact
from regesta.schemas.issues import validation

M = TypeVar("M", bound=BaseModel)

# Of a larger body's lists and dicts the first wrong item is reported, not each one.
LARGE_BODY = 64 * 1024


class Compiled:
    """The validators of one schema. `config` holds where no model below brings its own."""

    def __init__(self, schema: Schema, config: Schema) -> None:
        self._schema, self._config = schema, config
        self.validator = self._compiled(first_only=False)

    def for_body(self, body: bytes) -> SchemaValidator:
        """The validator for a body of this size: to list every wrong item of a large one would take seconds."""
        return self.validator if len(body) <= LARGE_BODY else self._thrifty

    @cached_property
    def _thrifty(self) -> SchemaValidator:
        return self._compiled(first_only=True)

    def _compiled(self, *, first_only: bool) -> SchemaValidator:
        config = cast("core_schema.CoreConfig", self._config)
        # Pydantic puts a nested model's own validator in place of its schema, unless asked not to.
        return SchemaValidator(exact(self._schema, config, first_only=first_only), config, _use_prebuilt=False)


class ModelReader(Generic[M]):
    """Reads bodies by a model of the user's own."""

    def __init__(self, model: type[M]) -> None:
        self._fields = model.model_fields.keys()
        self._compiled = Compiled(TypeAdapter(model).core_schema, {})
        self._extra: Any = None if model.model_config.get("extra") else "forbid"

    def read(self, body: bytes) -> dict[str, Any]:
        """All fields by name, those that the body lacks with the model's defaults. Raises Invalid with every issue."""
        sent = self._sent(body)
        return {name: getattr(sent, name) for name in self._fields | sent.model_fields_set}

    def read_some(self, body: bytes) -> dict[str, Any]:
        """The fields that the body sets, by name. Raises Invalid with every issue."""
        sent = self._sent(body)
        return {name: getattr(sent, name) for name in sent.model_fields_set}

    def _sent(self, body: bytes) -> M:
        with validation(lambda loc: self._fields if len(loc) == 1 else ()):
            sent: M = self._compiled.for_body(body).validate_json(body, strict=True, extra=self._extra)
        return sent
