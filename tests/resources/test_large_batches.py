"""What a batch holds at a time: a few of the documents that it changes, and little of what is wrong with it."""

import gc
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import pytest
from beanie import Document, Indexed

from regesta import Change, Hooks, Immutable, Invalid, Issue, hookimpl
from regesta.audit import AuditRecord, AuditTrail
from regesta.operations.batches import Failures

from .serving import Client, served

BATCH = "/scrolls:batch"
LARGE = "x" * 100_000


class Scroll(Document):
    name: Annotated[str, Indexed(unique=True), Immutable]
    text: str = ""
    number: int = 0

    class Settings:
        use_revision = True


class Counting:
    """Counts the changes that are recorded together, and the documents that are there then."""

    def __init__(self) -> None:
        self.together: list[int] = []
        self.alive: list[int] = []

    @hookimpl
    def record_changes(self, changes: Sequence[Change[Scroll]]) -> None:
        self.together.append(len(changes))
        self.alive.append(sum(type(found) is Scroll for found in gc.get_objects()))


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
async def client(database: Any, counting: Counting) -> AsyncIterator[Client]:
    hooks = Hooks(AuditTrail(), counting)
    async with served(database, Scroll, key="name", hooks=hooks, also=[AuditRecord]) as client:
        await client.post("/scrolls", json={"name": "there", "text": LARGE})
        counting.together.clear()
        counting.alive.clear()
        yield client


def create(number: int) -> dict[str, Any]:
    return {"op": "create", "body": {"name": str(number), "text": LARGE}}


def patch(number: int) -> dict[str, Any]:
    return {"op": "patch", "key": "there", "body": {"number": number}}


@pytest.mark.parametrize("atomic", [True, False])
async def test_changes_of_a_large_document_are_sent_in_parts(client: Client, counting: Counting, atomic: bool) -> None:
    body = {"atomic": atomic, "operations": [patch(number) for number in range(1, 13)]}
    results = (await client.post(BATCH, json=body)).json()["results"]
    assert [result["item"]["number"] for result in results] == list(range(1, 13))
    assert len({result["etag"] for result in results}) == 12
    assert (sum(counting.together), max(counting.together)) == (12, 3)
    assert max(counting.alive) <= 8
    read = await client.get("/scrolls/there")
    assert (read.json(), read.headers["etag"]) == (results[-1]["item"], results[-1]["etag"])
    assert len((await client.get("/scrolls/there:history")).json()["items"]) == 13


async def test_large_documents_are_created_and_deleted_in_parts(client: Client, counting: Counting) -> None:
    deletes = [{"op": "delete", "key": str(number)} for number in range(6)]
    body = {"operations": [*map(create, range(6)), *deletes]}
    results = (await client.post(BATCH, json=body)).json()["results"]
    assert [result["status"] for result in results] == [201] * 6 + [204] * 6
    assert (sum(counting.together), max(counting.together)) == (12, 3)


async def test_small_documents_are_sent_together(client: Client, counting: Counting) -> None:
    operations = [{"op": "create", "body": {"name": str(number)}} for number in range(50)]
    assert (await client.post(BATCH, json={"operations": operations})).status_code == 200
    assert counting.together == [50]


async def test_nothing_of_what_was_sent_in_parts_stands_if_one_fails(client: Client) -> None:
    operations = [*map(create, range(6)), patch(1), {"op": "delete", "key": "nobody"}]
    assert (await client.post(BATCH, json={"operations": operations})).status_code == 404
    assert [item["number"] for item in (await client.get("/scrolls")).json()["items"]] == [0]
    answer = await client.post(BATCH, json={"atomic": False, "operations": operations})
    assert [result["status"] for result in answer.json()["results"]] == [201] * 6 + [200, 404]
    assert len((await client.get("/scrolls")).json()["items"]) == 7


def test_of_many_failures_only_what_is_answered_is_kept() -> None:
    failures = Failures()
    before = sum(type(found) is Issue for found in gc.get_objects())
    for number in range(50):
        failures.add(number, Invalid.of([Issue(("body", f"f{n}"), "is wrong") for n in range(100)]))
    assert sum(type(found) is Issue for found in gc.get_objects()) - before <= 200
    with pytest.raises(Invalid) as raised:
        failures.check()
    assert len(raised.value.issues) == 100
    assert raised.value.issues[-1].message == "has at least 4901 more errors, which are not listed"
