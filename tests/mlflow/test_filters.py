"""Filters: whatever is sent, it is understood or refused; and what they mean to MongoDB."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regesta_mlflow.errors import Refusal
from regesta_mlflow.filters import MODELS, VERSIONS, Comparison, comparisons
from regesta_mlflow.searches import filter_of

PIECES = st.sampled_from(
    [
        *("name", "tags.k", "tag.`a b`", "run_id", "=", "!=", "LIKE", "IN", "NOT", "AND", "OR", "'x'", '"y"', "5"),
        *("(", ")", ",", ";", " ", "'", "`", ".", "version_number", "<", "TRUE", "\n", "%", "é"),
    ]
)


@given(st.lists(PIECES, max_size=12).map(" ".join) | st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=30))
def test_anything_is_understood_or_refused(text: str) -> None:
    for searched in (MODELS, VERSIONS):
        try:
            comparisons(text, searched)
        except Refusal:
            continue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name='a'", Comparison("name", "=", "a")),
        ("attribute.name LIKE\t'a%'", Comparison("name", "LIKE", "a%")),
        ("tags.a.b = 'x'", Comparison("a.b", "=", "x", tag=True)),
        ('tag.`a b` ilike "X"', Comparison("a b", "ILIKE", "X", tag=True)),
        ("version_number >= '2'", Comparison("version_number", ">=", 2)),
        ("run_id not   in ('a' , \"b\")", Comparison("run_id", "NOT IN", ("a", "b"))),
        ("name = 'AND name = ;'", Comparison("name", "=", "AND name = ;")),
    ],
)
def test_a_comparison(text: str, expected: Comparison) -> None:
    assert comparisons(text, VERSIONS) == (expected,)


def test_several_are_joined_by_and() -> None:
    found = comparisons("name = 'a' AND tags.in = 'b' and run_id IN ('c') AND", VERSIONS)
    assert [one.field for one in found] == ["name", "in", "run_id"]


@pytest.mark.parametrize(
    ("pattern", "found", "not_found"),
    [
        ("a%", ["a", "ab", "a\nb"], ["A", "ba"]),
        ("%b", ["b", "ab"], ["bc", "b\n"]),
        ("a_c", ["abc", "a\nc"], ["ac", "abbc"]),
        ("a.c", ["a.c"], ["abc"]),
        ("%", ["", "x"], []),
        ("a[b%", ["a[b", "a[bc"], ["ab"]),
        ("$^%", ["$^x"], ["x"]),
    ],
)
def test_like(pattern: str, found: list[str], not_found: list[str]) -> None:
    condition: dict[str, Any] = filter_of([Comparison("name", "LIKE", pattern)], "name")["name"]

    def matches(text: str) -> bool:
        if "$eq" in condition:
            return bool(condition["$eq"] == text)
        return bool(re.search(condition["$regex"], text, re.DOTALL))

    assert all(matches(text) for text in found)
    assert not any(matches(text) for text in not_found)


def test_too_much_is_refused() -> None:
    with pytest.raises(Refusal, match="at most 10 gaps"):
        filter_of([Comparison("name", "LIKE", "%a" * 11)], "name")
    assert filter_of([Comparison("name", "LIKE", "a" + "%" * 100)], "name")["name"]["$regex"] == "^a"
    with pytest.raises(Refusal, match="longer than"):
        comparisons("name = '" + "x" * 20_000 + "'", MODELS)
    with pytest.raises(Refusal, match="more than 100"):
        comparisons(" AND ".join(["name != 'a'"] * 101), MODELS)
