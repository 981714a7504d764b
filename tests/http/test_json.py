"""Bodies that cannot be read (400), and JSON that no document may hold (422)."""

import json
from typing import Any

import pytest

from .asking import JSON, MERGE, PATCH, Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAYS = [
    pytest.param("POST", "/books", JSON, id="post"),
    pytest.param("PUT", "/books/seed", JSON, id="put"),
    pytest.param("PATCH", "/books/seed", MERGE, id="merge"),
    pytest.param("PATCH", "/books/seed", PATCH, id="patch"),
]

WHOLE = '{"isbn": "n", "title": "T"}'

UNREADABLE: list[tuple[str, str, bytes]] = [
    ("empty", "EMPTY_BODY", b""),
    ("blank", "INVALID_JSON", b" \n"),
    ("no_json", "INVALID_JSON", b"hello"),
    ("single_quotes", "INVALID_JSON", b"{'title': 'T'}"),
    ("unquoted_key", "INVALID_JSON", b'{title: "T"}'),
    ("comment", "INVALID_JSON", b'{"title": "T"} // hush'),
    ("trailing_comma", "INVALID_JSON", b'{"title": "T",}'),
    ("cut", "INVALID_JSON", b'{"title": "T"'),
    ("cut_in_text", "INVALID_JSON", b'{"title": "hush'),
    ("two_values", "INVALID_JSON", b'{"title": "T"} {"title": "U"}'),
    ("control_character", "INVALID_JSON", b'{"title": "a\x01b"}'),
    ("raw_line_break", "INVALID_JSON", b'{"title": "a\nb"}'),
    ("bad_escape", "INVALID_JSON", b'{"title": "\\x41"}'),
    ("leading_zero", "INVALID_JSON", b'{"year": 007}'),
    ("leading_plus", "INVALID_JSON", b'{"year": +7}'),
    ("hexadecimal", "INVALID_JSON", b'{"year": 0x10}'),
    ("duplicate", "DUPLICATE_JSON_KEY", b'{"title": "T", "title": "T"}'),
    ("duplicate_below", "DUPLICATE_JSON_KEY", b'{"title": "T", "meta": {"a": [{"b": 1, "c": 2, "b": 3}]}}'),
    ("duplicate_escaped", "DUPLICATE_JSON_KEY", b'{"title": "T", "t\\u0069tle": "U"}'),
    ("duplicate_surrogate", "DUPLICATE_JSON_KEY", b'{"\\ud800": 1, "\\ud800": 2}'),
    ("nan", "INVALID_JSON", b'{"title": "T", "rating": NaN}'),
    ("infinity", "INVALID_JSON", b'{"title": "T", "rating": Infinity}'),
    ("minus_infinity", "INVALID_JSON", b'{"title": "T", "rating": -Infinity}'),
    ("nan_alone", "INVALID_JSON", b"NaN"),
    ("too_large_float", "INVALID_JSON", b'{"title": "T", "rating": 1e999}'),
    ("too_small_float", "INVALID_JSON", b'{"title": "T", "meta": {"a": [-1e999]}}'),
    ("too_large_for_an_integer", "INVALID_JSON", b'{"title": "T", "year": 1e999}'),
    ("5000_digits", "INVALID_JSON", b'{"title": "T", "year": ' + b"9" * 5000 + b"}"),
    ("100000_lists", "INVALID_JSON", b"[" * 100_000 + b"]" * 100_000),
    ("100000_objects", "INVALID_JSON", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    ("100000_open", "INVALID_JSON", b"[" * 100_000),
    ("not_utf8", "INVALID_JSON", b'{"title": "\xff"}'),
    ("latin1", "INVALID_JSON", '{"title": "ü"}'.encode("latin-1")),
    ("overlong", "INVALID_JSON", b'{"title": "\xc0\xaf"}'),
    ("surrogate_in_utf8", "INVALID_JSON", b'{"title": "\xed\xa0\x80"}'),
    ("cut_utf8", "INVALID_JSON", b'{"title": "\xe2\x82"}'),
    ("beyond_unicode", "INVALID_JSON", b'{"title": "\xf5\x80\x80\x80"}'),
    ("utf8_bom", "INVALID_JSON", b"\xef\xbb\xbf" + WHOLE.encode()),
    ("utf16", "INVALID_JSON", WHOLE.encode("utf-16")),
    ("utf16_le", "INVALID_JSON", WHOLE.encode("utf-16-le")),
    ("utf16_be", "INVALID_JSON", WHOLE.encode("utf-16-be")),
    ("utf32", "INVALID_JSON", WHOLE.encode("utf-32")),
    ("nul", "INVALID_JSON", WHOLE.encode() + b"\0"),
    ("bson", "INVALID_JSON", b"\x16\x00\x00\x00\x02title\x00\x02\x00\x00\x00T\x00\x00"),
]


def nested(levels: int, of: str) -> str:
    opening, closing = ("[", "]") if of == "list" else ('{"a":', "}")
    return opening * levels + "1" + closing * levels


# What stands in `"meta"`; where in it the fault is; what kind it is.
UNSTORABLE: list[tuple[str, str, str, str]] = [
    ("int64", '{"a": 9223372036854775808}', "/a", "int_out_of_range"),
    ("negative_int64", '{"a": [-9223372036854775809]}', "/a/0", "int_out_of_range"),
    ("4000_digits", f'{{"a": {"9" * 4000}}}', "/a", "int_out_of_range"),
    ("lone_surrogate", '{"a": "\\ud800"}', "/a", "lone_surrogate"),
    ("lone_low_surrogate", '{"a": "x\\udfffy"}', "/a", "lone_surrogate"),
    ("surrogates_reversed", '{"a": "\\udc00\\ud800"}', "/a", "lone_surrogate"),
    ("nul", '{"a": "x\\u0000"}', "/a", "nul_character"),
    ("nul_in_key", '{"a\\u0000b": 1}', "", "nul_character"),
    ("surrogate_in_key", '{"\\ud800": 1}', "", "lone_surrogate"),
    ("operator", '{"$set": 1}', "/$set", "invalid_key"),
    ("operator_below", '{"a": [{"$where": "1"}]}', "/a/0/$where", "invalid_key"),
    ("escaped_operator", '{"\\u0024ne": 1}', "/$ne", "invalid_key"),
    ("dollar", '{"$": 1}', "/$", "invalid_key"),
    ("extended_json", '{"a": {"$oid": "65a000000000000000000001"}}', "/a/$oid", "invalid_key"),
    ("extended_date", '{"a": {"$date": "2024-01-01T00:00:00Z"}}', "/a/$date", "invalid_key"),
    ("dotted", '{"a.b": 1}', "/a.b", "invalid_key"),
    ("dots", '{".": 1}', "/.", "invalid_key"),
    ("empty_key", '{"a": {"": 1}}', "/a", "invalid_key"),
]


@pytest.mark.parametrize(("method", "url", "media"), WAYS)
@pytest.mark.parametrize(("code", "body"), [pytest.param(*case[1:], id=case[0]) for case in UNREADABLE])
async def test_what_cannot_be_read(api: Api, *, code: str, body: bytes, method: str, url: str, media: str) -> None:
    await api.refuses(400, code, method, url, body, {"content-type": media}, pointers=[])


@pytest.mark.parametrize(("method", "url", "media"), WAYS)
@pytest.mark.parametrize(("value", "pointer", "kind"), [pytest.param(*case[1:], id=case[0]) for case in UNSTORABLE])
async def test_what_no_document_may_hold(
    api: Api, *, value: str, pointer: str, kind: str, method: str, url: str, media: str
) -> None:
    isbn = '"isbn": "n", ' if method == "POST" else ""
    body, at = f'{{{isbn}"title": "T", "meta": {value}}}', "/meta"
    if media == PATCH:
        body, at = f'[{{"op": "replace", "path": "/meta", "value": {value}}}]', "/0/value"
    # What cannot be shown as UTF-8 is shown escaped.
    answer = await api.refuses(
        422, "INVALID", method, url, body.encode(), {"content-type": media}, pointers=[at + pointer]
    )
    assert [issue["type"] for issue in answer.json()["errors"]] == [kind]


@pytest.mark.parametrize("of", ["list", "object"])
@pytest.mark.parametrize(("method", "url", "media"), WAYS)
async def test_a_hundred_levels(api: Api, method: str, url: str, media: str, of: str) -> None:
    def body(levels: int) -> bytes:
        # The body itself is a level, as is "meta"; a patch is a list of an object.
        if media == PATCH:
            return f'[{{"op": "add", "path": "/meta/x", "value": {nested(levels - 2, of)}}}]'.encode()
        isbn = '"isbn": "n", ' if method == "POST" else ""
        return f'{{{isbn}"title": "T", "meta": {{"x": {nested(levels - 2, of)}}}}}'.encode()

    for levels in (101, 150, 250, 900):
        answer = await api.refuses(422, "INVALID", method, url, body(levels), {"content-type": media})
        assert [issue["type"] for issue in answer.json()["errors"]] == ["too_deep"]
    answer = await api.ask(method, url, body(100), {"content-type": media})
    assert answer.status_code in (200, 201), answer.text
    read = await api.ask("GET", "/books/n" if method == "POST" else url)
    assert read.content == answer.content


@pytest.mark.parametrize(("method", "url", "media"), WAYS)
@pytest.mark.parametrize("body", ["null", "[]", "[[]]", "[1]", "1", '"title"', "true", "1.5"])
async def test_no_object(api: Api, body: str, method: str, url: str, media: str) -> None:
    if media == PATCH and body == "[]":
        assert (await api.send(method, url, body, media)).status_code == 200  # a patch of no operations
        return
    operation = media == PATCH and body.startswith("[")
    pointer = "/0" if operation else ""
    await api.refuses(422, "INVALID", method, url, body.encode(), {"content-type": media}, pointers=[pointer])


async def test_every_fault_is_told(api: Api) -> None:
    body = b'{"isbn": "n", "title": "\\u0000", "meta": {"$a": 9223372036854775808, "b.c": {"": "\\ud800"}}}'
    await api.refuses(
        422,
        "INVALID",
        "POST",
        "/books",
        body,
        {"content-type": JSON},
        pointers=["/title", "/meta/$a", "/meta/b.c", "/meta/b.c/"],
    )


@pytest.mark.parametrize(
    "value",
    [
        *(9223372036854775807, -9223372036854775808, 1e308, 5e-324, "\U0001f600", "$name", "$$ROOT", "a.b", "", "\x7f"),
        *({"a": "$set"}, {"a b": [None, True, {}]}, {"ü": "\u2028"}, {"a$": 1}, {"__proto__": {"constructor": 1}}),
    ],
    ids=repr,
)
async def test_what_may_stand_in_a_document(api: Api, value: Any) -> None:
    sent = json.dumps({"isbn": "n", "title": "T", "meta": {"value": value}})
    answer = await api.send("POST", "/books", sent)
    assert answer.status_code == 201, answer.text
    assert (await api.ask("GET", "/books/n")).json()["meta"] == {"value": value}
    assert (await api.send("PATCH", "/books/seed", json.dumps({"meta": {"k": None, "v": value}}), MERGE)).json()[
        "meta"
    ] == {"v": value}
