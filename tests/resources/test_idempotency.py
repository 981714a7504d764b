"""`Idempotency-Key`: the same request again has one effect and the same answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from beanie import Document, Indexed
from fastapi import Header

from regesta import Change, Hooks, Invalid, hookimpl
from regesta.audit import AuditRecord, AuditTrail
from regesta.store import collection_of

from .serving import Client, served


class Order(Document):
    text: str
    number: Annotated[int | None, Indexed()] = None

    class Settings:
        use_revision = True


class Waits:
    """Holds the writes with this text up until it is told to go on."""

    def __init__(self) -> None:
        self.begun, self.go_on, self.refuses = asyncio.Event(), asyncio.Event(), True

    @hookimpl
    async def validate_change(self, change: Change[Order]) -> None:
        text = change.after.text if change.after else ""
        if text == "waits":
            self.begun.set()
            await self.go_on.wait()
        if text == "refused" and self.refuses:
            raise Invalid("text", "is refused")


def caller(x_user: Annotated[str, Header()] = "") -> str:
    return x_user


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
async def client(database: Any, waits: Waits) -> AsyncIterator[Client]:
    async with served(database, Order, hooks=Hooks(AuditTrail(), waits), also=[AuditRecord], actor=caller) as client:
        yield client


async def send(client: Client, body: Any, key: str = "k", url: str = "/orders", **headers: str) -> httpx.Response:
    return await client.post(url, json=body, headers={"idempotency-key": key, **headers})


def batch(*texts: str, atomic: bool = True) -> dict[str, Any]:
    return {"atomic": atomic, "operations": [{"op": "create", "body": {"text": text}} for text in texts]}


async def counts() -> tuple[int, int]:
    return await collection_of(Order).count_documents({}), await collection_of(AuditRecord).count_documents({})


@pytest.mark.parametrize(
    ("url", "body", "effect"),
    [
        ("/orders", {"text": "a"}, 1),
        ("/orders:batch", batch("a", "b"), 2),
        ("/orders:batch", batch("a", "refused", "b", atomic=False), 2),
    ],
)
async def test_one_effect_and_the_same_answer(client: Client, url: str, body: Any, effect: int) -> None:
    first, second, third = [await send(client, body, url=url) for _ in range(3)]
    assert first.status_code == (201 if url == "/orders" else 200), first.text
    assert await counts() == (effect, effect)
    for again in (second, third):
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers.pop("idempotency-replayed") == "true"
        assert again.headers == first.headers
    assert "idempotency-replayed" not in first.headers


async def test_control_without_the_key_there_are_two(client: Client) -> None:
    for _ in range(2):
        assert (await client.post("/orders", json={"text": "a"})).status_code == 201
    assert await counts() == (2, 2)


async def test_another_body(client: Client) -> None:
    await send(client, {"text": "a"})
    answer = await send(client, {"text": "b"})
    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert await counts() == (1, 1)


async def test_a_key_is_of_one_caller_and_one_request(client: Client) -> None:
    for key, user, url, body in [
        ("k", "ann", "/orders", {"text": "a"}),
        ("k", "bob", "/orders", {"text": "a"}),
        ("l", "ann", "/orders", {"text": "a"}),
        ("k", "ann", "/orders:batch", batch("a")),
    ]:
        answer = await send(client, body, key, url, **{"x-user": user})
        assert "idempotency-replayed" not in answer.headers, answer.text
    assert await counts() == (4, 4)


async def test_one_that_is_still_on_its_way(client: Client, waits: Waits) -> None:
    running = asyncio.create_task(send(client, {"text": "waits"}))
    await waits.begun.wait()
    other = await send(client, {"text": "waits"})
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_KEY_IN_USE")
    assert int(other.headers["retry-after"]) >= 1
    waits.go_on.set()
    first = await running
    again = await send(client, {"text": "waits"})
    assert (first.status_code, again.content) == (201, first.content)
    assert await counts() == (1, 1)


async def test_what_was_refused_is_tried_again(client: Client, waits: Waits) -> None:
    assert (await send(client, {"text": "refused"})).status_code == 422
    waits.refuses = False
    assert (await send(client, {"text": "refused"})).status_code == 201
    assert await counts() == (1, 1)


async def test_validate_only_keeps_nothing(client: Client) -> None:
    assert (await send(client, {"text": "a"}, url="/orders?validate_only=true")).status_code == 200
    assert (await send(client, {"text": "a"})).status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "a" * 256, "\u00e4".encode().decode("latin-1"), '"a', '""', '"a" "b"'])
async def test_malformed_keys(client: Client, key: str) -> None:
    answer = await client.post("/orders", json={"text": "a"}, headers=[(b"idempotency-key", key.encode("latin-1"))])
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_IDEMPOTENCY_KEY")
    assert await counts() == (0, 0)


async def test_a_quoted_key_is_the_same_key(client: Client) -> None:
    await send(client, {"text": "a"}, "k")
    assert (await send(client, {"text": "a"}, '"k"')).headers["idempotency-replayed"] == "true"
    assert (await send(client, {"text": "a"}, "k" * 255)).status_code == 201


async def test_records_are_forgotten_after_a_day(client: Client, database: Any) -> None:
    await send(client, {"text": "a"})
    indexes = await database["idempotency_keys"].index_information()
    assert [index.get("expireAfterSeconds") for index in indexes.values()] == [None, 86400]


async def test_a_store_without_transactions_says_so(memory_database: Any) -> None:
    async with served(memory_database, Order) as client:
        for url, body in (("/orders", {"text": "a"}), ("/orders:batch", batch("a"))):
            answer = await send(client, body, url=url)
            assert (answer.status_code, answer.json()["code"]) == (501, "TRANSACTIONS_UNSUPPORTED")
        assert await collection_of(Order).count_documents({}) == 0
