"""Request headers, read strictly: media types, codings, and whom they may not pretend to be."""

import pytest

from .asking import JSON, MERGE, PATCH, Api, Headers
from .conftest import Witness

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEW = b'{"isbn": "n", "title": "T"}'
CHANGED = b'{"title": "T"}'
ACCEPTED = {"POST": JSON, "PUT": JSON, "PATCH": f"{MERGE}, {PATCH}"}
TARGETS = {"POST": "/books", "PUT": "/books/seed", "PATCH": "/books/seed"}

NOT_ACCEPTED = [
    *(
        None,
        "",
        "text/plain",
        "text/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ),
    *(
        "application/problem+json",
        "application/vnd.api+json",
        "application/*",
        "*/*",
        "json",
        "application/",
        "application",
    ),
    *("application/json-seq", "application/jsonx", "application/bson", "; charset=utf-8", "application/jsön", "\xff"),
    *("application/octet-stream", "application/json, text/plain", "text/plain, application/json", "application/json/x"),
]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("media", NOT_ACCEPTED)
async def test_another_media_type(api: Api, method: str, media: str | None) -> None:
    headers = {} if media is None else {"content-type": media}
    await refused(api, method, headers)


async def refused(api: Api, method: str, headers: Headers) -> None:
    content = NEW if method == "POST" else CHANGED
    answer = await api.refuses(415, "UNSUPPORTED_MEDIA_TYPE", method, TARGETS[method], content, headers, locs=[])
    accept = answer.headers["accept-patch" if method == "PATCH" else "accept"]
    assert accept == ACCEPTED[method]


async def test_a_body_that_is_not_read_needs_a_media_type_too(api: Api) -> None:
    await api.refuses(415, "UNSUPPORTED_MEDIA_TYPE", "DELETE", "/books/seed", b"x")
    await api.refuses(415, "UNSUPPORTED_MEDIA_TYPE", "DELETE", "/books/seed", [b"x"], {"transfer-encoding": "chunked"})
    assert (await api.ask("DELETE", "/books/seed", headers={"content-length": "0"})).status_code == 204


@pytest.mark.parametrize(
    ("method", "media"), [("POST", MERGE), ("POST", PATCH), ("PUT", MERGE), ("PUT", PATCH), ("PATCH", JSON)]
)
async def test_the_media_type_of_another_method(api: Api, method: str, media: str) -> None:
    await refused(api, method, {"content-type": media})


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(
    "charset",
    ["utf-16", "iso-8859-1", "UTF-16LE", '"utf-16"', "utf-7", "utf-8-sig", "", "utf-8-x"],
)
async def test_another_charset(api: Api, method: str, charset: str) -> None:
    media = MERGE if method == "PATCH" else JSON
    await refused(api, method, {"content-type": f"{media}; charset={charset}"})
    await refused(api, method, {"content-type": f"{media}; charset*=utf-16''x"})


@pytest.mark.parametrize(
    "media",
    [
        f"{JSON}; charset=utf-8",
        f"{JSON};charset=UTF-8",
        f'{JSON}; charset="utf-8"',
        "Application/JSON",
        f"{JSON} ",
        f"{JSON}; v=1",
    ],
)
async def test_the_same_media_type(api: Api, media: str) -> None:
    assert (await api.ask("POST", "/books", NEW, {"content-type": media})).status_code == 201


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_two_media_types(api: Api, method: str) -> None:
    media = MERGE if method == "PATCH" else JSON
    await refused(api, method, [("content-type", media), ("content-type", "text/plain")])
    await refused(api, method, [("content-type", "text/plain"), ("content-type", media)])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(
    "coding", ["gzip", "deflate", "br", "zstd", "x-gzip", "identity, gzip", "gzip, identity", "unknown", ""]
)
async def test_a_content_coding(api: Api, method: str, coding: str) -> None:
    headers = {"content-type": MERGE if method == "PATCH" else JSON, "content-encoding": coding}
    content = NEW if method == "POST" else CHANGED
    answer = await api.refuses(415, "UNSUPPORTED_MEDIA_TYPE", method, TARGETS[method], content, headers)
    assert answer.headers["accept-encoding"] == "identity"


async def test_two_content_codings(api: Api) -> None:
    headers = [("content-type", JSON), ("content-encoding", "identity"), ("content-encoding", "gzip")]
    await api.refuses(415, "UNSUPPORTED_MEDIA_TYPE", "POST", "/books", NEW, headers)
    fine = {"content-type": JSON, "content-encoding": "Identity"}
    assert (await api.ask("POST", "/books", NEW, fine)).status_code == 201


@pytest.mark.parametrize(
    "header", ["x-forwarded-for", "forwarded", "x-real-ip", "client-ip", "true-client-ip", "x-client-ip"]
)
async def test_a_client_cannot_name_its_address(api: Api, witness: Witness, header: str) -> None:
    value = "for=203.0.113.9" if header == "forwarded" else "203.0.113.9"
    answer = await api.ask("POST", "/books", NEW, {"content-type": JSON, header: value, "x-forwarded-host": "evil"})
    assert answer.headers["location"] == "/books/n"
    (change,) = witness.changes
    assert change.actor.address == "192.0.2.7"


@pytest.mark.parametrize(
    "sent",
    [
        *(
            b"a\r\nSet-Cookie: x=1",
            b"a\nb",
            b"a\rb",
            b"abc\n",
            b"\n",
            b"",
            b"a b",
            b"a\tb",
            b"a\x00b",
            b"\xff",
            b"x" * 129,
        ),
        *(b"<script>", b"a,b", b'"a"', b"a;b", b"\x1b[31m", b"%0d%0a x", b"${jndi:ldap://x}"),
    ],
)
async def test_a_request_id_that_would_do_harm(api: Api, witness: Witness, sent: bytes) -> None:
    answer = await api.ask("POST", "/books", NEW, [("content-type", JSON), (b"x-request-id", sent)])
    assert answer.status_code == 201
    (change,) = witness.changes
    assert len(change.caller.request_id) == 32
    assert change.caller.request_id.isalnum()
    assert all(sent not in f"{name}: {value}".encode() for name, value in answer.headers.items() if sent)


@pytest.mark.parametrize("sent", ["a", "6a1b2c3d-0000-4000-8000-000000000001", "x" * 128, "a.b_c:d/e+f=g"])
async def test_a_harmless_request_id(api: Api, witness: Witness, sent: str) -> None:
    assert (await api.ask("POST", "/books", NEW, {"content-type": JSON, "x-request-id": sent})).status_code == 201
    (change,) = witness.changes
    assert change.caller.request_id == sent


@pytest.mark.parametrize(
    ("prefer", "total"),
    [
        *(
            ("count=exact", 1),
            ("count=estimated", 1),
            ("Count=Exact", 1),
            ('count="exact"', 1),
            ("respond-async, count=exact", 1),
        ),
        *(
            ("count=exact; x=1", 1),
            ("count", None),
            ("count=", None),
            ("count=all", None),
            ("", None),
            ("\xff=\xff", None),
        ),
        *((",,;;==", None), ("count=exact=1", None)),
    ],
)
async def test_prefer(api: Api, prefer: str, total: int | None) -> None:
    answer = await api.ask("GET", "/books", b"", {"prefer": prefer})
    assert answer.status_code == 200
    assert answer.json().get("total") == total
    assert (await api.ask("GET", "/books?year=1", b"", {"prefer": prefer})).json().get("total") == (
        None if total is None else 0
    )
