"""Every operation ends in bounded time, and says so when the database does not."""

from types import TracebackType
from typing import Any

from pymongo.errors import PyMongoError

from regesta.errors import Unavailable
from regesta.store import Atomicity, as_problem, atomicity_of, known_atomicity
from regesta.time_limits import TimeLimit

MIN_SECONDS = 0.01  # what is left of a deadline that is over: 0 would mean that there is none
LATE = "the write took too long; whether it was done is unknown"


class bounded(TimeLimit):  # noqa: N801 - reads as what it does: `async with bounded(seconds):`
    """Raises Unavailable, saying `late`, if what is inside takes longer than `seconds`; or if the database is away.

    A class, since a generator would cost every read and write more than the deadline itself.
    """

    __slots__ = ("_late",)

    def __init__(self, seconds: float, late: str = "it took too long; nothing was changed") -> None:
        super().__init__(seconds)
        self._late = late

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(kind, error, trace)
        except TimeoutError as expired:
            raise Unavailable(self._late, code="TIMEOUT") from expired
        if isinstance(error, TimeoutError):
            raise Unavailable(self._late, code="TIMEOUT") from error
        if isinstance(error, PyMongoError) and (known := as_problem(error)):
            raise known from error


async def atomicity_in(collection: Any, seconds: float) -> Atomicity:
    """What the collection's server can do, for whoever has no deadline yet. Raises Unavailable."""
    known = known_atomicity(collection)
    if known is not None:
        return known
    async with bounded(seconds):
        return await atomicity_of(collection)
