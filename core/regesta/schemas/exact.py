"""Core schemas rewritten so that JSON is taken exactly as it is meant, or refused.

Pydantic's strict JSON mode still takes `true` and `1.0` for `Literal[1]` or an IntEnum, "1700000000" for a
datetime, "1_000" or a number that a float cannot hold for a Decimal, and "01" for the integer key of a dict,
where it takes the place of "1". Python values are validated as before.

Below a function of the user's own the value is a Python one, and strict mode takes no Python text for a datetime
and no list for a set. What JSON has no type for is therefore made of JSON's text or list here, wherever it stands.
"""

import re
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, cast

from pydantic import IPvAnyAddress, IPvAnyInterface, IPvAnyNetwork
from pydantic_core import (
    CoreSchema,
    PydanticCustomError,
    PydanticKnownError,
    SchemaValidator,
    core_schema,
    to_json,
)

Check = Callable[[Any], None]
Schema = Mapping[str, Any]
ErrorType = core_schema.ErrorType

# Every decimal number of so many digits comes back from a float as it was.
FLOAT_DIGITS = 15

_OPAQUE = frozenset(
    ("config", "cls", "metadata", "function", "serialization", "default", "expected", "members", "missing")
)
_NAMED = ("fields", "choices")
_MANY = frozenset(("list", "tuple", "set", "frozenset", "dict", "deque", "counter", "frozendict", "ordered-dict"))
# What strict mode wants of Python where JSON has a list or an object.
_MADE_OF: Mapping[str, tuple[type, Callable[[Any], Any]]] = {
    "tuple": (list, tuple),
    "deque": (list, deque),
    "ordered-dict": (dict, OrderedDict),
    "counter": (dict, Counter),
}
_SETS: Mapping[str, tuple[type, ErrorType]] = {
    "set": (set, "set_type"),
    "frozenset": (frozenset, "frozen_set_type"),
}
_COLLECTIONS = (tuple, set, frozenset)
_ANY_ADDRESS = (IPvAnyAddress, IPvAnyInterface, IPvAnyNetwork)
_JSON_TYPES: frozenset[Any] = frozenset((str, int, float, bool, type(None), list, dict))
# What functions of the user's own raise over a value that they did not think of.
BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError)
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]*")


def exact(schema: Schema, config: Schema, *, first_only: bool = False) -> CoreSchema:
    """The schema, taking JSON exactly. `config` holds where no model below brings its own.

    `first_only`: of the wrong items of a list or dict the first is reported, and no more are looked at.
    """
    return cast("CoreSchema", _Exact(schema, first_only=first_only).value(schema, config))


def children(schema: Schema, visit: Callable[[Any], Any]) -> dict[str, Any]:
    """A schema with `visit(part)` in place of each mapping directly below it: a schema, or a field that has one."""
    return {key: below if key in _OPAQUE else _below(key, below, visit) for key, below in schema.items()}


def _below(key: str, node: Any, visit: Callable[[Any], Any]) -> Any:
    if isinstance(node, list | tuple):
        return type(node)(_below("", item, visit) for item in node)
    if not isinstance(node, dict):
        return node
    # Here the keys are names that the user gave, such as "metadata" or "type".
    return {name: _below("", item, visit) for name, item in node.items()} if key in _NAMED else visit(node)


