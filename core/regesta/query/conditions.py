"""The filter parameters of one field: `year`, `year__gte`, `year__in`, ... and the MongoDB they become."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .fields import QueryField
from .parameters import Parameter, read_flag
from .values import MAX_LENGTH, Kind, Operator

# What PCRE gives a meaning outside of character classes. re.escape would escape more, for Python's dialect.
SPECIAL = str.maketrans({character: f"\\{character}" for character in r"\^$.|?*+()[]{}"})

SAID = {
    Operator.EQ: "equals",
    Operator.NE: "does not equal",
    Operator.GT: "is greater than",
    Operator.GTE: "is at least",
    Operator.LT: "is less than",
    Operator.LTE: "is at most",
    Operator.IN: "is one of",
    Operator.NIN: "is none of",
    Operator.EXISTS: "is present and not null",
    Operator.PREFIX: "starts with (case matters)",
    Operator.CONTAINS: "contains (case matters)",
}

MANY = frozenset({Operator.IN, Operator.NIN})


@dataclass(frozen=True, slots=True)
class Condition:
    """What one filter parameter means: what is stored at a path, compared with the value given.

    compare: the value to MongoDB's operator and operand. A value is only ever an operand: data.
    """

    path: str
    compare: Callable[[Any], tuple[str, Any]]


def comparison(operator: Operator) -> Callable[[Any], tuple[str, Any]]:
    """How a value that is compared so is asked for in MongoDB."""
    match operator:
        case Operator.EXISTS:
            return lambda value: ("$ne" if value else "$eq", None)
        case Operator.PREFIX:
            return lambda value: ("$regex", f"^{escaped(value)}")
        case Operator.CONTAINS:
            return lambda value: ("$regex", escaped(value))
        case _:
            word = f"${operator}"
            return lambda value: (word, value)


def escaped(text: str) -> str:
    """A pattern that matches exactly this text."""
    return text.translate(SPECIAL)


def conditions(fields: Iterable[QueryField]) -> Iterator[tuple[str, Parameter, Condition]]:
    """The filter parameters of these fields, with their names and meanings.

    Where the name of a field (`a__gt`) is also an operator on another, it means the field.
    """
    listed = list(fields)
    literal = {field.wire for field in listed}
    for field in listed:
        if field.kind is None:
            continue
        for operator in field.kind.operators:
            # Of a list of documents, `exists` would say something about one of them and sound like all.
            if operator is Operator.EXISTS and field.across:
                continue
            name = field.wire if operator is Operator.EQ else f"{field.wire}__{operator}"
            if operator is not Operator.EQ and name in literal:
                continue
            yield name, _parameter(field, field.kind, operator), Condition(field.stored, comparison(operator))


def _parameter(field: QueryField, kind: Kind, operator: Operator) -> Parameter:
    subject = f"an element of {field.wire}" if field.many else field.wire
    if operator in (Operator.NE, Operator.NIN) and field.many:
        subject = f"every element of {field.wire}"
    said = f"Only where {subject} {SAID[operator]}"
    if operator is Operator.EXISTS:
        return Parameter(
            read_flag, {"type": "boolean"}, f"Only where {field.wire} {SAID[operator]}; false: the others."
        )
    if operator is Operator.EQ and field.description:
        said = f"{said}. {field.description}"
    if operator in (Operator.PREFIX, Operator.CONTAINS):
        said = f"{said}, at most {MAX_LENGTH} characters"
    return Parameter(kind.read, kind.schema, said if said.endswith(".") else f"{said}.", many=operator in MANY)


def mongo_filter(values: Iterable[tuple[Condition, Any]]) -> dict[str, Any]:
    """One MongoDB filter of all these comparisons."""
    together: dict[str, Any] = {}
    apart: list[Mapping[str, Any]] = []
    for condition, value in values:
        operator, operand = condition.compare(value)
        at_path = together.setdefault(condition.path, {})
        if operator in at_path:
            # `prefix` with `contains`, `ne` with `exists`: one key of MongoDB's for both.
            apart.append({condition.path: {operator: operand}})
        else:
            at_path[operator] = operand
    if apart:
        together["$and"] = apart
    return together
