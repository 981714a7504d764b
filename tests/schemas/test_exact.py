"""JSON values that Python or Pydantic would make something else of are refused; what is meant is taken."""

import enum
import json
from collections import Counter, OrderedDict, deque
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from beanie import Document
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
    model_validator,
)

from regesta.errors import Invalid
from regesta.resource import Resource
from regesta.schemas import Codec, read_json


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Ratio(float, enum.Enum):
    HALF = 0.5
    WHOLE = 1.0


class Mixed(enum.Enum):
    ONE = 1
    WORD = "word"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Lenient(enum.StrEnum):
    A = "a"

    @classmethod
    def _missing_(cls, value: Any) -> "Lenient | None":
        return cls.A if value.lower() == "a" else None


class Tree(BaseModel):
    level: Level = Level.LOW
    below: "list[Tree | Level]" = []
    named: dict[Level, Level] = {}


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Inner(BaseModel):
    number: int = 0


class Holder(Document):
    """It keeps what it does not know; its fields are named as parts of Pydantic's schemas are."""

    model_config = ConfigDict(extra="allow")

    metadata: Inner = Inner()
    config: Inner = Inner()
    type: Literal[1] = 1


def codec_of(annotation: Any) -> Codec[Any]:
    model: Any = create_model("Model", __base__=Document, field=(annotation, ...))
    return Codec(Resource(model, name="models", key="id"), model)


def taken(annotation: Any, text: str) -> Any:
    body = f'{{"field": {text}}}'.encode()
    codec = codec_of(annotation)
    assert not codec.refused(read_json(body))
    document = codec.from_body(body)
    patched = codec.assembled(document, json.loads(body))
    assert patched.field == document.field
    return document.field


def refused(annotation: Any, text: str) -> set[str]:
    body = f'{{"field": {text}}}'.encode()
    codec = codec_of(annotation)
    with pytest.raises(Invalid) as caught:
        codec.from_body(body)
    with pytest.raises(Invalid) as once_more:
        codec.assembled(codec.document.model_construct(), json.loads(body))
    assert caught.value.issues == once_more.value.issues
    assert "object at 0x" not in str(caught.value.issues)
    return {issue.pointer.removeprefix("/field") for issue in caught.value.issues}


WRONG: list[tuple[Any, list[str]]] = [
    (datetime, ['"1700000000"', '"1700000000.5"', '"-5"', '"+5"', '"0"', '" 5 "', "1700000000", "true"]),
    (date, ['"86400"', '"0"', '"-86400"', "86400", '"2024-01-01T00:00:00Z"']),
    (time, ['"5"', '"3600"', '"0"', "3600"]),
    (timedelta, ['"5"', '"3600"', '"0"', "3600"]),
    (datetime | None, ['"1700000000"']),
    (Annotated[datetime, Field(gt=datetime(2020, 1, 1, tzinfo=UTC))], ['"1700000000"', '"2019-01-01T00:00:00Z"']),
    (Level, ["true", "1.0", '"1"', "3", "null", "[1]", "1.5"]),
    (Ratio, ["true", '"1.0"', "2"]),
    (Mixed, ["true", "1.0", '"1"', "2"]),
    (Rights, ["true", "false", "1.0", '"1"']),
    (Lenient, ["1", "true", "1.5", "[]", "{}", '"b"']),
    (Lenient | None, ["1"]),
    (Literal[1], ["true", "1.0", '"1"', "2"]),
    (Literal[1, "a"], ["true", "1.0", '"1"']),
    (Literal[True], ["1", "1.0", '"true"', "false"]),
    (Literal[0, True], ["1", "false", "1.0"]),
    (Literal[Level.LOW], ["true", "1.0", "2"]),
    (
        Decimal,
        ["12345678901234567.89", "0.12345678901234567", '"NaN"', '"Infinity"', '"1_000"', '" 5 "', r'"\u0661"', "true"],
    ),
    (float, ['"1.5"', '"NaN"', '"Infinity"', "true"]),
    (int, ['"5"', "1.0", "true", "1e2"]),
    (bool, ["0", "1", '"true"', "1.0"]),
    (str, ["1", "true"]),
    (bytes, ["1", "[1]"]),
    (UUID, ["5", '"5"', "true"]),
    (IPv4Address, ["16909060", "true", '"01.2.3.4"', '" 1.2.3.4"']),
    (IPvAnyAddress, ["16909060", "true", "0", '"1.2.3"']),
    (set[int], ["[true]", '["1"]', "[1.0]", "{}"]),
    (tuple[int, str], ["[1]", '[1, "a", 2]', '[true, "a"]']),
    (int | str, ["1.5", "true", "null"]),
    (Inner, ['{"number": "1"}', '{"number": true}', "[]", '{"other": 1}']),
]


