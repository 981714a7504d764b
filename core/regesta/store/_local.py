"""`LocalServer`: a private mongod of one's own, as a replica set of one node."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from regesta.errors import ConfigurationError, StoreInUse

from . import _keeper, _mongod
from ._lock import close, close_after_fork, is_locked, read_number, take_lock

logger = logging.getLogger("regesta.store")

_START = 30.0  # seconds until mongod must listen; recovery after a crash may take some
_PRIMARY = 15.0  # seconds until it must have elected itself
_LEFTOVER = _keeper.GRACE + 2.0  # seconds an earlier owner's mongod is given to end
_POLL = 0.01  # seconds
_ADDRESS_IN_USE = 48  # mongod's exit status
_ATTEMPTS = 5  # ports tried


class LocalServer:
    """A real mongod that belongs to one owner and lives as long as it.

    `directory` is made if need be. It holds `data` (the database), `mongod.log` (and one older `mongod.log.1`),
    `owner.lock` and `port`. `mongod_args` are appended to mongod's command line. It listens on 127.0.0.1 only
    and without authentication: whoever can log in to this machine can reach it.

    Acknowledged writes (`w: majority`) survive `kill -9` of the owner, of mongod and of the keeper between them. A
    mongod or a keeper that ends by itself is started again on the same port. The log says why if that can be known: a
    full disk, a directory that is gone. mongod stops with its owner, however that ends. POSIX only.
    """

    def __init__(self, directory: Path | str = ".regesta", *, mongod_args: Sequence[str] = ()) -> None:
        self.directory = Path(directory).absolute()
        self._mongod_args = tuple(mongod_args)
        self._changing = threading.RLock()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._uri = ""
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def uri(self) -> str:
        """The `mongodb://` address; empty while stopped."""
        return self._uri

    @property
    def pid(self) -> int | None:
        """The process id of mongod; None while it does not run."""
        return read_number(self._data / "mongod.lock") if self._uri else None

    @property
    def exists(self) -> bool:
        """Whether the directory holds a database already."""
        return self._data.is_dir()

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _log(self) -> Path:
        return self.directory / "mongod.log"

    def start(self) -> str:
        """Start mongod and return its `mongodb://` address; only return it if it runs. Blocks for half a second.

        Raises `StoreInUse` when another owner has the directory, `MissingExtra` when there is no mongod, and
        `ConfigurationError` with the end of mongod's log when it does not start.
        """
        with self._changing:
            if not self._uri:
                mongod = _mongod.find_mongod()
                try:
                    self._take_directory()
                    self._uri = self._launch(mongod)
                except BaseException:
                    self.stop()
                    raise
            return self._uri

    def stop(self) -> None:
        """Stop mongod cleanly and leave the directory to others. Blocks; nothing if it does not run."""
        with self._changing:
            self._uri = ""
            self._stop_keeper()
            if self._lock:
                close(self._lock)
                self._lock = None

    def _take_directory(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._data.mkdir(exist_ok=True, mode=0o700)
            self._lock = take_lock(self.directory / "owner.lock")
        except StoreInUse as error:
            raise StoreInUse(f"{error}{self._way_in()}") from error
        except OSError as error:
            raise ConfigurationError(f"cannot write to {self.directory}: {error.strerror}") from error
        # The owner before us may have died a moment ago: its keeper is just stopping its mongod.
        leftover = self._data / "mongod.lock"
        if not _until(lambda: not is_locked(leftover), _LEFTOVER):
            raise StoreInUse(f"a mongod (pid {read_number(leftover)}) runs on {self._data}: stop it first")

    def _way_in(self) -> str:
        """How to work beside the owner of the directory."""
        port = read_number(self.directory / "port")
        return f': stop it, or work beside it with --store "{_address(port)}"' if port else ""

    def _launch(self, mongod: Path) -> str:
        for attempt in range(_ATTEMPTS):
            port = self._choose_port(again=attempt > 0)
            since = self._log.stat().st_size if self._log.exists() else 0
            self._keeper = self._start_keeper(mongod, port)
            if status := self._listens(self._keeper, port):
                self._stop_keeper()
                if status == _ADDRESS_IN_USE:  # somebody was faster
                    continue
                raise self._failure(mongod, f"did not start (status {status})", since)
            try:
                _become_primary(port)
                (self.directory / "port").write_text(f"{port}\n")
                self._say_keep()
            except (PyMongoError, OSError) as error:
                raise self._failure(mongod, f"did not become ready ({error})", since) from error
            self._port = port
            return _address(port)
        raise ConfigurationError(f"found no free port on 127.0.0.1 in {_ATTEMPTS} attempts")

    def _listen_to(self, keeper: "subprocess.Popen[bytes]", mongod: Path) -> None:
        """Log what a keeper says, and start another one if it ends before it was told to."""
        for line in _output(keeper):
            logger.warning("the local store in %s: %s", self.directory, line.decode(errors="replace").strip())
        _output(keeper).close()
        keeper.wait()
        pause = _keeper.FIRST_PAUSE
        while self._keeper is keeper and not self._replace(keeper, mongod):
            time.sleep(pause)
            pause = min(pause * 2, _keeper.LONGEST_PAUSE)

    def _replace(self, keeper: "subprocess.Popen[bytes]", mongod: Path) -> bool:
        """Start another keeper in place of one that was killed, on the same port; False if it has to be tried again."""
        with self._changing:
            if self._keeper is not keeper:  # it was told to stop
                return True
            logger.warning("the local store in %s: its keeper was killed; starting another one", self.directory)
            if not self._is_free():
                return False
            close(_pipe(keeper))
            try:
                self._keeper = self._start_keeper(mongod, self._port)
                self._say_keep()
            except OSError as error:
                logger.warning("the local store in %s: %s", self.directory, error)
                return self._keeper is not keeper
            return True

    def _is_free(self) -> bool:
        """Whether no mongod is left. On Linux it ends with its keeper; elsewhere it is ended here."""
        leftover = self._data / "mongod.lock"
        pid = read_number(leftover)
        if pid and is_locked(leftover) and not sys.platform.startswith("linux"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        return _until(lambda: not is_locked(leftover), _LEFTOVER)

    def _failure(self, mongod: Path, what: str, since: int) -> ConfigurationError:
        free = _keeper.free_bytes(self._data)
        if free is not None and free < _keeper.FULL:
            what += f": the disk of {self._data} is full ({free // 2**20} MB are free)"
        words = _mongod.last_words(self._log, since)
        return ConfigurationError(f"{mongod} {what}; data in {self._data}; it said:\n{words}")

    def _choose_port(self, *, again: bool) -> int:
        """The port of last time where it is free (nothing to reconfigure then), else any free one."""
        last = None if again else read_number(self.directory / "port")
        for wanted in (last or 0, 0):
            with socket.socket() as probe, contextlib.suppress(OSError, OverflowError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", wanted))
                return int(probe.getsockname()[1])
        raise ConfigurationError("127.0.0.1 has no free port")

    def _start_keeper(self, mongod: Path, port: int) -> "subprocess.Popen[bytes]":
        keeper = subprocess.Popen(  # noqa: S603  # our own script
            [
                *(sys.executable, "-I", "-S", _keeper.__file__, str(self._log)),
                *_mongod.command(mongod, self._data, self._log, port, self._mongod_args),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C in a terminal goes to the whole process group: mongod must outlive the server's draining.
            start_new_session=True,
            cwd=self.directory,
            bufsize=0,
        )
        close_after_fork(_pipe(keeper))
        threading.Thread(target=self._listen_to, args=(keeper, mongod), name="regesta-store", daemon=True).start()
        return keeper

    def _listens(self, keeper: "subprocess.Popen[bytes]", port: int) -> int | str:
        """Wait until mongod takes connections: 0, else why it does not."""
        # A socket, not a client: a client that finds nobody tries again after half a second only.
        if not _until(lambda: keeper.poll() is not None or _connects(port), _START):
            return f"not listening after {_START:.0f} s"
        return keeper.returncode if keeper.poll() is not None else 0

    def _say_keep(self) -> None:
        if self._keeper:
            _pipe(self._keeper).write(b"k")

    def _stop_keeper(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is None or _pipe(keeper).closed:  # closed: this is a fork of the owner
            return
        close(_pipe(keeper))  # the keeper reads the end of the file and stops mongod, within its GRACE
        try:
            keeper.wait(_keeper.GRACE + 5)
        except subprocess.TimeoutExpired:  # mongod hangs in the kernel, on a dead disk for instance
            keeper.kill()
            keeper.wait()


def _pipe(keeper: "subprocess.Popen[bytes]") -> IO[bytes]:
    assert keeper.stdin is not None  # noqa: S101  # it was started with a PIPE
    return keeper.stdin


def _output(keeper: "subprocess.Popen[bytes]") -> IO[bytes]:
    assert keeper.stdout is not None  # noqa: S101  # it was started with a PIPE
    return keeper.stdout


def _address(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?replicaSet={_mongod.REPLICA_SET}"


def _become_primary(port: int) -> None:
    """Make the node the primary of a replica set of which it is the only member. Raises `PyMongoError`."""
    member = f"127.0.0.1:{port}"
    with MongoClient[dict[str, Any]](member, directConnection=True, serverSelectionTimeoutMS=5000) as client:
        admin = client.admin
        # Not `replSetGetConfig`: a node that has just started may not have read what it keeps.
        config = client.local["system.replset"].find_one()
        if config is None:
            members = [{"_id": 0, "host": member}]
            admin.command("replSetInitiate", {"_id": _mongod.REPLICA_SET, "members": members})
        elif [each["host"] for each in config["members"]] != [member]:
            _move(admin, config, member)
        if not _until(lambda: bool(admin.command("hello").get("isWritablePrimary")), _PRIMARY):
            raise PyMongoError(f"{member} is not primary after {_PRIMARY:.0f} s")


_NOT_YET_INITIALIZED = 94


def _move(admin: Any, config: dict[str, Any], member: str) -> None:
    """Tell the node its new address. By force: it does not find itself in the old configuration, so nobody votes."""
    config["members"] = [{**config["members"][0], "host": member}]
    config["version"] += 1

    def moved() -> bool:
        try:
            admin.command("replSetReconfig", config, force=True)
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALIZED:  # it has not read the old one yet
                raise
            return False
        return True

    _until(moved, _PRIMARY)


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask until it is so, or until `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
