"""What filters, sorts and keysets mean to a real MongoDB, and in memory."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from math import isnan
from typing import Any
from urllib.parse import urlencode

import mongomock
import pytest
from bson import DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import Binary
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.collection import Collection
from tests.query.documents import UNHURRIED, rules

from regesta.query import keyset_filter, position

RULES = rules()
OID = ObjectId("5eb7cf5a86d9755df3a6c593")


@pytest.fixture(scope="module")
def collection(mongod_uri: str) -> Iterator[Collection[Any]]:
    with MongoClient[Any](mongod_uri, uuidRepresentation="standard") as client:
        yield client["test_query"]["rows"]
        client.drop_database("test_query")


def fill(collection: Collection[Any], documents: Sequence[Mapping[str, Any]]) -> None:
    collection.drop()
    if documents:
        collection.insert_many(dict(document) for document in documents)


def found(collection: Collection[Any], **asked: str) -> set[Any]:
    query = RULES.parse(urlencode(asked).encode())
    return {document["_id"] for document in collection.find(query.filter)}


PUNCTUATION = "".join(chr(code) for code in range(1, 128) if not chr(code).isalnum())
TEXTS = [
    *(PUNCTUATION, r"\Q..\E", r"\Qa", r"a\E", "a.c", "abc", "[a]", "(?i)ABC", "a|b", "a\nb", "b\na", "^a", "a$"),
    *("#a b", "ünï", "ÜNÏ", "日本", "😀", "e\u0301", "\u00e9", "", " ", "a", "A", "$name", "{1}", "a{2}", "aa"),
    *("\\", "\\\\", "(*UTF)"),
]


@pytest.mark.parametrize("text", [*TEXTS, *PUNCTUATION])
def test_prefix_and_contains_are_about_exactly_this_text(collection: Collection[Any], text: str) -> None:
    candidates = list(dict.fromkeys([*TEXTS, text, f"{text}tail", f"head{text}", f"head\n{text}\ntail"]))
    fill(collection, [{"_id": candidate, "title": candidate} for candidate in candidates])
    assert found(collection, title=text) == {text}
    assert found(collection, title__prefix=text) == {each for each in candidates if each.startswith(text)}
    assert found(collection, title__contains=text) == {each for each in candidates if text in each}


@UNHURRIED
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20))
def test_patterns_of_any_text(collection: Collection[Any], text: str) -> None:
    fill(collection, [{"_id": 1, "title": text}, {"_id": 2, "title": f"a{text}"}, {"_id": 3, "title": "none"}])
    assert 1 in found(collection, title__prefix=text)
    assert {1, 2} <= found(collection, title__contains=text)
    assert (3 in found(collection, title__contains=text)) == (text in "none")


def test_a_prefix_walks_the_index(collection: Collection[Any]) -> None:
    fill(collection, [{"_id": number, "title": f"a.{number}"} for number in range(50)])
    collection.create_index("title")
    query = RULES.parse(b"title__prefix=a.4")
    plan = collection.find(query.filter).explain()["executionStats"]
    assert plan["nReturned"] == 11
    assert plan["totalKeysExamined"] <= 12


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({"rating__exists": "true"}, {4, 5}),
        ({"rating__exists": "false"}, {1, 2, 3}),
        ({"rating__ne": "1"}, {1, 2, 3, 5}),
        ({"rating__gte": "1"}, {4, 5}),
        ({"rating__nin": "2"}, {1, 2, 3, 4}),
        ({"tags": "a"}, {1, 2}),
        ({"tags__ne": "a"}, {3, 4, 5}),
        ({"tags__exists": "false"}, {4, 5}),
        ({"tags__prefix": "b"}, {2}),
        ({"chapters.pages__gt": "10"}, {1}),
        ({"chapters.heading": "End"}, {1, 2}),
        ({"publisher.city": "Rome"}, {1}),
        ({"labels.family": "llm"}, {3}),
        ({"title": "$tags"}, {5}),
        ({"title": ""}, {4}),
    ],
)
def test_what_filters_find(collection: Collection[Any], asked: dict[str, str], ids: set[int]) -> None:
    fill(
        collection,
        [
            {"_id": 1, "tags": ["a"], "chapters": [{"heading": "End", "pages": 11}], "publisher": {"city": "Rome"}},
            {"_id": 2, "tags": ["a", "b"], "rating": None, "chapters": [{"heading": "x"}, {"heading": "End"}]},
            {"_id": 3, "tags": [], "labels": {"family": "llm"}},
            {"_id": 4, "tags": None, "rating": 1.0, "title": "", "chapters": [{"pages": 10}]},
            {"_id": 5, "rating": 2.0, "title": "$tags"},
        ],
    )  # fmt: skip
    assert found(collection, **asked) == ids


# A value that is not there, one that is null, and a few others that come often.
MISSING = object()
NUMBERS = st.sampled_from([MISSING, None, 0, 1, 1.0, 1.5, -1, 2**60, float("inf"), float("-inf"), float("nan")])
WORDS = st.sampled_from([MISSING, None, "", "a", "b", "B", "ab"])
ROWS = st.lists(st.tuples(NUMBERS, WORDS, NUMBERS), max_size=12)
SORTS = st.lists(st.sampled_from(["n", "w", "sub.m"]), unique=True, max_size=3).flatmap(
    lambda paths: st.tuples(*(st.tuples(st.just(path), st.sampled_from([1, -1])) for path in [*paths, "_id"]))
)


def document(number: int, row: tuple[Any, Any, Any]) -> dict[str, Any]:
    n, w, m = row
    values = {"_id": number, "n": n, "w": w, "sub": MISSING if m is MISSING else {"m": m}}
    return {name: value for name, value in values.items() if value is not MISSING}


def in_order(documents: list[dict[str, Any]], sort: Sequence[tuple[str, int]]) -> list[Any]:
    """The ids of the documents, sorted in Python as BSON is compared: null, then NaN, then the others."""

    def place(value: Any) -> tuple[Any, ...]:
        if value is None:
            return (0,)
        return (1,) if value != value else (2, value)  # noqa: PLR0124 - only NaN is not itself

    for path, direction in reversed(sort):
        documents = sorted(documents, key=lambda each: place(position(each, [(path, 1)])[0]), reverse=direction == -1)
    return [each["_id"] for each in documents]


def check_keyset(
    collection: Collection[Any], rows: list[tuple[Any, Any, Any]], sort: tuple[tuple[str, int], ...]
) -> None:
    documents = [document(number, row) for number, row in enumerate(rows)]
    fill(collection, documents)
    ordered = in_order(documents, sort)
    assert [each["_id"] for each in collection.find().sort(list(sort))] == ordered
    by_id = {each["_id"]: each for each in documents}
    for place, identity in enumerate(ordered):
        after = collection.find(keyset_filter(sort, position(by_id[identity], sort))).sort(list(sort))
        assert [each["_id"] for each in after] == ordered[place + 1 :]


MIXED = [(1, None, 1), (None, None, 1), (float("nan"), "a", None), (0, "a", MISSING)]


@UNHURRIED
@given(ROWS, SORTS)
@example(MIXED, (("n", -1), ("_id", 1)))
@example(MIXED, (("n", 1), ("_id", -1)))
@example(MIXED, (("sub.m", -1), ("w", 1), ("n", -1), ("_id", -1)))
def test_a_keyset_is_all_that_comes_after(
    collection: Collection[Any], rows: list[tuple[Any, Any, Any]], sort: tuple[tuple[str, int], ...]
) -> None:
    check_keyset(collection, rows, sort)


@UNHURRIED
@given(ROWS, SORTS)
def test_a_keyset_in_memory(rows: list[tuple[Any, Any, Any]], sort: tuple[tuple[str, int], ...]) -> None:
    # mongomock orders NaN by chance, as Python does.
    assume(not any(isinstance(value, float) and isnan(value) for row in rows for value in row))
    check_keyset(mongomock.MongoClient()["test"]["rows"], rows, sort)


# A value of each type that sorts by itself, as somebody else may have stored it; in arrays too.
ANY = st.sampled_from(
    [
        *(MISSING, None, 0, 2.5, Decimal128("1"), Int64(2**60), float("nan"), "", "b", {}, {"a": 1}, {"a": "x"}, True),
        *(b"", b"a", Binary(b"0" * 16, 4), OID, ObjectId(), False, datetime(2024, 1, 1), datetime(1, 1, 1)),  # noqa: DTZ001
        *(Timestamp(1, 1), Timestamp(2, 1), Regex("a"), MinKey(), MaxKey(), DBRef("rows", OID)),
        *([], [None], [1, 9], [0, "a"], ["a", OID], [float("nan"), 1], [[]], [{"a": 1}, True]),
    ]
)


def pages(collection: Collection[Any], sort: Sequence[tuple[str, int]], size: int, *, rare: bool = True) -> list[Any]:
    """The ids of all rows, page by page."""
    seen: list[Any] = []
    wanted: Mapping[str, Any] = {}
    while page := list(collection.find(wanted).sort(list(sort)).limit(size)):
        seen += [row["_id"] for row in page]
        wanted = keyset_filter(sort, position(page[-1], sort), rare=rare)
        assert len(seen) <= collection.count_documents({}), "rows come again"
    return seen


@UNHURRIED
@given(
    # MongoDB refuses to sort by two arrays of one document.
    st.lists(st.tuples(ANY, ANY.filter(lambda value: not isinstance(value, list))), max_size=14),
    st.tuples(st.sampled_from([1, -1]), st.sampled_from([1, -1])),
    st.integers(1, 3),
)
def test_pages_have_every_row_whatever_its_types(
    collection: Collection[Any], rows: list[tuple[Any, Any]], ways: tuple[int, int], size: int
) -> None:
    values = ({"a": a, "sub": {} if b is MISSING else {"b": b}} for a, b in rows)
    present = ({name: value for name, value in each.items() if value is not MISSING} for each in values)
    fill(collection, [{"_id": number, **each} for number, each in enumerate(present)])
    way, other = ways
    for before in ([("a", way)], [("sub.b", way)], [("a", way), ("sub.b", other)]):
        sort = [*before, ("_id", other)]
        assert pages(collection, sort, size) == [row["_id"] for row in collection.find().sort(sort)]


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("between", [[], [5], [{"a": 1}], 7, {}, None, {"a": []}])
def test_pages_have_rows_with_an_array_on_the_way(collection: Collection[Any], way: int, between: Any) -> None:
    rows = [None, {"a": 1}, between, {"a": None}, [{"a": 3}, {"a": 0}], {"a": 2}, between, {}]
    fill(collection, [{"_id": number, "sub": sub} for number, sub in enumerate(rows)])
    sort = [("sub.a", way), ("_id", way)]
    for size in (1, 2, 3):
        assert pages(collection, sort, size) == [row["_id"] for row in collection.find().sort(sort)]


IDS = [*("a", "b", 3, 2, 1.5, OID, ObjectId(), Binary(b"0" * 16, 4), {"a": 1}, True, datetime(2024, 1, 1))]  # noqa: DTZ001


@pytest.mark.parametrize("way", [1, -1])
def test_ids_of_several_types(collection: Collection[Any], way: int) -> None:
    for rows in (collection, mongomock.MongoClient()["test"]["rows"]):
        fill(rows, [{"_id": value, "n": value} for value in IDS])
        for sort in ([("_id", way)], [("n", way), ("_id", way)]):
            seen = pages(rows, sort, 2, rare=rows is collection)
            assert seen == [row["_id"] for row in rows.find().sort(sort)]
            assert len(seen) == len(IDS)


@pytest.mark.parametrize("way", [1, -1])
def test_a_late_page_passes_no_rows_of_another_type(collection: Collection[Any], way: int) -> None:
    values = [None, *range(5), "a", "b", {"a": 1}, b"a", OID, True, datetime(2024, 1, 1)]  # noqa: DTZ001
    fill(collection, [{"_id": number, "n": values[number % len(values)]} for number in range(3900)])
    sort = [("n", way), ("_id", way)]
    collection.create_index(sort)
    for value in values:
        row = next(iter(collection.find({"n": value}).sort("_id", 1).skip(200).limit(1)))
        plan = collection.find(keyset_filter(sort, position(row, sort), rare=True)).sort(sort).limit(20).explain()
        assert plan["executionStats"]["totalKeysExamined"] < 60, value


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("same", [1, 1000])
def test_a_late_page_costs_what_the_first_does(collection: Collection[Any], direction: int, same: int) -> None:
    fill(collection, [{"_id": number, "n": number // same} for number in range(2000)])
    collection.create_index([("n", direction), ("_id", direction)])
    sort = [("n", direction), ("_id", direction)]
    last = {"_id": 1500, "n": 1500 // same}
    page = collection.find(keyset_filter(sort, position(last, sort))).sort(sort).limit(20)
    plan = page.explain()["executionStats"]
    assert plan["nReturned"] == 20
    assert plan["totalKeysExamined"] < 40
