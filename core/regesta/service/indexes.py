"""Binds document classes to the database, with their indexes."""

from collections.abc import Callable, Sequence
from typing import Any

from beanie import Document, init_beanie
from pymongo.errors import OperationFailure, PyMongoError

from regesta.errors import ConfigurationError
from regesta.store import index_conflict, is_index_conflict

# Which plugin brings a class.
OwnerOf = Callable[[type[Document]], str]


async def bind(database: Any, documents: Sequence[type[Document]], owner_of: OwnerOf) -> None:
    """Bind the document classes to the database and make their indexes.

    Raises ConfigurationError. If an index is stored with other options than a class declares, it names the plugin
    (`owner_of` the class), the collection and the index, and says what to do.
    """
    try:
        await init_beanie(database=database, document_models=list(documents))
    except PyMongoError as error:
        if is_index_conflict(error):
            raise await _conflict(database, documents, owner_of, error) from error
        raise ConfigurationError(f"cannot prepare the collections and indexes of {database.name!r}: {error}") from error


async def _conflict(
    database: Any, documents: Sequence[type[Document]], owner_of: OwnerOf, first: OperationFailure
) -> ConfigurationError:
    document, error = await _conflicting(database, documents, first)
    if document is None:
        return ConfigurationError(f"an index of {database.name!r} is stored with other options than declared: {error}")
    collection = document.get_settings().name or document.__name__
    said = index_conflict(database.name, collection, f"{document.__name__} declares", error)
    return ConfigurationError(f"plugin {owner_of(document)!r}: {said}")


async def _conflicting(
    database: Any, documents: Sequence[type[Document]], first: OperationFailure
) -> tuple[type[Document] | None, OperationFailure]:
    """Which class has the index. MongoDB does not say it, so each is tried alone."""
    for document in documents:
        try:
            await init_beanie(database=database, document_models=[document])
        except OperationFailure as error:
            if is_index_conflict(error):
                return document, error
        except Exception:  # noqa: BLE001, S112 - one that links to another cannot be bound alone
            continue
    return None, first
