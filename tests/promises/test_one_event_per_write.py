"""G2: every committed write has exactly one audit event, whatever happens to the database meanwhile."""

import asyncio
import itertools
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from pymongo import MongoClient
from tests.promises.asgi import send
from tests.promises.documents import serve
from tests.promises.ledger import ACTIONS, REFUSALS, Document, Ledger, Request, violations

from regesta import Invalid, hookimpl
from regesta.audit import AuditRecord, AuditTrail
from regesta.audit.documents import stored_event
from regesta.change import Change
from regesta.store import LocalServer, Store, collection_of, open_store

WRITERS, KEYS = 8, 12
METHODS = ["POST", "PUT", "PUT", "PATCH", "PATCH", "PATCH", "DELETE"]
DISTURBANCES = ("kill", "step down", "kill", "step down", "kill")
BETWEEN = 50  # acknowledged writes before each of them and after the last
PATIENT, HASTY = 30.0, 0.5  # seconds: one waits until the database is back, the other says 503 meanwhile

# The commit is done, but its answer says that this is not known.
DONE_BUT = {"writeConcernError": {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "not known"}}


async def ask(app: FastAPI, name: str, method: str, key: str, balance: int) -> Request:
    """Send a write that changes something wherever it is done."""
    body = {"balance": balance, "note": name} | ({"name": key} if method == "POST" else {})
    path = {"POST": "/accounts", "PUT": f"/accounts/{key}?allow_missing=true"}.get(method, f"/accounts/{key}")
    answer = await send(app, method, path, None if method == "DELETE" else body, x_request_id=name)
    code = answer.json()["code"] if answer.status >= 400 else ""
    assert answer.status in {*ACTIONS, *REFUSALS, 503}, (answer.status, code)
    return Request(name, key, answer.status, answer.headers.get("etag", "").strip('"') or None, code)


