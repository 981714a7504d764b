"""Indexes that are stored with other options than declared."""

import re
from collections.abc import Iterable
from typing import Any, TypeGuard

from pymongo import IndexModel
from pymongo.errors import OperationFailure

from regesta.errors import ConfigurationError

# IndexOptionsConflict, IndexKeySpecsConflict
CONFLICTS = frozenset({85, 86})
_EXISTING = (
    re.compile(r'existing index: \{.*\bname: "([^"]*)"'),
    re.compile(r"different name: (\S+)"),
)


async def make_indexes(collection: Any, indexes: Iterable[IndexModel]) -> None:
    """Make the indexes of a collection that has no document class.

    Raises ConfigurationError if one is stored with other options: it names the collection and the index, and says what
    to do.
    """
    names = collection.database.name, collection.name
    for index in indexes:
        options = {name: value for name, value in index.document.items() if name != "key"}
        try:
            await collection.create_index(list(index.document["key"].items()), **options)
        except OperationFailure as error:
            if is_index_conflict(error):
                raise ConfigurationError(index_conflict(*names, "declared", error)) from error
            raise


def is_index_conflict(error: Exception) -> TypeGuard[OperationFailure]:
    """Whether an index could not be made since it is stored with other options."""
    return isinstance(error, OperationFailure) and error.code in CONFLICTS


def index_conflict(database: str, collection: str, declared: str, error: Exception) -> str:
    """What is to be said of such an error. `declared`: the end of "than ...", if a class declares the index."""
    name = _existing(error)
    what = f"the index {name!r}" if name else "an index"
    drop = f"db.getCollection({collection!r}).dropIndex({name!r})" if name else "dropIndex()"
    return (
        f"{what} of the collection {collection!r} in {database!r} is stored with other options than {declared}. "
        f"Declare it as it is stored, or drop it by {drop} in mongosh and start again: it is made as declared"
    )


def _existing(error: Exception) -> str:
    """The name of the stored index, as far as MongoDB's message tells it."""
    found = (pattern.search(str(error)) for pattern in _EXISTING)
    return next((match[1].rstrip(",") for match in found if match), "")
