"""Binds document classes to the database, with their indexes."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from beanie import Document, init_beanie
from pymongo.errors import OperationFailure, PyMongoError

from regesta.errors import ConfigurationError

# Which plugin brings a class.
OwnerOf = Callable[[type[Document]], str]

# IndexOptionsConflict, IndexKeySpecsConflict
CONFLICTS = frozenset({85, 86})
_EXISTING = (
    re.compile(r'existing index: \{.*\bname: "([^"]*)"'),
    re.compile(r"different name: (\S+)"),
)


async def bind(database: Any, documents: Sequence[type[Document]], owner_of: OwnerOf) -> None:
    """Bind the document classes to the database and make their indexes.

    Raises ConfigurationError. If an index is stored with other options than a class declares, it names the plugin
    (`owner_of` the class), the collection and the index, and says what to do.
    """
    try:
        await init_beanie(database=database, document_models=list(documents))
    except PyMongoError as error:
        if isinstance(error, OperationFailure) and error.code in CONFLICTS:
            raise await _conflict(database, documents, owner_of, error) from error
        raise ConfigurationError(f"cannot prepare the collections and indexes of {database.name!r}: {error}") from error


async def _conflict(
    database: Any, documents: Sequence[type[Document]], owner_of: OwnerOf, first: OperationFailure
) -> ConfigurationError:
    document, error = await _conflicting(database, documents, first)
    name = _existing(error)
    what = f"the index {name!r}" if name else "an index"
    if document is None:
        return ConfigurationError(f"{what} of {database.name!r} is stored with other options than declared: {error}")
    collection = document.get_settings().name or document.__name__
    drop = f"db.getCollection({collection!r}).dropIndex({name!r})" if name else "dropIndex()"
    return ConfigurationError(
        f"plugin {owner_of(document)!r}: {what} of the collection {collection!r} in {database.name!r} is stored with "
        f"other options than {document.__name__} declares. Declare it as it is stored, or drop it by {drop} in mongosh "
        "and start again: it is made as declared"
    )


async def _conflicting(
    database: Any, documents: Sequence[type[Document]], first: OperationFailure
) -> tuple[type[Document] | None, OperationFailure]:
    """Which class has the index. MongoDB does not say it, so each is tried alone."""
    for document in documents:
        try:
            await init_beanie(database=database, document_models=[document])
        except OperationFailure as error:
            if error.code in CONFLICTS:
                return document, error
        except Exception:  # noqa: BLE001, S112 - one that links to another cannot be bound alone
            continue
    return None, first


def _existing(error: OperationFailure) -> str:
    """The name of the stored index, as far as MongoDB's message tells it."""
    found = (pattern.search(str(error)) for pattern in _EXISTING)
    return next((match[1].rstrip(",") for match in found if match), "")
