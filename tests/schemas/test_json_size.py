"""How many values a text has, without parsing it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regesta.errors import Malformed, TooLarge
from regesta.schemas import check_value_count, has_more_values, read_json, value_count

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def values_in(value: Any) -> int:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(values_in, below))


def empties_in(value: Any) -> int:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(empties_in, below)) + (isinstance(value, (dict, list)) and not value)


@given(JSON, st.integers(min_value=0, max_value=40))
def test_values_are_counted_whatever_stands_in_texts(value: Any, most: int) -> None:
    text = json.dumps(value).encode()
    exact = values_in(value) + empties_in(value)

    assert value_count(text) == exact
    assert not has_more_values(text, exact)
    assert has_more_values(text, most) is (exact > most and len(text) > 2 * most)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"[]," * 50_000 + b"0]",
        b"[" + b"1," * 50_000 + b"1]",
        b'["' + b'","' * 50_000 + b'"]',
        b'{"a":"' + b'","a":"' * 60_000 + b'"}',
        b'["\\\\",' + b"1," * 50_000 + b'"\\""]',
    ],
    ids=["arrays", "numbers", "texts", "members", "escapes"],
)
def test_more_values_than_a_body_may_have_are_refused_before_they_are_parsed(body: bytes) -> None:
    with pytest.raises(TooLarge) as refused:
        read_json(body)

    assert refused.value.code == "TOO_MANY_VALUES"


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'], ids=["arrays", "objects"])
def test_a_text_that_is_nested_too_deeply_cannot_be_read(bracket: bytes) -> None:
    with pytest.raises(Malformed):
        read_json(bracket * 100_001)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * 49_998 + b"1]",
        b'"' + b"{[,:" * 250_000 + b'"',
        b'"' + b'\\",' * 250_000 + b'"',
        b'"' + b"\\\\," * 250_000 + b'"',
        json.dumps(["[," * 100] * 20_000).encode(),
        b"[" + b" " * 1_000_000 + b"1]",
    ],
    ids=["numbers", "braces", "quotes", "backslashes", "many texts", "spaces"],
)
def test_what_looks_like_many_values_and_is_not_is_read(body: bytes) -> None:
    check_value_count(body)

    assert read_json(body) == json.loads(body)
