"""The strict reading of query strings."""

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.query.documents import UNHURRIED

from regesta.errors import Invalid, Malformed
from regesta.query import Parameter, flag, openapi_parameters, parse_parameters
from regesta.query.parameters import MAX_BYTES, MAX_PARAMETERS, MAX_VALUES


def read_letters(text: str) -> str:
    if not text.isalpha():
        raise ValueError("must be letters")
    return text.upper()


ALLOWED = {
    "word": Parameter(read_letters, {"type": "string"}, "One word"),
    "words": Parameter(read_letters, {"type": "string"}, many=True),
    "cascade": flag("All of it"),
    "text": Parameter(str, {"type": "string"}),
}


def issues(query_string: bytes) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        parse_parameters(query_string, ALLOWED)
    assert all(issue.loc[0] == "query" for issue in caught.value.issues)
    return {".".join(map(str, issue.loc[1:])): issue.type for issue in caught.value.issues}


def test_nothing_is_asked() -> None:
    assert parse_parameters(b"", ALLOWED) == {}
    assert parse_parameters(b"&&", ALLOWED) == {}


def test_values_are_read() -> None:
    asked = parse_parameters(b"word=ab&words=b&words=a&words=b&cascade=true", ALLOWED)
    assert asked == {"cascade": True, "word": "AB", "words": ["A", "B"]}


def test_the_order_of_parameters_does_not_matter() -> None:
    one = parse_parameters(b"word=a&text=b&words=x&words=y", ALLOWED)
    other = parse_parameters(b"words=y&text=b&words=x&word=a", ALLOWED)
    assert list(one.items()) == list(other.items())


@UNHURRIED
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_every_text_comes_through(text: str) -> None:
    for query_string in (f"text={quote(text, safe='')}", urlencode({"text": text})):
        if len(query_string) <= MAX_BYTES:
            assert parse_parameters(query_string.encode(), ALLOWED) == {"text": text}


@pytest.mark.parametrize(
    "query_string",
    [b"text=%ff", b"%ff=1", b"text=\xff", b"text=%", b"text=%4", b"text=%zz", b"text=%ED%A0%80", b"text=%C0%80"],
)
def test_what_cannot_be_decoded_is_malformed(query_string: bytes) -> None:
    with pytest.raises(Malformed):
        parse_parameters(query_string, ALLOWED)


@pytest.mark.parametrize(
    ("query_string", "found"),
    [
        (b"wort=a", {"wort": "unknown_parameter"}),
        (b"word[$ne]=a", {"word[$ne]": "unknown_parameter"}),
        (b"Word=a", {"Word": "unknown_parameter"}),
        (b"=a", {"": "unknown_parameter"}),
        (b"word=a&word=a", {"word": "repeated_parameter"}),
        (b"word=a&wo%72d=b", {"word": "repeated_parameter"}),
        (b"text=a%00b", {"text": "nul_character"}),
        (b"words=a&words=%00", {"words": "nul_character"}),
        (b"word=1", {"word": "value_error"}),
        (b"word", {"word": "value_error"}),
        (b"words=a&words=1", {"words": "value_error"}),
        (b"cascade=1", {"cascade": "value_error"}),
        (b"cascade=True", {"cascade": "value_error"}),
        (b"word=1&cascade=x&b=1", {"word": "value_error", "cascade": "value_error", "b": "unknown_parameter"}),
    ],
)
def test_everything_that_is_wrong_is_said_at_once(query_string: bytes, found: dict[str, str]) -> None:
    assert issues(query_string) == found


def test_a_misspelt_name_gets_a_hint() -> None:
    with pytest.raises(Invalid, match="did you mean 'cascade'"):
        parse_parameters(b"cascad=true", ALLOWED)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("yaer__gte", "; did you mean 'year__gte'?"),
        ("year__get", "; did you mean 'year__gte'?"),
        ("title__gte", "; it takes id, year, sort"),
    ],
)
def test_an_operator_in_common_is_no_likeness(name: str, hint: str) -> None:
    allowed = dict.fromkeys(("id", "id__gte", "year", "year__gte", "sort"), flag())
    with pytest.raises(Invalid) as caught:
        parse_parameters(f"{name}=1".encode(), allowed)
    assert caught.value.issues[0].message == f"is not a parameter of this operation{hint}"


def test_a_summary_counts_the_other_issues() -> None:
    for more, said in ((b"", ""), (b"&x=1", " (and 1 more issue)"), (b"&x=1&y=1", " (and 2 more issues)")):
        with pytest.raises(Invalid) as caught:
            parse_parameters(b"cascade=yes" + more, {"cascade": flag()})
        assert caught.value.detail.endswith(f"must be true or false{said}")


def test_hints_do_not_cost_a_server_its_time() -> None:
    allowed = {f"{letter}{number}__contains": flag() for letter in "abcdef" for number in range(200)}
    many = "&".join(f"{number}x__contain=1" for number in range(MAX_PARAMETERS)).encode()
    with pytest.raises(Invalid) as caught:
        parse_parameters(many, allowed)
    hinted = [issue for issue in caught.value.issues if "did you mean" in issue.message]
    assert len(caught.value.issues) == MAX_PARAMETERS
    assert len(hinted) <= 3


def test_a_long_name_is_not_repeated_in_full() -> None:
    (name,) = issues(b"x" * 5000 + b"=1")
    assert len(name) < 100


@pytest.mark.parametrize(
    ("query_string", "where", "type"),
    [
        (b"text=" + b"a" * MAX_BYTES, "", "too_long"),
        (b"&".join(b"p%d=1" % number for number in range(MAX_PARAMETERS + 1)), "", "too_many"),
        (b"&".join(b"words=a" for _ in range(MAX_VALUES + 1)), "words", "too_many"),
    ],
)
def test_there_are_limits(query_string: bytes, where: str, type: str) -> None:
    assert issues(query_string) == {where: type}


def test_the_limits_themselves_are_allowed() -> None:
    text = b"a" * (MAX_BYTES - len(b"text="))
    assert parse_parameters(b"text=" + text, ALLOWED) == {"text": text.decode()}
    assert parse_parameters(b"&".join([b"words=a"] * MAX_VALUES), ALLOWED) == {"words": ["A"]}


def test_openapi_shows_them() -> None:
    word, words, cascade, _ = openapi_parameters(ALLOWED)
    assert word == {
        "name": "word",
        "in": "query",
        "required": False,
        "description": "One word",
        "schema": {"type": "string"},
    }
    assert (words["style"], words["explode"]) == ("form", True)
    assert words["schema"] == {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 100}
    assert cascade["schema"] == {"type": "boolean"}
