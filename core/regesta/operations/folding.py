"""A document as it was, put together from the changes that led to it."""

import copy
from collections.abc import Mapping
from typing import Any

import jsonpatch

from regesta.change import AuditEvent
from regesta.operations.patches import head_of
from regesta.pacing import Pace

Changes = list[Mapping[str, Any]]


class Chain:
    """The changes that led to one revision, given from the newest to the oldest.

    Of a field that a later change set, what earlier ones made of it is not kept: a long history of a large document
    takes hardly more memory than the document.
    """

    def __init__(self, last: AuditEvent) -> None:
        self._events: list[Changes] = []
        self._set: set[str] = set()
        self._copies = False
        self.add(last)

    def add(self, event: AuditEvent) -> None:
        """The event that led to the revision which the last one came from."""
        self.revision_before = event.revision_before
        # A copy may need what its source was before.
        self._copies |= any("from" in change for change in event.changes)
        kept = [change for change in map(self._needed, reversed(event.changes)) if change is not None]
        self._events.append(kept[::-1])

    def _needed(self, change: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What later changes leave of a change."""
        if self._copies:
            return change
        if not change["path"]:
            value = change.get("value")
            if not isinstance(value, Mapping):
                return change
            return {**change, "value": {name: found for name, found in value.items() if name not in self._set}}
        name = head_of(change["path"])
        if name in self._set:
            return None
        if _is_field(change):
            self._set.add(name)
        return change

    async def folded(self) -> dict[str, Any]:
        """The document. Raises what a change raises that does not fit, ValueError if the first one is no creation."""
        *events, (creation,) = self._events
        if (creation["op"], creation["path"]) != ("add", ""):
            raise ValueError("a document begins with all of it")
        pace, tree = Pace(), copy.deepcopy(creation["value"])
        for changes in reversed(events):
            for change in changes:
                if _is_field(change):
                    _set_field(tree, change)
                else:
                    tree = jsonpatch.apply_patch(tree, [copy.deepcopy(change)], in_place=True)
            await pace.rest()
        return dict(tree)


def _is_field(change: Mapping[str, Any]) -> bool:
    """Whether it sets or removes a whole field of the document, whatever was there."""
    return "from" not in change and change["op"] in ("add", "replace", "remove") and change["path"].count("/") == 1


def _set_field(tree: dict[str, Any], change: Mapping[str, Any]) -> None:
    name = head_of(change["path"])
    if change["op"] == "remove":
        tree.pop(name, None)
    else:
        tree[name] = copy.deepcopy(change["value"])
