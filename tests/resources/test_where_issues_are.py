"""Issues point into what was sent, by the names that clients send."""

import json
from typing import Annotated, Any

import httpx
import pytest
from beanie import Document
from fastapi import FastAPI
from pydantic import Field, field_validator
from tests.kept_database import know

from regesta import Immutable, crud_router

LINES = {"Content-Type": "application/x-ndjson"}


class Pen(Document):
    """Its names differ: sent as `Name`, shown and stored as `name`."""

    name: Annotated[str, Field(validation_alias="Name")]
    fixed: Annotated[int, Immutable, Field(validation_alias="Fixed")] = 0

    class Settings:
        name = "pens"

    @field_validator("name")
    @classmethod
    def _lower(cls, value: str) -> str:
        return value.lower()


@pytest.fixture
async def pens(memory_database: Any) -> Any:
    await know(memory_database, [Pen])
    app = FastAPI()
    app.include_router(crud_router(Pen, key="name"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


def pointers(problem: dict[str, Any]) -> list[str]:
    return [issue["pointer"] for issue in problem["errors"]]


async def test_a_key_that_is_none(pens: httpx.AsyncClient) -> None:
    assert pointers((await pens.post("/pens", json={"Name": "a/b"})).json()) == ["/Name"]


async def test_a_field_that_cannot_change(pens: httpx.AsyncClient) -> None:
    await pens.post("/pens", json={"Name": "a"})
    assert pointers((await pens.put("/pens/a", json={"Name": "a", "Fixed": 1})).json()) == ["/Fixed"]


async def test_a_line_whose_key_is_written_otherwise(pens: httpx.AsyncClient) -> None:
    answer = await pens.post("/pens?on_conflict=replace", content='{"Name": "UP"}', headers=LINES)
    problem = json.loads(answer.text.splitlines()[0])["problem"]
    assert (pointers(problem), problem["detail"].partition(":")[0]) == (["/Name"], "body.Name")
