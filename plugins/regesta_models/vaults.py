"""Where the bytes of artifacts are: GridFS in the database, or whatever fsspec reaches.

A vault knows files by ids that are never used twice; what is in them, and which of them are complete, is written down
in `blobs.py`.
"""

import asyncio
import io
import logging
import os
import re
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from bson import ObjectId
from pymongo import ASCENDING, IndexModel

from regesta.errors import ConfigurationError, MissingExtra, Unavailable
from regesta.store import durable, make_indexes, now
from regesta_models.settings import ARTIFACTS

logger = logging.getLogger("regesta.models")

PIECE = 2**20
TOGETHER = 4 * PIECE  # written at once
BUCKET = "artifacts"
# An object store takes 10,000 of these for one file.
PART = 16 * PIECE


class Writer(Protocol):
    """A new file of a vault."""

    async def write(self, data: bytes) -> None:
        """Add bytes at its end."""

    async def close(self) -> None:
        """Make what was written last."""

    async def discard(self) -> None:
        """Write no more, in place of `close` or after it failed. What is there by then is for `Vault.remove`."""


class Vault(Protocol):
    """A place for files. Where it fails everything raises Unavailable, or what the database's driver raises."""

    kind: str

    async def prepare(self) -> None:
        """Make it ready for files. Raises ConfigurationError where it can take none."""

    async def create(self, name: ObjectId) -> Writer:
        """Begin a file."""

    def read(self, name: ObjectId, part: range) -> AsyncGenerator[bytes]:
        """The bytes of a part, piece by piece. Raises LookupError where they are not there."""

    async def size(self, name: ObjectId) -> int | None:
        """How many bytes a file has that was closed, None where it is not there."""

    async def remove(self, name: ObjectId) -> None:
        """Delete a file, complete or not, if it is there."""


