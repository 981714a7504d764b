"""From a query string to a Query."""

import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any
from urllib.parse import urlencode

import pytest
from bson import Decimal128
from hypothesis import given
from hypothesis import strategies as st
from tests.query.documents import UNHURRIED, rules

from regesta.errors import Invalid, Malformed
from regesta.query import Query

RULES = rules()


def parse(query_string: str) -> Query:
    return RULES.parse(query_string.encode())


def issues(query_string: str) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        parse(query_string)
    return {str(issue.loc[1]): issue.message for issue in caught.value.issues}


def test_nothing_is_asked() -> None:
    assert RULES.parse(b"") == Query(
        filter={},
        sort=(("isbn", 1),),
        fields=None,
        page_size=50,
        page_token=None,
        include_etag=False,
        binding=RULES.parse(b"").binding,
    )


def test_a_scope_added_to_one_filter_stays_there() -> None:
    RULES.parse(b"").filter["workspace"] = "mine"
    RULES.parse(b"year=1").filter["workspace"] = "mine"
    assert RULES.parse(b"").filter == {}
    assert RULES.parse(b"year=1").filter == {"year": {"$eq": 1}}


def test_a_query_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        RULES.parse(b"").page_size = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("query_string", "found"),
    [
        ("year=5", {"year": {"$eq": 5}}),
        ("year__ne=5", {"year": {"$ne": 5}}),
        ("year__gte=5&year__lt=9", {"year": {"$gte": 5, "$lt": 9}}),
        ("year__gt=5&year__lte=9", {"year": {"$gt": 5, "$lte": 9}}),
        ("year__in=5&year__in=4&year__in=5", {"year": {"$in": [4, 5]}}),
        ("year__nin=5", {"year": {"$nin": [5]}}),
        ("colour__in=red&colour__in=blue", {"colour": {"$in": ["blue", "red"]}}),
        ("title__in=a,b", {"title": {"$in": ["a,b"]}}),
        ("title__in=", {"title": {"$in": [""]}}),
        ("rating__exists=true", {"rating": {"$ne": None}}),
        ("rating__exists=false", {"rating": {"$eq": None}}),
        ("rating=1&rating__exists=false", {"rating": {"$eq": 1.0}, "$and": [{"rating": {"$eq": None}}]}),
        ("title__prefix=a.b", {"title": {"$regex": r"^a\.b"}}),
        ("title__contains=(a|b)", {"title": {"$regex": r"\(a\|b\)"}}),
        (
            "title__contains=b&title__prefix=a&year=1",
            {"title": {"$regex": "b"}, "year": {"$eq": 1}, "$and": [{"title": {"$regex": "^a"}}]},
        ),
        ("price__in=1.5&price__in=2", {"price": {"$in": [Decimal128("1.5"), Decimal128("2")]}}),
        ("title=a%20b+c", {"title": {"$eq": "a b c"}}),
        ("title=$where&tags=$ne", {"title": {"$eq": "$where"}, "tags": {"$eq": "$ne"}}),
    ],
)
def test_filters(query_string: str, found: dict[str, Any]) -> None:
    assert parse(query_string).filter == found


@UNHURRIED
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50))
def test_a_value_is_only_ever_an_operand(text: str) -> None:
    found = RULES.parse(urlencode({"title": text, "tags__ne": text}).encode()).filter
    assert found == {"tags": {"$ne": text}, "title": {"$eq": text}}


@pytest.mark.parametrize(
    "name",
    ["sold__gt", "sold__in", "sold__prefix", "colour__gt", "colour__prefix", "level__lt", "binding__contains",
     "year__prefix", "year__contains", "added_at__prefix", "id__prefix", "code__contains", "price__prefix",
     "chapters.heading__exists", "title__regex", "title__where", "title__", "title__eq", "title__GT", "$where",
     "title[$gt]", "title.$gt", "labels.other", "limit", "offset", "skip", "page", "expand"],
)  # fmt: skip
def test_parameters_that_are_not_offered(name: str) -> None:
    found = issues(urlencode({name: "1"}))
    assert found.keys() == {name}
    assert "is not a parameter" in found[name]


@pytest.mark.parametrize(
    ("asked", "sort"),
    [
        ("year", (("year", 1), ("_id", 1))),
        ("-year", (("year", -1), ("_id", -1))),
        ("-year,title", (("year", -1), ("title", 1), ("_id", 1))),
        ("title,-year", (("title", 1), ("year", -1), ("_id", -1))),
        ("id", (("_id", 1),)),
        ("-id", (("_id", -1),)),
        ("year,-id", (("year", 1), ("_id", -1))),
        ("id,year", (("_id", 1),)),
        ("-isbn", (("isbn", -1),)),  # the key is unique: nothing after it can matter
        ("year,-isbn,title", (("year", 1), ("isbn", -1))),
    ],
)
def test_sorts(asked: str, sort: tuple[tuple[str, int], ...]) -> None:
    built = rules(sorts=["id", "year", "title", "isbn"])
    assert built.parse(f"sort={asked}".encode()).sort == sort


