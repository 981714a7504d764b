"""What a write is about: the change that hooks are given, and the event that others may see of it."""

import itertools
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from time import time_ns
from typing import Any, Generic, TypeVar
from uuid import UUID

from beanie import Document

from regesta.store import now

T = TypeVar("T", bound=Document)


_made = itertools.count()


def ordered_id() -> UUID:
    """A UUID of version 7 (RFC 9562): each of this process is greater than those before it, in one millisecond too."""
    milliseconds, count = time_ns() // 1_000_000, next(_made)
    high = milliseconds << 16 | 0x7000 | (count >> 14) & 0xFFF
    low = 0b10 << 62 | (count & 0x3FFF) << 48 | secrets.randbits(48)
    return UUID(int=high << 64 | low)


class Action(StrEnum):
    """What a write does to a document."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who sent a request.

    `subject` is a stable name, `method` how it was proven (`anonymous`, `key`, `bearer`, ...), `address` the
    peer's network address, None where there is none.
    """

    subject: str = "anonymous"
    method: str = "anonymous"
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf an operation runs.

    `scope` is what every document it may touch has in common (`{"workspace": "default"}`): stored field
    names and values, ANDed into each filter and stamped on each new document.
    """

    actor: Actor = field(default_factory=Actor)
    request_id: str = ""
    scope: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Access:
    """What `authorize` and `scope_query` hooks know: who wants to do what with which resource.

    `operation` is one of `Operation`, or what routes of a plugin's own call it. An import asks for `import`, and for
    `replace` with each line that may replace. `key` is the last key in the path, None for a collection.
    """

    resource: str
    operation: str
    key: str | None
    caller: Caller


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One committed write, as audit trails and observers see it. Secret fields are redacted.

    `scope` tells whose document it is: what it has in the fields that the scope of the request names, or the
    resource's `scope_fields`. `parent` is what a document of a nested resource stores of its parent, as text.
    `changes` is a JSON Patch (RFC 6902) from the document before to the document after, in wire form.
    `revision_before` and `revision_after` are entity tags without quotes, None where there was no document.
    """

    id: UUID
    time: datetime
    action: Action
    resource: str
    key: str
    actor: Actor
    request_id: str
    scope: Mapping[str, Any]
    revision_before: str | None
    revision_after: str | None
    changes: tuple[Mapping[str, Any], ...]
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """Which events a trail is asked for: of one key, within a scope, newest first, `limit` at most.

    `scope` has the names and stored values that the events' scope must have (a mapping for a value holds MongoDB's
    operators). `before` is the time and id of an event: only older ones. `revision`: only what led to this one.
    """

    resource: str
    key: str
    parent: str | None
    scope: Mapping[str, Any]
    limit: int
    before: tuple[datetime, UUID] | None = None
    revision: str | None = None


class PartOfHistory(list[AuditEvent]):
    """What `read_history` answers if the events are too large to be read at once: the newest, with older ones left."""


@dataclass(slots=True)
class Change(Generic[T]):
    """A write that is about to happen.

    `prepare_change` hooks may assign to the fields of `after` or replace it; every other hook only looks.
    `before` is None for a create, `after` is None for a delete. `session` is the driver's session where the
    write runs in a transaction: reads and writes that belong to the change pass it on. `cascaded` tells
    that a parent's delete took this document along. The same change may be built again when MongoDB asks
    for a retry, so hooks before the commit have no effect outside of `session`.
    """

    action: Action
    resource: str
    document: type[T]
    key: str
    before: T | None
    after: T | None
    caller: Caller
    session: Any = None
    cascaded: bool = False
    id: UUID = field(default_factory=ordered_id)
    time: datetime = field(default_factory=lambda: now())  # noqa: PLW0108 - looked up when it is called
    # Given the change: one that held it would be a cycle, which lives until the garbage collector comes by.
    describe: Callable[["Change[T]"], AuditEvent] | None = field(default=None, repr=False)
    _event: AuditEvent | None = field(default=None, repr=False)

    @property
    def actor(self) -> Actor:
        """Who asked for it."""
        return self.caller.actor

    @property
    def described(self) -> bool:
        """Whether its event was made already."""
        return self._event is not None

    @property
    def event(self) -> AuditEvent:
        """The event of this change: known once it is stored, so for `record_change` and later.

        Raises RuntimeError before that.
        """
        if self._event is None:
            if self.describe is None:
                raise RuntimeError("a change has its event only once it is stored: use it in record_change")
            self._event = self.describe(self)
        return self._event
