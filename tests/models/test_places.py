"""Where the bytes of artifacts are: a place that is set anew, that lost files, that is out of reach."""

import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.models.application import Service, serve
from tests.models.test_bundles import export, read
from tests.models.test_sweeps import swept

from regesta import ConfigurationError
from regesta.service import Settings, create_app
from regesta.store import open_store
from regesta_models.blobs import vault_of
from regesta_models.settings import ArtifactSettings
from regesta_models.sweeps import Swept

CONTENT = b"weights of a small model"
ELSEWHERE = {"X-Regesta-Workspace": "elsewhere"}

pytest.importorskip("fsspec")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is set."""
    return set_to(tmp_path / "kept", monkeypatch)


def set_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGESTA_MODELS_ARTIFACTS", f"file://{folder}")
    return folder


def put_in_the_way(path: Path) -> None:
    path.write_text("a file where a folder is wanted")


def files_in(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


async def uploaded(service: Service, model: str = "resnet") -> str:
    """The path of a file that was taken."""
    path = f"{await service.pending(model)}/w.bin"
    assert (await service.client.put(path, content=CONTENT)).status_code == 201
    return path


async def test_a_place_that_was_set_anew_takes_the_same_bytes_again(
    any_database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to(tmp_path / "old", monkeypatch)
    async with serve(any_database) as service:
        old = await uploaded(service)
    set_to(tmp_path / "new", monkeypatch)
    async with serve(any_database) as service:
        new = await uploaded(service, "vit")
        await service.ready(new.rpartition("/")[0])
        for path in (old, new):
            got = await service.client.get(path)
            assert (got.status_code, got.content) == (200, CONTENT)
        # The record of what is lost goes, and the bytes that took its place stay: versions name them.
        assert await swept(service) == Swept(1, len(CONTENT))
        assert await swept(service) == Swept()
        assert (await service.client.get(old)).content == CONTENT
    assert len(files_in(tmp_path / "new")) == 1


@pytest.mark.parametrize("left", [None, b"", b"weights"])
async def test_an_upload_of_what_was_lost_brings_it_back(
    folder: Path, left: bytes | None, any_service: Service
) -> None:
    path = await uploaded(any_service)
    for file in files_in(folder):
        file.unlink() if left is None else file.write_bytes(left)
    again = await uploaded(any_service)
    for one in (path, again):
        assert (await any_service.client.get(one)).content == CONTENT


async def test_lost_chunks_of_gridfs_are_brought_back_with_their_file(service: Service) -> None:
    path = await uploaded(service)
    for name in ("artifacts.files", "artifacts.chunks"):
        await service.database[name].delete_many({})
    answer = await service.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "BYTES_NOT_KEPT")
    await uploaded(service)
    assert (await service.client.get(path)).content == CONTENT


async def test_bytes_that_are_lost_are_not_found(folder: Path, any_service: Service) -> None:
    path = await uploaded(any_service)
    for file in files_in(folder):
        file.unlink()
    for headers in ({}, {"Range": "bytes=3-5"}):
        answer = await any_service.client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "BYTES_NOT_KEPT")
        assert "are lost" in answer.json()["detail"]
    assert (await any_service.client.head(path)).status_code == 404


async def test_an_import_brings_back_what_was_lost(folder: Path, service: Service, tmp_path: Path) -> None:
    path = await uploaded(service)
    await service.ready(path.rpartition("/")[0])
    await export(service, tmp_path / "resnet.tar")
    await read(service, tmp_path / "resnet.tar")
    for file in files_in(folder):
        file.unlink()
    # The versions go, their bytes are not swept yet.
    await service.client.delete("/models/resnet?cascade=true", headers=ELSEWHERE)
    await read(service, tmp_path / "resnet.tar")
    assert (await service.client.get(path, headers=ELSEWHERE)).content == CONTENT


async def test_what_is_kept_out_of_reach_is_not_taken_for_missing(
    any_database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to(tmp_path / "kept", monkeypatch)
    async with serve(any_database) as service:
        path = await uploaded(service)
        await service.ready(path.rpartition("/")[0])
    monkeypatch.delenv("REGESTA_MODELS_ARTIFACTS")
    async with serve(any_database) as service:
        answer = await service.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
        assert "not set to look" in answer.json()["detail"]
        with pytest.raises(ConfigurationError, match="nothing says where: the setting REGESTA_MODELS_ARTIFACTS"):
            await export(service, tmp_path / "resnet.tar")
        assert [file.parent.parent.name for file in files_in(tmp_path)] == ["kept"]


async def test_a_registry_without_the_setting_keeps_the_same_bytes_itself(
    database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to(tmp_path / "kept", monkeypatch)
    async with serve(database) as service:
        path = await uploaded(service)
        await service.ready(path.rpartition("/")[0])
        await export(service, tmp_path / "resnet.tar")
        await read(service, tmp_path / "resnet.tar")
        await service.client.delete("/models/resnet?cascade=true", headers=ELSEWHERE)
    monkeypatch.delenv("REGESTA_MODELS_ARTIFACTS")
    async with serve(database) as service:
        await read(service, tmp_path / "resnet.tar")
        assert (await service.client.get(path, headers=ELSEWHERE)).content == CONTENT
        await uploaded(service)
        assert (await service.client.get(path)).content == CONTENT


async def test_a_folder_that_cannot_be_written_stops_start_up(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(store="memory://", plugins=("models",))
    async with (app := create_app(settings)).router.lifespan_context(app):
        assert folder.is_dir()  # noqa: ASYNC240
    in_the_way = tmp_path / "file"
    put_in_the_way(in_the_way)
    set_to(in_the_way / "kept", monkeypatch)
    with pytest.raises(ConfigurationError, match=f"{in_the_way}/kept cannot be written"):
        async with (app := create_app(settings)).router.lifespan_context(app):
            pass


@pytest.mark.parametrize(
    ("collection", "key"),
    [("blobs", ["workspace", "sha256", "store"]), ("artifacts.files", ["filename", "uploadDate"])],
)
async def test_an_index_with_other_options_is_named_at_start_up(
    mongod_uri: str, collection: str, key: list[str]
) -> None:
    keys = [(name, 1) for name in key]
    async with open_store(mongod_uri, database=f"test_{uuid4().hex}") as store:
        kept = store.database[collection]
        name = await kept.create_index(keys, partialFilterExpression={"size": {"$gt": 7}}, unique=True)
        settings = Settings(store=mongod_uri, database=store.database.name, plugins=("models",))
        said = f"models.*the index '{name}' of the collection '{collection}' in .* drop it by "
        with pytest.raises(ConfigurationError, match=said):
            async with (app := create_app(settings)).router.lifespan_context(app):
                pass
        await store.client.drop_database(store.database.name)


async def test_a_place_that_fails_is_unavailable_and_keeps_its_path_to_itself(
    folder: Path, any_service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    path = await uploaded(any_service)
    shutil.rmtree(folder)
    put_in_the_way(folder)
    answers = [
        await any_service.client.get(path),
        await any_service.client.put(path, content=b"new"),
        await any_service.client.put(path, content=CONTENT),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
        assert str(folder) not in answer.text
    assert str(folder) in caplog.text


@pytest.mark.parametrize(
    "url", ["artifacts", "./artifacts", "file://artifacts", "file:artifacts", "file://~/artifacts"]
)
def test_a_relative_folder_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must be an absolute folder"):
        vault_of(ArtifactSettings(url))


@pytest.mark.parametrize(
    "url", ["file:///srv/artifacts", "/srv/artifacts", "file:/srv/artifacts", "memory://artifacts"]
)
def test_other_places_are_taken(url: str) -> None:
    assert vault_of(ArtifactSettings(url)) is not None
