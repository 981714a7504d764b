"""Deliveries are sent fairly: who hangs makes others wait neither for a place nor for a turn."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from tests.eventually import eventually_async
from tests.mlflow.application import both
from tests.mlflow.test_webhooks import HERE, Receiver, listen, receiver, told

from regesta_mlflow import Settings
from regesta_mlflow.delivery import BY_LANE, Blame, Dispatcher, Result, Targets, dispatcher, post, sending
from regesta_mlflow.delivery.back_off import LONGEST, MOST, BackOff
from regesta_mlflow.delivery.queue import Queue

__all__ = ["receiver"]

LEASE = timedelta(seconds=90)


@pytest.fixture
def silent_hosts() -> Iterator[list[str]]:
    """Real hosts that take connections and never say anything."""
    with ExitStack() as stack:
        listening = [stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128)) for _ in range(24)]
        yield [f"http://127.0.0.1:{one.getsockname()[1]}/hook" for one in listening]


async def test_the_hanging_webhooks_of_one_workspace_delay_no_other(
    database: Any, receiver: Receiver, silent_hosts: list[str]
) -> None:
    loud = {"X-Regesta-Workspace": "loud"}
    async with both(database, settings=Settings(webhook_targets=HERE)) as here:
        for url in silent_hosts:
            sent = {"name": "hook", "url": url, "events": [{"entity": "MODEL_VERSION", "action": "CREATED"}]}
            answer = await here.client.post("/api/2.0/mlflow/webhooks", json=sent, headers=loud)
            assert answer.status_code == 200, answer.text
        await here.native("POST", "/models", json={"name": "resnet"}, headers=loud)
        for _ in range(4):
            await here.native("POST", "/models/resnet/versions", json={}, headers=loud)
        await listen(here, receiver)
        await here.model()
        await here.version()
        await here.plugin.startup()
        try:
            async with asyncio.timeout(15):  # an endpoint that hangs is given up after 30 seconds
                assert await told(receiver, 1) == ["model_version.created"]
        finally:
            await here.plugin.shutdown()


# the dispatcher, with senders that the tests end when they want


class Sender:
    """Notes what it is to send, and holds what goes to a host that hangs."""

    def __init__(self, *hanging: str, blame: Mapping[str, Blame] | None = None) -> None:
        self.hanging, self.blame = set(hanging), dict(blame or {})
        self.sent: list[tuple[str, str]] = []
        self.now: Counter[tuple[str, str]] = Counter()
        self.over = asyncio.Event()

    async def send(self, taken: Mapping[str, Any]) -> Result:
        lane = (taken["workspace"], taken["host"])
        self.sent.append(lane)
        self.now[lane] += 1
        try:
            if taken["host"] in self.hanging:
                await self.over.wait()
        finally:
            self.now[lane] -= 1
        if blame := self.blame.get(taken["host"]):
            return Result("failed", final=False, blame=blame)
        return Result("delivered")

    async def until(self, *lanes: tuple[str, str]) -> None:
        async def all_sent() -> bool:
            return not Counter(lanes) - Counter(self.sent)

        await eventually_async(all_sent)


@pytest.fixture
async def waiting(database: Any) -> Any:
    """A collection of deliveries that is no document's."""
    await database["waiting"].create_indexes([BY_LANE])
    return database["waiting"]


@asynccontextmanager
async def sends(waiting: Any, sender: Sender, places: int = 8) -> AsyncIterator[Dispatcher]:
    running = Dispatcher(lambda: waiting, sender.send, LEASE, places)
    running.start()
    yield running
    sender.over.set()
    await running.stop()


async def write(waiting: Any, *lanes: tuple[str, str], **fields: Any) -> None:
    due = datetime.now(UTC) - timedelta(seconds=1)
    empty = {"due_at": due, "attempts": 0, "outcome": ""}
    await waiting.insert_many([{"workspace": tenant, "host": host, **empty, **fields} for tenant, host in lanes])


async def test_one_tenant_has_at_most_half_of_the_places_and_two_leave_a_third(waiting: Any) -> None:
    hosts = [f"hang{number}" for number in range(8)]
    sender = Sender(*hosts)
    await write(waiting, *[("a", host) for host in hosts])
    async with sends(waiting, sender) as running:
        await sender.until(*[("a", host) for host in hosts[:4]])
        await write(waiting, ("quiet", "up"))
        running.wake()
        await sender.until(("quiet", "up"))
        assert sum(sender.now.values()) == 4
        await write(waiting, *[("b", f"{host}b") for host in hosts], ("quiet", "up"))
        sender.hanging |= {f"{host}b" for host in hosts}
        running.wake()
        await sender.until(("quiet", "up"), ("quiet", "up"), ("b", "hang0b"), ("b", "hang1b"))
        await write(waiting, ("quiet", "up"))
        running.wake()
        await sender.until(*[("quiet", "up")] * 3)
        assert Counter(tenant for tenant, _ in sender.sent)["b"] == 2


