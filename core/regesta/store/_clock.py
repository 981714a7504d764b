"""The time of events and documents: the database's, as far as this process can tell, not that of one worker."""

from datetime import UTC, datetime, timedelta
from typing import Any

# What the clocks of two machines may differ by without a correction: more than a round trip takes.
TOLERATED = timedelta(seconds=1)
_correction = timedelta(0)


def now() -> datetime:
    """The time, in UTC. If this machine's clock was seen to differ from the database's, it is corrected."""
    return datetime.now(UTC) + _correction


async def ask_hello(client: Any) -> dict[str, Any]:
    """What the server says of itself; its clock is compared with ours."""
    begun = datetime.now(UTC)
    hello: dict[str, Any] = await client.admin.command("hello")
    told = hello.get("localTime")
    if told is not None:
        _compare(told if told.tzinfo else told.replace(tzinfo=UTC), begun + (datetime.now(UTC) - begun) / 2)
    return hello


def _compare(server: datetime, ours: datetime) -> None:
    global _correction  # noqa: PLW0603 - a process has one clock
    _correction = server - ours if abs(server - ours) > TOLERATED else timedelta(0)
