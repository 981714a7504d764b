"""The client of docs/watching.md gets every book of a list of many pages, and then each change."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from beanie import Document, init_beanie
from fastapi import FastAPI
from tests.watch.streams import listening

from regesta import crud_router

PAGE = Path(__file__).parents[2] / "docs" / "watching.md"
BOOKS = 7
SIZE = 3
TEXT = "a line separator \u2028 and a next line \u0085"

Told = tuple[str, dict[str, Any]]


class Book(Document):
    title: str

    class Settings:
        name = "watched_books"
        use_revision = True


def sample(client: httpx.Client) -> Iterator[Told]:
    """The generator of the page, with pages of three."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.replace('"page_size": 1000', f'"page_size": {SIZE}'), names)  # noqa: S102 - our own page
    found: Iterator[Told] = names["books"](client)
    return found


async def test_no_page_is_lost_and_changes_follow(database: Any) -> None:
    app = FastAPI()
    app.include_router(crud_router(Book))
    await init_beanie(database, document_models=[Book])
    async with listening(app) as client:
        made = [(await client.post("/books", json={"title": f"{number}"})).json() for number in range(BOOKS)]
        with httpx.Client(base_url=client.base_url, trust_env=False) as reader:
            books = sample(reader)
            listed = [await asyncio.to_thread(next, books) for _ in made]
            assert [name for name, _ in listed] == ["listed"] * BOOKS
            assert sorted(told["key"] for _, told in listed) == sorted(book["id"] for book in made)
            url = f"/books/{made[0]['id']}"
            assert (await client.put(url, json={"title": TEXT})).status_code == 200
            assert (await client.delete(url)).status_code == 204
            name, told = await asyncio.to_thread(next, books)
            assert (name, told["item"]["title"]) == ("updated", TEXT)
            name, told = await asyncio.to_thread(next, books)
            books.close()  # type: ignore[attr-defined]
    assert (name, told["key"]) == ("deleted", made[0]["id"])
