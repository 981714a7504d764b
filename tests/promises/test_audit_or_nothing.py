"""G8: if the audit event cannot be written, nothing is."""

from typing import Any

from tests.promises.asgi import send
from tests.promises.documents import events, serve, stored


async def refuse_events(database: Any, *, refuse: bool) -> None:
    """Let MongoDB itself refuse every insert into the audit collection, or take them again."""
    validator = {"never": {"$exists": True}} if refuse else {}
    await database.command("collMod", "audit_events", validator=validator, validationAction="error")


async def test_every_write_is_refused_and_changes_nothing(database: Any) -> None:
    app = await serve(database)
    await send(app, "POST", "/accounts", {"name": "a"})
    before, recorded = await stored(), await events()
    await refuse_events(database, refuse=True)
    answers = [
        await send(app, "POST", "/accounts", {"name": "b"}),
        await send(app, "PUT", "/accounts/a", {"balance": 1}),
        await send(app, "PUT", "/accounts/c?allow_missing=true", {"balance": 1}),
        await send(app, "PATCH", "/accounts/a", {"balance": 1}),
        await send(app, "DELETE", "/accounts/a"),
    ]
    assert [answer.status for answer in answers] == [503] * 5
    assert {answer.json()["code"] for answer in answers} == {"NOT_RECORDED"}
    assert all("retry-after" in answer.headers for answer in answers)
    assert (await stored(), await events()) == (before, recorded)


async def test_control_the_same_writes_pass_once_events_are_taken_again(database: Any) -> None:
    app = await serve(database)
    await refuse_events(database, refuse=True)
    assert (await send(app, "POST", "/accounts", {"name": "a"})).status == 503
    await refuse_events(database, refuse=False)
    assert (await send(app, "POST", "/accounts", {"name": "a"})).status == 201
    assert (await send(app, "DELETE", "/accounts/a")).status == 204
    assert [event["action"] for event in await events()] == ["create", "delete"]
