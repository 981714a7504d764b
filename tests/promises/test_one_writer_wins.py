"""G3: of writers with the same If-Match exactly one wins."""

import asyncio
from typing import Any

import pytest
from tests.promises.asgi import send
from tests.promises.documents import events, serve
from tests.promises.effort import times

WRITERS, ROUNDS = 50, times(200)


async def test_exactly_one_of_fifty_wins_each_round_and_leaves_one_event(database: Any) -> None:
    app = await serve(database)
    etag = (await send(app, "POST", "/accounts", {"name": "a"})).etag
    for round_ in range(ROUNDS):
        answers = await asyncio.gather(
            *(
                send(app, "PATCH", "/accounts/a", {"balance": round_ * WRITERS + writer + 1}, if_match=etag)
                for writer in range(WRITERS)
            )
        )
        won = [answer for answer in answers if answer.status == 200]
        assert sorted(answer.status for answer in answers) == [200] + [412] * (WRITERS - 1)
        etag = won[0].etag
    written = [event for event in await events() if event["action"] == "update"]
    assert len(written) == ROUNDS
    assert len({event["revision_after"] for event in written}) == ROUNDS
    assert (await send(app, "GET", "/accounts/a")).etag == etag


@pytest.mark.parametrize("path", ["/accounts", "/plains"])
async def test_exactly_one_wins_without_a_transaction(database: Any, path: str) -> None:
    app = await serve(database, trail=False)
    etag = (await send(app, "POST", path, {"name": "a"})).etag
    for round_ in range(40):
        answers = await asyncio.gather(
            *(
                send(app, "PATCH", f"{path}/a", {"balance": round_ * WRITERS + writer + 1}, if_match=etag)
                for writer in range(WRITERS)
            )
        )
        assert sorted(answer.status for answer in answers) == [200] + [412] * (WRITERS - 1)
        etag = next(answer.etag for answer in answers if answer.status == 200)


@pytest.mark.parametrize("path", ["/accounts", "/plains"])
async def test_exactly_one_wins_in_memory(memory_database: Any, path: str) -> None:
    app = await serve(memory_database)
    etag = (await send(app, "POST", path, {"name": "a"})).etag
    answers = await asyncio.gather(
        *(send(app, "PATCH", f"{path}/a", {"balance": writer + 1}, if_match=etag) for writer in range(WRITERS))
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * (WRITERS - 1)


async def test_control_a_check_before_the_write_lets_several_win(database: Any) -> None:
    """The usual way, a read and a comparison before the write, fails the same trial."""
    app = await serve(database, trail=False)
    etag = (await send(app, "POST", "/accounts", {"name": "a"})).etag

    everybody_has_read = asyncio.Barrier(WRITERS)

    async def naive(writer: int) -> bool:
        matches = (await send(app, "GET", "/accounts/a")).etag == etag
        await everybody_has_read.wait()
        if not matches:
            return False
        answer = await send(app, "PATCH", "/accounts/a", {"balance": writer + 1})
        return answer.status == 200

    assert sum(await asyncio.gather(*map(naive, range(WRITERS)))) > 1


@pytest.mark.parametrize("path", ["/accounts", "/plains"])
async def test_writers_without_a_condition_lose_no_update(database: Any, path: str) -> None:
    app = await serve(database, trail=False)
    await send(app, "POST", path, {"name": "a"})
    answers = await asyncio.gather(
        *(
            send(app, "PATCH", f"{path}/a", {"balance": 7} if writer % 2 else {"note": "seven"})
            for writer in range(WRITERS)
        )
    )
    assert {answer.status for answer in answers} == {200}
    found = (await send(app, "GET", f"{path}/a")).json()
    assert (found["balance"], found["note"]) == (7, "seven")
