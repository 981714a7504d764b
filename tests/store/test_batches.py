"""Everything that matches, in batches that fit into memory whatever the size of the documents."""

from typing import Any

import pytest

from regesta.store import Batches

LARGE = "x" * 500 * 1024


async def sizes_of_batches(collection: Any) -> list[int]:
    """How many documents each reply of the server has."""
    batches = Batches(collection, {}, projection=None, sort=[("_id", 1)])
    sizes = []
    try:
        await batches.open()
        while (batch := await batches.next()) is not None:
            sizes.append(sum(len(documents) for documents in batch))
    finally:
        await batches.close()
    return sizes


async def test_large_documents_come_a_few_at_a_time(database: Any) -> None:
    for number in range(12):
        await database["large"].insert_one({"_id": number, "text": LARGE})
    sizes = await sizes_of_batches(database["large"])
    assert sum(sizes) == 12
    assert max(sizes) == 2  # of 1 MB together, where the server would fill 16 MB


async def test_small_documents_come_many_at_a_time(database: Any) -> None:
    await database["small"].insert_many([{"_id": number} for number in range(1200)])
    assert await sizes_of_batches(database["small"]) == [1000, 200]


@pytest.mark.parametrize("make", ["nothing", "an_empty_one", "a_view"])
async def test_what_has_no_sizes_is_read_too(database: Any, make: str) -> None:
    if make == "an_empty_one":
        await database.create_collection("rows")
    elif make == "a_view":
        await database["below"].insert_one({"_id": 1})
        await database.command({"create": "rows", "viewOn": "below", "pipeline": []})
    assert sum(await sizes_of_batches(database["rows"])) == (make == "a_view")
