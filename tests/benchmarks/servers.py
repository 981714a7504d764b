"""The processes of a benchmark: one uvicorn for each application, one load generator for each run."""

import dataclasses
import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .load import Job, Sample

_READY_WITHIN = 60.0
_POLL = 0.02
# Started with `python -m` this package has one name, collected by pytest it may have a shorter one.
_PACKAGE = __name__.rpartition(".")[0]
_ROOT = Path(__file__).resolve().parents[_PACKAGE.count(".") + 1]


@dataclass(frozen=True, slots=True)
class Server:
    """An application that accepts connections."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """The processor time it has used so far; not a number where the system has no /proc."""
        facts = Path(f"/proc/{self.pid}/stat")
        if not facts.exists():
            return math.nan
        # The name in parentheses may hold spaces; user and system ticks are the 12th and 13th field after it.
        fields = facts.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serve(app: str, uri: str, database: str) -> Iterator[Server]:
    """Run the application `app` in one uvicorn worker, from the moment when it accepts connections."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        f"{_PACKAGE}.apps.{app}:app",
        "--port",
        str(port),
        "--lifespan",
        "on",
    ]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    told = environment() | {"BENCHMARK_URI": uri, "BENCHMARK_DATABASE": database}
    with subprocess.Popen(command, env=told) as process:
        try:
            wait_until_ready(app, process, port)
            yield Server(port, process.pid)
        finally:
            process.terminate()


def load(job: Job, server: Server) -> Sample:
    """Perform `job` against `server` from a process of its own, as a client would."""
    before = server.cpu_seconds()
    done = subprocess.run(
        [sys.executable, "-m", f"{_PACKAGE}.load"],
        input=json.dumps(dataclasses.asdict(job)),
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
        check=True,
    )
    sample = Sample(**json.loads(done.stdout))
    used = server.cpu_seconds() - before
    return dataclasses.replace(sample, server_us=used / max(sample.answered, 1) * 1e6)


def command_of(app: str) -> list[str]:
    """What runs the application `app` as a program."""
    return [sys.executable, "-m", f"{_PACKAGE}.apps.{app}"]


def environment() -> dict[str, str]:
    """What this process can import, its children can, however its path came to be."""
    path = os.pathsep.join([str(_ROOT), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(app: str, process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            try:  # Waiting on the process spends no CPU and notices at once when it dies.
                code = process.wait(_POLL)
            except subprocess.TimeoutExpired:
                continue
            raise RuntimeError(f"the application {app!r} ended with exit code {code}") from None
        else:
            return
    raise TimeoutError(f"the application {app!r} did not accept connections within {_READY_WITHIN} seconds")
