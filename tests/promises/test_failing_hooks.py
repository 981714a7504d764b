"""G5: a failing or hanging hook means no write."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.promises.asgi import send
from tests.promises.documents import events, serve, stored

from regesta import Invalid, hookimpl

TIMES = 100
REFUSING = ("prepare_change", "validate_change", "record_change", "authorize", "scope_query")

Misbehaviour = Callable[[], Awaitable[None]]


def plugin(hook: str, misbehave: Misbehaviour) -> Any:
    """A plugin whose one hook misbehaves on a write."""

    async def on_change(change: Any) -> None:
        await misbehave()

    async def on_request(request: Any) -> None:
        if request.operation != "list":
            await misbehave()

    async def on_event(event: Any) -> None:
        await misbehave()

    function = {"authorize": on_request, "scope_query": on_request, "audit_event": on_event}.get(hook, on_change)
    return type("Broken", (), {"name": "broken", hook: staticmethod(hookimpl(function))})()


async def raises() -> None:
    raise RuntimeError("secret-detail")


async def refuses() -> None:
    raise Invalid("note", "is refused")


async def hangs() -> None:
    await asyncio.Event().wait()


async def cancels() -> None:
    awaited = asyncio.ensure_future(hangs())
    awaited.cancel()
    await awaited


async def attempt(app: Any, number: int) -> int:
    answer = await send(app, "POST", "/accounts", {"name": f"a{number}"})
    assert b"secret-detail" not in answer.body
    return answer.status


@pytest.mark.parametrize("hook", REFUSING)
@pytest.mark.parametrize(
    ("misbehave", "statuses"),
    [(raises, {500, 503}), (refuses, {422, 503}), (hangs, {503}), (cancels, {500, 503})],
    ids=["raises", "refuses", "hangs", "cancels"],
)
async def test_nothing_is_written(database: Any, hook: str, misbehave: Misbehaviour, statuses: set[int]) -> None:
    app = await serve(database, plugin(hook, misbehave), seconds=0.5 if misbehave is hangs else 30.0)
    answers = await asyncio.gather(*(attempt(app, number) for number in range(TIMES)))
    assert set(answers) <= statuses
    assert await stored() == []
    assert await events() == []


@pytest.mark.parametrize("hook", ["prepare_change", "validate_change", "record_change"])
async def test_a_request_that_is_given_up_writes_nothing(database: Any, hook: str) -> None:
    """The client goes away while a hook runs: its task is cancelled."""
    reached = asyncio.Event()

    async def waits() -> None:
        reached.set()
        await asyncio.Event().wait()

    app = await serve(database, plugin(hook, waits))
    task = asyncio.create_task(send(app, "POST", "/accounts", {"name": "a"}))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await stored() == []
    assert await events() == []


@pytest.mark.parametrize("misbehave", [raises, refuses, hangs, cancels])
async def test_control_an_observer_that_fails_leaves_the_write(database: Any, misbehave: Misbehaviour) -> None:
    app = await serve(database, plugin("audit_event", misbehave), seconds=1.0)
    async with asyncio.timeout(10):
        assert await attempt(app, 1) == 201
    assert len(await stored()) == len(await events()) == 1


async def test_a_write_that_was_held_up_can_be_repeated(database: Any) -> None:
    behaving = asyncio.Event()

    async def hangs_at_first() -> None:
        if not behaving.is_set():
            behaving.set()
            await hangs()

    app = await serve(database, plugin("record_change", hangs_at_first), seconds=1.0)
    assert await attempt(app, 1) == 503
    assert await attempt(app, 1) == 201
    assert len(await stored()) == len(await events()) == 1
