"""How many values the documents of a resource may have."""

import json
from typing import Any

from beanie import Document

from regesta.store import collection_of

from .serving import Client, served

ARRAYS = b"[" + b"[]," * 60_000 + b"0]"


class Shelf(Document):
    name: str
    data: dict[str, Any] = {}
    numbers: list[int] = []

    class Settings:
        name = "bounded_shelves"


async def test_what_has_more_already_can_be_changed_but_does_not_grow(database: Any) -> None:
    async with served(database, Shelf, key="name", name="shelves") as client:
        await collection_of(Shelf).insert_one({"name": "old", "numbers": list(range(60_000)), "data": {}})

        assert (await client.merge("/shelves/old", {"data": {"a": 1, "b": 2}})).status_code == 413
        assert (await client.merge("/shelves/old", {"name": "older"})).status_code in {200, 422}
        assert (await client.merge("/shelves/old", {"numbers": []})).status_code == 200


async def test_a_resource_may_allow_more(database: Any) -> None:
    async with served(database, Shelf, key="name", name="shelves", max_body_values=60_010) as client:
        numbers = list(range(60_000))
        assert (await client.post("/shelves", json={"name": "a", "numbers": numbers})).status_code == 201
        assert (await client.merge("/shelves/a", {"data": {"b": numbers}})).status_code == 413


async def test_each_line_of_an_import_is_bounded(database: Any) -> None:
    async with served(database, Shelf, key="name", name="shelves") as client:
        lines = [b'{"name": "a"}', b'{"name": "b", "data": {"a": %b}}' % ARRAYS, b'{"name": "c"}']
        found = await _imported(client, b"\n".join(lines))
        assert [line.get("status") for line in found] == [201, 413, 201, None]
        assert found[1]["problem"]["code"] == "TOO_MANY_VALUES"


async def _imported(client: Client, body: bytes) -> list[dict[str, Any]]:
    answer = await client.post("/shelves", content=body, headers={"content-type": "application/x-ndjson"})
    return [json.loads(line) for line in answer.text.splitlines()]
