"""The service as a real process, with the shelf installed beside it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.eventually import eventually

from . import shelf

SHELF = Path(shelf.__file__)


@dataclass(frozen=True)
class Service:
    """A running `regesta serve`."""

    process: "subprocess.Popen[bytes]"
    url: str
    log: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, trust_env=False, timeout=30)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait: the exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)


def install_shelf(folder: Path) -> dict[str, str]:
    """Install the shelf as the plugin `shelf` and return the environment in which it is the only one."""
    info = folder / "regesta_shelf-1.2.3.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: regesta-shelf\nVersion: 1.2.3\n")
    (info / "entry_points.txt").write_text("[regesta]\nshelf = shelf\n")
    (folder / "shelf.py").write_text(SHELF.read_text("utf-8"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGESTA_")}
    mongod = {"REGESTA_MONGOD": os.environ["REGESTA_MONGOD"]} if "REGESTA_MONGOD" in os.environ else {}
    return {**kept, **mongod, "PYTHONPATH": str(folder), "REGESTA_PLUGINS": "shelf"}


def regesta(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, with these variables too."""
    return subprocess.run(
        [sys.executable, "-m", "regesta", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env=install_shelf(folder / "plugins") | environment,
    )


@contextmanager
def starting(folder: Path, *arguments: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`regesta serve` on a free port, its output in the file `log`; killed at the end if it still runs.

    `environment` adds variables to those of `install_shelf`.
    """
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "regesta", "serve", "--port", "0", *arguments],
            stderr=output,
            stdout=output,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env=install_shelf(folder / "plugins") | environment,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


@contextmanager
def serving(folder: Path, *arguments: str, store: str = "", **environment: str) -> Iterator[Service]:
    """The same, from the moment when it answers."""
    with starting(folder, "--store", store or f"local:{folder / 'store'}", *arguments, **environment) as process:
        url = eventually(lambda: _url(folder / "log", process), within=60)
        yield Service(process, url, folder / "log")


def mongods(folder: Path) -> list[str]:
    """The command lines of the processes that run on a store in this folder."""
    running = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True)
    return [line for line in running.stdout.splitlines() if str(folder / "store") in line and "mongod" in line]


def _url(log: Path, process: "subprocess.Popen[bytes]") -> str:
    text = log.read_text("utf-8")
    assert process.poll() is None, text
    said = [line for line in text.splitlines() if '"event":"serving ' in line]
    return json.loads(said[0])["event"].split()[1] if said else ""