class _Exact:
    def __init__(self, schema: Schema, *, first_only: bool) -> None:
        self._first_only = first_only
        self._definitions = {found["ref"]: found for found in schema.get("definitions", ())}

    def value(self, schema: Schema, config: Schema) -> dict[str, Any]:
        """The schema of a value, or a field with one."""
        config = schema.get("config") or config
        kind = schema.get("type")
        if kind in ("enum", "literal"):
            members = _Members(schema)
            return _for_json(schema, _CheckedMember(schema, config, members)) if members.lenient else {**schema}
        check = _check_of(schema)
        if check:
            return _for_json(schema, _Checked(schema, config, check))
        if kind == "json-or-python":
            return {**schema, "json_schema": self.value(schema["json_schema"], config)}
        exactly = children(schema, lambda below: self.value(below, config))
        if kind == "union":
            exactly["choices"] = [self._choice(found, config) for found in schema["choices"]]
        if "keys_schema" in schema:
            exactly["keys_schema"] = self._key(schema["keys_schema"], config)
        if self._first_only and kind in _MANY:
            exactly["fail_fast"] = True
        return _json_or_python(_made(exactly), schema) if kind in _SETS or kind in _MADE_OF else exactly

    def _choice(self, choice: Any, config: Schema) -> Any:
        """A choice of a union under the name that it has in errors' locations."""
        if isinstance(choice, tuple):
            return (self.value(choice[0], config), choice[1])
        definitions = cast("list[CoreSchema]", [*self._definitions.values()])
        named = SchemaValidator(core_schema.definitions_schema(choice, definitions), _use_prebuilt=False)
        return (self.value(choice, config), named.title)

    def _key(self, schema: Schema, config: Schema) -> dict[str, Any]:
        """The schema of the keys of a dict, which JSON has as text."""
        if schema.get("type") == "definition-ref":
            return self._key(_unnamed(self._definitions[schema["schema_ref"]]), config)
        check = _key_check_of(schema)
        if check:
            return _for_json(schema, _CheckedKey(schema, config, check))
        return children(schema, lambda below: self._key(below, config))


class _Checked:
    """Validates a JSON value by a schema, once a check has let it pass.

    A function has the value from Pydantic as a Python one.
    """

    def __init__(self, schema: Schema, config: Schema, check: Check) -> None:
        self._validator = SchemaValidator(cast("CoreSchema", _unnamed(schema)), cast("core_schema.CoreConfig", config))
        self._check = check

    def __call__(self, value: Any) -> Any:
        self._check(value)
        if value.__class__ not in _JSON_TYPES:
            return self._validator.validate_python(value, strict=True)
        return self._validator.validate_json(to_json(value), strict=True)


class _CheckedMember(_Checked):
    def __init__(self, schema: Schema, config: Schema, members: "_Members") -> None:
        super().__init__(schema, config, members.check)
        self._known = {
            (item.__class__, item): self._member(item) for item in members.numbers if item.__class__ in _JSON_TYPES
        }

    def __call__(self, value: Any) -> Any:
        try:
            return self._known[value.__class__, value]
        except (KeyError, TypeError):  # not known, or not hashable
            return self._member(value)

    def _member(self, value: Any) -> Any:
        try:
            return super().__call__(value)
        except BROKEN as error:  # an enum's own `_missing_`, given what it did not think of
            raise PydanticCustomError("enum", "Input should be a value of the enumeration") from error


class _CheckedKey(_Checked):
    def __call__(self, value: Any) -> Any:
        self._check(value)
        return self._validator.validate_strings(value, strict=True)


class _Collected:
    """Makes sets of lists."""

    def __init__(self, schema: Schema) -> None:
        self._type, self._error = _SETS[schema["type"]]
        self._validator = SchemaValidator(cast("CoreSchema", {**schema, "items_schema": core_schema.any_schema()}))

    def listed(self, value: Any) -> list[Any]:
        if not isinstance(value, (list, *_COLLECTIONS)):
            raise PydanticKnownError(self._error)
        return list(value)

    def collected(self, items: list[Any]) -> Any:
        try:
            found = self._type(items)
        except TypeError:
            raise PydanticKnownError("set_item_not_hashable") from None
        return self._validator.validate_python(found, strict=True)


def _made(schema: Schema) -> CoreSchema:
    """The schema of a collection, taking what JSON has for it."""
    schema = _unnamed(schema)
    if schema["type"] in _MADE_OF:
        kind, make = _MADE_OF[schema["type"]]
        return core_schema.no_info_before_validator_function(
            lambda value: make(value) if value.__class__ is kind else value, cast("CoreSchema", schema)
        )
    collection = _Collected(schema)
    items = core_schema.list_schema(schema.get("items_schema"), fail_fast=schema.get("fail_fast"))
    listed = core_schema.no_info_before_validator_function(collection.listed, items)
    return core_schema.no_info_after_validator_function(collection.collected, listed)


