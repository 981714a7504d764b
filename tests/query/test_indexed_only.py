"""`indexed_only=True`: what no index serves is refused; what is accepted, a real mongod serves by one."""

import itertools
import logging
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

import pytest
from beanie import Document, Indexed
from pymongo import ASCENDING, HASHED, IndexModel, MongoClient
from pymongo.collection import Collection

from regesta import DeclarationError, Parent, Resource
from regesta.errors import Invalid
from regesta.query import Query, QueryRules, and_filters, keyset_filter, position
from regesta.query.indexes import indexes

TENANT = {"team": "t1"}


class Shelf(Document):
    name: str


class Volume(Document):
    isbn: Annotated[str, Indexed(unique=True)]
    team: str
    shelf: str = ""
    title: str
    year: int
    month: int = 1
    place: str = ""
    tags: list[str] = []
    code: str = ""
    loose: str = ""
    rare: str | None = None
    seldom: str = ""

    class Settings:
        indexes: ClassVar = [
            [("team", 1), ("year", 1), ("_id", 1)],
            [("team", 1), ("year", -1), ("title", 1), ("_id", 1)],
            IndexModel([("team", 1), ("shelf", 1), ("place", ASCENDING), ("isbn", 1)]),
            [("month", 1)],
            [("team", 1), ("tags", 1)],
            [("code", HASHED)],
            IndexModel([("rare", 1), ("_id", 1)], sparse=True),
            IndexModel([("seldom", 1), ("_id", 1)], partialFilterExpression={"seldom": {"$gt": ""}}),
        ]


FILTERS = ["id", "isbn", "year", "title", "month", "place", "tags", "code", "loose", "rare", "seldom"]
SORTS = ["id", "isbn", "year", "title", "month", "place", "rare", "seldom"]
declared: Resource[Volume] = Resource(
    Volume, key="isbn", filters=FILTERS, sorts=SORTS, indexed_only=True, scope_fields=["team"]
)
RULES = QueryRules(declared)


def parsed(rules: QueryRules, *asked: tuple[str, str], **more: str) -> Query:
    return rules.parse(urlencode([*asked, *more.items()]).encode())


def refused(rules: QueryRules, **asked: str) -> str:
    with pytest.raises(Invalid) as caught:
        parsed(rules, **asked)
    (issue,) = caught.value.issues
    assert issue.loc == ("query", *asked)
    return issue.message


def test_only_what_begins_an_index_can_be_filtered_by() -> None:
    for name in ("title", "place", "loose", "seldom", "title__prefix"):
        assert refused(RULES, **{name: "a"}) == "no index serves it; there are id, isbn, year, month, tags, code, rare"
    assert "cannot be filtered by; it can by id, isbn, year" in refused(RULES, filter="title = a")
    shown = {parameter["name"] for parameter in RULES.openapi_parameters()}
    assert {"year", "year__gte", "tags", "code", "filter"} <= shown
    assert not shown & {"title", "title__prefix", "loose", "seldom"}


@pytest.mark.parametrize(
    "asked",
    [
        *({"year__ne": "1"}, {"year__nin": "1"}, {"year__exists": "false"}, {"isbn__contains": "a"}, {"code__gt": "a"}),
        *({"isbn__prefix": ""}, {"filter": "NOT year = 1"}, {"filter": "year != 1"},),
        *({"filter": "year = 1 OR isbn != a"}, {"filter": "isbn = '*a'"}, {"filter": "tags:*"}),
        {"filter": "NOT (year = 1 AND isbn = a)"},
        {"filter": "(year = 1 AND month = 2) OR (month != 1 AND NOT isbn = a)"},
    ],
)  # fmt: skip
def test_what_leaves_nearly_everything_is_refused_by_itself(asked: Mapping[str, str]) -> None:
    assert "is served by no index by itself: compare one of id, isbn, year" in refused(RULES, **asked)
    assert parsed(RULES, year="1", **asked).filter  # beside something that is served


def test_an_order_is_what_an_index_has() -> None:
    (shown,) = (parameter for parameter in RULES.openapi_parameters() if parameter["name"] == "sort")
    orders = shown["schema"]["enum"]
    assert {"isbn", "-isbn", "id", "-id", "year", "-year", "-year,title,id", "year,-title,-id"} <= set(orders)
    for wrong in ("month", "title", "year,title", "place", "rare", "seldom", "loose", ""):
        assert wrong not in orders
        assert "no index serves" in refused(RULES, sort=wrong)


def test_without_the_scope_its_fields_count_for_nothing() -> None:
    rules = QueryRules(Resource(Volume, key="isbn", filters=FILTERS, indexed_only=True))
    assert refused(rules, year="1") == "no index serves it; there are id, isbn, month, code, rare"


def test_the_parents_field_is_known_to_be_compared() -> None:
    above: Resource[Shelf] = Resource(Shelf, key="name", scope_fields=())
    nested = QueryRules(
        Resource(
            Volume,
            key="isbn",
            filters=FILTERS,
            indexed_only=True,
            parent=Parent(resource=above, field="shelf", stores="name"),
            scope_fields=["team"],
        )
    )
    assert parsed(nested, place="a").filter == {"place": {"$eq": "a"}}
    assert parsed(nested, sort="-place,-isbn").sort == (("place", -1), ("isbn", -1))
    assert refused(nested, sort="place,-isbn")