async def test_one_host_has_at_most_half_of_the_places_whoever_names_it(waiting: Any) -> None:
    sender = Sender("hang")
    await write(waiting, *[(f"t{number}", "hang") for number in range(20)], ("t0", "up"), ("z", "up"))
    async with sends(waiting, sender):
        await sender.until(("t0", "up"), ("z", "up"))
        assert sum(sender.now.values()) <= 4


async def test_one_tenant_sends_little_at_once_to_one_host(waiting: Any) -> None:
    sender = Sender("hang")
    await write(waiting, *[("a", "hang")] * 20, ("a", "up"))
    async with sends(waiting, sender, places=64) as running:
        await sender.until(*[("a", "hang")] * dispatcher.PLACES_OF_LANE, ("a", "up"))
        await write(waiting, ("a", "up"))
        running.wake()
        await sender.until(("a", "up"), ("a", "up"))
        assert sender.now["a", "hang"] == dispatcher.PLACES_OF_LANE


async def test_a_host_without_a_connection_rests_for_all_tenants_and_others_are_served(waiting: Any) -> None:
    sender = Sender(blame={"down": Blame.HOST})
    await write(waiting, ("a", "down"))
    async with sends(waiting, sender) as running:
        await sender.until(("a", "down"))

        async def is_down() -> bool:
            return running._down.is_doubtful("down")

        await eventually_async(is_down)
        running._down._clock = lambda: 0.0  # the rest does not end
        running._down._known["down"] = (1, LONGEST)
        await write(waiting, *[("b", "down")] * 5, ("b", "up"), ("c", "up"))

        async def is_put_back() -> bool:
            running.wake()
            back = {"host": "down", "workspace": "b", "attempts": 0, "due_at": {"$gt": datetime.now(UTC)}}
            count: int = await waiting.count_documents(back)
            return count == 1

        await sender.until(("b", "up"), ("c", "up"))
        await eventually_async(is_put_back)
        assert ("b", "down") not in sender.sent
        assert running._silent["b"].resting() == ["down"]
    # What was not tried does not count as a try.
    assert await waiting.count_documents({"workspace": "b", "outcome": "", "attempts": 0}) == 5


async def test_a_host_that_was_down_gets_one_try_at_a_time(waiting: Any) -> None:
    sender = Sender("down")
    await write(waiting, *[("a", "down")] * 5, *[("b", "down")] * 5, ("z", "up"))
    running = Dispatcher(lambda: waiting, sender.send, LEASE, 64)
    running._down = BackOff(clock=lambda: 1000.0)
    running._down._known["down"] = (3, 1000.0)
    running.start()
    await sender.until(("z", "up"))
    assert sum(sender.now.values()) == 1
    sender.hanging.clear()
    sender.over.set()
    await sender.until(*[("a", "down")] * 5, *[("b", "down")] * 5)
    await running.stop()


async def test_who_was_not_answered_gets_one_try_at_a_time_and_others_get_all(waiting: Any) -> None:
    sender = Sender("slow")
    await write(waiting, *[("a", "slow")] * 5, *[("b", "slow")] * 2, ("z", "up"))
    running = Dispatcher(lambda: waiting, sender.send, LEASE, 64)
    running._silent_of("a")._known["slow"] = (3, 0.0)
    running.start()
    await sender.until(("z", "up"), *[("b", "slow")] * 2)
    assert sender.now == Counter({("a", "slow"): 1, ("b", "slow"): 2, ("z", "up"): 0})
    sender.hanging.clear()
    sender.over.set()
    await sender.until(*[("a", "slow")] * 5)
    assert len(running._silent) == 0
    await running.stop()


async def test_a_request_that_is_not_answered_rests_for_its_own_tenant_only(waiting: Any) -> None:
    sender = Sender(blame={"slow": Blame.LANE})
    await write(waiting, ("a", "slow"))
    async with sends(waiting, sender) as running:
        await sender.until(("a", "slow"))
        await write(waiting, ("b", "slow"))
        running.wake()
        await sender.until(("b", "slow"))


async def test_what_a_host_asked_for_is_kept_for_the_whole_lane(waiting: Any) -> None:
    sent: list[str] = []

    async def send(taken: Mapping[str, Any]) -> Result:
        sent.append(taken["host"])
        return Result("failed", final=False, pause=200.0) if taken["host"] == "busy" else Result("delivered")

    running = Dispatcher(lambda: waiting, send, LEASE, 1)
    await write(waiting, *[("a", "busy")] * 3, ("a", "up"))
    running.start()

    async def done() -> bool:
        return "up" in sent

    await eventually_async(done)
    await running.stop()
    assert sent == ["busy", "up"]


