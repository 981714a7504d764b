"""Which texts stand for a value of which kind, and what is then looked for."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from beanie import Document
from bson import Binary, Decimal128, ObjectId
from hypothesis import given
from hypothesis import strategies as st
from tests.query.documents import UNHURRIED, Level, rules

from regesta.errors import Invalid
from regesta.query import QueryRules
from regesta.resource import Resource

RULES = rules()


def moment(*parts: int) -> datetime:
    """In UTC without saying so, as it is stored."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[arg-type,misc]


def asked(name: str, text: str) -> Any:
    """What the filter `name=text` compares with."""
    (condition,) = RULES.parse(urlencode({name: text}).encode()).filter.values()
    assert list(condition) == ["$eq"]
    return condition["$eq"]


UUID_TEXT = "123e4567-e89b-12d3-a456-426614174000"
ID_TEXT = "5eb7cf5a86d9755df3a6c593"
LATEST = datetime.max.replace(tzinfo=UTC).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("year", "0", 0),
        ("year", "-5", -5),
        ("year", "007", 7),
        ("year", "9223372036854775807", 2**63 - 1),
        ("year", "-9223372036854775808", -(2**63)),
        ("copies", "0", 0),  # constraints are for documents
        ("rating", "1", 1.0),
        ("rating", "-1.5e3", -1500.0),
        ("rating", "1E+2", 100.0),
        ("weight", "9007199254740993", 2**53 + 1),
        ("weight", "1.5", 1.5),
        ("price", "1.50", Decimal128("1.50")),
        ("price", "-0.1", Decimal128("-0.1")),
        ("price", "9" * 34, Decimal128("9" * 34)),
        ("price", "1E+5", Decimal128("1E+5")),  # as it is shown
        ("price", "1e3", Decimal128("1e3")),
        ("price", ".5", Decimal128("0.5")),
        ("price", "+1.", Decimal128("1")),
        ("price", "0E-10", Decimal128("0E-10")),
        ("price", "1" + "0" * 33 + "E-6000", Decimal128("1" + "0" * 33 + "E-6000")),
        ("price", "NaN", Decimal128("NaN")),
        ("price", "-Infinity", Decimal128("-Infinity")),
        ("lasts", "PT1H30M", 5400.0),
        ("lasts", "-P1DT0.5S", -86400.5),
        ("sold", "true", True),
        ("sold", "false", False),
        ("colour", "red", "red"),
        ("level", "2", 2),
        ("binding", "soft", "soft"),
        ("title", "", ""),
        ("title", "a", "a"),
        ("title", " $name ", " $name "),
        ("title", "$$ROOT", "$$ROOT"),
        ("title", '{"$ne": null}', '{"$ne": null}'),
        ("home", "https://example.org/", "https://example.org/"),
        ("host", "127.0.0.1", "127.0.0.1"),
        ("shownAs", "x", "x"),
        ("tags", "x", "x"),
        ("labels.family", "llm", "llm"),
        ("publisher.city", "", ""),
        ("chapters.pages", "5", 5),
        ("id", ID_TEXT, ObjectId(ID_TEXT)),
        ("cover", ID_TEXT.upper(), ObjectId(ID_TEXT)),
        ("code", UUID_TEXT, Binary(bytes.fromhex(UUID_TEXT.replace("-", "")), 4)),
        ("code", UUID_TEXT.upper(), Binary(bytes.fromhex(UUID_TEXT.replace("-", "")), 4)),
        *[
            ("code", text, Binary(bytes.fromhex(UUID_TEXT.replace("-", "")), 4))
            for text in (UUID_TEXT.replace("-", ""), f"{{{UUID_TEXT}}}", f"urn:uuid:{UUID_TEXT}")
        ],
        ("author", UUID_TEXT, Binary(bytes.fromhex(UUID_TEXT.replace("-", "")), 4)),
        ("published", "2024-02-29", moment(2024, 2, 29)),
        ("added_at", "2024-01-02T03:04:05Z", moment(2024, 1, 2, 3, 4, 5)),
        ("added_at", "2024-01-02t03:04:05z", moment(2024, 1, 2, 3, 4, 5)),
        ("added_at", "2024-01-02T03:04:05", moment(2024, 1, 2, 3, 4, 5)),
        ("added_at", "2024-01-02T03:04:05.6789+02:00", moment(2024, 1, 2, 1, 4, 5, 678000)),
        ("added_at", "2024-01-02 03:04:05", moment(2024, 1, 2, 3, 4, 5)),
        ("added_at", "2024-01-02T03:04Z", moment(2024, 1, 2, 3, 4)),
        ("added_at", "2024-01-02T03:04:05,5+0200", moment(2024, 1, 2, 1, 4, 5, 500000)),
        ("added_at", "2016-12-31T23:59:60Z", moment(2017, 1, 1)),
        ("added_at", "0001-01-01T00:00:00+01:00", moment(1, 1, 1)),
        ("added_at", "9999-12-31T23:59:59-01:00", LATEST),
        ("added_at", "9999-12-31T23:59:60Z", LATEST),
    ],
)
def test_texts_that_stand_for_values(name: str, text: str, value: Any) -> None:
    found = asked(name, text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("year", ["", " 5", "5 ", "5\n", "+5", "5.0", "1_0", "0x1", "\u0665", "1e3", "--1", "9223372036854775808", "9" * 5000]),  # noqa: E501
        ("rating", ["", "nan", "NaN", "inf", "-Infinity", "1e999", ".5", "1.", "01", "1_0", "+1", "1e", "\u0665"]),
        ("weight", ["", "nan", "1e999", "x", "1_0"]),
        ("price", ["", "nan", "1e9999", "1E 5", "9" * 35, "1." + "0" * 34, ".", "1.5\n", "\u0665"]),
        ("sold", ["", "1", "0", "True", "TRUE", "yes", "on", "null", "true\n"]),
        ("colour", ["", "RED", "green", "Colour.RED", "red "]),
        ("level", ["", "3", "LOW", "01", "1.0"]),
        ("id", ["", "1", ID_TEXT[:-1], ID_TEXT + "0", ID_TEXT + "\n", "g" * 24]),
        ("code", ["", UUID_TEXT + "\n", f"({UUID_TEXT})", UUID_TEXT[:-1]]),
        ("lasts", ["", "3600", "PT", "1", "PT1H\n"]),
        ("author", ["", ID_TEXT, "x"]),
        ("published", ["", "2023-02-29", "20240101", "2024-1-1", "2024-W01-1", "2024-01-01T00:00:00Z", "1700000000"]),
        (
            "added_at",
            ["", "2024-01-01", "1700000000", "2024-01-01T24:00:00Z",
             "2024-01-01T00:60:00Z", "2024-01-01T00:00:61Z", "2024-13-01T00:00:00Z", "0000-01-01T00:00:00Z",
             "2024-01-01T00:00:00+24:00",
             "2024-01-01T00:00:00 01:00", "20240101T000000Z", "2024-01-01T00:00:00Z\n", "\u0662024-01-01T00:00:00Z"],
        ),
        ("title", ["x" * 1001, "a\0b"]),
    ],
)  # fmt: skip
def test_texts_that_stand_for_nothing(name: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(Invalid) as caught:
            RULES.parse(urlencode({name: text}).encode())
        (issue,) = caught.value.issues
        assert issue.loc == ("query", name)


def test_a_zone_whose_plus_became_a_space_gets_a_hint() -> None:
    with pytest.raises(Invalid, match="%2B"):
        RULES.parse(b"added_at__gt=2024-01-01T00:00:00+01:00")


@UNHURRIED
@given(st.integers(-(2**63), 2**63 - 1))
def test_every_integer_is_itself(value: int) -> None:
    assert asked("year", str(value)) == value


@UNHURRIED
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_itself(value: float) -> None:
    assert asked("rating", repr(value)) == value


@UNHURRIED
@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**27), max_value=10**27))
def test_every_decimal_is_itself(value: Decimal) -> None:
    assert asked("price", f"{value:f}").to_decimal() == value


@UNHURRIED
@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])))
def test_every_moment_is_itself_to_the_millisecond(value: datetime) -> None:
    found = asked("added_at", value.isoformat()).replace(tzinfo=UTC)
    in_range = datetime.min.replace(tzinfo=UTC) + timedelta(days=1) < value
    assert not in_range or timedelta() <= value - found < timedelta(milliseconds=1)


@UNHURRIED
@given(st.dates())
def test_every_day_is_its_midnight(value: date) -> None:
    assert asked("published", value.isoformat()) == moment(value.year, value.month, value.day)


def test_the_documents_encoders_are_used() -> None:
    class Priced(Document):
        price: Decimal
        level: Level
        at: datetime

        class Settings:
            bson_encoders = {Decimal: str, Level: lambda level: level.name, datetime: datetime.isoformat}

    found = QueryRules(Resource(Priced, filters=["price", "level", "at"])).parse(
        b"price=1.50&level=1&at=2024-01-01T00:00:00Z"
    )
    assert found.filter == {
        "at": {"$eq": "2024-01-01T00:00:00+00:00"},
        "level": {"$eq": "LOW"},
        "price": {"$eq": "1.50"},
    }
