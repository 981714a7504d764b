"""Runs one mongod for a `LocalServer` and sees to it that it neither dies unnoticed nor outlives its owner.

A script of its own that imports nothing but the standard library, started by `_local.LocalServer`:

    python -I -S _keeper.py LOG MONGOD [ARGUMENT ...]

What happens is written to the log and, a line each, to standard output, which the owner reads: its end tells that this
keeper was killed, and the owner starts another one.

Standard input is a pipe whose other end only the owner holds. One byte says "it is up: start it again should it
end"; the end of the file says "the owner is gone, or wants it stopped". The kernel closes the pipe however the
owner ends, `kill -9` included, on Linux and macOS alike. The alternative, PR_SET_PDEATHSIG, exists on Linux only
and is bound to the thread that forks: a mongod started from a worker thread would be shot when that thread ends.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

GRACE = 10.0  # seconds between SIGTERM and SIGKILL
FIRST_PAUSE = 0.1  # seconds before a mongod that ended is started again; doubles while it keeps ending
LONGEST_PAUSE = 10.0
STEADY = 30.0  # seconds after which a mongod counts as healthy again
LOG_LIMIT = 16 * 1024 * 1024  # bytes; beyond, the log becomes LOG.1 and a new one begins
LOG_CHECK = 60.0  # seconds
FULL = 16 * 1024 * 1024  # bytes; a mongod that ends while less is free ended for that
NOT_EXECUTABLE = 126  # as a shell says it

BeforeExec = Callable[[], None] | None


class Owner:
    """What the owner says through standard input, and what signals say meanwhile."""

    here = True
    keep = False

    def __init__(self) -> None:
        # SIGCHLD writes to this pipe, so that one select() waits for both the owner and mongod.
        self._wake, wake_end = os.pipe()
        for end in (self._wake, wake_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        # The owner decides when to stop: a service manager that signals all processes must not take the database
        # away from a server that is still draining. (Handlers, not SIG_IGN: mongod would inherit that.)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

    def listen(self, seconds: float) -> None:
        """Wait for news from the owner or for a signal, no longer than `seconds`."""
        ready, _, _ = select.select([0, self._wake], [], [], seconds)
        if 0 in ready:
            said = os.read(0, 16)
            self.here = self.here and bool(said)
            self.keep = self.keep or bool(said)
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)


def keep(log: Path, command: list[str]) -> int:
    """Run mongod until the owner is gone, or until it ends without having been up; return its exit status."""
    owner = Owner()
    before_exec = _die_with_keeper()
    pause = FIRST_PAUSE
    while True:
        began = time.monotonic()
        try:
            mongod = _start(log, command, before_exec)
        except OSError as error:
            _note(log, f"cannot run {command[0]}: {error.strerror}")
            return NOT_EXECUTABLE
        status = _watch(mongod, owner, log)
        if not (owner.keep and owner.here):
            return status
        pause = FIRST_PAUSE if time.monotonic() - began > STEADY else min(pause * 2, LONGEST_PAUSE)
        _note(log, f"mongod ended with status {status}{_why(log, command)}; starting it again in {pause} s")
        if not _sleep(owner, pause):
            return status


def _start(log: Path, command: list[str], before_exec: BeforeExec) -> "subprocess.Popen[bytes]":
    _rotate(log)
    with log.open("ab") as output:  # what mongod prints before it opens its log, e.g. a missing library
        return subprocess.Popen(  # noqa: S603  # the owner's own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=before_exec,  # noqa: PLW1509  # safe: this process has one thread
        )


def _watch(mongod: "subprocess.Popen[bytes]", owner: Owner, log: Path) -> int:
    """Wait until mongod ends, or end it when the owner is gone."""
    while mongod.poll() is None:
        owner.listen(LOG_CHECK)
        if not owner.here:
            return _end(mongod)
        if _rotate(log):
            mongod.send_signal(signal.SIGUSR1)  # mongod opens its log anew
    return mongod.returncode


def _end(mongod: "subprocess.Popen[bytes]") -> int:
    mongod.terminate()
    try:
        return mongod.wait(GRACE)
    except subprocess.TimeoutExpired:
        mongod.kill()  # safe: what was acknowledged is in the journal
        return mongod.wait()


def _sleep(owner: Owner, seconds: float) -> bool:
    """Wait; False, and at once, when the owner is gone."""
    until = time.monotonic() + seconds
    while owner.here and (left := until - time.monotonic()) > 0:
        owner.listen(left)
    return owner.here


def _rotate(log: Path) -> bool:
    with contextlib.suppress(OSError):  # a log is not worth a database
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_name(f"{log.name}.1"))
            return True
    return False


def _note(log: Path, message: str) -> None:
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), f"{message}\n".encode(errors="replace"))
    with contextlib.suppress(OSError), log.open("a") as output:
        output.write(f"{datetime.now(UTC).isoformat()} regesta: {message}\n")


def _why(log: Path, command: list[str]) -> str:
    """What can be seen of why mongod ended: it may not be able to say so itself."""
    data = Path(command[command.index("--dbpath") + 1]) if "--dbpath" in command else log.parent
    if not data.is_dir():
        return f": the directory {data} is gone"
    if not os.access(data, os.W_OK):
        return f": {data} cannot be written to"
    free = free_bytes(data)
    if free is not None and free < FULL:
        return f": the disk of {data} is full ({free // 2**20} MB are free)"
    return ""


def free_bytes(directory: Path) -> int | None:
    """How much room there is on the disk of a directory; None if that cannot be known."""
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return None


def _die_with_keeper() -> BeforeExec:
    """For one case more, on Linux only: somebody kills this keeper with -9. It has but one thread to be bound to."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # only needed here

    prctl, set_parent_death_signal = ctypes.CDLL(None).prctl, 1

    def before_exec() -> None:
        prctl(set_parent_death_signal, signal.SIGTERM)

    return before_exec


if __name__ == "__main__":
    sys.exit(abs(keep(Path(sys.argv[1]), sys.argv[2:])))
