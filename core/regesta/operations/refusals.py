"""What MongoDB or BSON refuses, as problems that name the client's fields."""

from collections.abc import Mapping
from typing import Any

from bson.errors import BSONError
from pymongo.errors import DocumentTooLarge, DuplicateKeyError

from regesta.errors import Duplicate, Invalid, Issue, ProblemError, TooLarge, Unsupported
from regesta.resource import Resource
from regesta.schemas import Codec

MAX_DOCUMENT = 16 * 1024 * 1024
UNSTORABLE = (BSONError, OverflowError, UnicodeError)
# What the server answers where a document would become too large: BSONObjectTooLarge, and two without a name.
TOO_LARGE = frozenset({10334, 17419, 17420})
# DocumentValidationFailure: by the validator of the collection.
NOT_VALID = 121
# IllegalOperation, InvalidOptions, CommandNotSupportedOnView, OperationNotSupportedInTransaction: what a write meets in
# a time series, a view, or in a transaction a capped collection.
NOT_THERE = frozenset({20, 72, 166, 263})


def duplicate(
    error: DuplicateKeyError, codec: Codec[Any], resource: Resource[Any], scope: Mapping[str, Any]
) -> Duplicate:
    """Which fields' values are taken; those that the server set (scope, parent) are left out."""
    details: Mapping[str, Any] = error.details or {}
    stored = [name for name in details.get("keyPattern", {}) if isinstance(name, str)]
    names = [codec.sent_path(name) for name in stored]
    sendable = codec.inputs.keys() - {codec.input_names.get(name) for name in scope}
    key = codec.input_names.get(resource.key) or codec.wire_names.get(resource.key, resource.key)
    sent = [name for name in names if name.partition(".")[0] in sendable] or names or [key]
    issues = [Issue(("body", *name.split(".")), "is taken", "duplicate") for name in sent]
    return Duplicate(f"there is another {resource.singular} with the same {' and '.join(sent)}", issues=issues)


def unstorable(error: Exception) -> ProblemError:
    """BSON cannot hold it: too large, or a value that slipped through validation."""
    if isinstance(error, DocumentTooLarge) or "too large" in str(error):
        return too_large()
    return Invalid.of([Issue(("body",), "holds a value that cannot be stored", "not_storable")])


def not_valid() -> Invalid:
    """The collection has rules of its own. Which of them it breaks MongoDB tells in its words only, which stay here."""
    return Invalid.of([Issue(("body",), "is refused by the validator of the collection", "collection_validator")])


def not_there(resource: Resource[Any]) -> Unsupported:
    """The collection is of a kind with which MongoDB cannot do this."""
    return Unsupported(
        f"MongoDB cannot do this with {resource.name}, which are a time series, a view or a capped collection:"
        " the `operations` of the resource should not offer it, nor should its writes be `transactional`",
        code="COLLECTION_UNSUPPORTED",
    )


def too_large() -> TooLarge:
    """The document would not fit into MongoDB."""
    return TooLarge("the document does not fit into 16 MB")
