"""Creates that come at once: which share a transaction, and who is told what becomes of them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

import pytest
from tests.eventually import eventually_async

from regesta.change import Caller
from regesta.errors import Unavailable
from regesta.operations import gathering
from regesta.operations.gathering import Gathering, Scattered, Target
from regesta.operations.unit import Unit

T = TypeVar("T")
CALLER = Caller()
Work = Callable[[Unit], Awaitable[Any]]

pytestmark = pytest.mark.timeout(20)  # what does not go on as it should waits for ever


class Store:
    """Remembers what was done together and what alone. All of it waits for `released`."""

    def __init__(self, seconds: float = 60) -> None:
        self.together: list[int] = []
        self.alone: list[str] = []
        self.released = asyncio.Event()
        self.fails: Exception | None = None
        self.gathering = Gathering(self._together, seconds)

    async def _together(self, works: Mapping[int, Work], targets: Sequence[Target]) -> Mapping[int, Any]:
        assert len(targets) == len(works)
        self.together.append(len(works))
        await self.released.wait()
        if self.fails is not None:
            raise self.fails
        return {index: await work(Unit()) for index, work in works.items()}

    async def create(self, name: str, meets: str | None = None) -> str:
        async def work(_: Unit) -> str:
            return f"{name} with others"

        async def alone() -> str:
            self.alone.append(name)
            await self.released.wait()
            return f"{name} alone"

        return await self.gathering.join(work, alone, Target(CALLER, (meets,) if meets else ()))

    async def started(self, *names: str, meets: str | None = None) -> list[asyncio.Task[str]]:
        """So many creates, each of which got as far as it can without the others."""
        tasks = [asyncio.ensure_future(self.create(name, meets)) for name in names]
        for _ in range(10):
            await asyncio.sleep(0)
        return tasks


async def until(condition: Callable[[], T]) -> T:
    async def asked() -> T:
        return condition()

    return await eventually_async(asked)


async def test_who_comes_alone_stays_alone() -> None:
    store = Store()
    store.released.set()
    assert [await store.create(name) for name in "ab"] == ["a alone", "b alone"]
    assert store.together == []


async def test_who_comes_meanwhile_goes_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LULL", "LONGEST", "PATIENCE"):  # on a busy machine a millisecond is soon over
        monkeypatch.setattr(gathering, name, 1.0)
    store = Store()
    (first,) = await store.started("a")
    later = await store.started("b", "c", "d", "e", "f")
    assert (store.alone, store.together) == (["a"], [])
    assert await until(lambda: store.together) == [5]
    store.released.set()
    assert await first == "a alone"
    assert await asyncio.gather(*later) == [f"{name} with others" for name in "bcdef"]
    assert store.together == [5]


async def test_who_keeps_coming_does_not_put_off_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LULL", 60.0)
    monkeypatch.setattr(gathering, "PATIENCE", 60.0)
    store = Store()
    tasks = await store.started("a", "b", "c")
    assert await until(lambda: store.together) == [2]
    store.released.set()
    await asyncio.gather(*tasks)


async def test_no_more_than_so_many_transactions_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PATIENCE", 60.0)
    monkeypatch.setattr(gathering, "LULL", 0.0)
    store = Store()
    tasks = await store.started("a")
    for _ in range(gathering.AT_ONCE + 1):
        tasks += await store.started("b")
    assert store.together == [1] * (gathering.AT_ONCE - 1)
    store.released.set()
    await asyncio.gather(*tasks)
    assert store.together == [1] * (gathering.AT_ONCE - 1) + [2]


async def test_those_that_would_abort_each_other_go_one_after_the_other() -> None:
    store = Store()
    (first,) = await store.started("a", meets="p")
    later = await store.started("b", "c", meets="p")
    (other,) = await store.started("d", meets="q")
    assert await until(lambda: store.together) == [1]
    store.released.set()
    assert await asyncio.gather(first, other, *later) == ["a alone", "d with others", "b with others", "c with others"]
    assert store.together == [1, 2]


async def test_who_takes_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    slow = await store.started("a", meets="p")
    while sum(store.together) < gathering.AT_ONCE - 1:
        slow.extend(await store.started("b"))
        await until(lambda: sum(store.together) == len(slow) - 1)
    monkeypatch.setattr(gathering, "PATIENCE", 0.0)
    tasks = await store.started("c", "d")
    assert await until(lambda: sum(store.together) == gathering.AT_ONCE - 1 + 2)
    # Who meets one of them waits all the same.
    tasks += await store.started("e", meets="p")
    tasks += await store.started("f")
    assert await until(lambda: sum(store.together) == gathering.AT_ONCE - 1 + 3)
    assert not any(task.done() for task in [*slow, *tasks])
    store.released.set()
    await asyncio.gather(*slow, *tasks)
    assert sum(store.together) == gathering.AT_ONCE - 1 + 4


@pytest.mark.parametrize("error", [Scattered(), ValueError("a fault of our own")], ids=["conflict", "fault"])
async def test_where_nothing_stands_each_goes_alone(error: Exception) -> None:
    store = Store()
    first = await store.started("a")
    later = await store.started("d", "e", "f")
    store.fails = error
    store.released.set()
    await asyncio.gather(*first)
    found = await asyncio.gather(*later, return_exceptions=True)
    if isinstance(error, Scattered):
        assert found == ["d alone", "e alone", "f alone"]
    else:
        assert [type(one) for one in found] == [ValueError] * 3
        assert len({id(one) for one in found}) == 3


async def test_who_waits_too_long_is_told() -> None:
    store = Store(seconds=0.02)
    (first,) = await store.started("a", meets="p")
    with pytest.raises(Unavailable):
        await store.create("b", meets="p")
    store.released.set()
    assert await first == "a alone"
    assert store.together == []


class Odd(Exception):
    """Cannot be copied."""

    def __init__(self, *, why: str) -> None:
        super().__init__(why)


async def test_an_error_of_any_kind_is_told() -> None:
    store = Store()
    first = await store.started("a")
    later = await store.started("d", "e")
    store.fails = Odd(why="it is")
    store.released.set()
    await asyncio.gather(*first)
    assert [type(one) for one in await asyncio.gather(*later, return_exceptions=True)] == [Odd, Odd]
    assert store.alone == ["a"]


async def test_whether_it_was_done_may_be_unknown_to_all() -> None:
    store = Store()
    first = await store.started("a")
    later = await store.started("d", "e")
    store.fails = Unavailable("the database did not answer in time")
    store.released.set()
    await asyncio.gather(*first)
    for one in await asyncio.gather(*later, return_exceptions=True):
        assert isinstance(one, Unavailable)
    assert store.alone == ["a"]


async def test_who_went_away_is_left_out() -> None:
    store = Store()
    first = await store.started("a")
    gone, stays = await store.started("d", "e")
    gone.cancel()
    await asyncio.wait({gone})
    store.released.set()
    await asyncio.gather(*first)
    assert await stays == "e with others"
    assert store.together == [1]


WHO: ContextVar[str] = ContextVar("who", default="nobody")


@pytest.mark.parametrize("goes", ["never", "in the transaction", "after the commit"])
async def test_each_does_what_it_asked_for_after_the_commit(goes: str) -> None:
    """In its own context; and so for those whose callers went away, be it while the answer was on its way to them."""
    told: list[tuple[str, str]] = []
    released, written, committed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def together(works: Mapping[int, Work], _: Sequence[Target]) -> Mapping[int, Any]:
        unit = Unit()
        found = {index: await work(unit) for index, work in works.items()}
        assert unit.after_commit == []
        written.set()
        await committed.wait()
        if goes == "after the commit":
            # The next that happens is that those who wait are told, and cancelled before they hear of it.
            asyncio.get_running_loop().call_soon(cancel)
            await asyncio.sleep(0)
        return found

    group = Gathering(together, 60)

    async def create(name: str) -> str:
        WHO.set(name)

        async def work(unit: Unit) -> str:
            async def after() -> None:
                told.append((name, WHO.get()))

            unit.after_commit.append(after)
            return name

        async def alone() -> str:
            await released.wait()
            return name

        return await group.join(work, alone, Target(CALLER, ()))

    tasks = [asyncio.ensure_future(create(name)) for name in "abcde"]

    def cancel() -> None:
        for task in tasks[2:]:
            task.cancel()

    await written.wait()
    if goes == "in the transaction":
        cancel()
    released.set()
    committed.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[:2] == ["a", "b"]
    if goes == "never":
        assert outcomes == list("abcde")
    else:
        assert [type(outcome) for outcome in outcomes[2:]] == [asyncio.CancelledError] * 3
    await until(lambda: len(told) == 4)
    assert sorted(told) == [(name, name) for name in "bcde"]


async def test_many_that_wait_cost_each_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, one timer sees to all of them, and each is looked at once."""
    monkeypatch.setattr(gathering, "PATIENCE", 0.0)
    monkeypatch.setattr(gathering, "MOST", 10)
    store, looked = Store(), 0
    (first,) = await store.started("a", meets="p")
    may_begin = store.gathering._may_begin

    def counted(meets: Any) -> bool:
        nonlocal looked
        looked += 1
        return may_begin(meets)

    monkeypatch.setattr(store.gathering, "_may_begin", counted)
    tasks = [asyncio.ensure_future(store.create("b", meets=f"q{i}")) for i in range(400)]
    await until(lambda: sum(store.together) == 400)
    assert store.together == [10] * 40
    assert looked < 4 * 400
    store.released.set()
    await asyncio.gather(first, *tasks)