def test_what_is_listed_for_nothing_is_told_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "regesta.query"):
        QueryRules(declared)
    said = [record.getMessage() for record in caplog.records]
    for name in ("title", "place", "loose", "seldom"):
        assert any(f"resource 'volumes': no index serves the filter '{name}', so it is refused" in one for one in said)
    assert any("the sort 'month'" in one and "ends with `_id`" in one for one in said)
    assert len(said) == 9
    caplog.clear()
    QueryRules(Resource(Volume, key="isbn", filters=FILTERS, sorts=SORTS))
    QueryRules(Resource(Volume, key="isbn", filters=["isbn"], sorts=["isbn"], indexed_only=True))
    assert not caplog.records
    QueryRules(Resource(Volume, key="title", filters=[], sorts=[], indexed_only=True))
    assert "no index serves the default sort" in caplog.text


def test_without_the_option_nothing_is_refused() -> None:
    rules = QueryRules(Resource(Volume, key="isbn", filters=FILTERS, sorts=SORTS))
    assert parsed(rules, loose="a", sort="month,title", year__ne="1", filter="NOT title = a").filter


def test_scope_fields_are_fields() -> None:
    with pytest.raises(DeclarationError, match="scope_fields"):
        Resource(Volume, scope_fields=["tenant"])


@pytest.fixture(scope="module")
def collection(mongod_uri: str) -> Iterator[Collection[Any]]:
    with MongoClient[Any](mongod_uri) as client:
        rows = client["test_indexed_only"]["volumes"]
        rows.insert_many(
            {
                "isbn": f"{number:04}",
                "team": f"t{number % 2}",
                "shelf": f"s{number % 5}",
                "title": f"t{number % 31}",
                "year": 1900 + number % 50,
                "month": number % 12,
                "place": f"p{number % 7}",
                "tags": [f"g{number % 9}"],
                "code": f"c{number}",
                "loose": "l",
                "seldom": "s",
            }
            | ({"rare": f"r{number}"} if number % 3 else {})
            for number in range(1000)
        )
        for index in indexes(Volume):
            rows.create_index(list(index.keys), **index.options)
        yield rows
        client.drop_database("test_indexed_only")


def stages(collection: Collection[Any], filter_: Mapping[str, Any], sort: Any) -> set[str]:
    plan = collection.find(and_filters(TENANT, filter_)).sort(list(sort)).limit(51).explain()
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("stage"), str):
                found.add(node["stage"])
            for below in node.values():
                walk(below)
        elif isinstance(node, list):
            for below in node:
                walk(below)

    walk(plan["queryPlanner"]["winningPlan"])
    assert found
    return found


VALUES = {"id": "65a000000000000000000001", "year": "1910", "month": "3", "isbn": "0010", "tags": "g1", "code": "c7"}
ASKED = [
    (name, VALUES.get(name.partition("__")[0], "r1"))
    for name in ("id", "isbn", "year", "month", "tags", "code", "rare")
    for name in (name, f"{name}__gte", f"{name}__lt", f"{name}__in", f"{name}__prefix")
]


def accepted() -> Iterator[tuple[str, str]]:
    for name, value in ASKED:
        try:
            parsed(RULES, (name, value))
        except Invalid:
            continue
        yield name, value
    yield "filter", "year = 1910 OR isbn = 0010 OR (tags:g1 AND year != 1912)"
    yield "filter", "year >= 1910 AND NOT month = 2"
    yield "filter", "isbn = '00*' OR rare = r1"


def test_no_accepted_filter_looks_at_the_whole_collection(collection: Collection[Any]) -> None:
    tried = list(accepted())
    assert len(tried) > 20
    for asked in tried:
        query = parsed(RULES, asked)
        assert "COLLSCAN" not in stages(collection, query.filter, query.sort), asked


def test_no_accepted_order_is_made_in_memory(collection: Collection[Any]) -> None:
    (shown,) = (parameter for parameter in RULES.openapi_parameters() if parameter["name"] == "sort")
    for order in shown["schema"]["enum"]:
        query = parsed(RULES, sort=order)
        assert not stages(collection, {}, query.sort) & {"COLLSCAN", "SORT"}, order
        # and on the pages after the first
        last = next(iter(collection.find(TENANT).sort(list(query.sort)).skip(300)))
        after = keyset_filter(query.sort, position(last, query.sort))
        assert not stages(collection, after, query.sort) & {"COLLSCAN", "SORT"}, order


def test_what_is_refused_would_have_cost_that(collection: Collection[Any]) -> None:
    """The rule refuses what deserves it: the control of the tests above."""
    plain = QueryRules(Resource(Volume, key="isbn", filters=FILTERS, sorts=SORTS))
    for order, sign in itertools.product(("month", "title", "place"), ("", "-")):
        assert "SORT" in stages(collection, {}, parsed(plain, sort=f"{sign}{order}").sort)
    for asked in ({"loose": "a"}, {"title": "a"}):
        found = collection.find(parsed(plain, **asked).filter).explain()["queryPlanner"]["winningPlan"]
        assert found["stage"] == "COLLSCAN"
