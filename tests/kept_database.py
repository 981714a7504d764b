"""A database that tests have one after the other: emptied after each, its indexes stay.

To make those of the model registry takes longer than most of its tests.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from beanie import Document, init_beanie

from regesta.store import open_store

KEPT = "kept"
_indexed: set[type[Document]] = set()


@pytest.fixture
async def database(mongod_uri: str) -> AsyncIterator[Any]:
    """The database of this process; nothing is in it before and after."""
    async with open_store(mongod_uri, database=KEPT) as store:
        yield store.database
        await store.database.drop_collection("system.profile")
        names = await store.database.list_collection_names(filter={"type": "collection"})
        await asyncio.gather(*(store.database[name].delete_many({}) for name in names))


async def know(database: Any, documents: Iterable[type[Document]]) -> None:
    """Let Beanie know these documents, with their indexes where they are not there yet."""
    models = list(documents)
    kept = database.name == KEPT
    await init_beanie(database, document_models=models, skip_indexes=kept and _indexed.issuperset(models))
    if kept:
        _indexed.update(models)
