"""G11: pages neither skip nor repeat rows that nobody touched."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from beanie import Document, Indexed, init_beanie
from fastapi import FastAPI
from tests.promises.asgi import send

from regesta import crud_router
from regesta.store import collection_of

ROWS, PAGE = 10_000, 200
# So few years that each is the year of several pages: their order among themselves must be total too.
YEARS = 15


class Line(Document):
    name: Annotated[str, Indexed(unique=True)]
    year: Annotated[int, Indexed()]

    class Settings:
        name = "lines"


@pytest.fixture
async def app(database: Any) -> FastAPI:
    await init_beanie(database, document_models=[Line])
    dice = random.Random(11)
    rows = [{"name": f"still-{number:05}", "year": dice.randrange(YEARS)} for number in range(ROWS)]
    rows += [{"name": f"moving-{number:05}", "year": dice.randrange(YEARS)} for number in range(ROWS // 5)]
    dice.shuffle(rows)
    await collection_of(Line).insert_many(rows)
    app = FastAPI()
    app.include_router(crud_router(Line, key="name"))
    return app


async def moving(over: asyncio.Event, turn: asyncio.Event) -> None:
    """Insert and delete other rows, everywhere in the order, some at each turn."""
    dice, lines = random.Random(7), collection_of(Line)
    number = 0
    while not over.is_set():
        await turn.wait()
        turn.clear()
        await lines.insert_many([{"name": f"new-{number}-{n}", "year": dice.randrange(YEARS)} for n in range(20)])
        gone = [f"moving-{dice.randrange(ROWS // 5):05}" for _ in range(20)]
        await lines.delete_many({"name": {"$in": gone}})
        number += 1


async def by_token(app: FastAPI, sort: str) -> AsyncIterator[list[str]]:
    path = f"/lines?sort={sort}&page_size={PAGE}"
    token = ""
    while True:
        page = (await send(app, "GET", f"{path}&page_token={token}" if token else path)).json()
        yield [item["name"] for item in page["items"]]
        if not (token := page.get("next_page_token", "")):
            return


async def by_offset(direction: int) -> AsyncIterator[list[str]]:
    offset = 0
    while True:
        cursor = collection_of(Line).find({}).sort([("year", direction), ("_id", direction)]).skip(offset).limit(PAGE)
        if not (page := [row["name"] async for row in cursor]):
            return
        yield page
        offset += PAGE


async def seen_meanwhile(pages: AsyncIterator[list[str]]) -> list[str]:
    """The rows that stand still, as the pages showed them while others came and went."""
    over, turn = asyncio.Event(), asyncio.Event()
    writer = asyncio.create_task(moving(over, turn))
    seen: list[str] = []
    async for page in pages:
        seen += [name for name in page if name.startswith("still-")]
        turn.set()
    over.set()
    turn.set()
    await writer
    return seen


@pytest.mark.parametrize("sort", ["year", "-year"])
async def test_each_row_that_nobody_touched_is_on_one_page(app: FastAPI, sort: str) -> None:
    seen = await seen_meanwhile(by_token(app, sort))
    assert len(seen) == ROWS
    assert len(set(seen)) == ROWS


async def test_control_pages_by_offset_skip_or_repeat(app: FastAPI) -> None:
    seen = await seen_meanwhile(by_offset(1))
    assert len(seen) != ROWS or len(set(seen)) != ROWS
