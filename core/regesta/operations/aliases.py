"""Reads through aliases of keys: `latest` in place of a number in the path."""

from collections.abc import Iterator, Sequence
from typing import Any

from regesta.change import Caller
from regesta.errors import NotFound
from regesta.operations.writes import Operations


async def resolve_keys(
    operations: Operations[Any], caller: Caller, keys: Sequence[str], session: Any = None
) -> tuple[str, ...]:
    """The keys of a path, from the outermost parent on, with each alias replaced by the key that it names now.

    Only aliases cost a query. They may name other documents a moment later, so read by the keys that are returned.
    Raises NotFound for an alias that names no document, or for a missing parent; Unavailable.
    """
    found: list[str] = []
    for level, text in zip(levels(operations), keys, strict=False):
        alias = level.addresses.alias_of(text)
        if alias is None:
            found.append(text)
            continue
        stored = await level.find_where(caller, found, alias.where(text), sort=alias.sort, session=session)
        if stored is None:
            raise NotFound(f"{text[:200]!r} stands for no {level.resource.singular}")
        found.append(stored.key)
    return tuple(found)


def levels(operations: Operations[Any]) -> list[Operations[Any]]:
    """The resources on the way to one document of this one, from the outermost parent on."""
    return [*_upwards(operations)][::-1]


def _upwards(operations: Operations[Any]) -> Iterator[Operations[Any]]:
    yield operations
    if isinstance(operations.parent, Operations):
        yield from _upwards(operations.parent)
