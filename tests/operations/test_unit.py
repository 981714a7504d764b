"""A unit of work that is given up from outside."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.eventually import eventually_async

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


async def test_who_goes_away_while_others_are_told_does_not_keep_it_from_them() -> None:
    told: list[str] = []
    first, goes_on = asyncio.Event(), asyncio.Event()

    async def work(unit: Unit) -> None:
        async def slow() -> None:
            first.set()
            await goes_on.wait()
            told.append("slow")

        async def next_one() -> None:
            told.append("next one")

        unit.after_commit += [slow, next_one]

    async def compares(_: Any) -> Atomicity:
        return Atomicity.COMPARE

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unit, "atomicity_of", compares)
        writing = asyncio.create_task(unit.run_unit(object(), work, transactional=False, seconds=10))
        await first.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    goes_on.set()

    async def all_told() -> bool:
        return told == ["slow", "next one"]

    await eventually_async(all_told)


async def test_a_transaction_that_is_given_up_twice_is_still_seen_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time while it aborts: an abort that never ends is cancelled later."""
    begun, aborting, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def never_aborts(_: Any, attempt: Callable[[Any], Awaitable[Any]], __: float) -> Any:
        try:
            return await attempt(None)
        except asyncio.CancelledError:
            aborting.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    async def hook() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def work(unit: Unit) -> None:
        await unit.hook(hook())

    monkeypatch.setattr(unit, "in_transaction", never_aborts)
    monkeypatch.setattr(unit, "atomicity_of", transactions)
    monkeypatch.setattr(unit, "PATIENCE", 0.05)
    writing = asyncio.create_task(unit.run_unit(object(), work, transactional=True, seconds=10))
    await begun.wait()
    writing.cancel()
    await aborting.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await asyncio.wait_for(ended.wait(), 20)
