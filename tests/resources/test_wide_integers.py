"""Integers beyond 64 bits, as JavaScript writes 1e20: floats and Decimals take them, nothing else does."""

import json
from decimal import Decimal
from typing import Annotated, Any

import pytest
from beanie import Document, Indexed
from pydantic import BaseModel, Field, RootModel
from typing_extensions import TypeAliasType

from .serving import pointers, served

WIDE = 10**20


class Point(BaseModel):
    x: float = 0
    n: int = 0


class Share(RootModel[float]):
    pass


Speed = TypeAliasType("Speed", float)


class Measured(Document):
    name: Annotated[str, Indexed(unique=True)]
    value: float = 0
    maybe: float | None = None
    either: int | float = 0
    exact: Decimal = Decimal(0)
    number: int = 0
    points: list[Point] = []
    scores: dict[str, float] = {}
    free: dict[str, Any] = {}
    pair: tuple[int, float] = (0, 0)
    share: Share = Share(0)
    noted: Annotated[float, Field(ge=0)] | None = None
    speed: Speed = 0

    class Settings:
        name = "measured"


TAKEN = {
    "value": WIDE,
    "maybe": -WIDE,
    "either": WIDE,
    "exact": WIDE,
    "points": [{"x": 2**63, "n": 1}],
    "scores": {"a": WIDE + 1},
    "pair": [1, WIDE],
    "share": WIDE,
    "noted": WIDE,
    "speed": WIDE,
}
SHOWN = {
    "value": 1e20,
    "maybe": -1e20,
    "either": 1e20,
    "exact": "100000000000000000000",
    "points": [{"x": float(2**63), "n": 1}],
    "scores": {"a": 1e20},
    "pair": [1, 1e20],
    "share": 1e20,
    "noted": 1e20,
    "speed": 1e20,
}
REFUSED = [
    ({"number": WIDE}, "/number"),
    ({"points": [{"n": WIDE}]}, "/points/0/n"),
    ({"free": {"a": [WIDE]}}, "/free/a/0"),
    ({"name": WIDE}, "/name"),
    ({"value": 10**400}, "/value"),
    ({"nothing": WIDE}, "/nothing"),
    ({"pair": [WIDE, 1]}, "/pair/0"),
]


async def test_floats_and_decimals_take_them_wherever_they_are_sent(any_database: Any) -> None:
    async with served(any_database, Measured, key="name", name="things") as client:
        operations = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in TAKEN.items()]
        deep = [{"op": "replace", "path": "/points/0/x", "value": WIDE}]
        batch = [
            {"op": "replace", "key": "a", "body": TAKEN},
            {"op": "patch", "key": "a", "body": TAKEN},
            {"op": "patch", "key": "a", "body": operations},
        ]
        answers = [
            await client.post("/things", json={"name": "a", **TAKEN}),
            await client.put("/things/a", json=TAKEN),
            await client.merge("/things/a", TAKEN),
            await client.operate("/things/a", *operations),
        ]
        for sent in batch:
            answer = await client.post("/things:batch", json={"operations": [sent]})
            assert answer.status_code == 200, answer.text
        for answer in [*answers, await client.get("/things/a")]:
            assert answer.is_success, answer.text
            assert answer.json().items() >= SHOWN.items()
        assert (await client.operate("/things/a", *deep)).json()["points"] == [{"x": 1e20, "n": 1}]
        for on_conflict in ("fail", "replace"):
            line = json.dumps({"name": on_conflict, **TAKEN})
            headers = {"content-type": "application/x-ndjson"}
            imported = await client.post(f"/things?on_conflict={on_conflict}", content=line, headers=headers)
            assert json.loads(imported.text.splitlines()[0])["status"] == 201, imported.text
            assert (await client.get(f"/things/{on_conflict}")).json().items() >= SHOWN.items()


@pytest.mark.parametrize(("body", "pointer"), REFUSED)
async def test_nothing_else_takes_them(any_database: Any, body: dict[str, Any], pointer: str) -> None:
    async with served(any_database, Measured, key="name", name="things") as client:
        await client.post("/things", json={"name": "a"})
        assert pointer in pointers(await client.post("/things", json={"name": "b", **body}))
        assert pointer in pointers(await client.merge("/things/a", body))
        batch = {"operations": [{"op": "create", "body": {"name": "b", **body}}]}
        assert f"/operations/0/body{pointer}" in pointers(await client.post("/things:batch", json=batch))
