"""The local store, on a real mongod."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient, WriteConcern
from pymongo.errors import PyMongoError
from tests.eventually import eventually

from regesta.errors import StoreInUse
from regesta.store import LocalServer

MAJORITY = WriteConcern(w="majority", j=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    with LocalServer(tmp_path / "store") as started:
        yield started


def runs(pid: int) -> bool:
    """Whether the process is there and not a zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def mongod_pid(server: LocalServer) -> int:
    return eventually(lambda: server.pid or 0)


def write(uri: str, number: int) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        client["test"].get_collection("things", write_concern=MAJORITY).insert_one({"_id": number})


def stored(uri: str) -> list[int]:
    with MongoClient[dict[str, Any]](uri) as client:
        return sorted(each["_id"] for each in client["test"]["things"].find())


def start_owner(directory: Path) -> "subprocess.Popen[str]":
    """Another process that owns a local store, says its address and waits."""
    program = (
        "import sys; from regesta.store import LocalServer; server = LocalServer(sys.argv[1]);"
        "print(server.start(), server.pid, flush=True); sys.stdin.read()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def other_owner(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    with start_owner(tmp_path / "store") as process:
        yield process
        process.kill()


def address_and_pid(owner: "subprocess.Popen[str]") -> tuple[str, int]:
    assert owner.stdout is not None
    address, pid = owner.stdout.readline().split()
    return address, int(pid)


def test_starts_as_a_replica_set_on_this_machine_only(server: LocalServer) -> None:
    with MongoClient[dict[str, Any]](server.uri) as client:
        hello = client.admin.command("hello")
        options = client.admin.command("getCmdLineOpts")["parsed"]

    assert hello["isWritablePrimary"]
    assert hello["setName"] == "regesta"
    assert options["net"]["bindIp"] == "127.0.0.1"
    assert server.uri.startswith("mongodb://127.0.0.1:")


def test_transactions_work(server: LocalServer) -> None:
    with MongoClient[dict[str, Any]](server.uri) as client, client.start_session() as session:
        things = client["test"]["things"]
        session.with_transaction(lambda within: things.insert_one({"_id": 1}, session=within))

    assert stored(server.uri) == [1]


def test_start_and_stop_may_be_repeated(server: LocalServer) -> None:
    pid = mongod_pid(server)

    assert server.start() == server.uri
    assert mongod_pid(server) == pid

    server.stop()
    server.stop()
    assert (server.uri, server.pid) == ("", None)
    assert not runs(pid)


def test_documents_survive_a_restart_on_the_same_port(server: LocalServer) -> None:
    before = server.uri
    write(before, 1)

    server.stop()

    assert server.start() == before
    assert stored(server.uri) == [1]


@pytest.mark.parametrize("remembered", ["taken", "0", "99999999", "none of your business"])
def test_documents_survive_a_change_of_port(server: LocalServer, remembered: str) -> None:
    before = server.uri
    write(before, 1)
    server.stop()
    with LocalServer(server.directory.parent / "thief") as thief:
        taken = thief.uri.split(":")[2].split("/")[0]
        (server.directory / "port").write_text(taken if remembered == "taken" else remembered)

        after = server.start()

        assert after not in {before, thief.uri}
        assert stored(after) == [1]
        write(after, 2)


def test_mongod_takes_arguments(tmp_path: Path) -> None:
    with (
        LocalServer(tmp_path, mongod_args=["--setParameter", "enableTestCommands=1"]) as server,
        MongoClient[dict[str, Any]](server.uri) as client,
    ):
        assert client.admin.command({"getParameter": 1, "enableTestCommands": 1})["enableTestCommands"]


def test_a_second_owner_in_the_same_process_is_refused(server: LocalServer) -> None:
    with pytest.raises(StoreInUse, match="this process already uses the local store in") as caught:
        LocalServer(server.directory).start()

    assert str(server.directory) in str(caught.value)
    write(server.uri, 1)
    assert stored(server.uri) == [1]


def test_a_second_owner_in_another_process_is_refused(other_owner: "subprocess.Popen[str]", tmp_path: Path) -> None:
    address, _ = address_and_pid(other_owner)

    with pytest.raises(StoreInUse, match=rf"another process \(pid {other_owner.pid}\)") as caught:
        LocalServer(tmp_path / "store").start()

    assert f'--store "{address}"' in str(caught.value)
    write(address, 1)
    assert stored(address) == [1]


def test_a_strange_mongod_on_the_data_is_respected(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody removed the lock file, or started mongod by hand."""
    monkeypatch.setattr("regesta.store._local._LEFTOVER", 0.1)
    (server.directory / "owner.lock").unlink()

    with pytest.raises(StoreInUse, match=rf"a mongod \(pid {server.pid}\) runs on"):
        LocalServer(server.directory).start()

    assert runs(mongod_pid(server))


def test_no_mongod_outlives_a_killed_owner(other_owner: "subprocess.Popen[str]") -> None:
    _, pid = address_and_pid(other_owner)
    assert runs(pid)

    other_owner.kill()

    eventually(lambda: not runs(pid))


def test_after_a_killed_owner_the_next_one_waits_for_its_mongod(
    other_owner: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    address, pid = address_and_pid(other_owner)
    write(address, 1)

    other_owner.kill()
    other_owner.wait()

    with LocalServer(tmp_path / "store") as server:
        assert stored(server.uri) == [1]
        assert mongod_pid(server) != pid


def test_a_fork_of_the_owner_holds_nothing(tmp_path: Path) -> None:
    """In a program of its own: a fork of a test's process would hold everything that pytest has open."""
    program = """
import os, sys
from regesta.store import LocalServer
server = LocalServer(sys.argv[1])
server.start()
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    try:
        os.close(writer)
        server.stop()  # of its own copy
        os.read(reader, 1)  # lives on
    finally:
        os._exit(0)
mongod = server.pid
server.stop()
print(mongod, flush=True)
with LocalServer(sys.argv[1]) as another:
    print(another.pid, flush=True)
print(os.waitpid(child, os.WNOHANG), flush=True)
os.close(writer)
os.waitpid(child, 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    first, second, child = done.stdout.splitlines()
    assert first != second
    assert not runs(int(first))
    assert child == "(0, 0)"  # it ran all the while


def test_mongod_is_started_again_when_killed(server: LocalServer) -> None:
    acknowledged = []
    for number in range(20):
        write(server.uri, number)
        acknowledged.append(number)
    pid = mongod_pid(server)

    os.kill(pid, signal.SIGKILL)

    eventually(lambda: server.pid not in {pid, None})
    assert eventually(lambda: answers(server.uri)) == acknowledged
    write(server.uri, 100)
    assert "mongod ended with status -9" in (server.directory / "mongod.log").read_text()


def answers(uri: str) -> list[int]:
    try:
        return stored(uri)
    except PyMongoError:
        return []


def test_signals_to_everybody_do_not_take_the_database_away(server: LocalServer) -> None:
    """A service manager may signal all processes of a service: the owner alone decides when to stop."""
    write(server.uri, 1)
    pid = mongod_pid(server)
    parent = parent_of(pid)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(parent, number)
    os.kill(pid, signal.SIGTERM)

    eventually(lambda: server.pid not in {pid, None})
    assert eventually(lambda: answers(server.uri)) == [1]


def comes_back(server: LocalServer, killed: int) -> None:
    eventually(lambda: not runs(killed))
    eventually(lambda: server.pid not in {killed, None})


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_killed_keeper_takes_its_mongod_along_and_both_come_back(server: LocalServer) -> None:
    uri = server.uri
    for number in range(2):
        write(uri, number)
        pid = mongod_pid(server)
        os.kill(parent_of(pid), signal.SIGKILL)
        comes_back(server, pid)
        assert eventually(lambda: answers(uri)) == list(range(number + 1))
    write(uri, 2)
    last = mongod_pid(server)
    server.stop()
    assert not runs(last)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_store_that_stops_right_after_its_keeper_was_killed_stays_stopped(server: LocalServer) -> None:
    pid, listening = mongod_pid(server), listeners()  # those of other stores of this process among them
    os.kill(parent_of(pid), signal.SIGKILL)
    server.stop()
    eventually(lambda: not runs(pid))
    eventually(lambda: listeners() < listening)
    with LocalServer(server.directory) as again:
        write(again.uri, 1)


def listeners() -> int:
    """How many threads of this process listen to the keeper of a store."""
    return sum(thread.name == "regesta-store" for thread in threading.enumerate())


def parent_of(pid: int) -> int:
    said = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(said.stdout)


def test_a_data_folder_that_was_removed_is_told(server: LocalServer, caplog: pytest.LogCaptureFixture) -> None:
    pid = mongod_pid(server)
    (server.directory / "data").rename(server.directory / "elsewhere")  # at once: mongod writes to it all the while
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: f"the directory {server.directory / 'data'} is gone" in caplog.text)


def test_a_large_log_is_put_aside(server: LocalServer) -> None:
    server.stop()
    log = server.directory / "mongod.log"
    with log.open("r+b") as file:
        file.truncate(17 * 1024 * 1024)

    server.start()

    assert log.stat().st_size < 1024 * 1024
    assert log.with_name("mongod.log.1").stat().st_size == 17 * 1024 * 1024
