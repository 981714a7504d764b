"""`open_store`, all of its addresses."""

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import beanie
import pytest
from beanie import Document, init_beanie
from tests.eventually import eventually

from regesta.errors import ConfigurationError, StoreInUse
from regesta.store import LocalServer, StoreKind, _open, open_store
from regesta.store._mongod import find_mongod

PASSWORD = "s3cr3t"


class Note(Document):
    text: str


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def lone_mongod(tmp_path: Path, unused_port: int) -> Iterator[str]:
    """The host and port of a mongod that belongs to no replica set; it may still be starting."""
    command = [str(find_mongod()), "--dbpath", str(tmp_path), "--port", str(unused_port), "--bind_ip", "127.0.0.1"]
    with subprocess.Popen([*command, "--nounixsocket", "--quiet"], stdout=subprocess.DEVNULL) as process:
        yield f"127.0.0.1:{unused_port}"
        process.terminate()


async def test_a_server(mongod_uri: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_store(mongod_uri, database="library") as store:
        assert store.kind is StoreKind.MONGODB
        assert store.database.name == "library"
        assert store.transactions
        assert store.url_without_credentials == mongod_uri.partition("?")[0]
    assert "stands alone" not in caplog.text


async def test_a_server_that_stands_alone_brings_a_warning(lone_mongod: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_store(f"mongodb://{lone_mongod}/?serverSelectionTimeoutMS=30000") as store:
        assert not store.transactions

    (warning,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert f"MongoDB at {lone_mongod} stands alone" in warning
    assert "--replSet" in warning


async def test_the_client_is_the_one_of_the_lane(database: Any) -> None:
    lane = "pymongo" if hasattr(beanie.Document, "get_pymongo_collection") else "motor"
    assert type(database.client).__module__.startswith(lane)

    await init_beanie(database, document_models=[Note])
    note = await Note(text="kept").insert()

    assert await Note.get(note.id) == note


async def test_what_the_code_relies_on_is_set_whatever_the_address_says(mongod_uri: str) -> None:
    careless = f"{mongod_uri}&w=1&journal=false&uuidRepresentation=javaLegacy&retryWrites=false&tz_aware=false"
    owner, now = uuid4(), datetime(2024, 2, 29, 12, tzinfo=UTC)
    async with open_store(careless, database=f"test_{uuid4().hex}") as store:
        await store.database["things"].insert_one({"owner": owner, "at": now})
        found = await store.database["things"].find_one({"owner": owner})
        await store.client.drop_database(store.database.name)

        assert store.client.write_concern.document == {"w": "majority", "j": True}
        assert store.client.options.retry_writes
        assert (found["owner"], found["at"]) == (owner, now)
        assert store.client.options.pool_options.appname == "regesta"


async def test_timeouts_of_the_address_win(mongod_uri: str) -> None:
    async with open_store(f"{mongod_uri}&serverselectiontimeoutms=1234") as store:
        assert store.client.options.server_selection_timeout == 1.234


async def test_the_database_of_the_address_wins(mongod_uri: str) -> None:
    async with open_store(mongod_uri.replace("/?", "/from%5Furl?"), database="other") as store:
        assert store.database.name == "from_url"


async def test_a_local_directory(tmp_path: Path) -> None:
    address = f"local:{tmp_path / 'store'}"
    async with open_store(address, database="library") as store:
        assert (store.kind, store.url_without_credentials) == (StoreKind.LOCAL, address)
        assert (store.database.name, store.transactions) == ("library", True)
        await store.database["things"].insert_one({"_id": 1})
        with pytest.raises(StoreInUse):
            async with open_store(address):
                pytest.fail("two owners of one directory")

    async with open_store(address, database="library") as store:
        assert await store.database["things"].find_one() == {"_id": 1}


async def test_the_default_is_a_directory_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_store() as store:
        assert store.url_without_credentials == f"local:{tmp_path / '.regesta'}"
        assert store.database.name == "regesta"


async def test_an_empty_default_store_tells_of_others_nearby(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def open_in(folder: Path) -> str:
        caplog.clear()
        monkeypatch.chdir(folder)
        async with open_store() as store:
            await store.database["things"].insert_one({})
        return caplog.text

    project, below = tmp_path / "project", tmp_path / "project" / "scripts"
    below.mkdir(parents=True)
    assert "is empty" not in await open_in(project)
    told = await open_in(below)
    assert f"the store in {below / '.regesta'} is empty" in told
    assert f"give --store: local:{project / '.regesta'}" in told
    assert "is empty" not in await open_in(below)
    assert f"local:{project / '.regesta'}" in await open_in(tmp_path)


async def test_a_local_directory_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))

    async with open_store("local:~/store") as store:
        assert store.url_without_credentials == f"local:{tmp_path / 'store'}"

    with pytest.raises(ConfigurationError, match="no such home"):
        async with open_store("local:~nobody-has-this-name/store"):
            pytest.fail("opened")
    assert not any((tmp_path / "here").iterdir())


async def test_an_existing_store_is_not_made(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    with pytest.raises(ConfigurationError, match=f"no local store in {directory}: .* --store"):
        async with open_store(f"local:{directory}", existing=True):
            pytest.fail("opened")
    assert not directory.exists()

    with LocalServer(directory):
        pass
    async with open_store(f"local:{directory}", existing=True) as store:
        assert store.transactions


async def test_a_cancelled_start_leaves_nothing_behind(tmp_path: Path) -> None:
    async def hold() -> None:
        async with open_store(f"local:{tmp_path}"):
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await asyncio.to_thread(eventually, (tmp_path / "owner.lock").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    with LocalServer(tmp_path) as server:  # the directory is free again
        assert server.pid


@pytest.mark.parametrize("address", ["", "sqlite://", "localhost:27017", "local//x", "local://x", "memory", "mongo"])
async def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is none of: memory://, local, local:DIRECTORY, mongodb://"):
        async with open_store(address):
            pytest.fail("opened")


@pytest.mark.parametrize(
    "address",
    [
        f"postgres://ann:{PASSWORD}@host/db",
        f"mongodb://ann:{PASSWORD}/x@host/db",
        f"mongodb://ann:{PASSWORD}@host:port/db",
        f"mongodb://ann:{PASSWORD}@/db",
        f"mongodb://ann:{PASSWORD}@host/db?connectTimeoutMS={PASSWORD}",
        f"mongodb://ann:{PASSWORD}@host/db?misspelt={PASSWORD}",
        f"mongodb://ann:{PASSWORD}@127.0.0.1:1/db?serverSelectionTimeoutMS=50",
        f"mongodb://ann:{PASSWORD}@127.0.0.1:1/a b?serverSelectionTimeoutMS=50",
    ],
)
async def test_no_error_shows_a_password(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        async with open_store(address):
            pytest.fail("opened")

    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in repr(caught.value.__context__ and caught.value.__cause__)


async def test_nobody_answers(unused_port: int) -> None:
    address = f"mongodb://127.0.0.1:{unused_port}/?serverSelectionTimeoutMS=100"
    with pytest.raises(ConfigurationError, match=f"answers at 127.0.0.1:{unused_port}: start it"):
        async with open_store(address):
            pytest.fail("opened")


async def test_a_name_that_dns_does_not_know() -> None:
    with pytest.raises(ConfigurationError, match=r"DNS has no MongoDB under the name nowhere\.invalid ") as caught:
        async with open_store(f"mongodb+srv://ann:{PASSWORD}@nowhere.invalid/x?connectTimeoutMS=1000"):
            pytest.fail("opened")

    assert PASSWORD not in str(caught.value)


async def test_a_wrong_password(mongod_uri: str) -> None:
    address = mongod_uri.replace("://", f"://ann:{PASSWORD}@")
    with pytest.raises(ConfigurationError, match=r"refused us .*: check user and password") as caught:
        async with open_store(address):
            pytest.fail("opened")

    assert PASSWORD not in str(caught.value)


async def test_a_store_shows_no_credentials(mongod_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"mongodb://ann:{PASSWORD}@one:27017,two/db?authMechanismProperties=AWS_SESSION_TOKEN:{PASSWORD}"
    client = _open._client
    monkeypatch.setattr(_open, "_client", lambda _: client(mongod_uri))  # nobody called ann lives there

    async with open_store(address) as store:
        assert store.url_without_credentials == "mongodb://one:27017,two/db"
        assert PASSWORD not in repr(store)


@pytest.mark.parametrize("name", ["a b", "a.b", "", "x" * 64])
async def test_names_that_no_database_can_have(mongod_uri: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be the name of a database"):
        async with open_store(mongod_uri, database=name):
            pytest.fail("opened")
