"""Page tokens, positions and the conjunction of filters; what needs no database."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import DBRef, Decimal128, Int64, ObjectId
from bson.binary import Binary
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner
from tests.query.documents import UNHURRIED, rules

from regesta.errors import Malformed
from regesta.query import PageTokens, Query, and_filters, keyset_filter, position

RULES = rules(sorts=["year", "title", "id"])
QUERY = RULES.parse(b"sort=-year")
SCOPE = {"workspace": "mine"}
TOKENS = PageTokens(b"a secret")
OID = ObjectId("5eb7cf5a86d9755df3a6c593")
ROW = [1999, OID]


def refused(token: str, query: Query = QUERY, scope: Any = SCOPE, tokens: PageTokens = TOKENS) -> bool:
    try:
        tokens.read(query, scope, token)
    except Malformed as error:
        return error.code == "INVALID_PAGE_TOKEN"
    return False


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 0, -5, 2**62, 1.5, float("inf"), "", "text\0", "ü", OID, Decimal128("1.10"), b"\0"),
        *(
            datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC).replace(tzinfo=None),
            Binary(b"1" * 16, 4),
            Int64(7),
            "long " * 1000,
        ),
    ],
)
def test_values_come_back_as_they_were(value: Any) -> None:
    token = TOKENS.issue(QUERY, SCOPE, [value, OID])
    found, identity = TOKENS.read(QUERY, SCOPE, token)
    assert (found, identity) == (value, OID)
    assert isinstance(found, type(value)) or isinstance(value, int)


def test_a_uuid_comes_back_in_its_stored_form() -> None:
    value = uuid.uuid4()
    (found, _) = TOKENS.read(QUERY, SCOPE, TOKENS.issue(QUERY, SCOPE, [value, OID]))
    assert found == Binary.from_uuid(value)


def test_tokens_need_no_escaping_and_stay_short() -> None:
    token = TOKENS.issue(QUERY, SCOPE, ["ÿ?/+&=" * 2000, OID])
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    assert len(token) < 500
    assert RULES.parse(f"sort=-year&page_token={token}".encode()).page_token == token


def test_a_token_belongs_to_one_list() -> None:
    token = TOKENS.issue(QUERY, SCOPE, ROW)
    for other in ("", "sort=year", "sort=-year&year=1", "sort=-title"):
        assert refused(token, RULES.parse(other.encode()))
    assert refused(token, rules(name="tomes").parse(b"sort=-year"))
    assert refused(token, scope={})
    assert refused(token, scope={"workspace": "yours"})
    assert refused(token, scope={"workspace": "mine", "team": "a"})
    assert refused(token, tokens=PageTokens(b"another secret"))
    assert not refused(token, RULES.parse(b"page_size=5&sort=-year&fields=title"))


def test_the_order_and_type_of_a_scope() -> None:
    first = TOKENS.issue(QUERY, {"a": 1, "b": uuid.UUID(int=5)}, ROW)
    assert not refused(first, scope={"b": uuid.UUID(int=5), "a": 1})
    assert refused(first, scope={"b": str(uuid.UUID(int=5)), "a": 1})
    assert refused(first, scope={"a": "1", "b": uuid.UUID(int=5)})


def test_every_changed_character_is_noticed() -> None:
    token = TOKENS.issue(QUERY, SCOPE, ROW)
    for at, character in enumerate(token[:-1]):  # the last one carries bits that base64 does not use
        other = "A" if character != "A" else "B"
        assert refused(token[:at] + other + token[at + 1 :])
    assert refused(token[:-5])
    assert refused(token + "A")


@UNHURRIED
@given(st.text(max_size=40))
def test_no_text_of_a_strangers_is_a_token(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize("payload", [b"", b"0", b"1", b"0garbage", b"1garbage", b"zz", b"0\x05\0\0\0\0", b"!"])
def test_a_signed_payload_that_is_none(payload: bytes) -> None:
    signer = TOKENS._signer(QUERY, SCOPE)
    assert refused(signer.sign(payload).decode())


def test_a_payload_of_another_length() -> None:
    assert refused(TOKENS.issue(QUERY, SCOPE, [1]))
    assert refused(TOKENS.issue(QUERY, SCOPE, [1, 2, 3]))


@pytest.mark.parametrize(
    ("age", "good"),
    [
        (timedelta(hours=23, minutes=59), True),
        (timedelta(hours=24, minutes=1), False),
        (timedelta(minutes=-4), True),  # issued by a machine whose clock is ahead
        (timedelta(minutes=-6), False),
    ],
)
def test_tokens_expire(monkeypatch: pytest.MonkeyPatch, age: timedelta, good: bool) -> None:
    issued = int((datetime.now(UTC) - age).timestamp())
    with monkeypatch.context() as patched:
        patched.setattr(TimestampSigner, "get_timestamp", lambda self: issued)
        token = TOKENS.issue(QUERY, SCOPE, ROW)
    assert refused(token) is not good


def test_tokens_need_a_secret() -> None:
    with pytest.raises(ValueError, match="secret"):
        PageTokens(b"")


def test_positions() -> None:
    raw = {"_id": OID, "a": {"b": 1, "list": [1]}, "n": None, "link": DBRef("x", 7), "raw": {"$id": 8}}
    sort = [(path, 1) for path in ("a.b", "a.c", "a.b.c", "n", "no.thing", "link.$id", "raw.$id", "a.list.x", "_id")]
    assert position(raw, sort) == [1, None, None, None, None, 7, 8, None, OID]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], {}),
        ([{}, {}], {}),
        ([{"a": 1}], {"a": 1}),
        ([{"a": 1}, {}, {"b": 2}], {"a": 1, "b": 2}),
        ([{"a": 1}, {"a": 2}], {"$and": [{"a": 1}, {"a": 2}]}),
        ([{"a": 1}, {"b": 1}, {"a": 1}], {"$and": [{"a": 1}, {"b": 1}, {"a": 1}]}),
        ([{"$and": [1]}, {"$and": [2]}], {"$and": [{"$and": [1]}, {"$and": [2]}]}),
        ([{"$or": [1]}, {"a": 1}], {"$or": [1], "a": 1}),
    ],
)
def test_and_filters(filters: list[dict[str, Any]], found: dict[str, Any]) -> None:
    before = [dict(each) for each in filters]
    assert and_filters(*filters) == found
    assert filters == before


def test_a_conjunction_is_a_new_dict() -> None:
    given = {"a": 1}
    and_filters(given)["b"] = 2
    assert given == {"a": 1}


def test_positions_in_arrays_that_somebody_stored() -> None:
    """The first element in MongoDB's order, descending the last; null for what has nothing there."""
    raw = {"a": ["x", 5, None, OID, 2.5], "e": [], "sub": [{"n": 3}, {"n": Decimal128("7")}, {}], "deep": [[1]]}
    raw |= {"objects": [{"b": 1}, {"a": 2}, {"a": "x"}], "bytes": [b"b", b"aa", uuid.UUID(int=0)]}
    paths = ("a", "e", "sub.n", "deep", "objects", "bytes", "a.b")
    assert position(raw, [(path, 1) for path in paths]) == [None, [], None, [[1]], {"a": 2}, b"b", None]
    descending = position(raw, [(path, -1) for path in paths])
    assert descending == [OID, [], Decimal128("7"), [[1]], {"a": "x"}, uuid.UUID(int=0), None]


def test_the_shape_of_a_keyset() -> None:
    """One range of each key, without alternatives: MongoDB may not merge those."""
    (*nothing, last) = keyset_filter([("_id", 1)], [5])["$and"]
    assert last == {"_id": {"$not": {"$lte": 5}}}
    assert {"_id": {"$not": {"$eq": None}}} in nothing
    assert {"_id": {"$not": {"$lt": 5}}} in nothing
    (*nothing, either) = keyset_filter([("a", -1), ("_id", 1)], ["x", 5])["$and"]
    assert {"a": {"$not": {"$gt": "x"}}} in nothing
    assert {"a": {"$not": {"$gte": {}}}} in nothing
    later, tied = either["$or"]
    assert later == {"a": {"$not": {"$gte": "x"}}}
    assert tied["$and"][0] == {"a": {"$eq": "x"}}
    assert tied["$and"][-1] == {"_id": {"$not": {"$lte": 5}}}


@pytest.mark.parametrize(("sort", "values"), [([], []), ([("a", 1)], []), ([("a", 1)], [1, 2])])
def test_a_keyset_needs_a_value_for_each_key(sort: Any, values: Any) -> None:
    with pytest.raises(ValueError, match="one value for each"):
        keyset_filter(sort, values)
