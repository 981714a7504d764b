"""A unit of work that is given up from outside."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from regesta.operations import Unit, unit
from regesta.store import Atomicity


async def transactions(_: Any) -> Atomicity:
    return Atomicity.TRANSACTIONS


@pytest.mark.parametrize("late", [False, True])
async def test_a_cancellation_during_the_commit_is_kept_back_not_lost(
    monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    """What the commit calls for happens; then the caller's cancellation goes on, and its deadline does not."""
    committing, committed, told = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def commits_slowly(_: Any, attempt: Callable[[Any], Awaitable[Any]], __: float) -> Any:
        result = await attempt(None)
        committing.set()
        await committed.wait()
        return result

    async def work(unit: Unit) -> str:
        async def tell() -> None:
            told.set()

        unit.after_commit.append(tell)
        return "done"

    monkeypatch.setattr(unit, "in_transaction", commits_slowly)
    monkeypatch.setattr(unit, "atomicity_of", transactions)
    seconds = 0.01 if late else 10
    writing = asyncio.create_task(unit.run_unit(object(), work, transactional=True, seconds=seconds))
    await committing.wait()
    if late:
        # Longer than the deadline: it is over when the commit is known.
        asyncio.get_running_loop().call_later(0.05, committed.set)
        assert await writing == "done"
    else:
        writing.cancel()
        committed.set()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert told.is_set()