@pytest.mark.parametrize(
    ("annotation", "text"),
    [pytest.param(kind, text, id=f"{kind}={text}") for kind, texts in WRONG for text in texts],
)
def test_what_is_meant_otherwise_is_refused(annotation: Any, text: str) -> None:
    assert refused(annotation, text)


TAKEN: list[tuple[Any, str, Any]] = [
    (datetime, '"2024-01-01T00:00:00Z"', datetime(2024, 1, 1, tzinfo=UTC)),
    (datetime | None, "null", None),
    (datetime | str, '"1700000000"', "1700000000"),
    (datetime | str, '"2024-01-01T00:00:00Z"', datetime(2024, 1, 1, tzinfo=UTC)),
    (str | datetime, '"2024-01-01T00:00:00Z"', "2024-01-01T00:00:00Z"),
    (list[datetime], '["2024-01-01T00:00:00Z"]', [datetime(2024, 1, 1, tzinfo=UTC)]),
    (date, '"2024-01-01"', date(2024, 1, 1)),
    (time, '"10:20:30"', time(10, 20, 30)),
    (timedelta, '"PT1H"', timedelta(hours=1)),
    (bytes, '"ab"', b"ab"),
    (set[date], '["2024-01-01", "2024-01-01"]', {date(2024, 1, 1)}),
    (frozenset[UUID], "[]", frozenset()),
    (tuple[date, set[Level]], '["2024-01-01", [1]]', (date(2024, 1, 1), {Level.LOW})),
    (tuple[Inner, ...], '[{"number": 1}]', (Inner(number=1),)),
    (deque[date], '["2024-01-01"]', deque([date(2024, 1, 1)])),
    (OrderedDict[int, date], '{"1": "2024-01-01"}', OrderedDict({1: date(2024, 1, 1)})),
    (Counter[str], '{"a": 1}', Counter("a")),
    (dict[timedelta, set[int]], '{"PT1H": [1]}', {timedelta(hours=1): {1}}),
    (Level, "1", Level.LOW),
    (Ratio, "1", Ratio.WHOLE),
    (Ratio, "0.5", Ratio.HALF),
    (Mixed, '"word"', Mixed.WORD),
    (Rights, "3", Rights.READ | Rights.WRITE),
    (Lenient, '"A"', Lenient.A),
    (Literal[1, "a"], "1", 1),
    (Literal[True], "true", True),
    (Literal[0, True], "0", 0),
    (Literal[1] | bool, "true", True),
    (Literal[Level.HIGH], "2", Level.HIGH),
    (Decimal, "1.25", Decimal("1.25")),
    (Decimal, "123456789012.345", Decimal("123456789012.345")),
    (Decimal, "9007199254740993", Decimal(9007199254740993)),
    (Decimal, '"-12345678901234567.89"', Decimal("-12345678901234567.89")),
    (Decimal, '"1e3"', Decimal("1e3")),
    (dict[int, int], '{"0": 1, "-1": 2, "10": 3}', {0: 1, -1: 2, 10: 3}),
    (dict[bool, int], '{"true": 1}', {True: 1}),
    (dict[Level, int], '{"1": 1}', {Level.LOW: 1}),
    (dict[date, int], '{"2024-01-01": 1}', {date(2024, 1, 1): 1}),
    (IPvAnyAddress, '"1.2.3.4"', IPv4Address("1.2.3.4")),
    (Tree, '{"below": [2, {"named": {"1": 2}}]}', Tree(below=[Level.HIGH, Tree(named={Level.LOW: Level.HIGH})])),
]


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [pytest.param(*case, id=f"{case[0]}={case[1]}") for case in TAKEN],
)
def test_what_is_meant_is_taken(annotation: Any, text: str, value: Any) -> None:
    found = taken(annotation, text)
    assert found == value
    assert type(found) is type(value)


