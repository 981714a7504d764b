"""One call of a client: what it sent, on whose behalf, and what the endpoints of one kind have in common."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from regesta import Caller
from regesta.store import now as time_of_database
from regesta_mlflow.sent import Sent


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered. `key` is what stands in the path, where something does."""

    sent: Sent
    caller: Caller
    key: str = ""


Endpoint = Callable[[Call], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint, and what `authorize` hooks are told of its calls: which resource, which operation."""

    endpoint: Endpoint
    resource: str
    operation: str


def now() -> datetime:
    """The time as MongoDB keeps it, to the millisecond: one for all that a call changes."""
    time = time_of_database()
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
