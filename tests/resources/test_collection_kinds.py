"""Collections that MongoDB itself lets less be done with: it has rules of its own there, which a client is told of."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from beanie import Document
from pydantic import Field

from regesta import Resource
from regesta.store import collection_of

from .serving import created, pointers, served


class Small(Document):
    n: int = 0

    class Settings:
        name = "small_numbers"


class Measured(Document):
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    value: float = 0.0

    class Settings:
        name = "measured_values"


class Latest(Document):
    text: str = ""

    class Settings:
        name = "latest_texts"


VALIDATORS: list[dict[str, Any]] = [
    {"n": {"$lt": 5}},
    {"$jsonSchema": {"properties": {"n": {"maximum": 4, "description": "nobody is to see this"}}}},
]


@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.parametrize("validator", VALIDATORS, ids=["query", "schema"])
async def test_what_the_collection_refuses_is_not_valid(
    database: Any, validator: dict[str, Any], *, transactional: bool
) -> None:
    await database.create_collection("small_numbers", validator=validator)
    async with served(database, Resource(Small, name="smalls", transactional=transactional)) as client:
        url = f"/smalls/{(await created(client, '/smalls', {'n': 1}))['id']}"
        for answer in (
            await client.post("/smalls", json={"n": 9}),
            await client.put(url, json={"n": 9}),
            await client.merge(url, {"n": 9}),
        ):
            assert pointers(answer) == {""}
            assert answer.json()["errors"][0]["type"] == "collection_validator"
            assert "maximum" not in answer.text
            assert "nobody" not in answer.text
        operations = [{"op": "create", "body": {"n": n}} for n in (2, 9, 3)]
        answer = await client.post("/smalls:batch", json={"atomic": False, "operations": operations})
        assert [result["status"] for result in answer.json()["results"]] == [201, 422, 201]
        assert sorted([small["n"] async for small in collection_of(Small).find({})]) == [1, 2, 3]


def unsupported(answer: httpx.Response, name: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (501, "COLLECTION_UNSUPPORTED"), answer.text
    assert f"MongoDB cannot do this with {name}" in answer.json()["detail"]


async def test_a_time_series_is_only_added_to(database: Any) -> None:
    await database.create_collection("measured_values", timeseries={"timeField": "at"})
    async with served(database, Resource(Measured, name="values")) as client:
        url = f"/values/{(await created(client, '/values', {'value': 1.5}))['id']}"
        unsupported(await client.put(url, json={"value": 2.5}), "values")
        unsupported(await client.merge(url, {"value": 2.5}), "values")
        unsupported(await client.delete(url), "values")
        assert (await client.get(url)).json()["value"] == 1.5
    async with served(database, Resource(Measured, name="values", transactional=True)) as client:
        unsupported(await client.post("/values", json={"value": 3.5}), "values")
        unsupported(await client.delete(url), "values")


async def test_a_capped_collection_takes_part_in_no_transaction(database: Any) -> None:
    await database.create_collection("latest_texts", capped=True, size=4096)
    async with served(database, Resource(Latest, name="texts")) as client:
        url = f"/texts/{(await created(client, '/texts', {'text': 'a'}))['id']}"
    async with served(database, Resource(Latest, name="texts", transactional=True)) as client:
        unsupported(await client.post("/texts", json={"text": "b"}), "texts")
        unsupported(await client.merge(url, {"text": "b"}), "texts")
        unsupported(await client.delete(url), "texts")