def _for_json(schema: Schema, function: Check) -> dict[str, Any]:
    """The function validates JSON, the schema Python values."""
    json: CoreSchema = core_schema.no_info_plain_validator_function(function)
    if schema["type"] != "literal":
        # In a union, a function alone would be a better match than the schema that it stands for.
        json = core_schema.chain_schema([json, core_schema.any_schema()])
    return _json_or_python(json, schema)


def _json_or_python(json: CoreSchema, schema: Schema) -> dict[str, Any]:
    python = cast("CoreSchema", _unnamed(schema))
    return {**core_schema.json_or_python_schema(json, python, ref=schema.get("ref"))}


def _unnamed(schema: Schema) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "ref"}


def _check_of(schema: Schema) -> Check | None:
    kind = schema.get("type")
    if kind == "function-plain":
        owner = getattr(schema["function"]["function"], "__self__", None)
        return _check_address if owner in _ANY_ADDRESS else None
    return _CHECKS.get(str(kind))


def _key_check_of(schema: Schema) -> Check | None:
    kind = schema.get("type")
    if kind in ("enum", "literal"):
        return _check_number_key if _Members(schema).numbers else None
    return _KEY_CHECKS.get(str(kind))


class _Members:
    """What an Enum or Literal takes. To Python, True and 1.0 equal 1."""

    def __init__(self, schema: Schema) -> None:
        found = schema.get("members") or schema.get("expected") or ()
        self._error: Literal["enum", "literal_error"] = "enum" if schema["type"] == "enum" else "literal_error"
        self._values = [item.value if isinstance(item, Enum) else item for item in found]
        self.numbers = [value for value in self._values if isinstance(value, int | float)]
        bases = getattr(schema.get("cls"), "__mro__", ())
        self.lenient = bool(self.numbers) or any("_missing_" in vars(base) for base in bases if base is not Enum)

    def check(self, value: Any) -> None:
        kind = value.__class__
        if kind not in (bool, int, float):
            return
        equal = [_kind(number) for number in self.numbers if number == value]
        if kind in equal or (kind is int and (not equal or float in equal)):
            return
        raise PydanticKnownError(self._error, {"expected": " or ".join(map(repr, self._values))})


def _kind(number: Any) -> type:
    return next(kind for kind in (bool, int, float) if isinstance(number, kind))


def _check_nothing(_: Any) -> None:
    """What strict JSON mode takes is right."""


def _check_moment(value: Any) -> None:
    if isinstance(value, str) and _is_number(value):
        raise PydanticCustomError("datetime_parsing", "Input should be a valid date in ISO 8601, not a number")


def _check_decimal(value: Any) -> None:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise PydanticKnownError("decimal_parsing")
    if isinstance(value, float) and len(repr(value)) > FLOAT_DIGITS and _digits(value) > FLOAT_DIGITS:
        raise PydanticCustomError(
            "decimal_precision", f"Input of more than {FLOAT_DIGITS} digits should be sent as a string"
        )


def _digits(number: float) -> int:
    return len(Decimal(repr(number)).normalize().as_tuple().digits)


def _check_address(value: Any) -> None:
    if value.__class__ in (bool, int):
        raise PydanticKnownError("string_type")


def _check_number_key(text: str) -> None:
    if _is_number(text) and not _WHOLE_NUMBER.fullmatch(text):
        raise PydanticCustomError("number_key", "Key should be a whole number without any leading character")


def _is_number(text: str) -> bool:
    if text[4:5] == "-" and text[:4].isdigit():  # a year, as nearly always: to fail at a number costs more
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_bool_key(text: str) -> None:
    if text not in ("true", "false"):
        raise PydanticKnownError("bool_parsing")


_OTHER_TEXT: Mapping[str, Check] = dict.fromkeys(("time", "timedelta", "bytes"), _check_nothing)
_CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(("datetime", "date"), _check_moment),
    "decimal": _check_decimal,
    **_OTHER_TEXT,
}
_KEY_CHECKS: Mapping[str, Check] = {
    **_OTHER_TEXT,
    **dict.fromkeys(("datetime", "date"), _check_moment),
    **dict.fromkeys(("int", "float", "decimal"), _check_number_key),
    "bool": _check_bool_key,
}