class Looking(BaseModel):
    @model_validator(mode="before")
    @classmethod
    def same(cls, value: Any) -> Any:
        return value


def handled(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return handler(value)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    # Python's text is a better match for `str` than for anything else.
    [pytest.param(*case, id=f"{case[0]}={case[1]}") for case in TAKEN if case[0] != datetime | str],
)
def test_what_is_meant_is_taken_below_functions(annotation: Any, text: str, value: Any) -> None:
    """A function has a Python value and hands one on, of which Pydantic's strict mode takes less than of JSON."""
    for function in (WrapValidator(handled), BeforeValidator(lambda found, _: found)):
        assert taken(Annotated[annotation, function], text) == value
        assert taken(list[Annotated[annotation, function]], f"[{text}]") == [value]
    model: Any = create_model("Inner", __base__=Looking, field=(annotation, ...))
    assert taken(model, f'{{"field": {text}}}').field == value


@pytest.mark.parametrize(
    ("annotation", "text"),
    [pytest.param(kind, text, id=f"{kind}={text}") for kind, texts in WRONG for text in texts],
)
def test_what_is_meant_otherwise_is_refused_below_functions(annotation: Any, text: str) -> None:
    assert refused(Annotated[annotation, WrapValidator(handled)], text)


def test_collections_keep_their_rules() -> None:
    assert refused(Annotated[set[int], Field(max_length=1)], "[1, 2]") == {""}
    assert taken(Annotated[set[int], Field(max_length=1)], "[1, 1]") == {1}
    assert refused(Annotated[tuple[int, ...], Field(min_length=2)], "[1]") == {""}
    assert refused(set[Any], "[[1]]") == {""}
    assert refused(set[datetime], '["1700000000", 1]') == {"/0", "/1"}


def test_what_a_validator_makes_of_a_value_is_taken() -> None:
    def made(annotation: Any, value: Any) -> Any:
        return taken(Annotated[annotation, BeforeValidator(lambda _: value)], "0")

    for annotation, value in ((set[int], {1}), (tuple[int, ...], (1,)), (date, date(2024, 1, 1)), (bytes, b"a")):
        assert made(annotation, value) == value


KEYS: list[tuple[Any, list[str]]] = [
    (dict[int, int], ["01", "+1", " 1 ", "1_0", "-0", "x", "true"]),
    (dict[bool, int], ["1", "0", "yes", "True"]),
    (dict[Decimal, int], ["01", "1_0"]),
    (dict[Level, int], ["01", "+1", "3"]),
    (dict[datetime, int], ["1700000000", "0"]),
    (dict[date, int], ["0", "86400"]),
]


@pytest.mark.parametrize(
    ("annotation", "key"), [pytest.param(kind, key, id=f"{kind}={key}") for kind, keys in KEYS for key in keys]
)
def test_a_key_has_one_spelling(annotation: Any, key: str) -> None:
    """Of "1" and "01" one would take the place of the other."""
    assert refused(annotation, json.dumps({key: 1})) == {f"/{key}/[key]"}


def test_a_fault_deep_in_a_union_is_named_by_its_types() -> None:
    assert refused(Tree, '{"below": [{"named": {"01": true}}]}') == {
        "/below/0/Tree/named/01/[key]",
        "/below/0/Tree/named/01",
        "/below/0/int-enum[Level]",
    }


def test_names_of_fields_do_not_hide_them() -> None:
    codec = Codec(Resource(Holder, name="holders", key="id"), Holder)
    body = b'{"metadata": {"more": 1}, "config": {"more": 1}, "type": true, "free": 1}'
    assert not codec.refused(read_json(body))
    with pytest.raises(Invalid) as caught:
        codec.from_body(body)
    assert {issue.pointer for issue in caught.value.issues} == {"/metadata/more", "/config/more", "/type"}
