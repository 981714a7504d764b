"""Every operation ends in bounded time, and says so when the database does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pymongo.errors import PyMongoError

from regesta.errors import Unavailable
from regesta.store import unavailable


@asynccontextmanager
async def bounded(seconds: float, late: str = "it took too long; nothing was changed") -> AsyncIterator[None]:
    """Raises Unavailable, saying `late`, where what is inside takes longer than `seconds`; or the database is away."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Unavailable(late, code="TIMEOUT") from error
    except PyMongoError as error:
        known = unavailable(error)
        if known is None:
            raise
        raise known from error