class GridVault:
    """GridFS, as every driver and `mongofiles` reads it; written by hand.

    The drivers collect 48 MB before they send something, and grew by 90 to 190 MB with one upload; this grows by
    what is written at once.
    """

    kind = "gridfs"

    def __init__(self, database: Any) -> None:
        self.files, self.chunks = durable(database[f"{BUCKET}.files"]), durable(database[f"{BUCKET}.chunks"])

    async def prepare(self) -> None:
        """Make the indexes that GridFS has. Raises ConfigurationError if one is stored with other options."""
        await make_indexes(self.files, [IndexModel([("filename", ASCENDING), ("uploadDate", ASCENDING)])])
        await make_indexes(self.chunks, [IndexModel([("files_id", ASCENDING), ("n", ASCENDING)], unique=True)])

    async def create(self, name: ObjectId) -> Writer:
        """Begin a file."""
        return _GridWriter(self, name)

    async def read(self, name: ObjectId, part: range) -> AsyncGenerator[bytes]:
        """The bytes of a part, piece by piece. Raises LookupError where they are not there."""
        if not part:
            return
        first, last = part.start // PIECE, (part.stop - 1) // PIECE
        wanted = {"files_id": name, "n": {"$gte": first, "$lte": last}}
        found = self.chunks.find(wanted, sort=[("n", 1)], batch_size=TOGETHER // PIECE)
        expected = first
        try:
            async for chunk in found:
                if chunk["n"] != expected:
                    break
                begin = expected * PIECE
                yield bytes(chunk["data"][max(part.start - begin, 0) : part.stop - begin])
                expected += 1
        finally:
            await found.close()
        if expected <= last:
            raise LookupError(f"piece {expected} of {name} is missing")

    async def size(self, name: ObjectId) -> int | None:
        """How many bytes a file has that was closed, None where it is not there."""
        found = await self.files.find_one({"_id": name}, {"length": 1})
        return None if found is None else int(found["length"])

    async def remove(self, name: ObjectId) -> None:
        """Delete a file, complete or not, if it is there."""
        await self.files.delete_one({"_id": name})
        await self.chunks.delete_many({"files_id": name})


class _GridWriter:
    def __init__(self, vault: GridVault, name: ObjectId) -> None:
        self._vault, self._name = vault, name
        self._buffer = bytearray()
        self._sent = 0

    async def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= TOGETHER:
            await self._send(TOGETHER)

    async def close(self) -> None:
        size = self._sent * PIECE + len(self._buffer)
        await self._send(len(self._buffer))
        # What other programs look for.
        file = {"_id": self._name, "length": size, "chunkSize": PIECE, "uploadDate": now()}
        await self._vault.files.insert_one(file | {"filename": str(self._name)})

    async def discard(self) -> None:
        self._buffer.clear()

    async def _send(self, size: int) -> None:
        if not size:
            return
        with memoryview(self._buffer) as view:
            pieces = [bytes(view[at : min(at + PIECE, size)]) for at in range(0, size, PIECE)]
        del self._buffer[:size]
        chunks = [
            {"files_id": self._name, "n": number, "data": piece} for number, piece in enumerate(pieces, self._sent)
        ]
        await self._vault.chunks.insert_many(chunks)
        self._sent += len(chunks)


class FolderVault:
    """A folder or an object store, through fsspec; every call that may block is made in a thread."""

    kind = "fsspec"

    def __init__(self, url: str) -> None:
        self._files, self._root = _opened(url)

    async def prepare(self) -> None:
        """Make the folder, and a file in it. Raises ConfigurationError where it cannot be written.

        An object store has no folders, and may be away while a service starts.
        """
        if _is_local(self._files):
            await asyncio.to_thread(_check_folder, self._root)

    async def create(self, name: ObjectId) -> Writer:
        """Begin a file."""
        path = self._path(name)
        with _told():
            await asyncio.to_thread(self._files.makedirs, path.rpartition("/")[0], exist_ok=True)
            return _FolderWriter(await asyncio.to_thread(self._files.open, path, "wb", block_size=PART))

    async def read(self, name: ObjectId, part: range) -> AsyncGenerator[bytes]:
        """The bytes of a part, piece by piece. Raises LookupError where they are not there."""
        with _told():
            try:
                # Without a cache: what is read is what is asked for.
                file = await asyncio.to_thread(self._files.open, self._path(name), "rb", cache_type="none")
            except FileNotFoundError as error:
                raise LookupError(f"{name} is missing") from error
        try:
            with _told():
                await asyncio.to_thread(file.seek, part.start)
            left = len(part)
            while left:
                with _told():
                    data: bytes = await asyncio.to_thread(file.read, min(left, PIECE))
                if not data:
                    raise LookupError(f"{left} bytes of {name} are missing")
                yield data
                left -= len(data)
        finally:
            await asyncio.to_thread(file.close)

    async def size(self, name: ObjectId) -> int | None:
        """How many bytes a file has that was closed, None where it is not there."""
        with _told(), suppress(FileNotFoundError):
            return int(await asyncio.to_thread(self._files.size, self._path(name)))
        return None

    async def remove(self, name: ObjectId) -> None:
        """Delete a file, complete or not, if it is there."""
        with _told(), suppress(FileNotFoundError):
            await asyncio.to_thread(self._files.rm_file, self._path(name))

    def _path(self, name: ObjectId) -> str:
        # The last digits count up: no folder gets too full.
        return f"{self._root}/{str(name)[-2:]}/{name}"


class _FolderWriter:
    def __init__(self, file: Any) -> None:
        self._file = file
        self._buffer = bytearray()

    async def write(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) >= TOGETHER:
            await self._send()

    async def close(self) -> None:
        await self._send()
        with _told():
            await asyncio.to_thread(self._end)

    async def discard(self) -> None:
        self._buffer.clear()
        await asyncio.to_thread(self._give_up)

    async def _send(self) -> None:
        data, self._buffer = bytes(self._buffer), bytearray()
        with _told():
            await asyncio.to_thread(self._file.write, data)

    def _end(self) -> None:
        self._file.flush()
        with suppress(io.UnsupportedOperation, AttributeError):
            os.fsync(self._file.fileno())
        self._file.close()

    def _give_up(self) -> None:
        from fsspec.spec import AbstractBufferedFile

        if not isinstance(self._file, AbstractBufferedFile):
            self._file.close()
            return
        try:
            self._file.discard()
        finally:
            # One that is not closed completes the upload when it is collected, after the vault has removed it.
            self._file.closed = True


@contextmanager
def _told() -> Iterator[None]:
    """What the place says goes to the log, as it tells paths. Raises Unavailable."""
    try:
        yield
    except OSError as error:
        logger.exception("the place of the artifacts fails")
        raise Unavailable("the place where artifacts are kept fails; the log of the service says why") from error


def _is_local(files: Any) -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(files, LocalFileSystem)


def _check_folder(folder: str) -> None:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigurationError(f"the setting {ARTIFACTS}: {folder} cannot be written: {error.strerror}") from error


def _opened(url: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtra("artifacts outside of the database need fsspec: pip install 'regesta[artifacts]'") from error
    try:
        files, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise MissingExtra(f"artifacts: {error}") from error
    except Exception as error:
        # Not its own words: an address may carry a password.
        raise ConfigurationError(f"the setting {ARTIFACTS}: must be a URL that fsspec knows") from error
    # Every process may have a working directory of its own, and a home.
    if _is_local(files) and not Path(re.sub("^(?:file|local):(?://)?", "", url)).is_absolute():
        raise ConfigurationError(f"the setting {ARTIFACTS}: must be an absolute folder, as file:///srv/artifacts")
    return files, str(root).rstrip("/")
