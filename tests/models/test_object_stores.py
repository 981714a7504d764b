"""An object store, as fsspec writes to one: an object is there once its file is closed, by whomever."""

import gc
import os
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from tests.models.application import Service
from tests.models.test_sweeps import swept

from regesta_models.sweeps import Swept

MB = 2**20
LIMIT = 20 * MB  # more than one part


class Upload(AbstractBufferedFile):  # type: ignore[misc] # fsspec has no types
    """A multipart upload."""

    def _initiate_upload(self) -> None:
        self.parts: list[bytes] = []
        self.fs.begun.add(self.path)

    def _upload_chunk(self, final: bool = False) -> bool:
        self.parts.append(self.buffer.getvalue())
        if final:
            self.fs.objects[self.path] = b"".join(self.parts)
            self.fs.begun.discard(self.path)
        return True

    def discard(self) -> None:
        self.fs.begun.discard(self.path)


class Bucket(AbstractFileSystem):  # type: ignore[misc]
    """Keeps objects in memory."""

    protocol = "bucket"
    cachable = False
    objects: ClassVar[dict[str, bytes]] = {}
    begun: ClassVar[set[str]] = set()
    locked: ClassVar[set[str]] = set()

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **_: Any) -> Upload:
        return Upload(self, path, mode, block_size or MB, cache_type="none")

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """There are no folders."""

    def rm_file(self, path: str) -> None:
        if path in self.locked:
            raise PermissionError("this object is locked")
        if path not in self.objects:
            raise FileNotFoundError(path)
        del self.objects[path]


@pytest.fixture(autouse=True)
def bucket(monkeypatch: pytest.MonkeyPatch) -> type[Bucket]:
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    for kept in (Bucket.objects, Bucket.begun, Bucket.locked):
        kept.clear()
    monkeypatch.setenv("REGESTA_MODELS_ARTIFACTS", "bucket://artifacts")
    monkeypatch.setenv("REGESTA_MODELS_LARGEST_ARTIFACT", str(LIMIT))
    return Bucket


async def too_many() -> AsyncIterator[bytes]:
    for _ in range(LIMIT // MB + 1):
        yield bytes(MB)


async def one_piece() -> AsyncIterator[bytes]:
    yield bytes(MB)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [(too_many, {}, 413), (one_piece, {"Repr-Digest": f"sha-256=:{'A' * 43}=:"}, 422)],
)
async def test_an_upload_that_fails_leaves_nothing(
    content: Any, headers: dict[str, str], status: int, bucket: type[Bucket], any_service: Service
) -> None:
    path = f"{await any_service.pending()}/a.bin"
    put = await any_service.client.put(path, content=content(), headers=headers)
    assert put.status_code == status
    gc.collect()
    assert (bucket.objects, bucket.begun) == ({}, set())
    assert not await any_service.database["blobs"].count_documents({})


async def test_what_cannot_be_removed_keeps_nothing_else(bucket: type[Bucket], any_service: Service) -> None:
    service, artifacts = any_service, await any_service.pending()
    for number in range(3):
        assert (await service.client.put(f"{artifacts}/{number}", content=os.urandom(10))).status_code == 201
    await service.client.delete(artifacts.removesuffix("/artifacts"))
    locked = min(bucket.objects)
    bucket.locked.add(locked)

    assert await swept(service) == Swept(2, 20, failed=1)
    assert list(bucket.objects) == [locked]
    assert await swept(service) == Swept(failed=1)
    bucket.locked.clear()
    assert await swept(service) == Swept(1, 10)
    assert not await service.database["blobs"].count_documents({})
