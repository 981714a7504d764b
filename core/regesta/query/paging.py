"""Keyset paging: the rows strictly after the last one of a page, and the signed token of its position."""

import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b, sha256
from math import isnan
from typing import Any, Protocol

import bson
from beanie.odm.utils.encoder import Encoder
from bson import DBRef, Decimal128
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from itsdangerous import BadData, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

from regesta.errors import Malformed

Sort = Sequence[tuple[str, int]]

LIFETIME = timedelta(hours=24)
CLOCK_SKEW = timedelta(minutes=5)

# What Beanie stores, whatever the client that reads was told about UUIDs.
STANDARD: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)

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
        raw = bson.encode({"v": list(values)}, codec_options=STANDARD)
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
            values = bson.decode(_unpacked(base64_decode(payload)))["v"]
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


def position(raw: Mapping[str, Any], sort: Sort) -> list[Any]:
    """The sort values of a stored document; None where one is missing."""
    return [_value(raw, path) for path, _ in sort]


def _value(raw: Any, path: str) -> Any:
    for segment in path.split("."):
        if isinstance(raw, DBRef):
            raw = raw.as_doc()
        if not isinstance(raw, Mapping):
            return None
        raw = raw.get(segment)
    return raw


def keyset_filter(sort: Sort, values: Sequence[Any]) -> dict[str, Any]:
    """A filter for the rows strictly after the one with these sort values, in this order.

    sort: paths with 1 or -1, the last one unique (`_id`). values: one for each, None for null or missing,
    which MongoDB puts before everything else. Values of one path are of one type (numbers of all types
    are one) or None, as documents of a model have them.
    """
    if not sort or len(sort) != len(values):
        raise ValueError("a keyset needs one value for each sort key")
    keys = [(path, direction, value) for (path, direction), value in zip(sort, values, strict=True)]
    branches: list[dict[str, Any]] = []
    for depth, (path, direction, value) in enumerate(keys):
        tied = and_filters(*({before: {"$eq": same}} for before, _, same in keys[:depth]))
        branches += [and_filters(tied, {path: step}) for step in _beyond(path, direction, value)]
    if not branches:
        # Nothing comes after the last of all rows; $in of nothing is how MongoDB says so.
        return {"_id": {"$in": []}}
    if len(branches) == 1:
        return branches[0]
    # The condition on the first key alone is redundant. It lets MongoDB walk an index from there, in
    # order, where it cannot merge the branches of the $or.
    return and_filters(_not_before(*keys[0]), {"$or": branches})


def _not_before(path: str, direction: int, value: Any) -> dict[str, Any]:
    if direction == 1:
        return {} if value is None or _is_nan(value) else {path: {"$gte": value}}
    if value is None:
        return {path: {"$eq": None}}
    # $lte would leave out null, missing and NaN, which come after the numbers.
    return {} if _is_nan(value) else {path: {"$not": {"$gt": value}}}


def _beyond(path: str, direction: int, value: Any) -> list[dict[str, Any]]:
    """What may stand in one key of a later row: alternatives, since $gt and $lt stay within one type."""
    if direction == 1:
        if value is None:
            return [{"$ne": None}]
        # NaN is the first of all numbers, and $gt finds none after it.
        return [{"$gte": float("-inf")}] if _is_nan(value) else [{"$gt": value}]
    if value is None:
        return []
    if _is_nan(value):
        return [{"$eq": None}]
    if path == "_id":
        # Never null: alternatives that find nothing keep MongoDB from merging those that do.
        return [{"$lt": value}]
    if isinstance(value, int | float | Decimal128) and not isinstance(value, bool):
        return [{"$lt": value}, {"$in": [None, float("nan")]}]
    return [{"$lt": value}, {"$eq": None}]


def _is_nan(value: Any) -> bool:
    if isinstance(value, Decimal128):
        return value.to_decimal().is_nan()
    return isinstance(value, float) and isnan(value)


def and_filters(*filters: Mapping[str, Any]) -> dict[str, Any]:
    """The conjunction of filters; no key of one ever replaces that of another."""
    given = [dict(each) for each in filters if each]
    if len(given) == 1:
        return given[0]
    if len({key for each in given for key in each}) == sum(map(len, given)):
        return {key: condition for each in given for key, condition in each.items()}
    return {"$and": given}
