"""How many documents there are, by estimate: that of a large collection is remembered for a moment."""

from typing import Any

import pytest
from beanie import Document
from tests.resources.serving import Client, served

from regesta.operations import reads


class Book(Document):
    title: str


async def total(client: Client) -> int:
    answer = await client.get("/books", headers={"prefer": "count=estimated"})
    found: int = answer.json()["total"]
    return found


@pytest.mark.parametrize(("large", "second"), [(1, 1), (2, 2)])
async def test_only_that_of_a_large_collection_is_remembered(
    large: int, second: int, any_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "LARGE", large)
    monkeypatch.setattr(reads, "ESTIMATE_SECONDS", 600)
    async with served(any_database, Book) as client:
        for expected in (1, second):
            await client.post("/books", json={"title": "t"})
            assert await total(client) == expected
