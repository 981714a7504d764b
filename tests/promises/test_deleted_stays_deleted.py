"""G6: a deleted document does not come back."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from tests.promises.asgi import Answer, send
from tests.promises.documents import Account, events, serve, stored
from tests.promises.effort import times

PAIRS, ROUNDS = 25, times(200)  # fifty racing requests in each of two hundred rounds


@pytest.mark.parametrize(("method", "audited"), [("PUT", False), ("PATCH", True)])
async def test_a_delete_that_races_with_a_change_is_final(database: Any, method: str, audited: bool) -> None:
    app = await serve(database, trail=None if audited else False)
    rounds = ROUNDS // 2
    for round_ in range(rounds):
        names = [f"r{round_}-{pair}" for pair in range(PAIRS)]
        await Account.insert_many([Account(name=name, revision_id=uuid4()) for name in names])
        racing = [
            send(app, verb, f"/accounts/{name}", None if verb == "DELETE" else {"balance": 5})
            for index, name in enumerate(names)
            for verb in ((method, "DELETE") if index % 2 else ("DELETE", method))
        ]
        answers = await asyncio.gather(*racing)
        assert {answer.status for answer in answers} <= {200, 204, 404}
        assert sum(answer.status == 204 for answer in answers) == PAIRS
        assert await stored() == []
    deleted = [event["key"] for event in await events() if event["action"] == "delete"]
    assert len(deleted) == len(set(deleted)) == (rounds * PAIRS if audited else 0)


async def test_control_an_upsert_brings_it_back(database: Any) -> None:
    """What Beanie's `save()` does with an instance that was read before the delete."""
    app = await serve(database)
    await send(app, "POST", "/accounts", {"name": "a"})
    loaded = await Account.find_one({"name": "a"})
    assert loaded is not None
    answer: Answer = await send(app, "DELETE", "/accounts/a")
    assert answer.status == 204
    await loaded.save(ignore_revision=True)
    assert len(await stored()) == 1
