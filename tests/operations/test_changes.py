"""The JSON Patch of an audit event: from one document to the other, in time that grows with them."""

import copy
from typing import Any

import jsonpatch
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regesta.operations.patches import MAX_OPERATIONS, changes_between

LEAVES = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([1.0, 0.0]) | st.sampled_from(["", "a", "b"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from("ab~/"), inner, max_size=4)
)
DOCUMENTS = st.dictionaries(st.sampled_from(["a", "b/c", "~d"]), VALUES, max_size=3)


def applied(changes: list[dict[str, Any]], before: dict[str, Any]) -> bytes:
    after = jsonpatch.apply_patch(copy.deepcopy(before), copy.deepcopy(changes))
    return orjson.dumps(after, option=orjson.OPT_SORT_KEYS)


@given(DOCUMENTS, DOCUMENTS)
def test_they_lead_from_one_document_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    changes = changes_between(before, after)
    assert applied(changes, before) == orjson.dumps(after, option=orjson.OPT_SORT_KEYS)
    assert {change["op"] for change in changes} <= {"add", "remove", "replace"}


@given(DOCUMENTS)
def test_nothing_leads_from_a_document_to_itself(document: dict[str, Any]) -> None:
    assert changes_between(document, copy.deepcopy(document)) == []


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ([1, 2, 3], [1, 2, 3, 4], [{"op": "add", "path": "/x/3", "value": 4}]),
        ([1, 2, 3], [0, 1, 2, 3], [{"op": "add", "path": "/x/0", "value": 0}]),
        ([1, 2, 3], [1, 3], [{"op": "remove", "path": "/x/1"}]),
        ([1, 1, 1], [1], [{"op": "remove", "path": "/x/2"}, {"op": "remove", "path": "/x/1"}]),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 3}], [{"op": "replace", "path": "/x/1/a", "value": 3}]),
        ([1], [True], [{"op": "replace", "path": "/x/0", "value": True}]),
        ({"k": {"l": 1}}, {"k": {}, "m": None}, [
            {"op": "remove", "path": "/x/k/l"}, {"op": "add", "path": "/x/m", "value": None},
        ]),
        ([], {}, [{"op": "replace", "path": "/x", "value": {}}]),
    ],
)  # fmt: skip
def test_only_what_changed_is_told(before: Any, after: Any, changes: list[dict[str, Any]]) -> None:
    assert changes_between({"x": before, "y": 1}, {"x": after, "y": 1}) == changes


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (list(range(100_000)), list(range(0, 100_000, 2))),
        ({f"k{number}": number for number in range(50_000)}, {f"l{number}": number for number in range(50_000)}),
        ([{"n": number} for number in range(50_000)], [{"n": -number} for number in range(50_000)]),
    ],
)
def test_of_much_that_changed_all_is_new(before: Any, after: Any) -> None:
    """Libraries that look for the shortest patch take minutes for this."""
    assert changes_between({"x": before}, {"x": after}) == [{"op": "replace", "path": "/x", "value": after}]


def test_as_many_operations_as_clients_may_send_are_told_one_by_one() -> None:
    before, after = dict.fromkeys(map(str, range(MAX_OPERATIONS)), 1), dict.fromkeys(map(str, range(MAX_OPERATIONS)), 2)
    assert len(changes_between({"x": before}, {"x": after})) == MAX_OPERATIONS
