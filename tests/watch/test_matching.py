"""The filters of watches mean what MongoDB means by them: asked of both."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from bson import CodecOptions, DBRef, Decimal128, ObjectId

from regesta import Unsupported
from regesta.watch import matcher

ID = ObjectId("0" * 24)
DAY = datetime(2026, 1, 1, tzinfo=UTC)
SCALARS: list[Any] = [
    None, 0, 1, -1, 2**53 + 1, 1.0, 1.5, float("inf"), float("nan"), Decimal128(Decimal("1.50")), True, False,
    "", "a", "ab", "Ab", "a.b", "a\n", "é", ID, DAY, DAY + timedelta(milliseconds=1), UUID(int=1), b"a",
]  # fmt: skip
SHAPES: list[Any] = [
    *SCALARS, [], [None], [1, 2], ["a", "b"], [[1]], [[]], [{"b": 1}], [{"b": None}, {"c": 1}], [1, {"b": "a"}],
    {}, {"b": 1}, {"b": None}, {"b": [1, "a"]}, {"b": {"c": 1}}, {"b": [{"c": 1}, {"d": 2}]}, {"b": []}, {"0": 1},
    [{"b": [1, 2]}], [{"b": {"c": "a"}}], DBRef("c", ID), [[{"b": 1}]], {"b": 1, "c": 2}, {"c": 2, "b": 1},
]  # fmt: skip
OPERATORS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")
PATHS = ("a", "a.b", "a.b.c", "a.0", "a.0.b", "a.$id")


def filters() -> list[dict[str, Any]]:
    compared = [{path: {operator: value}} for path, operator, value in itertools.product(PATHS, OPERATORS, SCALARS)]
    sets = [{path: {word: values}} for path in PATHS for word in ("$in", "$nin") for values in ([], [1, "a"], [None])]
    present = [{path: {"$exists": flag}} for path in PATHS for flag in (True, False)]
    like = [{path: {"$regex": text}} for path in PATHS for text in ("^a", r"a\.b", "^a(?!\n)$", "b(?!\n)$", "")]
    whole = [{"a": value} for value in ([], [1, 2], {"b": 1}, {"b": 1, "c": 2}, [[1]], {"b": 1.0}, None, {})]
    joined: list[dict[str, Any]] = [
        {"$and": [{"a": {"$gt": 0}}, {"a": {"$lt": 2}}]},
        {"$or": [{"a": 1}, {"a.b": 1}]},
        {"$nor": [{"a": {"$regex": "a"}}]},
        {"a": {"$not": {"$gt": 1}}},
        {"a": {"$gte": 1, "$lt": 2}, "a.b": {"$ne": 1}},
        {"a": 1, "$and": [{"a": {"$ne": None}}]},
        {},
    ]
    return compared + sets + present + like + whole + joined


async def test_every_filter_finds_what_mongodb_finds(database: Any) -> None:
    collection = database["shapes"]
    await collection.insert_many([{"_id": number, "a": value} for number, value in enumerate(SHAPES)] + [{"_id": -1}])
    documents = await collection.find().to_list(None)
    wrong = []
    for wanted in filters():
        found = {raw["_id"] async for raw in collection.find(wanted, {"_id": 1})}
        predicate = matcher(wanted, collection.codec_options)
        mine = {raw["_id"] for raw in documents if predicate(raw)}
        if mine != found:
            differing = {number: next(raw for raw in documents if raw["_id"] == number) for number in mine ^ found}
            wrong.append((wanted, "too many" if mine - found else "too few", differing))
    assert not wrong, "\n".join(map(str, [len(wrong), *wrong[:40]]))


@pytest.mark.parametrize(
    "unknown", [{"$where": "1"}, {"a": {"$type": 2}}, {"a": {"$all": [1]}}, {"$expr": {"$eq": ["$a", 1]}}]
)
def test_what_is_not_known_is_refused(unknown: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        matcher(unknown, CodecOptions())
