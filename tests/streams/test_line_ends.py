"""Answers in lines, read by readers that cut at each line end of Unicode."""

import csv
import io
import json
from typing import Annotated, Any

import pytest
from beanie import Document, Indexed
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.resources.serving import served
from tests.watch.streams import watched

from regesta.schemas import json_line

# All that `str.splitlines` cuts at.
ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
TEXT = f"a{'b'.join(ENDS)}c"
NDJSON = {"content-type": "application/x-ndjson"}


class Book(Document):
    isbn: Annotated[str, Indexed(unique=True)]
    title: Annotated[str, Indexed(unique=True)]
    tags: list[str] = []

    class Settings:
        name = "line_end_books"


@settings(deadline=None)
@given(st.recursive(st.text(st.sampled_from(ENDS + 'ab"\\é\u20ac\u2027\u202a')), st.lists))
def test_a_value_is_one_line(value: Any) -> None:
    line = json_line(value)

    assert line.decode().splitlines() == [line.decode().removesuffix("\n")]
    assert json.loads(line) == value


async def test_each_line_of_an_export_is_one_object(database: Any) -> None:
    async with served(database, Book, key="isbn") as client:
        for number in range(3):
            await Book(isbn=f"{number}{TEXT}", title=f"{number}{TEXT}", tags=[TEXT]).insert()

        async with client.stream("GET", "/books", headers={"accept": "application/x-ndjson"}) as answer:
            lines = [json.loads(line) async for line in answer.aiter_lines()]
        assert [line["title"] for line in lines] == [f"{number}{TEXT}" for number in range(3)]

        text = (await client.get("/books", headers={"accept": "text/csv"})).text
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        assert [json.loads(row[3]) for row in rows[1:]] == [[TEXT]] * 3
        assert "\u2028" in rows[1][2]
        assert "\\u2028" in rows[1][3]


@pytest.mark.parametrize("on_conflict", ["fail", "skip"])
async def test_each_line_of_an_import_gets_one_line(database: Any, on_conflict: str) -> None:
    """The key of what was written or skipped, and a problem that names what was sent."""
    sent = [{"isbn": "x\u2028", "title": "x"}, {"isbn": "x\u2028", "title": "x"}, {"isbn": "y", "nam\u2028\x85": "z"}]
    async with served(database, Book, key="isbn") as client:
        body = b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in sent)
        answer = await client.post("/books", params={"on_conflict": on_conflict}, content=body, headers=NDJSON)

    *results, summary = [json.loads(line) for line in answer.text.splitlines()]
    assert [result["line"] for result in results] == [1, 2, 3]
    assert results[0]["key"] == "x\u2028"
    assert ["body", "nam\u2028\x85"] in [error["loc"] for error in results[2]["problem"]["errors"]]
    assert summary["summary"]["created"] == 1


async def test_the_data_of_an_event_is_one_line(database: Any) -> None:
    async with watched(database, Book, key="isbn") as client, client.watch("/books") as stream:
        await stream.beat()
        await client.post("/books", json={"isbn": "1", "title": TEXT})
        await client.delete("/books/1")
        created, _ = await stream.take(2)
        assert created.data["item"]["title"] == TEXT
