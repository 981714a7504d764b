"""The signed token of a page: where the last row before it stands."""

import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Any, Protocol

import bson
from beanie.odm.utils.encoder import Encoder
from bson.codec_options import DEFAULT_CODEC_OPTIONS
from bson.errors import BSONError
from itsdangerous import BadData, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

from regesta.errors import Malformed
from regesta.store import STANDARD, exactly, tolerant

Sort = Sequence[tuple[str, int]]

LIFETIME = timedelta(hours=24)
CLOCK_SKEW = timedelta(minutes=5)

# The first byte of a payload.
PLAIN, DEFLATED = b"0", b"1"
DEFLATE_ABOVE = 512
MAX_PAYLOAD = 64 * 1024
SIGNERS = 128


class Paged(Protocol):
    """What has pages: a Query, or what else can be told by a digest, in a total order."""

    @property
    def sort(self) -> Sort:
        """The order."""
        ...

    @property
    def binding(self) -> bytes:
        """The digest."""
        ...


class PageTokens:
    """Issues and reads page tokens: opaque, url-safe, good for 24 hours.

    A token is good only for the filter, sort and resource (`query.binding`) and the scope it was issued
    for. It is signed, not encrypted: the client can see the values of the sort keys, which it was
    shown anyway, unless it is told not to.
    """

    def __init__(self, secret: bytes) -> None:
        if not secret:
            raise ValueError("page tokens need a secret")
        self._secret = secret
        # Most pages are of few queries, and making a signer costs as much as signing.
        self._signer_of = lru_cache(SIGNERS)(self._new_signer)

    def issue(self, query: Paged, scope: Mapping[str, Any], values: Sequence[Any]) -> str:
        """The token of the page after the row with these sort values (`position`)."""
        raw = exactly({"v": list(values)})
        deflated = zlib.compress(raw) if len(raw) > DEFLATE_ABOVE else raw
        payload = DEFLATED + deflated if len(deflated) < len(raw) else PLAIN + raw
        return self._signer(query, scope).sign(base64_encode(payload)).decode("ascii")

    def read(self, query: Paged, scope: Mapping[str, Any], token: str) -> list[Any]:
        """The sort values in the token.

        Raises Malformed (INVALID_PAGE_TOKEN) for anything but a token that was issued for this query and
        scope in the last 24 hours.
        """
        try:
            payload, signed = self._signer(query, scope).unsign(token, return_timestamp=True)
            age = datetime.now(UTC) - signed
            # A machine whose clock runs ahead issues tokens from the future.
            if not -CLOCK_SKEW <= age <= LIFETIME:
                raise ValueError("expired")
            values = bson.decode(_unpacked(base64_decode(payload)), tolerant(DEFAULT_CODEC_OPTIONS))["v"]
            if len(values) != len(query.sort):
                raise ValueError("of another sort")
        except (BadData, BSONError, ValueError, LookupError, TypeError, OverflowError, zlib.error):
            raise Malformed(
                "The page token is not valid for this request, or has expired: start again without it.",
                code="INVALID_PAGE_TOKEN",
            ) from None
        return list(values)

    def _signer(self, query: Paged, scope: Mapping[str, Any]) -> TimestampSigner:
        bound = dict(sorted(scope.items()))
        try:
            encoded = bson.encode({"s": bound}, codec_options=STANDARD)
        except BSONError:  # values that only Beanie knows how to store
            encoded = bson.encode({"s": Encoder().encode(bound)}, codec_options=STANDARD)
        return self._signer_of(query.binding, encoded)

    def _new_signer(self, binding: bytes, scope: bytes) -> TimestampSigner:
        salt = blake2b(scope, key=binding).digest()
        return TimestampSigner(self._secret, salt=b"regesta.page" + salt, digest_method=sha256)


def _unpacked(payload: bytes) -> bytes:
    if payload[:1] == PLAIN:
        return payload[1:]
    inflate = zlib.decompressobj()
    raw = inflate.decompress(payload[1:], MAX_PAYLOAD)
    if not inflate.eof:
        raise ValueError("too large")
    return raw


def and_filters(*filters: Mapping[str, Any]) -> dict[str, Any]:
    """The conjunction of filters; no key of one ever replaces that of another."""
    given = [dict(each) for each in filters if each]
    if len(given) == 1:
        return given[0]
    if len({key for each in given for key in each}) == sum(map(len, given)):
        return {key: condition for each in given for key, condition in each.items()}
    return {"$and": given}
