"""`filter=`: what expressions mean, and what is wrong with those that mean nothing."""

import operator
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import mongomock
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient
from tests.query.documents import UNHURRIED, rules

from regesta.errors import Invalid, Malformed
from regesta.query.expressions import MAX_BYTES
from regesta.query.syntax import MAX_DEPTH, MAX_TERMS

RULES = rules()

BOOKS: list[dict[str, Any]] = [
    {"_id": 1, "title": "Anna", "year": 1999, "tags": ["new", "a"], "sold": True, "colour": "red", "rating": 1.5},
    {"_id": 2, "title": "Ann", "year": 2000, "tags": [], "sold": False, "publisher": {"city": "Rome"}},
    {"_id": 3, "title": "Banana\n", "year": 2001, "tags": ["old"], "colour": None, "chapters": [{"heading": "End"}]},
    {"_id": 4, "title": "a*b", "labels": {"family": "llm"}, "year": 2001},
    {"_id": 5, "title": 'say "hi"', "rating": -2.0, "year": -5},
]


@pytest.fixture(scope="module")
def books(mongod_uri: str) -> Iterator[Any]:
    with MongoClient[Any](mongod_uri, uuidRepresentation="standard") as client:
        client["test_expressions"]["books"].insert_many(BOOKS)
        yield client["test_expressions"]["books"]
        client.drop_database("test_expressions")


@pytest.fixture(scope="module")
def books_in_memory() -> Any:
    collection: Any = mongomock.MongoClient()["memory"]["books"]
    collection.insert_many(BOOKS)
    return collection


def found(collection: Any, text: str, **further: str) -> set[int]:
    query = RULES.parse(urlencode({"filter": text, **further}).encode())
    return {document["_id"] for document in collection.find(query.filter)}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("year = 2001", {3, 4}),
        ("year=2001", {3, 4}),
        ("year != 2001", {1, 2, 5}),
        ("year < 2000", {1, 5}),
        ("year <= 2000", {1, 2, 5}),
        ("year > -5 AND year < 2000", {1}),
        ("rating = -2.0", {5}),
        ("rating >= 1", {1}),
        ("sold = true", {1}),
        ("colour = red OR colour = blue", {1}),
        ("colour:*", {1}),
        ("NOT colour:*", {2, 3, 4, 5}),
        ("-colour:*", {2, 3, 4, 5}),
        ("colour = null", {2, 3, 4, 5}),
        ("colour != null", {1}),
        ("rating = null AND NOT publisher.city = null", {2}),
        ("title = null", set()),
        ('title = "null"', set()),
        ('title != "null"', {1, 2, 3, 4, 5}),
        ("labels.family = null", {1, 2, 3, 5}),
        ("year = null OR sold = true", {1}),
        ("NOT year = 2001", {1, 2, 5}),
        ("NOT (year = 2001 OR tags:new)", {2, 5}),
        ("year = 2001 AND (title:nan OR labels.family = llm)", {3, 4}),
        ("(((year = 1999)))", {1}),
        ("tags:new", {1}),
        ('tags : "old"', {3}),
        ("tags:*", {1, 3}),
        ("chapters.heading:End", {3}),
        ("publisher.city = Rome", {2}),
        ("title = Ann", {2}),
        ("title = Ann*", {1, 2}),
        ('title = "*an*"', {3}),
        ("title != Ann*", {3, 4, 5}),
        ("title = *ana", set()),
        (r'title = "a\*b"', {4}),
        (r"title = a\*b", {4}),
        ('title:"*"', {4}),
        (r'title = "say \"hi\""', {5}),
        ("title = 'say \"hi\"'", {5}),
        ('title = "$title"', set()),
        ("year\n=\t2000", {2}),
    ],
)
def test_what_an_expression_means(books: Any, books_in_memory: Any, text: str, ids: set[int]) -> None:
    assert found(books, text) == ids
    assert found(books_in_memory, text) == ids


