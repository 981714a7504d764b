"""A megabyte of faults costs no more than a megabyte without: neither is each one found, nor told."""

import json
from typing import Any

import pytest
from beanie import Document
from pydantic import BaseModel, ValidationError

from regesta.errors import Invalid
from regesta.resource import Resource
from regesta.schemas import Codec, read_json
from regesta.schemas.compiled import LARGE_BODY
from regesta.schemas.issues import MAX_ERRORS, MAX_ISSUES
from regesta.schemas.validator import BodyValidator


class Part(BaseModel):
    number: int = 0


class Whole(Document):
    texts: list[str] = []
    choices: list[int | list[int] | Part] = []
    parts: list[Part] = []
    pairs: tuple[int, ...] = ()
    unique: set[int] = set()
    named: dict[str, str] = {}
    deep: dict[str, list[int]] = {}
    part: Part = Part()
    free: dict[str, Any] = {}
    number: int = 0


CODEC = Codec(Resource(Whole, name="wholes", key="id"), Whole)
NAMES = [f"{number:x}" for number in range(100_000)]
LARGE: list[dict[str, Any]] = [
    {"texts": [1] * 300_000},
    {"choices": [""] * 200_000},
    {"parts": [{"number": ""}] * 60_000},
    {"pairs": [""] * 200_000},
    {"unique": [""] * 200_000},
    {"named": dict.fromkeys(NAMES, 1)},
    {"deep": {name: [""] for name in NAMES}},
]


def issues_in(tree: dict[str, Any]) -> Any:
    body = json.dumps(tree).encode()
    with pytest.raises(Invalid) as caught:
        _all_issues(body)
    return caught.value.issues


def _all_issues(body: bytes) -> None:
    if refused := CODEC.refused(read_json(body, 10**6)):
        raise Invalid.of(refused)
    CODEC.from_body(body)


@pytest.mark.parametrize("tree", LARGE, ids=[next(iter(tree)) for tree in LARGE])
def test_of_a_large_body_the_first_wrong_item_is_found(tree: dict[str, Any]) -> None:
    validator, body = BodyValidator(Whole, frozenset()), json.dumps({**tree, "number": "x"}).encode()
    with pytest.raises(ValidationError) as new:
        validator.validate(body)
    with pytest.raises(ValidationError) as patched:
        validator.validate_some(json.loads(body), {})
    assert new.value.error_count() == patched.value.error_count() <= 4
    fields = {next(iter(tree)), "number"}
    assert {issue.loc[1] for issue in issues_in({**tree, "number": "x"})} == fields


def test_an_ordinary_body_is_told_all() -> None:
    wrong = {"texts": [1, "", 2], "named": {"a": 1, "b": 2}, "parts": [{"number": ""}, {}, {"x": 1}], "number": ""}
    pointers = {"/texts/0", "/texts/2", "/named/a", "/named/b", "/parts/0/number", "/parts/2/x", "/number"}
    assert {issue.pointer for issue in issues_in(wrong)} == pointers
    assert len(issues_in({"texts": [1] * MAX_ISSUES})) == MAX_ISSUES
    assert len(json.dumps(wrong)) < LARGE_BODY


def test_what_is_left_out_is_counted() -> None:
    *listed, rest = issues_in({"texts": [1] * 1000})
    assert [issue.loc for issue in listed] == [("body", "texts", index) for index in range(MAX_ISSUES - 1)]
    assert (rest.loc, rest.type) == (("body",), "too_many_errors")
    assert f"{1000 - len(listed)} more" in rest.message


def test_unknown_fields_without_number() -> None:
    *listed, rest = issues_in(dict.fromkeys(NAMES, 1))
    assert len(listed) == MAX_ISSUES - 1
    assert f"{len(NAMES) - len(listed)} more" in rest.message
    (only,) = issues_in({"part": dict.fromkeys(NAMES, 1)})
    assert len(NAMES) > MAX_ERRORS
    assert (only.type, only.loc) == ("too_many_errors", ("body",))
    assert str(len(NAMES)) in only.message


@pytest.mark.parametrize("item", ["\0", {"": 1}, {"$a": 1}, 2**70, [[[["\0"]]]]], ids=repr)
def test_what_no_document_may_hold(item: Any) -> None:
    """The nested lists among them had looked through all faults found before."""
    issues = issues_in({"free": {"many": [item] * 20_000}})
    assert len(issues) == MAX_ISSUES
    assert issues[-1].type == "too_many_errors"
    assert len(issues_in({"free": {"few": [item] * 10}})) == 10
