"""`memory_client()`: a MongoDB in this process, made of dictionaries, for unit tests and a first look."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any

from pymongo import IndexModel

from regesta.errors import MissingExtra


def memory_client() -> Any:
    """A new, empty client in this process, for `init_beanie` of Beanie 1.30 and 2.x; it speaks Motor's dialect.

    It has no transactions, sessions or watch, and keeps nothing. Raises `MissingExtra` without `mongomock-motor`.
    """
    try:
        from mongomock_motor import AsyncMongoMockClient  # an optional package
    except ImportError as error:
        raise MissingExtra("memory:// needs mongomock-motor: pip install 'regesta[memory]'") from error

    base: Any = AsyncMongoMockClient  # it has no types of its own, and claims to be Motor's

    class MemoryClient(base):  # type: ignore[misc]
        """mongomock-motor, with what Beanie 2.x and PyMongo Async ask for beyond it."""

        # PyMongo >= 4.14 has it and Beanie 2.x looks; mongomock would make a database of that name.
        append_metadata = None

        def get_database(self, *args: Any, **kwargs: Any) -> Any:
            database = super().get_database(*args, **kwargs)
            database.list_collection_names = _lenient(database.list_collection_names)
            database.get_collection = _completed(database.get_collection)
            return database

    return MemoryClient(tz_aware=True)


def _lenient(list_names: Callable[..., Awaitable[list[str]]]) -> Callable[..., Awaitable[list[str]]]:
    """Beanie passes `authorizedCollections` and `nameOnly`, which say nothing here and which mongomock refuses."""

    async def list_collection_names(session: None = None, filter: Any = None, **_: Any) -> list[str]:
        return await list_names(filter=filter, session=session)

    return list_collection_names


def _completed(get_collection: Callable[..., Any]) -> Callable[..., Any]:
    """In Motor `aggregate()` is a cursor, in PyMongo Async it is awaited first: make it both.

    And mongomock's `create_indexes` forgets partial filters, which its `create_index` honours.
    """

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        collection = get_collection(*args, **kwargs)
        aggregate = collection.aggregate
        collection.aggregate = lambda *a, **k: _AwaitableCursor(aggregate(*a, **k))

        async def create_indexes(indexes: Sequence[IndexModel], **_: Any) -> list[str]:
            return [await _create_index(collection, index) for index in indexes]

        collection.create_indexes = create_indexes
        return collection

    return wrapped


async def _create_index(collection: Any, index: IndexModel) -> str:
    options = dict(index.document)
    keys = list(options.pop("key").items())
    name: str = await collection.create_index(keys, **options)
    return name


class _AwaitableCursor:
    """A cursor that may be awaited and is itself the result."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __await__(self) -> Generator[Any, None, "_AwaitableCursor"]:
        yield from ()
        return self

    def __aiter__(self) -> Any:
        return self._cursor.__aiter__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)
