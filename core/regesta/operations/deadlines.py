"""Every operation ends in bounded time, and says so when the database does not."""

import asyncio
from types import TracebackType

from pymongo.errors import PyMongoError

from regesta.errors import Unavailable
from regesta.store import as_problem

MIN_SECONDS = 0.01  # what is left of a deadline that is over: 0 would mean that there is none
LATE = "the write took too long; whether it was done is unknown"


class bounded:  # noqa: N801 - reads as what it does: `async with bounded(seconds):`
    """Raises Unavailable, saying `late`, where what is inside takes longer than `seconds`; or the database is away.

    A class, since a generator would cost every read and write more than the deadline itself.
    """

    __slots__ = ("_late", "_timeout")

    def __init__(self, seconds: float, late: str = "it took too long; nothing was changed") -> None:
        self._timeout = asyncio.timeout(seconds)
        self._late = late

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as expired:
            raise Unavailable(self._late, code="TIMEOUT") from expired
        if isinstance(error, TimeoutError):
            raise Unavailable(self._late, code="TIMEOUT") from error
        if isinstance(error, PyMongoError) and (known := as_problem(error)):
            raise known from error
