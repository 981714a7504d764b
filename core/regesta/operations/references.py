"""Documents that others refer to: which references can be followed, and the documents at their ends."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from beanie import Document

from regesta.change import Caller
from regesta.declarations import Operation
from regesta.errors import Invalid, Issue
from regesta.operations.deadlines import bounded
from regesta.query import linked_to
from regesta.resource import Resource
from regesta.store import read_rows

if TYPE_CHECKING:
    from regesta.operations.writes import Operations

logger = logging.getLogger("regesta.operations")

MAX_DEPTH = 3
# Who sees several tenants may see several documents of one key; and bytes of all that one reference leads to.
SAME, MOST_BYTES = 10, 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bound:
    """A field that can be expanded: its names, and the resource of which `stores` (a stored path) is its value."""

    wire: str
    stored: str
    target: "Operations[Any]"
    stores: str


def references_of(reads: "Operations[Any]", served: "Iterable[Operations[Any]]") -> dict[str, Bound]:
    """What `expand=` can follow from one resource to those that are served with it, by wire name."""
    known = list(served)
    found: dict[str, Bound] = {}
    for name, info in reads.resource.document.model_fields.items():
        wire = reads.codec.wire_names.get(name)
        declared = reads.resource.references.get(name)
        linked = linked_to(reads.resource.document, info.annotation)
        if (declared is None and linked is None) or wire is None or wire not in reads.rules.field_names:
            continue
        target = _served(declared.resource if declared else linked, known)
        if target is None or not _is_open(reads.resource, target.resource):
            if declared:
                logger.warning("resource %r: %r cannot be expanded: see Reference", reads.resource.name, name)
            continue
        stores = target.resource.document.model_fields[declared.stores if declared else "id"]
        stored = (stores.alias or declared.stores) if declared else "_id"
        found[wire] = Bound(wire, info.alias or name, target, stored)
    return found


def names_of(reads: "Operations[Any]", depth: int = MAX_DEPTH) -> Iterator[str]:
    """The dotted names that `expand=` takes."""
    for wire, bound in reads.references.items():
        yield wire
        if depth > 1:
            yield from (f"{wire}.{below}" for below in names_of(bound.target, depth - 1))


async def referred(bound: Bound, caller: Caller, values: Sequence[Any]) -> list[dict[str, Any]]:
    """The documents that have one of these values, of those that the caller may see: one query.

    Raises Invalid if they are too large together, Unavailable.
    """
    target = bound.target
    async with bounded(target.resource.timeout):
        visible = await target.matching(caller, None, {bound.stores: {"$in": list(values)}, **target.rules.live})
        rows = await read_rows(target.collection, visible, count=len(values) * SAME, most=MOST_BYTES)
    if rows.more:
        raise Invalid.of([Issue(("query", "expand"), "would show too much: ask for a smaller page", "too_many")])
    return rows.documents


def _served(
    wanted: Resource[Any] | type[Document] | None, known: "Sequence[Operations[Any]]"
) -> "Operations[Any] | None":
    """The one resource that is meant; None where there is none, or several serve the document."""
    found = [reads for reads in known if wanted in (reads.resource, reads.resource.document)]
    return found[0] if len(found) == 1 else None


def _is_open(resource: Resource[Any], target: Resource[Any]) -> bool:
    """Whether who may ask the one resource is checked as for the other.

    What FastAPI resolves for a request is resolved for the route that it is sent to. So another scope, actor or
    dependency of the target would not be asked; and below a parent, the parent would not be looked for.
    """
    return (
        Operation.LIST in target.operations
        and target.parent is None
        and target.scope in (None, resource.inherited_scope)
        and target.actor in (None, resource.actor)
        and all(
            dependency in resource.dependencies
            for dependency in (*target.dependencies, *target.operation_dependencies.get(Operation.LIST, ()))
        )
    )
