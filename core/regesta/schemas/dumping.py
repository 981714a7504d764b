"""What stands between a document of Pydantic's and what MongoDB stores and clients see of it."""

import copy
import dataclasses
import datetime
import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from bson import Decimal128, Regex
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from regesta.schemas.projection import as_json, bson_as_json

# What Pydantic raises over a value that JSON cannot say; the last for bytes that are not UTF-8 in an extra field.
UNSHOWABLE = (PydanticSerializationError, TypeError, UnicodeError)


def dump(
    document: BaseModel,
    left_out: AbstractSet[str] = frozenset(),
    *,
    computed: bool,
    fallback: Callable[[Any], Any] = bson_as_json,
) -> tuple[dict[str, Any], AbstractSet[str]]:
    """Return what Pydantic shows of a model, and the names of the fields that it cannot show.

    `left_out` are fields (Python names) that are not shown. `computed` says whether computed fields are. `fallback`
    gives the JSON form of what Pydantic does not know, or raises TypeError.
    """

    def shown(of: BaseModel, *, computed: bool, **which: Any) -> dict[str, Any]:
        found: dict[str, Any] = of.model_dump(
            mode="json",
            by_alias=True,
            fallback=fallback,
            warnings=False,
            exclude_computed_fields=not computed,
            **which,
        )
        return found

    try:
        return shown(document, computed=computed, exclude=set(left_out)), frozenset()
    except UNSHOWABLE:
        legible = _with_texts(document)
    broken = set[str]()
    for name in {*document.__dict__, *(document.__pydantic_extra__ or {})} - left_out:
        try:
            shown(legible, computed=False, include={name})
        except UNSHOWABLE:
            broken.add(name)
    return shown(legible, computed=computed, exclude={*left_out, *broken}), broken


def _with_texts(value: Any) -> Any:
    """Return a value with the text that JSON has in place of all bytes that are not UTF-8, which Pydantic refuses."""
    if isinstance(value, bytes):
        return value if _is_text(value) else as_json(value)
    if isinstance(value, dict):
        return {key: _with_texts(item) for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(map(_with_texts, value))
    if isinstance(value, BaseModel):
        model = copy.copy(value)
        model.__dict__.update(_with_texts(value.__dict__))
        if value.__pydantic_extra__:
            model.__pydantic_extra__ = _with_texts(value.__pydantic_extra__)
        return model
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        record = copy.copy(value)
        for field in dataclasses.fields(value):
            object.__setattr__(record, field.name, _with_texts(getattr(value, field.name)))
        return record
    return value


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def with_zones(shown: Any, stored: Any) -> Any:
    """Return what was dumped with "Z" behind each datetime that is stored and was dumped without a zone."""
    if isinstance(stored, datetime.datetime):
        return f"{shown}Z" if shown == readable(stored, None).isoformat() else shown
    if isinstance(stored, dict) and isinstance(shown, dict):
        return {key: with_zones(value, stored.get(key)) for key, value in shown.items()}
    if isinstance(stored, list) and isinstance(shown, list) and len(stored) == len(shown):
        return list(map(with_zones, shown, stored))
    return shown


def readable(value: Any, zone: datetime.tzinfo | None) -> Any:
    """Return what a model reads of a stored value: decimals and patterns are Python's, datetimes have this zone."""
    if type(value) in _READ_ALIKE:
        return value
    if isinstance(value, datetime.datetime):
        return (value.astimezone(datetime.UTC) if value.tzinfo else value).replace(tzinfo=zone)
    if isinstance(value, Decimal128):
        return value.to_decimal()
    if isinstance(value, Regex):
        return _compiled(value)
    if isinstance(value, dict):
        return {key: readable(item, zone) for key, item in value.items()}
    return [readable(item, zone) for item in value] if isinstance(value, list) else value


_READ_ALIKE = frozenset({str, int, float, bool, type(None)})


def _compiled(pattern: Regex[Any]) -> Any:
    try:
        return pattern.try_compile()
    except (re.error, ValueError):  # the latter for flags that Python does not combine
        return pattern
