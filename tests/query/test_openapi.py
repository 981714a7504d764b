"""What OpenAPI says about the parameters is what is accepted: no less, no more."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import jsonschema_rs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.query.documents import UNHURRIED, rules

from regesta.errors import Invalid

RULES = rules(sorts=["year", "title", "labels.family", "id"])
PARAMETERS = {parameter["name"]: parameter for parameter in RULES.openapi_parameters()}


def one(parameter: dict[str, Any]) -> dict[str, Any]:
    """The schema of one value."""
    schema: dict[str, Any] = parameter["schema"]
    return schema["items"] if schema["type"] == "array" else schema


# One parameter for each schema; a page token is judged by its signature too, an expression by its grammar.
BY_SCHEMA = {json.dumps(one(parameter)): name for name, parameter in PARAMETERS.items()}
ONCE = sorted(set(BY_SCHEMA.values()) - {"filter", "page_token"})


def accepted(name: str, *texts: str) -> bool:
    try:
        RULES.parse(urlencode([(name, text) for text in texts]).encode())
    except Invalid as error:
        if {issue.loc for issue in error.issues} != {("query", name)}:
            raise
        return False
    return True


def allowed(schema: dict[str, Any], text: str) -> bool:
    """Whether the schema allows the text, read as OpenAPI reads a parameter of the schema's type."""
    value: Any = text
    if schema["type"] != "string":
        try:
            value = json.loads(text, parse_constant=lambda _: text)
        except ValueError:
            return False
        if text != text.strip():
            return False
    return bool(jsonschema_rs.validator_for(schema, validate_formats=True).is_valid(value))


def matching(schema: dict[str, Any]) -> st.SearchStrategy[str]:  # noqa: PLR0911 - one for each type
    """Texts that the schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"]).map(lambda value: value if isinstance(value, str) else json.dumps(value))
    match schema["type"]:
        case "boolean":
            return st.sampled_from(["true", "false"])
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum")).map(str)
        case "number":
            return st.floats(allow_nan=False, allow_infinity=False).map(json.dumps)
    match schema.get("format"):
        case "uuid":
            return st.uuids().map(str)
        case "duration":
            return st.integers(0, 10**6).map(lambda seconds: f"PT{seconds}S")
        case "date":
            return st.dates().map(str)
        case "date-time":
            return st.datetimes().map(
                lambda moment: moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%S.%fZ")
            )
    longest = schema.get("maxLength", 10**9)
    pattern = schema["pattern"].removeprefix("^").removesuffix("$")
    return st.from_regex(f"(?:{pattern})", fullmatch=True).filter(lambda text: len(text) <= longest)


@pytest.mark.parametrize("name", ONCE)
@settings(UNHURRIED, max_examples=25)
@given(st.data())
def test_what_the_schema_allows_is_accepted(name: str, data: st.DataObject) -> None:
    schema = one(PARAMETERS[name])
    text = data.draw(matching(schema))
    assume(len(urlencode({name: text})) < 8000)
    assert allowed(schema, text)
    assert accepted(name, text)


NEARLY = st.sampled_from(
    [
        *("", "0", "-1", "1", "2", "5", "007", "1.5"),
        *("1e3", "1e999", "+1", " 1", "nan", "true", "True", "red"),
        *("Red", "null", "a\0b", "x" * 1000, "x" * 1001, "9223372036854775807", "9223372036854775808"),
        *("2024-02-30", "2024-02-29", "2024-02-29T10:00:00Z", "2024-02-29T10:00:00", "5eb7cf5a86d9755df3a6c593"),
        *("123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000", "soft", "etag", "year\n"),
        *("9" * 34, "9" * 35, "1." + "1" * 33, "1." + "1" * 34, "year,-year", "title,-year", "-labels.family"),
        *("labels.family,year,title,id", "title,decade", "revision_id", "year,title,", "author", "author,,tags"),
        *("year", "publisher.name", "-id,id", "labelsXfamily"),
    ]
)


def lax(schema: dict[str, Any], text: str) -> bool:
    """Where JSON Schema and the parameter differ on purpose."""
    zoneless = schema.get("format") == "date-time" and re.fullmatch(r"[-0-9]+T[:0-9]+", text)
    zeros = schema["type"] == "integer" and "enum" not in schema and re.fullmatch(r"-?0[0-9]+", text)
    whole = schema["type"] == "integer" and re.search(r"[.eE]", text)  # 1.0 is an integer to JSON Schema
    spelt = schema.get("format") == "uuid" and re.fullmatch("[0-9a-f]{32}", text)  # and so does a body
    clock = schema.get("format") == "duration" and re.match(r"[-+]?[0-9]", text)  # `1D` and `01:30:00`, as in a body
    vast = schema.get("format") == "double" and "e999" in text
    return bool(zoneless or zeros or whole or spelt or clock or vast)


@pytest.mark.parametrize("name", ONCE)
@settings(UNHURRIED, max_examples=60)
@given(NEARLY | st.text(max_size=5))
def test_what_the_schema_forbids_is_refused(name: str, text: str) -> None:
    schema = one(PARAMETERS[name])
    assume(not lax(schema, text))
    assert accepted(name, text) == allowed(schema, text)


def test_only_some_parameters_are_repeated() -> None:
    repeated = {name for name, parameter in PARAMETERS.items() if parameter["schema"]["type"] == "array"}
    assert repeated == {name for name in PARAMETERS if name.endswith(("__in", "__nin"))}
    for name in repeated:
        assert (PARAMETERS[name]["style"], PARAMETERS[name]["explode"]) == ("form", True)
    assert accepted("year__in", "1", "2")
    assert not accepted("year", "1", "2")


def test_the_schemas_of_some() -> None:
    assert PARAMETERS["year"]["schema"] == {
        "type": "integer",
        "format": "int64",
        "minimum": -(2**63),
        "maximum": 2**63 - 1,
    }
    assert PARAMETERS["added_at__gt"]["schema"] == {"type": "string", "format": "date-time"}
    assert PARAMETERS["colour"]["schema"] == {"type": "string", "enum": ["red", "blue"]}
    assert PARAMETERS["level__in"]["schema"]["items"] == {"type": "integer", "enum": [1, 2]}
    assert PARAMETERS["author"]["schema"] == {"type": "string", "format": "uuid"}
    assert PARAMETERS["page_size"]["schema"] == {"type": "integer", "minimum": 1, "default": 50}


def test_parameters_are_for_people_too() -> None:
    assert all(parameter["description"].endswith((".", "cover")) for parameter in PARAMETERS.values())
    assert "As on the cover" in PARAMETERS["title"]["description"]
    json.dumps(list(PARAMETERS.values()))


def test_a_parameter_object_can_be_changed_by_its_reader() -> None:
    RULES.openapi_parameters()[0]["schema"]["type"] = "broken"
    assert RULES.openapi_parameters()[0]["schema"]["type"] != "broken"
