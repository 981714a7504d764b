"""Time limits hold although what is inside loses their cancellation."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.promises.asgi import send
from tests.promises.documents import serve

from regesta import hookimpl
from regesta.errors import Unavailable
from regesta.operations import bounded
from regesta.store import LocalServer, open_store

HELD = 0.05  # seconds; meanwhile both timers of a race become due, so they go off at the same time


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regesta.time_limits.AGAIN", 0.1)


async def hangs() -> None:
    await asyncio.Event().wait()


async def goes_on() -> None:
    """Hang, and after the first cancellation hang again."""
    with suppress(asyncio.CancelledError):
        await hangs()
    await hangs()


async def test_a_limit_holds_although_wait_for_loses_its_cancellation() -> None:
    """On Python 3.11 it does if what it waits for comes at the same moment. PyMongo connects with it."""
    loop = asyncio.get_running_loop()
    connected = loop.create_future()
    loop.call_later(HELD / 2, connected.set_result, None)
    loop.call_soon(time.sleep, HELD)

    async def connects() -> None:
        async with bounded(HELD / 2):
            await asyncio.wait_for(connected, 60)
            await hangs()

    async with asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await connects()


async def test_a_limit_leaves_a_cancellation_of_others_alone() -> None:
    reached = asyncio.Event()

    async def limited() -> None:
        async with bounded(0):
            with suppress(asyncio.CancelledError):
                await hangs()
            reached.set()
            await hangs()

    task = asyncio.create_task(limited())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


async def test_what_ends_well_after_its_limit_is_not_cancelled() -> None:
    task = asyncio.current_task()
    assert task is not None
    async with bounded(0):
        with suppress(asyncio.CancelledError):
            await hangs()
    assert task.cancelling() == 0


@pytest.mark.parametrize("hook", ["prepare_change", "validate_change", "authorize", "scope_query"])
async def test_a_hook_that_loses_its_cancellation_is_ended_all_the_same(database: Any, hook: str) -> None:
    async def on_change(change: Any) -> None:
        await goes_on()

    async def on_request(request: Any) -> None:
        await goes_on()

    function = on_change if hook.endswith("change") else on_request
    stubborn = type("Stubborn", (), {"name": "stubborn", hook: staticmethod(hookimpl(function))})()
    app = await serve(database, stubborn, trail=False, seconds=0.1)  # `/plains` is written without a transaction
    async with asyncio.timeout(20):
        assert (await send(app, "POST", "/plains", {"name": "a"})).status == 503


async def test_the_first_command_of_a_client_has_a_limit(tmp_path: Path) -> None:
    """What the server can do is asked then, before the write begins."""
    with LocalServer(tmp_path) as server:
        async with open_store(server.uri) as store:
            client = type(store.client)(server.uri, tz_aware=True)
            app = await serve(client["test"], seconds=0.2)
            assert server.pid is not None
            os.kill(server.pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(5):
                    created = send(app, "POST", "/accounts", {"name": "a"})
                    batch = {"operations": [{"op": "create", "body": {"name": "b"}}]}
                    answers = await asyncio.gather(created, send(app, "POST", "/accounts:batch", batch))
            finally:
                os.kill(server.pid, signal.SIGCONT)
            assert [answer.status for answer in answers] == [503, 503]
            closing = client.close()
            if closing is not None:  # Motor closes at once
                await closing
