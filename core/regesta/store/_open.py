"""`open_store`: from what `--store` says to a database that answers."""

import asyncio
import inspect
import logging
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import beanie
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import InvalidName, OperationFailure, PyMongoError, ServerSelectionTimeoutError

from regesta.errors import ConfigurationError

from ._local import LocalServer
from ._memory import memory_client
from ._nearby import stores_nearby

logger = logging.getLogger("regesta.store")

_ACCEPTED = "memory://, local, local:DIRECTORY, mongodb://HOST/DATABASE or mongodb+srv://HOST/DATABASE"
_DEFAULT_DIRECTORY = ".regesta"
_LONGEST_NAME = 63  # bytes, of a database
_SCHEMES = ("mongodb://", "mongodb+srv://")

# What the code relies on, whatever the address says: acknowledged is kept, times have a zone, UUIDs are UUIDs.
_FIXED: dict[str, Any] = {
    "w": "majority",
    "journal": True,
    "retryWrites": True,
    "uuidRepresentation": "standard",
    "tz_aware": True,
}
# What the address may say better. There is no socket timeout: building an index takes as long as it takes,
# and operations have deadlines of their own.
_DEFAULTS: dict[str, Any] = {
    "appname": "regesta",
    "serverSelectionTimeoutMS": 5000,
    "connectTimeoutMS": 5000,
}
# Only where a thread waits, which nobody can cancel. PyMongo Async would wait in a task beside the one that is
# cancelled, and on Python 3.11 a second cancellation between the two leaves the pool locked.
_DEFAULTS_OF_MOTOR: dict[str, Any] = {"waitQueueTimeoutMS": 5000}


class StoreKind(StrEnum):
    """Where the documents are kept."""

    MEMORY = "memory"
    LOCAL = "local"
    MONGODB = "mongodb"


@dataclass(frozen=True, slots=True)
class Store:
    """An open store.

    `client` and `database` are those of the lane: PyMongo Async with Beanie 2.x, Motor with Beanie 1.30, and
    mongomock-motor for `memory://` (hence `Any`: no type is common to the three). `transactions` says whether
    multi-document transactions and change streams work.
    """

    kind: StoreKind
    url_without_credentials: str
    client: Any = field(repr=False)
    database: Any = field(repr=False)
    transactions: bool


@asynccontextmanager
async def open_store(url: str = "local", *, database: str = "regesta", existing: bool = False) -> AsyncIterator[Store]:
    """Open the store that `url` names; closed, and a local server stopped, on leaving.

    `url` is `memory://`, `local` (the directory `.regesta`), `local:DIRECTORY`, `mongodb://...` or
    `mongodb+srv://...`; a database name in the address wins over `database`. A local directory is made if need be,
    unless only an `existing` store will do. Raises `ConfigurationError` when the address is none of these, cannot be
    read or nobody answers there, and what `LocalServer.start` raises.
    """
    if url == "memory://":
        opened = _open_memory(database)
    elif url == "local" or (url.startswith("local:") and not url.startswith("local://")):
        opened = _open_local(url.partition(":")[2] or _DEFAULT_DIRECTORY, database, existing=existing)
    elif url.startswith(_SCHEMES):
        opened = _open_mongodb(url, database)
    else:
        shown = url if "@" not in url else url.partition(":")[0] + ":..."
        raise ConfigurationError(f"the store {shown!r} is none of: {_ACCEPTED}")
    async with opened as store:
        yield store


@asynccontextmanager
async def _open_memory(database: str) -> AsyncIterator[Store]:
    client = memory_client()
    _warn_about_memory()
    yield Store(StoreKind.MEMORY, "memory://", client, client[database], transactions=False)


@asynccontextmanager
async def _open_local(directory: str, database: str, *, existing: bool) -> AsyncIterator[Store]:
    server = LocalServer(_path(directory))
    if existing and not server.exists:
        raise ConfigurationError(f"there is no local store in {server.directory}: name the one you mean with --store")
    try:
        # In a thread: it blocks. If this task is cancelled meanwhile, stop() waits for start() to be through.
        uri = await asyncio.to_thread(server.start)
        async with _connect(uri, database) as (client, opened, transactions):
            if directory == _DEFAULT_DIRECTORY:
                await _tell_of_others(server.directory, opened)
            yield Store(StoreKind.LOCAL, f"local:{server.directory}", client, opened, transactions)
    finally:
        await asyncio.to_thread(server.stop)


