"""What a unit of many writes holds back, to send it together: new documents, and what is recorded of all changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

from regesta.change import Change
from regesta.errors import ProblemError
from regesta.operations import sequences


class ItemFailed(Exception):
    """The write at this position failed, and took the transaction along."""

    def __init__(self, index: int, error: Exception) -> None:
        super().__init__(index, error)
        self.index = index
        self.error = error


class NotRecorded(Exception):
    """What was held back could not be recorded: which of the writes is to blame, nobody knows."""

    def __init__(self, error: ProblemError) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True, slots=True)
class Insert:
    """A new document, where it goes, whose write it is (its position), and what a refusal of it means to a client."""

    raw: dict[str, Any]
    collection: Any
    index: int
    meaning: Callable[[Exception], Exception]


@dataclass(slots=True)
class Pending:
    """Held back in one unit. `index`: the position of the write on its way. `effects`: how much was done or will be."""

    index: int = 0
    effects: int = 0
    inserts: dict[str, list[Insert]] = field(default_factory=dict)
    changes: list[Change[Any]] = field(default_factory=list)
    parents: dict[str, Any] = field(default_factory=dict)
    numbers: sequences.Numbers = field(default_factory=sequences.Numbers)

    def insert(self, raw: dict[str, Any], collection: Any, meaning: Callable[[Exception], Exception]) -> None:
        """Hold a new document back."""
        self.effects += 1
        self.inserts.setdefault(collection.full_name, []).append(Insert(raw, collection, self.index, meaning))

    def taken_inserts(self) -> Sequence[Sequence[Insert]]:
        """The new documents, collection by collection, which are then not held back any more."""
        taken, self.inserts = self.inserts, {}
        return list(taken.values())

    def taken_changes(self) -> list[Change[Any]]:
        """The changes to record, which are then not held back any more."""
        taken, self.changes = self.changes, []
        return taken


def first_failure(error: BulkWriteError) -> tuple[int, OperationFailure]:
    """Which of the documents sent together MongoDB refused first, and the error that it alone would have met."""
    found: Mapping[str, Any] = (error.details or {}).get("writeErrors", [{}])[0]
    code, message = found.get("code"), str(found.get("errmsg", ""))
    kind = DuplicateKeyError if code == DUPLICATE_KEY else OperationFailure
    return int(found.get("index", 0)), kind(message, code, found)


DUPLICATE_KEY = 11000
