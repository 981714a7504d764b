"""Who owns a directory: a lock that ends with its owner, whatever end that is."""

import os
from pathlib import Path
from typing import IO, Any

from regesta.errors import ConfigurationError, StoreInUse


def take_lock(path: Path) -> IO[str]:
    """Lock this file for this process, or raise `StoreInUse`, naming who has it. `close` gives it back.

    An flock: unlike a record lock it also keeps a second owner in the same process out.
    """
    try:
        import fcntl  # not on Windows, where everything but this store works
    except ImportError as error:
        raise ConfigurationError("the local store needs Linux or macOS: use mongodb:// here") from error
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = read_number(path)
        file.close()
        who = "this process" if owner == os.getpid() else f"another process (pid {owner})"
        raise StoreInUse(f"{who} already uses the local store in {path.parent}") from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    close_after_fork(file)
    return file


def is_locked(path: Path) -> bool:
    """Whether some process has this file locked, by either call: versions of mongod differ in that."""
    import fcntl  # see `take_lock`

    if not path.exists():
        return False
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


_open_files: set[IO[Any]] = set()


def close_after_fork(file: IO[Any]) -> None:
    """Close `file` in forks of this process: a worker that outlives it must not keep mongod or the lock."""
    _open_files.add(file)


def close(file: IO[Any]) -> None:
    """Close a file that was given to `close_after_fork`."""
    _open_files.discard(file)
    file.close()


def _close_in_child() -> None:
    while _open_files:
        _open_files.pop().close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


def read_number(path: Path) -> int | None:
    """The number that is all there is in a file (a process id, a port); None if there is none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
