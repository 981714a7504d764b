"""The ids of events: MongoDB's resume tokens, signed and bound to the watch that they were given to."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any

import bson
from beanie.odm.utils.encoder import Encoder
from bson import Timestamp
from bson.errors import BSONError
from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from regesta.errors import Malformed
from regesta.store import STANDARD

MAX_LENGTH = 8192


@dataclass(frozen=True, slots=True)
class Position:
    """Where a watch goes on: behind the change with this resume token, or with the first one at this cluster time."""

    after: Mapping[str, Any] | None = None
    at: Timestamp | None = None


def binding_of(**bound: Any) -> bytes:
    """A digest of what tokens are bound to: equal for equal values."""
    try:
        encoded = bson.encode(bound, codec_options=STANDARD)
    except BSONError:  # values that only Beanie knows how to store
        encoded = bson.encode(Encoder().encode(bound), codec_options=STANDARD)
    return blake2b(encoded, digest_size=16).digest()


class WatchTokens:
    """Issues and reads the tokens of one binding (resource, scope, keys, filter).

    They are good for as long as the server keeps the history, which the server says, not the token.
    """

    def __init__(self, secret: bytes, binding: bytes) -> None:
        self.binding = binding
        self._signer = Signer(secret, salt=b"regesta.watch" + binding, digest_method=sha256)

    def issue(self, position: Position) -> str:
        """The token of a position."""
        bound = {"a": position.after} if position.at is None else {"t": position.at}
        return self._signer.sign(base64_encode(bson.encode(bound))).decode("ascii")

    def read(self, token: str) -> Position:
        """The position. Raises Malformed (INVALID_WATCH_TOKEN) for what was not issued for this binding."""
        try:
            if len(token) > MAX_LENGTH:
                raise ValueError("too long")
            found = bson.decode(base64_decode(self._signer.unsign(token)))
        except (BadData, BSONError, ValueError):
            raise Malformed(
                "the watch token or Last-Event-ID is not of this watch: read again, then watch from there",
                code="INVALID_WATCH_TOKEN",
            ) from None
        return Position(after=found.get("a"), at=found.get("t"))
