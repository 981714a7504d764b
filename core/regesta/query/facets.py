"""`by=` and `limit=`: which fields are counted by their values, and how many values are shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .conditions import escaped
from .fields import QueryField
from .listing import size_parameter
from .parameters import Parameter

MAX_FACETS = 10
USUAL, MAX_VALUES = 20, 100
MAX_SHOWN = 64

PARAMETERS = frozenset({"by", "limit"})


@dataclass(frozen=True, slots=True)
class FacetQuery:
    """What is counted, checked and in terms of what is stored.

    filter: a MongoDB filter; values are data only. searches: whether it has a `$text`.
    by: the fields. limit: how many values of each.
    """

    filter: dict[str, Any]
    searches: bool
    by: tuple[QueryField, ...]
    limit: int


def countable(fields: Iterable[QueryField], shown: Iterable[str]) -> dict[str, QueryField]:
    """Those of the fields whose values can be counted, by name: shown to clients, as they are stored, in one list."""
    heads = {name.partition(".")[0] for name in shown}
    return {
        field.wire: field
        for field in fields
        if field.kind is not None and field.lists <= 1 and not field.custom and field.wire.partition(".")[0] in heads
    }


def facet_parameters(fields: Mapping[str, QueryField]) -> dict[str, Parameter]:
    """`by` and `limit`."""
    limit = size_parameter(USUAL, MAX_VALUES, "How many values of each field at most")
    return {"by": _by(fields), "limit": limit}


def _by(fields: Mapping[str, QueryField]) -> Parameter:
    def read(text: str) -> tuple[QueryField, ...]:
        names = text.split(",")
        for name in names:
            if name not in fields:
                raise ValueError(f"cannot count {name[:MAX_SHOWN]!r}; it can {', '.join(fields)}")
        if len(names) > MAX_FACETS:
            raise ValueError(f"names more than {MAX_FACETS} fields")
        if len(set(names)) < len(names):
            raise ValueError("names a field twice")
        return tuple(fields[name] for name in names)

    one = f"(?:{'|'.join(map(escaped, fields))})"
    twice = r"(?!(?:.*,)?([^,]+),(?:.*,)?\1(?:,|$))"
    schema = {"type": "string", "pattern": f"^{twice}{one}(?:,{one}){{0,{MAX_FACETS - 1}}}$"}
    return Parameter(read, schema, f"What to count by: up to {MAX_FACETS} of {', '.join(fields)}, separated by commas.")