def read(store: Store, requests: list[Request]) -> Ledger:
    """What is stored at one moment, read by a client that knows nothing of ours.

    At one moment, because a commit that nobody waits for any more may still be on its way.
    """
    address = store.url_without_credentials
    with (
        MongoClient[Document](address, directConnection=True) as client,
        client.start_session(snapshot=True) as moment,
    ):
        documents, events = (client[store.database.name][name] for name in ("Account", "audit_events"))
        return Ledger(requests, list(documents.find(session=moment)), list(events.find(session=moment)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A mongod that only the tests below use: it may be killed, and told to fail."""
    arguments = ["--setParameter", "enableTestCommands=1"]
    with LocalServer(tmp_path_factory.mktemp("mongod"), mongod_args=arguments) as server:
        yield server


@pytest.fixture
async def store(server: LocalServer) -> AsyncIterator[Store]:
    async with open_store(server.uri, database=f"test_{uuid4().hex}") as store:
        yield store


def kill(server: LocalServer) -> None:
    assert server.pid
    os.kill(server.pid, signal.SIGKILL)


@dataclass(slots=True)
class Storm:
    """Writers, and what is done to their database whenever they got some way."""

    server: LocalServer
    store: Store
    requests: list[Request] = field(default_factory=list)
    acknowledged: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, app: FastAPI, writer: int) -> None:
        """Write until it is over, mostly to documents that others write to as well."""
        dice = random.Random(writer)
        try:
            for number in itertools.count(writer, WRITERS):
                if self.over.is_set():
                    return
                request = await ask(app, f"w{number}", dice.choice(METHODS), f"a{dice.randrange(KEYS)}", number)
                self.requests.append(request)
                if request.status in ACTIONS:
                    self.acknowledged.release()
        finally:
            self.over.set()  # a writer that failed: the others end as well

    async def disturb(self) -> None:
        for disturbance in (*DISTURBANCES, ""):
            for _ in range(BETWEEN):
                await self.acknowledged.acquire()
            if disturbance == "kill":
                kill(self.server)
            elif disturbance == "step down":  # for a second; there is nobody else
                step_down = {"replSetStepDown": 1, "secondaryCatchUpPeriodSecs": 0, "force": True}
                await self.store.client.admin.command(step_down)
            self.acknowledged = asyncio.Semaphore(0)
        self.over.set()

    async def elections(self) -> int:
        """How often a primary was elected: once more after each restart and each step-down."""
        term: int = (await self.store.client.admin.command("replSetGetStatus"))["term"]
        return term


async def test_one_event_per_write_through_kills_and_step_downs(tmp_path: Path) -> None:
    with LocalServer(tmp_path) as server:
        async with open_store(server.uri) as store:
            # Two applications, as two workers of a service: they do not queue for each other, so transactions meet.
            apps = [await serve(store.database, seconds=seconds) for seconds in (PATIENT, HASTY)]
            storm = Storm(server, store)
            before = await storm.elections()
            async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
                tasks.create_task(storm.disturb())
                for writer in range(WRITERS):
                    tasks.create_task(storm.write(apps[writer % len(apps)], writer))
            assert await storm.elections() >= before + len(DISTURBANCES)
            ledger = read(store, storm.requests)
    assert {event["action"] for event in ledger.events} == {*ACTIONS.values()}
    found = violations(ledger)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("fault", "times", "seconds", "status"),
    [
        pytest.param({"closeConnection": True}, {"times": 3}, PATIENT, 200, id="not-done"),
        pytest.param(DONE_BUT, {"times": 3}, PATIENT, 200, id="done"),
        pytest.param(DONE_BUT, "alwaysOn", HASTY, 503, id="done-and-never-said"),
    ],
)
async def test_one_event_where_the_answer_to_a_commit_is_lost(
    store: Store, fault: Document, times: Any, seconds: float, status: int
) -> None:
    app = await serve(store.database, seconds=seconds)
    first = await ask(app, "w0", "POST", "a", 0)
    admin, point = store.client.admin, {"configureFailPoint": "failCommand"}
    await admin.command({**point, "mode": times, "data": {"failCommands": ["commitTransaction"], **fault}})
    try:
        second = await ask(app, "w1", "PATCH", "a", 1)
    finally:
        off = await admin.command({**point, "mode": "off"})
    assert second.status == status
    assert off["count"] >= 3
    ledger = read(store, [first, second])
    assert [event["request_id"] for event in ledger.events] == ["w0", "w1"]
    assert violations(ledger) == []


class Detached:
    """An audit trail as one would write it without thinking: its events are not part of the transaction."""

    @hookimpl
    async def record_change(self, change: Change[Any]) -> None:
        await collection_of(AuditRecord).insert_one(stored_event(change.event))


class Between:
    """Comes between the event and the commit, once."""

    def __init__(self, disturb: Callable[[], None]) -> None:
        self._disturb = disturb
        self._done = False

    @hookimpl
    async def record_change(self, change: Change[Any]) -> None:
        if change.caller.request_id == "w1" and not self._done:
            self._done = True
            self._disturb()


def refuse() -> None:
    raise Invalid("note", "is refused")


async def interrupted(server: LocalServer, store: Store, trail: Any, what: str) -> Ledger:
    """The ledger of two writes, the second one interrupted between its event and its commit."""
    between = Between({"kill": lambda: kill(server), "refusal": refuse}[what])
    app = await serve(store.database, between, trail=trail)
    requests = [await ask(app, "w0", "POST", "a", 0), await ask(app, "w1", "PATCH", "a", 1)]
    assert [request.status for request in requests] == [201, 200 if what == "kill" else 503]
    return read(store, requests)


@pytest.mark.parametrize("what", ["kill", "refusal"])
async def test_an_event_stands_and_falls_with_its_write(server: LocalServer, store: Store, what: str) -> None:
    assert violations(await interrupted(server, store, AuditTrail(), what)) == []


async def test_a_commit_waits_for_the_database_until_its_deadline(server: LocalServer) -> None:
    """Longer than the driver looks for a server."""
    hasty = f"{server.uri}&serverSelectionTimeoutMS=50"
    async with open_store(hasty, database=f"test_{uuid4().hex}") as store:
        assert violations(await interrupted(server, store, AuditTrail(), "kill")) == []


@pytest.mark.parametrize(
    ("what", "expected"),
    [("kill", "2 events with the request 'w1'"), ("refusal", "w1 was answered 503 and has the events")],
    ids=["kill", "refusal"],
)
async def test_control_events_outside_of_the_transaction_are_found(
    server: LocalServer, store: Store, what: str, expected: str
) -> None:
    assert expected in "\n".join(violations(await interrupted(server, store, Detached(), what)))


ONE, TWO, THREE = (f"{number:032x}" for number in (1, 2, 3))  # revisions
WIRE = {"id": "0" * 24, "name": "a", "balance": 0, "note": ""}


def event(number: int, before: str | None, after: str | None) -> Document:
    """What the request `w{number}` did to `a`, from one revision to another."""
    action = "create" if before is None else "update" if after else "delete"
    changes = [{"op": "add", "path": "", "value": WIRE}] if before is None else []
    told = {"_id": bytes([number]), "request_id": f"w{number}", "key": "a", "action": action, "changes": changes}
    return told | {"revision_before": before, "revision_after": after}


CREATED, UPDATED, DELETED, AGAIN = event(0, None, ONE), event(1, ONE, TWO), event(2, TWO, None), event(3, None, THREE)
STORED = {"_id": WIRE["id"], "name": "a", "balance": 0, "note": "", "revision_id": bytes.fromhex(THREE)}
ASKED = [Request("w0", "a", 201, ONE), Request("w1", "a", 200, TWO), Request("w2", "a", 204), Request("w3", "a", 503)]
SOUND = Ledger(ASKED, [STORED], [CREATED, UPDATED, DELETED, AGAIN])


def test_a_sound_ledger_has_no_violations() -> None:
    assert violations(SOUND) == []
    assert violations(replace(SOUND, events=SOUND.events[::-1])) == []
    assert violations(Ledger([*ASKED[:3], Request("w3", "a", 503)], [], SOUND.events[:3])) == []


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        pytest.param(replace(SOUND, events=[CREATED, UPDATED, DELETED]), "the events lead to []", id="missing"),
        pytest.param(replace(SOUND, events=[CREATED, DELETED, AGAIN]), f"no event led to {TWO}", id="gap"),
        pytest.param(replace(SOUND, events=[*SOUND.events, AGAIN]), "2 events with the id", id="same-id"),
        pytest.param(
            replace(SOUND, events=[*SOUND.events, AGAIN | {"_id": b"9"}]), "2 events with the revision", id="twice"
        ),
        pytest.param(replace(SOUND, events=[*SOUND.events, event(4, ONE, THREE)]), "w4 was never sent", id="strange"),
        pytest.param(replace(SOUND, documents=[]), "stored is []", id="no-document"),
        pytest.param(replace(SOUND, events=SOUND.events[:2], documents=[]), "stored is []", id="lost"),
        pytest.param(replace(SOUND, documents=[STORED | {"balance": 1}]), "'balance': 1", id="other-state"),
        pytest.param(replace(SOUND, documents=[STORED | {"name": "b"}]), "b: the events lead to []", id="other-key"),
        pytest.param(replace(SOUND, events=[]), "w1 was answered 200 and has the events []", id="none"),
        pytest.param(replace(SOUND, requests=[*ASKED[:3], Request("w3", "a", 409)]), "answered 409", id="refused"),
        pytest.param(
            replace(SOUND, events=[CREATED, UPDATED, DELETED | {"action": "update"}, AGAIN]), "is no", id="action"
        ),
    ],
)
def test_a_broken_ledger_is_found(broken: Ledger, expected: str) -> None:
    assert expected in "\n".join(violations(broken))


@pytest.mark.parametrize("index", range(4))
def test_any_missing_event_is_found(index: int) -> None:
    assert violations(replace(SOUND, events=[*SOUND.events[:index], *SOUND.events[index + 1 :]]))
