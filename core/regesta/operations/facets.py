"""Counting documents by the values of their fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from pymongo.errors import OperationFailure

from regesta.change import Caller
from regesta.errors import Invalid, Issue, Unsupported
from regesta.operations.deadlines import bounded
from regesta.operations.reads import Reads
from regesta.query import FacetQuery, QueryField
from regesta.store import Atomicity, aggregated_rows, atomicity_of, legible

# MongoDB's: a $group needs more than 100 MB of memory.
TOO_MUCH_MEMORY = frozenset({292, 16945})
REFERENCE = ".$id"


@dataclass(frozen=True, slots=True)
class Facet:
    """The most frequent values of one field, each with how many documents have it; `truncated` where there are more.

    A list counts for each of its different elements. None counts documents without a value.
    """

    counts: Sequence[tuple[Any, int]]
    truncated: bool


async def facets(reads: Reads[Any], caller: Caller, parents: Sequence[str], query: FacetQuery) -> dict[str, Facet]:
    """Each field that is asked for, by its wire name: one aggregation for each, in the time of one operation.

    Raises NotFound for a missing parent, Invalid where there are too many different values, Unsupported where the
    store cannot count them, Unavailable.
    """
    async with bounded(reads.resource.timeout):
        parent = await reads.parent_value(caller, parents)
        matching = await reads.matching(caller, parent, query.filter, searches=query.searches)
        if await atomicity_of(reads.collection) is Atomicity.LOCK:
            _check_memory(query.by)
        return {field.wire: await _facet(reads, matching, field, query.limit) for field in query.by}


async def _facet(reads: Reads[Any], matching: Mapping[str, Any], field: QueryField, limit: int) -> Facet:
    pipeline = [{"$match": matching}, *_values(field), *_most_frequent(limit + 1)]
    try:
        rows = await aggregated_rows(reads.collection, pipeline, reads.resource.timeout, count=limit)
    except OperationFailure as error:
        if error.code in TOO_MUCH_MEMORY:
            raise Invalid.of(
                [Issue(("query", "by"), f"{field.wire} has too many different values: filter more")]
            ) from error
        raise
    except NotImplementedError:
        raise _unsupported(field) from None
    return Facet([(_shown(field, each["_id"]), each["count"]) for each in rows.documents], rows.more)


def _values(field: QueryField) -> list[dict[str, Any]]:
    """One document for each value of each document, in `value`."""
    path = f"${field.stored}"
    if not field.many:
        return [{"$project": {"_id": 0, "value": path}}]
    # As a set: a document counts once for each value, as it does for a filter by it.
    distinct = {"$cond": [{"$isArray": path}, {"$setUnion": [path, []]}, path]}
    return [
        {"$project": {"_id": 0, "value": distinct}},
        {"$unwind": {"path": "$value", "preserveNullAndEmptyArrays": True}},
    ]


def _most_frequent(limit: int) -> list[dict[str, Any]]:
    return [
        {"$group": {"_id": {"$ifNull": ["$value", None]}, "count": {"$sum": 1}}},
        {"$sort": {"count": -1, "_id": 1}},
        {"$limit": limit},
    ]


def _shown(field: QueryField, value: Any) -> Any:
    """The value as items show it; what JSON does with the types of BSON is the same for both."""
    value = legible(value)
    form = field.kind.schema.get("format") if field.kind else None
    if form == "date" and isinstance(value, datetime):
        return value.date()
    return (
        _DURATIONS.dump_python(timedelta(seconds=value), mode="json")
        if form == "duration" and _is_duration(value)
        else value
    )


_DURATIONS = TypeAdapter(timedelta)


def _is_duration(value: Any) -> bool:
    return isinstance(value, float | int) and abs(value) < timedelta.max.total_seconds()


def _check_memory(fields: Sequence[QueryField]) -> None:
    """The memory store does not look into references."""
    for field in fields:
        if field.stored.endswith(REFERENCE):
            raise _unsupported(field)


def _unsupported(field: QueryField) -> Unsupported:
    return Unsupported(f"the memory store cannot count by {field.wire}", code="FACETS_UNSUPPORTED")
