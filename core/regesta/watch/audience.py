"""What the readers of one watch are told of a change: nothing of what they may not see, not even that it is there."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from regesta.errors import Gone
from regesta.schemas import unbroken
from regesta.watch.matching import Predicate
from regesta.watch.tokens import Position, WatchTokens

logger = logging.getLogger("regesta.watch")

Raw = Mapping[str, Any]


class Event(StrEnum):
    """What happened to a document as a reader sees it: one that comes to match what is watched is created to him."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Audience:
    """Readers who see the same in the same form.

    identity: equal for readers that are told the same. sees: scope, parents, class and filter as one predicate.
    key: of a stored document, as it stands in paths. shown: the data of an event that carries the document, as JSON.
    """

    identity: bytes
    sees: Predicate
    key: Callable[[Raw], str]
    shown: Callable[[Raw], bytes]
    tokens: WatchTokens


@dataclass(frozen=True, slots=True)
class Commit:
    """One committed change of one document. `order`: a text that sorts as the changes do."""

    token: Raw
    before: Raw | None
    after: Raw | None
    _told: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def order(self) -> str:
        """A text that sorts as the changes do."""
        return order_of(self.token)

    def told(self, audience: Audience) -> bytes:
        """The events for this audience as SSE, made once; b"" where it sees nothing of the change."""
        known = self._told.get(audience.identity)
        if known is None:
            known = self._told[audience.identity] = self._tell(audience)
        return known

    def _tell(self, audience: Audience) -> bytes:
        before = self.before if self.before is not None and audience.sees(self.before) else None
        after = self.after if self.after is not None and audience.sees(self.after) else None
        if before is None and after is None:
            return b""
        token = audience.tokens.issue(Position(self.token))
        if after is None:
            return _deleted(audience, before, token)
        if before is None:
            return frame(audience.shown(after), Event.CREATED, token)
        if audience.key(before) != audience.key(after):  # somebody else's write: ours never change a key
            return _deleted(audience, before, "") + frame(audience.shown(after), Event.CREATED, token)
        return frame(audience.shown(after), Event.UPDATED, token)


def commit_of(change: Mapping[str, Any]) -> Commit:
    """What a change stream tells. Raises Gone where it ends with this, or does not tell what is needed."""
    kind, token = change["operationType"], change["_id"]
    before, after = change.get("fullDocumentBeforeChange"), change.get("fullDocument")
    complete = {
        "insert": after is not None,
        "update": before is not None and after is not None,
        "replace": before is not None and after is not None,
        "delete": before is not None,
    }
    if kind not in complete:
        raise Gone("the collection was dropped or renamed: read again")
    if not complete[kind]:
        raise Gone("the state before a change is not known any more: read again")
    return Commit(token, before, after)


def order_of(token: Raw) -> str:
    """MongoDB's tokens are hexadecimal texts that compare as the changes came."""
    return str(token["_data"])


def frame(data: bytes, event: str, token: str = "") -> bytes:
    """One event (WHATWG, server-sent events) with JSON as its data."""
    numbered = f"id: {token}\n" if token else ""
    return f"event: {event}\n{numbered}data: ".encode() + unbroken(data) + b"\n\n"


def beat(token: str) -> bytes:
    """A comment that keeps the connection open, with how far the reader has come: no event, but remembered."""
    return f":\nid: {token}\n\n".encode()


def _deleted(audience: Audience, before: Raw | None, token: str) -> bytes:
    data = orjson.dumps({"key": audience.key(before or {})})
    return frame(data, Event.DELETED, token)
