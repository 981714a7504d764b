"""What a unit of many writes holds back, to send it together: new documents, and what is recorded of all changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

from regesta.change import AuditEvent, Change
from regesta.errors import ProblemError
from regesta.operations import sequences


class ItemFailed(Exception):
    """The write at this position failed, and took the transaction along."""

    def __init__(self, index: int, error: Exception) -> None:
        super().__init__(index)
        self.index = index
        self.error: Exception | None = error

    def taken(self) -> Exception:
        """The error, which is not held here any more: if it is raised in place of this one, each would hold the other.

        Only the garbage collector ends that, and all that the write knew would wait for it.
        """
        error, self.error = self.error, None
        assert error is not None  # noqa: S101 - it is taken once
        return error


class NotRecorded(Exception):
    """What was held back could not be recorded: which of the writes is to blame, nobody knows."""

    def __init__(self, error: ProblemError) -> None:
        super().__init__(error.code)
        self.error: ProblemError | None = error

    def taken(self) -> ProblemError:
        """As of ItemFailed."""
        error, self.error = self.error, None
        assert error is not None  # noqa: S101 - it is taken once
        return error


@dataclass(frozen=True, slots=True)
class Insert:
    """A new document, where it goes, whose write it is (its position), and what a refusal of it means to a client."""

    raw: dict[str, Any]
    collection: Any
    index: int
    meaning: Callable[[Exception], Exception]


class Told:
    """What observers are told of a change after the commit."""

    __slots__ = ("_known",)

    def __init__(self, change: Change[Any]) -> None:
        self._known: Change[Any] | AuditEvent = change
        self.release()

    @property
    def event(self) -> AuditEvent:
        """The event of the change."""
        return self._known.event if isinstance(self._known, Change) else self._known

    def release(self) -> None:
        """Let go of the documents before and after the change if its event was made."""
        if isinstance(self._known, Change) and self._known.described:
            self._known = self._known.event


# Bytes of stored documents: a unit that holds back as many sends them before it goes on.
HEAVY = 256 * 1024


@dataclass(slots=True)
class Pending:
    """Held back in one unit.

    `index`: the position of the write on its way. `effects`: how much was done or will be. `size`: how many bytes the
    documents have that are held back, and those that are kept for what is recorded of their changes.
    """

    index: int = 0
    effects: int = 0
    size: int = 0
    inserts: dict[str, list[Insert]] = field(default_factory=dict)
    changes: list[Change[Any]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    parents: dict[str, Any] = field(default_factory=dict)
    numbers: sequences.Numbers = field(default_factory=sequences.Numbers)

    @property
    def heavy(self) -> bool:
        """Whether so much is held back that it should be sent."""
        return self.size >= HEAVY

    def insert(
        self, raw: dict[str, Any], size: int, collection: Any, meaning: Callable[[Exception], Exception]
    ) -> None:
        """Hold a new document of so many bytes back."""
        self.effects += 1
        self.size += size
        self.inserts.setdefault(collection.full_name, []).append(Insert(raw, collection, self.index, meaning))

    def taken_inserts(self) -> Sequence[Sequence[Insert]]:
        """The new documents, collection by collection, which are then not held back any more."""
        taken, self.inserts = self.inserts, {}
        return list(taken.values())

    def taken_changes(self) -> list[Change[Any]]:
        """The changes to record, which are then not held back any more."""
        taken, self.changes, self.size = self.changes, [], 0
        return taken

    def release(self) -> None:
        """Keep of changes that were recorded no more than observers are told."""
        for told in self.told:
            told.release()
        self.told.clear()


def first_failure(error: BulkWriteError) -> tuple[int, OperationFailure]:
    """Which of the documents sent together MongoDB refused first, and the error that it alone would have met."""
    found: Mapping[str, Any] = (error.details or {}).get("writeErrors", [{}])[0]
    code, message = found.get("code"), str(found.get("errmsg", ""))
    kind = DuplicateKeyError if code == DUPLICATE_KEY else OperationFailure
    return int(found.get("index", 0)), kind(message, code, found)


DUPLICATE_KEY = 11000
