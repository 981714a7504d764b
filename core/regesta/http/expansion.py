"""`expand=author.publisher`: documents in place of the references to them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bson import DBRef
from starlette.requests import Request

from regesta.declarations import Operation
from regesta.errors import Forbidden, Invalid, Issue, NotFound, Unauthenticated, Unreadable
from regesta.http.callers import Callers
from regesta.operations import Operations
from regesta.operations.references import Bound, referred
from regesta.query import Expansion
from regesta.schemas import dumps

# Documents and bytes of one reference; the same document counts each time that it is shown.
MAX_REFERENCES, MAX_SHOWN = 10_000, 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and what the dependencies of its resource answered."""

    request: Request
    scope: Any
    actor: Any


class Expander:
    """Follows the references of one resource: one query for each level and reference, whatever the number of items.

    What is shown of another resource is what a list of it would show to the same caller.
    """

    def __init__(self, operations: Operations[Any]) -> None:
        self._operations = operations
        self._callers: dict[str, Callers] = {}

    async def items(self, asked: Asked, raws: Sequence[dict[str, Any]], tree: Expansion) -> list[Any]:
        """The documents as clients see them, with what `tree` names in place of references. `raws` are spent.

        Raises Invalid where there are too many references, Unavailable.
        """
        return await self._items(asked, self._operations, raws, tree)

    async def _items(
        self, asked: Asked, reads: Operations[Any], raws: Sequence[dict[str, Any]], tree: Expansion
    ) -> list[Any]:
        follow = [(reads.references[name], below) for name, below in tree.items()]
        # Before the documents become what is shown of them.
        values = [[raw.get(bound.stored) for raw in raws] for bound, _ in follow]
        items = await reads.into_wires(raws)
        for (bound, below), here in zip(follow, values, strict=True):
            targets = await self._targets(asked, bound, here, below)
            for item, value in zip(items, here, strict=True):
                if bound.wire in item:
                    item[bound.wire] = _placed(item[bound.wire], value, targets, bound)
        return items

    async def _targets(self, asked: Asked, bound: Bound, values: Sequence[Any], below: Expansion) -> dict[Any, Any]:
        """What is shown of each document that is referred to and seen, by the value that refers to it."""
        keys = [key for value in values for each in _each(value) if (key := _key(each, bound)) is not None]
        if len(keys) > MAX_REFERENCES:
            said = f"would follow more than {MAX_REFERENCES} references of {bound.wire}: ask for a smaller page"
            raise Invalid.of([Issue(("query", "expand"), said, "too_many")])
        if not keys:
            return {}
        resource = bound.target.resource
        callers = self._callers.setdefault(resource.name, Callers(bound.target))
        try:
            scope = asked.scope if resource.scope is not None else None
            caller = await callers.of(asked.request, Operation.LIST, scope, asked.actor)
        except (Forbidden, NotFound, Unauthenticated):
            return {}
        raws = await referred(bound, caller, list(dict.fromkeys(keys)))
        found = [raw[bound.stores] for raw in raws]
        times = Counter(found)
        items = await self._items(asked, bound.target, raws, below)
        shown = {key: size for key, item in zip(found, items, strict=True) if (size := _size(item)) is not None}
        if sum(shown.get(key, 0) for key in keys) > MAX_SHOWN:
            said = f"would show more than {MAX_SHOWN} bytes of {bound.wire}: ask for a smaller page"
            raise Invalid.of([Issue(("query", "expand"), said, "too_many")])
        # Who sees several tenants at once may see several documents of one key: none of them is meant.
        # What cannot be shown stays a reference.
        return {key: item for key, item in zip(found, items, strict=True) if times[key] == 1 and key in shown}


def _size(item: Any) -> int | None:
    """The bytes that an item takes; None for one that cannot be shown."""
    try:
        return len(dumps(item))
    except Unreadable:
        return None


def _placed(shown: Any, value: Any, targets: dict[Any, Any], bound: Bound) -> Any:
    if isinstance(value, list) and isinstance(shown, list) and len(value) == len(shown):
        return [targets.get(_key(each, bound), plain) for each, plain in zip(value, shown, strict=True)]
    return targets.get(_key(value, bound), shown)


def _each(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else (value,)


def _key(value: Any, bound: Bound) -> Any:
    """What is compared with what the target stores; None for what refers to nothing there."""
    if isinstance(value, DBRef):
        value = value.id if value.collection == bound.target.collection.name else None
    try:
        hash(value)
    except TypeError:
        return None
    return value