def test_an_expression_goes_with_other_filters_and_binds_page_tokens(books: Any) -> None:
    assert found(books, "year = 2001", year="1999") == set()
    assert found(books, "year > 1990", year__lt="2001") == {1, 2}
    one, other = (RULES.parse(urlencode({"filter": f"year > {year}"}).encode()).binding for year in (1, 2))
    assert one != other != RULES.parse(b"").binding


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("", 1, "ends too early"),
        ("year >", 7, "ends too early"),
        ("year = 1 AND", 13, "ends too early"),
        ("(year = 1", 10, "ends too early"),
        ("year = 1)", 9, "')' cannot stand here"),
        ('title = "open', 9, "cannot stand here"),
        ("year", 5, "ends too early"),
        ("year 1", 6, "a comparison"),
        ("year = 1 sold = true", 10, "write AND or OR"),
        ("year = 1 and sold = true", 10, "in capitals"),
        ("AND year = 1", 1, "between two comparisons"),
        ("year = 1 AND sold = true OR year = 2", 26, "mixed"),
        ("year = 1 OR sold = true AND year = 2", 25, "mixed"),
        ("year == 1", 7, ""),
        ("1 = year", 1, ""),
        ("$where = 1", 1, ""),
        ("startsWith(title, 'a')", 11, ""),
    ],
)
def test_what_cannot_be_parsed_is_400_with_its_position(text: str, at: int, said: str) -> None:
    with pytest.raises(Malformed) as caught:
        found([], text)
    assert caught.value.code == "INVALID_FILTER"
    assert f"at character {at}: " in caught.value.detail
    assert said in caught.value.detail


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("year = ten", 8, "must be an integer"),
        ('year = "10"', 8, "without quotes"),
        ("year = 9223372036854775808", 8, "must be an integer"),
        ("year > null", 8, "null can be compared by = and !="),
        ("chapters.heading = null", 1, "lies in a list"),
        ("sold = 1", 8, "true or false"),
        ("sold > true", 1, "cannot be compared by >"),
        ("colour = green", 10, "must be one of"),
        ("added_at > 20s", 12, "durations"),
        ("added_at > 2024", 12, "must be a date and time"),
        ("tags = new", 1, "tags:value"),
        ("chapters.pages > 1", 1, "chapters.pages:value"),
        ("chapters.pages:*", 1, "one element only"),
        ("nothing = 1", 1, "cannot be filtered by"),
        ("secret = x", 1, "cannot be filtered by"),
        ("revision_id = x", 1, "cannot be filtered by"),
        ("title.$gt = x", 6, ""),
        ("title = a*b", 9, "at the ends"),
        (r'title = "\n"', 9, "a backslash"),
        ("title = NOT", 9, "into quotes"),
        ("cover = 5", 9, "hexadecimal"),
    ],
)
def test_what_means_nothing_here_is_refused_with_its_position(text: str, at: int, said: str) -> None:
    with pytest.raises((Invalid, Malformed)) as caught:
        found([], text)
    shown = caught.value.issues[0].message if caught.value.issues else caught.value.detail
    assert f"at character {at}: " in shown
    assert said in shown


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        RULES.parse(urlencode({"filter": "year = x AND (nothing = 1 OR NOT sold = y)", "page_size": "0"}).encode())
    assert [issue.loc for issue in caught.value.issues].count(("query", "filter")) == 3
    assert ("query", "page_size") in {issue.loc for issue in caught.value.issues}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = " + "x" * MAX_BYTES, "longer than"),
        (" OR ".join(["year = 1"] * (MAX_TERMS + 1)), "more than 50 comparisons"),
        ("NOT (" * (MAX_DEPTH + 1) + "year = 1" + ")" * (MAX_DEPTH + 1), "nested deeper"),
        ("(" * 1200 + "year = 1 OR " * 60 + "year = 1" + ")" * 1200, "more than 50 comparisons"),
    ],
)
def test_what_is_too_large_is_refused(text: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        found([], text)
    assert said in caught.value.issues[0].message


def test_the_largest_that_is_taken(books: Any) -> None:
    assert found(books, " OR ".join(["year = 1999"] * MAX_TERMS)) == {1}
    assert found(books, "NOT (" * MAX_DEPTH + "year = 1999" + ")" * MAX_DEPTH) == {1}
    assert found(books, "(" * 1000 + "year = 1999" + ")" * 1000) == {1}


@dataclass(frozen=True)
class Said:
    """An expression, and what Python says it means. `binds` tells what may stand beside it without parentheses."""

    text: str
    holds: Callable[[dict[str, Any]], bool]


COMPARED = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt}


def _compared(sign: str, value: int) -> Said:
    def holds(book: dict[str, Any]) -> bool:
        return bool(COMPARED[sign](book["year"], value))

    return Said(f"year {sign} {value}", holds)


def _joined(word: str, parts: list[Said]) -> Said:
    every = all if word == "AND" else any
    return Said(f" {word} ".join(f"({part.text})" for part in parts), lambda book: every(p.holds(book) for p in parts))


LEAVES = st.one_of(
    st.builds(_compared, st.sampled_from(sorted(COMPARED)), st.integers(-6, 2002)),
    st.sampled_from(["new", "old", "a"]).map(lambda tag: Said(f"tags:{tag}", lambda book: tag in book.get("tags", ()))),
    st.just(Said("colour:*", lambda book: book.get("colour") is not None)),
)
TREES = st.recursive(
    LEAVES,
    lambda below: st.one_of(
        st.builds(_joined, st.sampled_from(["AND", "OR"]), st.lists(below, min_size=2, max_size=3)),
        below.map(lambda part: Said(f"NOT ({part.text})", lambda book: not part.holds(book))),
    ),
    max_leaves=8,
)


@UNHURRIED
@given(TREES)
def test_any_expression_means_in_mongodb_what_it_means_in_python(books: Any, said: Said) -> None:
    assert found(books, said.text) == {book["_id"] for book in BOOKS if said.holds(book)}


@UNHURRIED
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Invalid, Malformed):
        RULES.parse(urlencode({"filter": text}).encode())