@pytest.mark.parametrize(
    "asked",
    ["", "-", ",", "year,", "year,year", "year,-year", "--year", "+year", " year", "_id", "nothing", "isbn", "YEAR"],
)
def test_sorts_that_are_not_offered(asked: str) -> None:
    assert issues(urlencode({"sort": asked})).keys() == {"sort"}


def test_at_most_five_sort_keys() -> None:
    built = rules(sorts=["year", "title", "isbn", "rating", "copies", "price"])
    assert len(built.parse(b"sort=year,title,price,rating,copies").sort) == 6
    with pytest.raises(Invalid, match="more than 5"):
        built.parse(b"sort=year,title,isbn,rating,copies,price")


@pytest.mark.parametrize(
    ("default", "key", "sort"),
    [
        ("", "isbn", (("isbn", 1),)),
        ("", "id", (("_id", 1),)),
        ("", "shown", (("shownAs", 1),)),
        ("-added_at,title", "isbn", (("added_at", -1), ("title", 1), ("_id", 1))),
    ],
)
def test_default_sorts(default: str, key: str, sort: tuple[tuple[str, int], ...]) -> None:
    built = rules(default_sort=default, key=key)
    assert built.parse(b"").sort == built.parse(b"year=1").sort == sort


@pytest.mark.parametrize(
    ("asked", "size"),
    [("1", 1), ("7", 7), ("20", 20), ("21", 20), ("0007", 7), ("99", 20), ("9" * 5000, 20), ("0" * 5000 + "3", 3)],
)
def test_page_sizes(asked: str, size: int) -> None:
    built = rules(page_size=10, max_page_size=20)
    assert built.parse(b"").page_size == 10
    assert built.parse(f"page_size={asked}".encode()).page_size == size


@pytest.mark.parametrize("asked", ["", "0", "000", "-1", "+1", "1.0", "1e1", " 1", "\u0665", "²", "ten", "1_0", "5\n"])
def test_page_sizes_that_are_none(asked: str) -> None:
    assert issues(urlencode({"page_size": asked})).keys() == {"page_size"}


def test_include() -> None:
    assert parse("include=etag").include_etag
    assert issues("include=ETag").keys() == {"include"}
    assert issues("include=etag&include=etag").keys() == {"include"}


def test_a_page_token_is_handed_on() -> None:
    assert parse("page_token=a.b.c").page_token == "a.b.c"


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = issues("year=x&nothing=1&sort=no&fields=no&page_size=0&include=x&title=a&title=b&tags=%00")
    assert found.keys() == {"year", "nothing", "sort", "fields", "page_size", "include", "title", "tags"}


def test_what_cannot_be_read_is_malformed() -> None:
    with pytest.raises(Malformed):
        parse("title=%ff")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("year=1&title=a", "title=a&year=1"),
        ("year__in=1&year__in=2", "year__in=2&year__in=1&year__in=1"),
        ("year=1", "year=1&page_size=5&fields=title&include=etag&page_token=x"),
        ("", "page_size=7"),
        ("year=1", "year=01"),
        ("", "sort=isbn"),
    ],
)
def test_pages_of_one_list_are_bound_alike(one: str, other: str) -> None:
    built = rules(sorts=["isbn"])
    assert built.parse(one.encode()).binding == built.parse(other.encode()).binding


def test_other_lists_are_bound_otherwise() -> None:
    asked = ["", "year=1", "year=2", "copies=1", "year__gt=1", "year__gte=1", "sort=year", "sort=-year", "title=1"]
    asked += ["sort=title", "year=1&sort=year", "title=year", "title__prefix=a", "title__contains=a", "rating=1"]
    bindings = [parse(query_string).binding for query_string in asked]
    bindings.append(rules(name="tomes").parse(b"").binding)
    assert len(set(bindings)) == len(asked) + 1


def calls(work: Callable[[], object]) -> int:
    """How many functions are called: what work costs, whatever else the machine does."""
    work()  # what is compiled at first use is compiled once
    events: list[str] = []
    sys.setprofile(lambda frame, event, argument: events.append(event))
    try:
        work()
    finally:
        sys.setprofile(None)
    return sum(event in ("call", "c_call") for event in events)


def test_a_query_string_costs_little() -> None:
    assert calls(lambda: RULES.parse(b"")) < 15
    assert calls(lambda: RULES.parse(b"year__gte=1990&title=abc&sort=-year&page_size=20")) < 120
    # Compiled once: what the resource offers does not matter.
    small = rules(filters=["year"], sorts=["year"])
    asked = b"year=1990&sort=-year"
    assert calls(lambda: RULES.parse(asked)) == calls(lambda: small.parse(asked))
