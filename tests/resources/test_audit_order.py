"""The list of the audit trail goes by the order in which the database took the events, not by anybody's clock."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from pymongo import IndexModel

from regesta import Hooks, Resource
from regesta.audit import AuditRecord, AuditTrail, audit_events
from regesta.store import collection_of
from regesta.workspaces import Workspaced, workspace_scope

from .serving import Client, served


class Ledger(Workspaced):
    name: str

    class Settings:
        indexes: ClassVar = [IndexModel(["workspace", "name"], unique=True)]


ledgers = Resource(Ledger, key="name", scope=workspace_scope)
NAMES = ["a", "b", "c", "d", "e", "f"]


async def told(client: Client, **query: Any) -> list[str]:
    answer = await client.get("/audit-events", params=query)
    assert answer.status_code == 200, answer.text
    return [event["subject"] for event in answer.json()["items"]]


async def paged(client: Client, **query: Any) -> list[str]:
    found: list[str] = []
    token: dict[str, str] = {}
    while not found or token["page_token"]:
        page = (await client.get("/audit-events", params={"page_size": 1, **query, **token})).json()
        found += [event["subject"] for event in page["items"]]
        token = {"page_token": page.get("next_page_token", "")}
    return found


async def fill(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two events of an older version, which have no position; then those of two workers, one ten minutes behind."""
    for number, name in enumerate(NAMES):
        with monkeypatch.context() as patch:
            if number in (3, 5):
                patch.setattr("regesta.store._clock._correction", timedelta(minutes=-10))
            assert (await client.post("/ledgers", json={"name": name})).status_code == 201
        if number == 1:
            await collection_of(AuditRecord).update_many({}, {"$unset": {"position": ""}})


async def test_events_are_listed_in_the_order_of_the_database(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(database, ledgers, audit_events, hooks=Hooks(AuditTrail())) as client:
        await fill(client, monkeypatch)
        newest_first = NAMES[::-1]
        assert await told(client) == newest_first
        assert await paged(client) == newest_first
        assert await paged(client, resource="ledgers") == newest_first
        assert await told(client, sort="position,time") == NAMES
        lately = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
        assert await paged(client, time__gte=lately) == ["e", "c", "b", "a"]
        assert await told(client, sort="-time") == ["e", "c", "b", "a", "f", "d"]


async def test_a_store_without_a_cluster_goes_by_time(memory_database: Any) -> None:
    async with served(memory_database, ledgers, audit_events, hooks=Hooks(AuditTrail())) as client:
        for name in NAMES:
            await client.post("/ledgers", json={"name": name})
        at = datetime(2026, 1, 1, tzinfo=UTC)
        for number, name in enumerate(NAMES):
            await collection_of(AuditRecord).update_one({"key": name}, {"$set": {"time": at + timedelta(number)}})
        assert await told(client) == NAMES[::-1]
        assert await paged(client) == NAMES[::-1]


@pytest.mark.parametrize("asked", [{}, {"resource": "ledgers", "key": "a"}, {"actor.subject": "anonymous"}])
async def test_an_index_has_the_events_in_order(database: Any, asked: dict[str, str]) -> None:
    async with served(database, ledgers, audit_events, hooks=Hooks(AuditTrail())) as client:
        await client.post("/ledgers", json={"name": "a"})
        order = [("position", -1), ("time", -1), ("_id", -1)]
        plan = await collection_of(AuditRecord).find({"workspace": "default", **asked}).sort(order).explain()
        assert "'SORT'" not in str(plan["queryPlanner"]["winningPlan"])