async def test_a_delivery_moves_to_the_lane_of_the_host_that_it_is_for(waiting: Any) -> None:
    sent: list[tuple[str | None, int]] = []

    async def send(taken: Mapping[str, Any]) -> Result:
        sent.append((taken.get("host"), taken["attempts"]))
        return Result("", moved_to="new") if taken.get("host") != "new" else Result("delivered")

    await write(waiting, ("a", "old"))
    await waiting.insert_one({"workspace": "a", "due_at": datetime.now(UTC), "attempts": 0, "outcome": ""})
    running = Dispatcher(lambda: waiting, send, LEASE)
    running.start()

    async def done() -> bool:
        count: int = await waiting.count_documents({"outcome": "delivered"})
        return count == 2

    await eventually_async(done)
    await running.stop()
    assert Counter(sent) == Counter({(None, 1): 1, ("old", 1): 1, ("new", 1): 2})


async def test_what_waited_a_day_for_a_host_that_does_not_answer_is_given_up(waiting: Any) -> None:
    old = ObjectId.from_datetime(datetime.now(UTC) - timedelta(days=2))
    await write(waiting, ("a", "down"), _id=old)
    await write(waiting, ("a", "down"))
    assert await Queue(lambda: waiting, LEASE).give_up("a", "down") == 1
    assert (await waiting.find_one({"_id": old}))["outcome"] == "failed: the host did not answer for a day"


@dataclass
class Tried:
    """What one try left behind: the dispatcher, the delivery, and when it was tried."""

    running: Dispatcher
    delivery: dict[str, Any]
    begun: datetime
    ended: datetime

    def waits(self, seconds: float) -> bool:
        """Whether the delivery is due again after so long. MongoDB keeps milliseconds."""
        due: datetime = self.delivery["due_at"].replace(tzinfo=UTC) - timedelta(seconds=seconds)
        return self.delivery["outcome"] == "" and self.begun - timedelta(milliseconds=1) <= due <= self.ended


async def tried(waiting: Any, result: Result, attempts: int = 0) -> Tried:
    """One try, to a host that neither took the last connection nor answered this tenant's last request."""

    async def send(_: Mapping[str, Any]) -> Result:
        return result

    await write(waiting, ("a", "h"), attempts=attempts)
    running = Dispatcher(lambda: waiting, send, LEASE)
    running._down._known["h"] = running._silent_of("a")._known["h"] = (1, 0.0)
    begun = datetime.now(UTC)
    running._begin(await running._queue.take("a", ()) or {})
    await asyncio.gather(*running._sending)
    ended = datetime.now(UTC)
    (delivery,) = await waiting.find({"workspace": "a", "host": "h"}).to_list(None)
    return Tried(running, delivery, begun, ended)


@pytest.mark.parametrize(
    ("result", "down", "silent", "rests"),
    [
        (Result("delivered"), 0, None, []),
        (Result("failed: 500", final=False), 0, None, []),
        (Result("failed", final=False, blame=Blame.LANE), 0, 2, ["h"]),
        (Result("failed", final=False, blame=Blame.HOST), 2, 1, []),
        (Result("failed: 429", final=False, pause=50.0), 0, 0, ["h"]),
    ],
)
async def test_what_a_try_says_about_the_next_ones(
    waiting: Any, result: Result, down: int, silent: int | None, rests: list[str]
) -> None:
    running = (await tried(waiting, result)).running
    assert running._down._failures("h") == down
    assert running._down.resting() == (["h"] if down else [])
    of_tenant = running._silent.get("a")
    assert (of_tenant and of_tenant._failures("h")) == silent
    assert (of_tenant.resting() if of_tenant else []) == rests


@pytest.mark.parametrize(("attempts", "pause", "seconds"), [(0, None, 1), (2, None, 4), (0, 50.0, 50), (0, 1e9, 300)])
async def test_a_try_that_may_help_is_made_again_later(
    waiting: Any, attempts: int, pause: float | None, seconds: float
) -> None:
    assert (await tried(waiting, Result("failed", final=False, pause=pause), attempts)).waits(seconds)


async def test_three_tries_are_made_again(waiting: Any) -> None:
    assert (await tried(waiting, Result("failed", final=False), 3)).delivery["outcome"] == "failed"


