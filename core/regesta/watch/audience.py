"""What the readers of one watch are told of a change: nothing of what they may not see, not even that it is there."""

import logging
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
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
Parts = Sequence[bytes]
PIECE = 64 * 1024


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
    shape: equal for readers who see the same of a document that they see.
    """

    identity: bytes
    shape: Hashable
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
    _told: dict[bytes, Parts] = field(default_factory=dict)
    _shown: dict[Hashable, bytes] = field(default_factory=dict)

    @property
    def order(self) -> str:
        """A text that sorts as the changes do."""
        return order_of(self.token)

    def told(self, audience: Audience) -> Parts:
        """The events for this audience as SSE, in parts, made once; none where it sees nothing of the change.

        The part that is the document is the same object for all that see the same of it.
        """
        known = self._told.get(audience.identity)
        if known is None:
            known = self._told[audience.identity] = self._tell(audience)
        return known

    def _tell(self, audience: Audience) -> Parts:
        before = self.before if self.before is not None and audience.sees(self.before) else None
        after = self.after if self.after is not None and audience.sees(self.after) else None
        if before is None and after is None:
            return ()
        token = audience.tokens.issue(Position(self.token))
        if after is None:
            return _deleted(audience, before, token)
        if before is None:
            return framed(self._data(audience, after), Event.CREATED, token)
        if audience.key(before) != audience.key(after):  # somebody else's write: ours never change a key
            created = framed(self._data(audience, after), Event.CREATED, token)
            return (*_deleted(audience, before, ""), *created)
        return framed(self._data(audience, after), Event.UPDATED, token)

    def _data(self, audience: Audience, after: Raw) -> bytes:
        known = self._shown.get(audience.shape)
        if known is None:
            known = self._shown[audience.shape] = unbroken(audience.shown(after))
        return known


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
    return b"".join(framed(unbroken(data), event, token))


def framed(data: bytes, event: str, token: str = "") -> Parts:
    """The same in parts, of JSON without line ends: what many readers are told is not copied for each."""
    numbered = f"id: {token}\n" if token else ""
    return f"event: {event}\n{numbered}data: ".encode(), data, b"\n\n"


def pieces(parts: Parts) -> Iterator[bytes]:
    """The bytes of an event in few pieces, none of them large: a server keeps a copy of what a reader does not take."""
    if sum(map(len, parts)) <= PIECE:
        yield b"".join(parts)
        return
    for part in parts:
        for start in range(0, len(part), PIECE):
            yield part[start : start + PIECE]


def beat(token: str) -> bytes:
    """A comment that keeps the connection open, with how far the reader has come: no event, but remembered."""
    return f":\nid: {token}\n\n".encode()


def _deleted(audience: Audience, before: Raw | None, token: str) -> Parts:
    data = orjson.dumps({"key": audience.key(before or {})})
    return framed(unbroken(data), Event.DELETED, token)
