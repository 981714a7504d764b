"""One application with the library's resources, over one database on a real mongod, emptied for each test.

Building the routes and indexes takes longer than a test: both are made once, in a loop that lasts as long.
"""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from beanie import init_beanie
from fastapi import FastAPI

from regesta import Change, Hooks, Invalid, crud_router, hookimpl
from regesta.store import collection_of, open_store

from .asking import Api
from .library import DOCUMENTS, Book, Card, Loan, Note, Seat

SEED = b'{"isbn": "seed", "title": "Seed", "year": 1999, "tags": ["a", "b"], "author": {"name": "n"}, "meta": {"k": 1}}'


class Witness:
    """A plugin that remembers every change it was asked about, and does not like one year."""

    def __init__(self) -> None:
        self.changes: list[Change[Any]] = []

    @hookimpl
    def validate_change(self, change: Change[Any]) -> None:
        self.changes.append(change)
        if getattr(change.after, "year", 0) == 1313:
            raise Invalid("year", "brings bad luck")


WITNESS = Witness()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_database(mongod_uri: str) -> AsyncIterator[Any]:
    async with open_store(mongod_uri, database=f"http_{uuid.uuid4().hex}") as store:
        yield store.database
        await store.client.drop_database(store.database.name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def library(shared_database: Any) -> Api:
    app = FastAPI()
    filters = ["isbn", "title", "year", "author.name", "tags", "published", "rating"]
    sorts = ["isbn", "title", "year", "rating", "published", "id"]
    app.include_router(crud_router(Book, key="isbn", hooks=Hooks(WITNESS), filters=filters, sorts=sorts))
    app.include_router(crud_router(Note, require_if_match=True))
    app.include_router(crud_router(Loan))
    app.include_router(crud_router(Seat, key="number", operations=["get", "list", "create", "replace"]))
    app.include_router(crud_router(Card, key="name"))
    await init_beanie(shared_database, document_models=list(DOCUMENTS))
    return Api(app, DOCUMENTS)


@pytest_asyncio.fixture(loop_scope="session")
async def api(library: Api) -> Api:
    """The application with one book in it: `/books/seed`."""
    for document in library.documents:
        await collection_of(document).delete_many({})
    answer = await library.send("POST", "/books", SEED)
    assert answer.status_code == 201, answer.text
    WITNESS.changes.clear()
    return library


@pytest.fixture
def witness() -> Witness:
    return WITNESS