@pytest.mark.parametrize("blame", Blame)
async def test_a_lane_is_given_up_by_the_try_that_fails(waiting: Any, blame: Blame) -> None:
    for days, lane in enumerate((("a", "h"), ("b", "h"), ("a", "g")), start=2):
        old = ObjectId.from_datetime(datetime.now(UTC) - timedelta(days=days))
        await write(waiting, lane, _id=old, due_at=datetime.now(UTC) + timedelta(hours=1))

    async def send(_: Mapping[str, Any]) -> Result:
        return Result("failed", final=False, blame=blame)

    await write(waiting, ("a", "h"))
    running = Dispatcher(lambda: waiting, send, LEASE)
    running._begin(await running._queue.take("a", ()) or {})
    await asyncio.gather(*running._sending)
    given_up = await waiting.find({"outcome": {"$ne": ""}}).to_list(None)
    assert [(one["workspace"], one["host"]) for one in given_up] == ([] if blame is Blame.NOTHING else [("a", "h")])


async def test_who_has_nothing_to_send_now_lets_the_next_one(waiting: Any) -> None:
    await write(waiting, ("a", "h"), ("b", "h"))
    running = Dispatcher(lambda: waiting, Sender().send, LEASE)
    running._silent_of("a").asked("h", 100.0)
    assert (await running._take() or {})["workspace"] == "b"
    assert await running._take() is None


async def test_hosts_take_turns_and_the_oldest_delivery_of_each_comes_first(waiting: Any) -> None:
    began = datetime.now(UTC) - timedelta(hours=1)
    for number in (2, 1, 3):
        for host in ("g", "h"):
            await write(waiting, ("a", host), due_at=began + timedelta(minutes=number), number=number)
    queue, taken = Queue(lambda: waiting, LEASE), []
    while found := await queue.take("a", ()):
        taken.append((found["host"], found["number"]))
    assert taken == [("g", 1), ("h", 1), ("g", 2), ("h", 2), ("g", 3), ("h", 3)]


async def test_leases_go_by_the_clock_of_the_database(waiting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """This worker is an hour behind the database, as it has seen; another one is right."""
    due = datetime.now(UTC) + timedelta(minutes=30)
    await write(waiting, ("a", "up"))
    await waiting.update_many({}, {"$set": {"due_at": due}})
    queue = Queue(lambda: waiting, LEASE)
    assert await queue.next_tenant(()) is None
    monkeypatch.setattr("regesta.store._clock._correction", timedelta(hours=1))
    assert await queue.next_tenant(()) == "a"
    assert await queue.take("a", ()) is not None
    taken = (await waiting.find_one({}))["due_at"].replace(tzinfo=UTC)
    assert taken > due


async def test_a_turn_costs_the_same_however_much_waits_for_hosts_that_rest(waiting: Any, database: Any) -> None:
    await write(waiting, *[("a", "down")] * 3000, ("a", "up"), *[("b", "down")] * 1000, ("c", "up"))
    await database.command("profile", 2)
    try:
        queue = Queue(lambda: waiting, LEASE)
        assert await queue.next_tenant(()) == "a"
        assert (await queue.take("a", {"down"}) or {})["host"] == "up"
        assert await queue.next_tenant({"b"}) == "c"
        assert await queue.take("b", {"down"}) is None
    finally:
        await database.command("profile", 0)
    ops = await database["system.profile"].find({"ns": f"{database.name}.waiting"}).to_list(None)
    assert len(ops) >= 4
    assert max(op["keysExamined"] for op in ops) < 20


def test_rests_double_up_to_a_limit_and_end_with_an_answer() -> None:
    now = 0.0
    backing = BackOff(clock=lambda: now)
    rests = []
    for _ in range(12):
        backing.failed("a")
        rests.append(backing.remaining("a"))
        now += rests[-1]
        assert backing.resting() == []
    assert rests[:4] == [1, 2, 4, 8]
    assert rests[-1] == LONGEST
    assert backing.is_doubtful("a")
    backing.answered("a")
    assert (backing.is_doubtful("a"), len(backing)) == (False, 0)


def test_only_so_many_hosts_are_remembered() -> None:
    backing = BackOff(clock=lambda: 0.0)
    for number in range(MOST + 5):
        backing.failed(f"h{number}")
    assert len(backing) == MOST
    assert (backing.is_doubtful("h4"), backing.is_doubtful("h5")) == (False, True)


# connections


async def test_a_host_that_takes_no_connection_is_given_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose queue is full lets a client wait for its connection."""
    monkeypatch.setattr(sending, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        answer = await post(Targets(HERE), url, b"{}", {}, tenant="t")
    assert (answer.error, answer.blame) == ("no connection within 0.2 seconds", Blame.HOST)


async def test_a_port_where_nothing_listens_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    answer = await post(Targets(HERE), f"http://127.0.0.1:{port}/", b"{}", {}, tenant="t")
    assert (answer.error, answer.blame) == ("no connection: Connection refused", Blame.HOST)
