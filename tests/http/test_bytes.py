"""What routes that pass bytes are made of: digests, ranges, paths, answers in pieces."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from starlette.requests import Request

from regesta import Invalid, Malformed, NotFound
from regesta.errors import RangeNotSatisfiable
from regesta.http import Streamed, byte_range, check_path, repr_digest, sent_digests

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SENT = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"


def request(path: str = "/", method: str = "GET", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": raw})


def test_digests() -> None:
    assert repr_digest(EMPTY) == SENT
    assert sent_digests(request()) == {}
    assert sent_digests(request(repr_digest=SENT)) == {"Repr-Digest": EMPTY}
    both = sent_digests(request(repr_digest=f"sha-512=:AA==:, {SENT}", content_digest=f"\t{SENT};a=1 "))
    assert both == {"Content-Digest": EMPTY, "Repr-Digest": EMPTY}


@pytest.mark.parametrize(
    "sent",
    ["", ",", "sha-256", "sha-256=abc", "sha-256=:!:", "sha-256=:AAAA:", "sha-256=:A:", f'{SENT};a="1"', f"{SENT},"],
)
def test_digests_that_cannot_be_read(sent: str) -> None:
    with pytest.raises(Malformed, match="Content-Digest"):
        sent_digests(request(content_digest=sent))


def test_digests_that_nobody_checks() -> None:
    with pytest.raises(Invalid, match="sha-256"):
        sent_digests(request(content_digest="sha-512=:AA==:"))


def test_ranges() -> None:
    assert byte_range(request(), "a", 10) is None
    assert byte_range(request(range="bytes=2-3"), "a", 10) == range(2, 4)
    assert byte_range(request(range="bytes=-3"), "a", 10) == range(7, 10)
    assert byte_range(request(range="bytes=8-"), "a", 10) == range(8, 10)
    assert byte_range(request(range="bytes=8-", if_range='"a"'), "a", 10) == range(8, 10)
    assert byte_range(request(range="bytes=8-", if_range='"b"'), "a", 10) is None
    assert byte_range(request(method="HEAD", range="bytes=2-3"), "a", 10) is None
    for behind in ("bytes=10-", "bytes=-0"):
        with pytest.raises(RangeNotSatisfiable) as caught:
            byte_range(request(range=behind), "a", 10)
        assert caught.value.headers == {"Content-Range": "bytes */10"}
    with pytest.raises(RangeNotSatisfiable):
        byte_range(request(range="bytes=-5"), "a", 0)


def test_slashes_behind_the_keys() -> None:
    check_path(request("/a/files/b%2Fc"), slashes_after="/files/")
    for refused, options in (("/a%2Fb/files/c", {"slashes_after": "/files/"}), ("/a/files/b%2Fc", {})):
        with pytest.raises(NotFound):
            check_path(request(refused), **options)


async def pieces() -> AsyncGenerator[bytes]:
    yield b"ab"
    yield b"cd"


async def test_an_answer_of_known_length() -> None:
    ended = []

    async def close() -> None:
        ended.append(True)

    answer = Streamed(pieces(), close, "text/plain", {"x-a": "b"}, status=206, length=4)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(answer), base_url="http://test") as client:
        got = await client.get("/")
    assert (got.status_code, got.content, got.headers["content-length"]) == (206, b"abcd", "4")
    assert ended
