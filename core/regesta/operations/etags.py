"""Entity tags (RFC 9110, 8.8.3) of stored documents, and the preconditions that name them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bson.binary import Binary

from regesta.errors import PreconditionFailed, PreconditionRequired
from regesta.store import exactly

ANY = "*"


def etag_of(raw: Mapping[str, Any], encoded: bytes = b"") -> str:
    """The tag of a stored document, without quotes: its revision, else a hash of its BSON, where known `encoded`."""
    revision = raw.get("revision_id")
    if revision is not None:
        return revision_text(revision)
    return hashlib.blake2b(encoded or exactly(raw), digest_size=16).hexdigest()


def revision_text(revision: UUID | Binary) -> str:
    """Beanie's revision id as an entity tag."""
    return revision.hex if isinstance(revision, UUID) else bytes(revision).hex()


@dataclass(frozen=True, slots=True)
class Precondition:
    """`If-Match` and `If-None-Match` of a write: tags without quotes, or `*`. Empty: no condition."""

    if_match: frozenset[str] = frozenset()
    if_none_match: frozenset[str] = frozenset()

    def check(self, etag: str | None) -> None:
        """Raises PreconditionFailed where the document with this tag (None: no document) is not meant."""
        if self.if_match and not _names(self.if_match, etag):
            raise PreconditionFailed("the document has changed since: read it again and send its new ETag in If-Match")
        if self.if_none_match and _names(self.if_none_match, etag):
            raise PreconditionFailed("If-None-Match names what is there")

    def demand(self) -> None:
        """Raises PreconditionRequired where no condition was sent that says which state is meant."""
        if not (self.if_match or ANY in self.if_none_match):
            raise PreconditionRequired("send the ETag of the document you mean in If-Match")


NO_CONDITION = Precondition()


def _names(tags: frozenset[str], etag: str | None) -> bool:
    return etag is not None and (ANY in tags or etag in tags)