async def _tell_of_others(directory: Path, database: Any) -> None:
    """Log a warning if the store is empty and there is another one nearby: the folder may be the wrong one."""
    if (await database.command("dbStats"))["objects"] == 0:
        others = ", ".join(f"local:{found}" for found in await asyncio.to_thread(stores_nearby, directory))
        if others:
            logger.warning("the store in %s is empty; to use another one, give --store: %s", directory, others)


def _path(directory: str) -> Path:
    try:
        return Path(directory).expanduser()  # no shell does it: `~` is not the beginning of `local:~/DIRECTORY`
    except RuntimeError as error:
        raise ConfigurationError(f"the local store {directory!r}: there is no such home directory") from error


@asynccontextmanager
async def _open_mongodb(url: str, database: str) -> AsyncIterator[Store]:
    async with _connect(url, database) as (client, opened, transactions):
        if not transactions:
            logger.warning(
                "MongoDB at %s stands alone: it has no transactions, so a change can be stored without its audit "
                "event, and nothing can be watched; start mongod with --replSet and call rs.initiate() once",
                _hosts(url),
            )
        yield Store(StoreKind.MONGODB, _without_credentials(url), client, opened, transactions)


@asynccontextmanager
async def _connect(url: str, database: str) -> AsyncIterator[tuple[Any, Any, bool]]:
    client = _client(url)
    try:
        hello = await _hello(client, url)
        name = _database_in(url) or database
        yield client, _named(client, name), "setName" in hello or hello.get("msg") == "isdbgrid"
    finally:
        closing = client.close()  # awaited in PyMongo Async, done in Motor
        if inspect.isawaitable(closing):
            await closing


def _named(client: Any, name: str) -> Any:
    try:
        if len(name.encode()) > _LONGEST_NAME:
            raise InvalidName(f"it is longer than {_LONGEST_NAME} bytes")  # as the driver should
        return client[name]
    except InvalidName as error:
        raise ConfigurationError(f"{name!r} cannot be the name of a database: {error}") from error


def _client(url: str) -> Any:
    said = {pair.partition("=")[0].lower() for pair in urlsplit(url).query.replace(";", "&").split("&")}
    defaults = _DEFAULTS if _is_pymongo_lane() else _DEFAULTS | _DEFAULTS_OF_MOTOR
    options = _FIXED | {name: value for name, value in defaults.items() if name.lower() not in said}
    try:
        return _client_of_lane(url, options)
    except (PyMongoError, ValueError, TypeError, UserWarning):
        # Not the driver's own words: they quote parts of the address, and with it maybe of the password.
        raise ConfigurationError(
            "the mongodb address cannot be read: is it mongodb://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE, "
            "with user and password percent-encoded, and every option one of MongoDB's?"
        ) from None


def _client_of_lane(url: str, options: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # the driver only warns of options that it does not know
        if _is_pymongo_lane():
            from pymongo import AsyncMongoClient  # one lane only

            return AsyncMongoClient[dict[str, Any]](url, **options)
        from motor.motor_asyncio import AsyncIOMotorClient  # the other lane

        return AsyncIOMotorClient(url, **options)


def _is_pymongo_lane() -> bool:
    return hasattr(beanie.Document, "get_pymongo_collection")


async def _hello(client: Any, url: str) -> dict[str, Any]:
    where = _hosts(url)
    try:
        answer: dict[str, Any] = await client.admin.command("hello")
    except ServerSelectionTimeoutError as error:
        raise ConfigurationError(
            f"no MongoDB that takes writes answers at {where}: start it, or correct the address or the network; "
            "the store 'local' needs no server"
        ) from error
    except OperationFailure as error:
        raise ConfigurationError(
            f"MongoDB at {where} refused us (code {error.code}): check user and password"
        ) from error
    except DriverConfigurationError as error:
        # The driver looks up names when it is asked for the first time.
        raise ConfigurationError(
            f"DNS has no MongoDB under the name {where} (no usable SRV record _mongodb._tcp.{where}): correct the name "
            "or the network, or use mongodb:// for the name of a host"
        ) from error
    except PyMongoError as error:
        raise ConfigurationError(f"cannot talk to MongoDB at {where}: {type(error).__name__}") from error
    return answer


def _database_in(url: str) -> str:
    return unquote(urlsplit(url).path.lstrip("/"))


def _hosts(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _without_credentials(url: str) -> str:
    """Without the query, too: options can carry tokens and passwords."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{_hosts(url)}{parts.path}"


_warned = False


def _warn_about_memory() -> None:
    global _warned  # noqa: PLW0603  # once per process, however many stores a test suite opens
    if not _warned:
        _warned = True
        logger.warning("memory:// is for tests and a first look: it has no transactions and keeps nothing")
