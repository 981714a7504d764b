"""Documents that cannot be shown: another program wrote them, and JSON has no way to say one of their values."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from regesta.errors import Unreadable
from regesta.http.problems import Problem, problem_of
from regesta.operations import Operations
from regesta.schemas import dumps


class UnreadableItem(BaseModel):
    """A document of a page that cannot be shown."""

    key: str = Field(description="Its key as it stands in paths.")
    problem: Problem


def named(operations: Operations[Any], key: str) -> Unreadable:
    """The problem of the document with this key."""
    resource = operations.resource
    ways = " or ".join(word for word in ("replace", "delete") if word in resource.operations)
    advice = f": {ways} it" if ways else ""
    return Unreadable(
        f"{resource.singular} {key[:200]!r} holds a value that cannot be shown, such as a date outside of the years 1 "
        f"to 9999 or a text that is not UTF-8; another program has stored it{advice}"
    )


def key_in(operations: Operations[Any], wire: Mapping[str, Any]) -> str:
    """The key of what is shown of a document, as it stands in paths; what can be read of it."""
    name = operations.codec.wire_names.get(operations.resource.key, operations.resource.key)
    return operations.addresses.keys.text(wire.get(name))


def unreadable_item(operations: Operations[Any], key: str, path: str) -> dict[str, Any]:
    """What is said of a document in place of it."""
    return {"key": key, "problem": problem_of(named(operations, key), path)}


def unreadable_at(wires: Sequence[Any]) -> frozenset[int]:
    """The positions of those that cannot be shown."""
    return frozenset(index for index, wire in enumerate(wires) if not _is_shown(wire))


def _is_shown(wire: Any) -> bool:
    try:
        dumps(wire)
    except Unreadable:
        return False
    return True


def page_content(operations: Operations[Any], body: dict[str, Any], path: str) -> bytes:
    """The JSON of a page. What cannot be shown is in `unreadable` instead of `items`, never left out."""
    try:
        return dumps(body)
    except Unreadable:
        items = body["items"]
        broken = unreadable_at(items)
        left = [index for index in range(len(items)) if index not in broken]
        shown = {**body, "items": [items[index] for index in left]}
        if "etags" in body:
            shown["etags"] = [body["etags"][index] for index in left]
        keys = [key_in(operations, items[index]) for index in sorted(broken)]
        shown["unreadable"] = [unreadable_item(operations, key, path) for key in keys]
        return dumps(shown)
