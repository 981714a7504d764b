"""Books: a generated CRUD router inside an ordinary FastAPI app.

    uvicorn examples.mount_router:app
    curl -d '{"isbn": "0262033844", "title": "Introduction to Algorithms", "year": 2009}' \
         -H 'Content-Type: application/json' http://127.0.0.1:8000/books
    curl 'http://127.0.0.1:8000/books?year__gte=1990&sort=-year'

The database is the application's own: MONGODB_URL, mongodb://localhost unless it is set.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from beanie import Document, Indexed, init_beanie
from fastapi import FastAPI
from pydantic import Field
from pymongo import AsyncMongoClient
from pymongo.errors import ServerSelectionTimeoutError

from regesta import Change, Hooks, Immutable, Invalid, ReadOnly, crud_router, hookimpl

LAST_YEAR = 2100
WAIT = 3000  # milliseconds for MongoDB to answer


def utc_now() -> datetime:
    return datetime.now(UTC)


class Book(Document):
    isbn: Annotated[str, Indexed(unique=True), Immutable]
    title: str
    year: Annotated[int, Indexed()]
    added_at: Annotated[datetime, ReadOnly] = Field(default_factory=utc_now)


class BookRules:
    @hookimpl
    async def validate_change(self, change: Change[Book]) -> None:
        if change.after and change.after.year > LAST_YEAR:
            raise Invalid("year", "is too far in the future")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    url = os.environ.get("MONGODB_URL", "mongodb://localhost")
    async with AsyncMongoClient[dict[str, Any]](url, tz_aware=True, serverSelectionTimeoutMS=WAIT) as client:
        try:
            await init_beanie(client.library, document_models=[Book])
        except ServerSelectionTimeoutError:
            raise RuntimeError("No MongoDB answers: start one, or say by MONGODB_URL where it is.") from None
        yield


app = FastAPI(title="Library", lifespan=lifespan)
app.include_router(crud_router(Book, key="isbn", hooks=Hooks(BookRules())))
